//! The unit of the Debian package under a systemd: who asks notices neither a crash nor an upgrade.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::engine::finish;
use crate::machine::Machine;
use crate::package::package_for;
use crate::patience::{until, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
/// So long it is asked; whatever happens, happens within it.
const SECONDS: u64 = 8;
/// Queries a second. What comes in some seconds has room in the smallest of buffers.
const RATE: u64 = 100;

const CONFIG: &str = r#"
[listen]
dns = ["0.0.0.0:53", "[::]:53"]
[[zone]]
origin = "contoso.test."
file   = "contoso.test.zone"
[probe]
kind = "tcp"
[[pool]]
name    = "edgepool1"
servers = [{ name = "edge1.contoso.test.", addresses = ["127.0.2.1"] }]
[[pool]]
name    = "edgepool2"
servers = [{ name = "edge2.contoso.test.", addresses = ["127.0.2.2"] }]
[[service]]
name    = "xmpp-federation"
pools   = ["edgepool1", "edgepool2"]
records = [{ srv = "_xmpp-server._tcp.contoso.test.", port = 5269 }]
"#;
/// With the socket unit, the daemon needs no right at all.
const NO_RIGHTS: &str = "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n";
const SOON: &str = "[Service]\nWatchdogSec=1\n";

#[test]
fn the_unit_loses_no_query_and_nothing_that_is_known() {
    let test = "the_unit_loses_no_query_and_nothing_that_is_known";
    let tools = ["systemd-nspawn", "nsenter", "dnsperf", "dpkg-deb"];
    let Some((_alone, package)) = package_for(test, &tools) else {
        return;
    };
    let machine = Machine::start();
    install(&machine, &package);
    starts_and_reloads(&machine);
    let known = [
        "switchback",
        "freeze",
        "xmpp-federation",
        "--reason",
        "the upgrade",
    ];
    machine.finish(&known);
    survives_a_crash(&machine);
    survives_a_hang(&machine);
    is_upgraded(&machine, &package);
    takes_the_sockets_of_a_unit(&machine);
    let overrides = machine.finish(&["switchback", "overrides"]);
    assert!(overrides.contains("the upgrade"), "{overrides}");
    machine.finish(&[
        "systemctl",
        "stop",
        "switchback.socket",
        "switchback.service",
    ]);
    assert_eq!(property(&machine, "Result"), "success");
}

fn install(machine: &Machine, package: &Path) {
    fs::copy(package, machine.path("srv/switchback.deb")).expect("copied");
    machine.finish(&["dpkg", "-i", "/srv/switchback.deb"]);
    fs::write(machine.path("etc/switchback/switchback.toml"), CONFIG).expect("written");
}

fn starts_and_reloads(machine: &Machine) {
    machine.finish(&["systemctl", "enable", "--now", "switchback"]);
    let status = property(machine, "StatusText");
    assert!(status.contains("services: 1"), "{status}");
    let log = machine.journal();
    assert!(
        log.contains("sandbox: user switchback") || log.contains("sandbox: user uid"),
        "{log}"
    );
    let zone = machine.path("etc/switchback/contoso.test.zone");
    let good = fs::read_to_string(&zone).expect("the package brings it");
    fs::write(&zone, "nonsense\n").expect("written");
    let (reloaded, said) = machine.run(&["systemctl", "reload", "switchback"]);
    assert!(!reloaded, "{said}");
    assert_eq!(property(machine, "ActiveState"), "active");
    fs::write(&zone, good).expect("written");
    machine.finish(&["systemctl", "reload", "switchback"]);
}

fn survives_a_crash(machine: &Machine) {
    let load = Load::begin(machine);
    signal(machine, "KILL");
    restarted(machine, "1");
    load.loses_nothing();
}

/// The watchdog ends it.
fn survives_a_hang(machine: &Machine) {
    drop_in(machine, "watchdog", SOON);
    machine.finish(&["systemctl", "restart", "switchback"]);
    let load = Load::begin(machine);
    signal(machine, "STOP");
    restarted(machine, "1");
    load.loses_nothing();
}

fn is_upgraded(machine: &Machine, package: &Path) {
    newer(package, &machine.path("srv/newer.deb"));
    let before = property(machine, "MainPID");
    let load = Load::begin(machine);
    machine.finish(&["dpkg", "-i", "/srv/newer.deb"]);
    load.loses_nothing();
    assert_ne!(property(machine, "MainPID"), before);
}

fn takes_the_sockets_of_a_unit(machine: &Machine) {
    machine.finish(&["systemctl", "stop", "switchback"]);
    let unit = "usr/share/doc/switchback/examples/switchback.socket";
    let to = machine.path("etc/systemd/system/switchback.socket");
    fs::copy(machine.path(unit), to).expect("the package brings it");
    drop_in(machine, "rights", NO_RIGHTS);
    machine.finish(&["systemctl", "start", "switchback.socket"]);
    assert_eq!(property(machine, "ActiveState"), "inactive");
    // The first query starts it, and has its answer.
    let load = Load::begin(machine);
    wait_for("the daemon", PATIENCE, || {
        (property(machine, "ActiveState") == "active").then_some(())
    });
    machine.finish(&["systemctl", "restart", "switchback"]);
    load.loses_nothing();
    assert_eq!(property(machine, "NFileDescriptorStore"), "0");
}

/// The same package as one that came later.
fn newer(package: &Path, to: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let unpacked = folder.path().join("package");
    let mut command = Command::new("dpkg-deb");
    command.arg("--raw-extract").arg(package).arg(&unpacked);
    finish(&mut command, PATIENCE);
    let control = unpacked.join("DEBIAN/control");
    let text = fs::read_to_string(&control).expect("a package has one");
    let version = text.lines().find(|line| line.starts_with("Version: "));
    let version = version.expect("a package has one");
    fs::write(&control, text.replace(version, &format!("{version}+newer"))).expect("written");
    let mut command = Command::new("dpkg-deb");
    command
        .arg("--root-owner-group")
        .arg("--build")
        .arg(&unpacked)
        .arg(to);
    finish(&mut command, PATIENCE);
}

fn property(machine: &Machine, name: &str) -> String {
    let words = [
        "systemctl",
        "show",
        "switchback",
        "--value",
        "--property",
        name,
    ];
    machine.finish(&words).trim().to_owned()
}

/// A change to the unit.
fn drop_in(machine: &Machine, name: &str, text: &str) {
    let folder = machine.path("etc/systemd/system/switchback.service.d");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("{name}.conf")), text).expect("written");
    machine.finish(&["systemctl", "daemon-reload"]);
}

/// To the daemon alone.
fn signal(machine: &Machine, signal: &str) {
    let pid = property(machine, "MainPID");
    machine.finish(&["sh", "-c", &format!("kill -{signal} {pid}")]);
}

fn restarted(machine: &Machine, times: &str) {
    wait_for("a restart", PATIENCE, || {
        let restarts = property(machine, "NRestarts");
        (restarts == times && property(machine, "ActiveState") == "active").then_some(())
    });
}

/// Somebody who asks all the time.
struct Load {
    dnsperf: Child,
    _folder: tempfile::TempDir,
    said: std::path::PathBuf,
}

impl Load {
    fn begin(machine: &Machine) -> Load {
        let folder = tempfile::tempdir().expect("a folder");
        let questions = folder.path().join("questions");
        let said = folder.path().join("said");
        let text = "contoso.test SOA\n_xmpp-server._tcp.contoso.test SRV\nno.contoso.test A\n";
        fs::write(&questions, text).expect("written");
        let file = fs::File::create(&said).expect("a file");
        let mut command = machine.beside("dnsperf");
        command
            .args(["-s", "127.0.0.1", "-t", "30", "-c", "4"])
            .args(["-l", &SECONDS.to_string(), "-Q", &RATE.to_string(), "-d"])
            .arg(questions)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the same file"))
            .stderr(file);
        Load {
            dnsperf: command.spawn().expect("nsenter was found a moment ago"),
            _folder: folder,
            said,
        }
    }

    fn loses_nothing(mut self) {
        let ended = until(PATIENCE, || self.dnsperf.try_wait().ok().flatten());
        let said = fs::read_to_string(&self.said).unwrap_or_default();
        assert!(ended.is_some_and(|status| status.success()), "{said}");
        let figure = |name: &str| -> u64 {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
            let figure = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            figure.unwrap_or_else(|| panic!("no {name} in:\n{said}"))
        };
        assert_eq!(figure("Queries lost:"), 0, "{said}");
        let completed = figure("Queries completed:");
        assert!(completed >= RATE * SECONDS / 2, "{said}");
    }
}
