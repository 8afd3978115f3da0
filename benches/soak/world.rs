//! The daemon, its zones and those who ask it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::admin::client::ask;
use switchback::admin::{Answer, Request};
use switchback::clock;
use tempfile::TempDir;

use super::programs::{Process, free_port, installed};

const NAMES: usize = 20_000;
/// How long the rate is sought.
const CALIBRATION_S: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    folder: TempDir,
    process: Process,
    port: u16,
    pub(crate) edge_port: u16,
}

impl World {
    pub(crate) fn start() -> World {
        let folder = tempfile::tempdir().unwrap();
        let (port, edge_port) = (free_port(), free_port());
        fs::create_dir(folder.path().join("state")).unwrap();
        write_zones(folder.path(), 1);
        let config = folder.path().join("switchback.toml");
        fs::write(&config, configuration(folder.path(), port, edge_port)).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_switchback"));
        let process = Process::start(program, &["serve", "--config"], &config, folder.path());
        let world = World {
            folder,
            process,
            port,
            edge_port,
        };
        let begun = clock::mono();
        while world.active().is_none() {
            assert!(clock::mono().since(begun) < PATIENCE, "{}", world.output());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        world
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// What the daemon has printed.
    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Which edge is active, the first or the second, as the status says.
    pub(crate) fn active(&self) -> Option<usize> {
        let Ok(Answer::Status(status)) = ask(&self.control(), &Request::Status) else {
            return None;
        };
        let active = status.services.first()?.active.to_string();
        ["one", "two"].iter().position(|pool| *pool == active)
    }

    /// Changes a zone and has it read.
    pub(crate) fn reload(&self, serial: u64) -> Result<(), String> {
        write_zones(self.folder.path(), serial);
        let answer = ask(&self.control(), &Request::Reload);
        answer
            .map(|_| ())
            .map_err(|error| format!("reload: {error}"))
    }

    /// Takes the whole of the large zone, as a secondary does.
    pub(crate) fn transfer(&self) -> Result<(), String> {
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &self.port.to_string()])
            .args(["names.test", "AXFR", "+time=20", "+tries=1"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("dig: {error}"))?;
        let lines = output.stdout.split(|octet| *octet == b'\n').count();
        if output.status.success() && lines > NAMES {
            return Ok(());
        }
        Err(format!("a transfer of {lines} lines"))
    }

    /// Begins to ask at half of the rate that is possible.
    pub(crate) fn load(&self, seconds: u64) -> Option<Load> {
        let dnsperf = installed("dnsperf")?;
        let questions = self.folder.path().join("questions");
        let names = (0..NAMES).step_by(NAMES / 100);
        let some = names.map(|at| format!("h{at:06}.names.test A\nno{at}.names.test A\n"));
        let service = "_xmpp-server._tcp.contoso.test SRV\nxmpp.contoso.test A\n".repeat(100);
        fs::write(&questions, some.collect::<String>() + &service).unwrap();
        let command = |seconds: u64| {
            let mut command = Command::new(&dnsperf);
            command
                .args(["-s", "127.0.0.1", "-c", "8", "-T", "1"])
                .args(["-p", &self.port.to_string(), "-l", &seconds.to_string()])
                .arg("-d")
                .arg(&questions)
                .stdin(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let flat_out = command(CALIBRATION_S).output().unwrap();
        let text = String::from_utf8_lossy(&flat_out.stdout).into_owned();
        let possible: f64 = figure(&text, "Queries per second:")?;
        println!("{possible:.0} queries a second are possible; half of them are asked");
        let report = self.folder.path().join("report");
        let child = command(seconds)
            .args(["-Q", &format!("{:.0}", possible / 2.0)])
            .stdout(File::create(&report).unwrap())
            .spawn()
            .unwrap();
        Some(Load {
            child,
            report,
            dropped_before: dropped(),
        })
    }
}

/// The load, as it goes on.
pub(crate) struct Load {
    child: Child,
    report: PathBuf,
    dropped_before: u64,
}

impl Load {
    /// Waits for its end; what was lost and no full buffer explains.
    pub(crate) fn judge(mut self) -> Option<String> {
        self.child.wait().unwrap();
        let text = fs::read_to_string(&self.report).unwrap();
        let (sent, lost) = (
            figure::<u64>(&text, "Queries sent:"),
            figure::<u64>(&text, "Queries lost:"),
        );
        let dropped = dropped() - self.dropped_before;
        println!("{sent:?} queries sent, {lost:?} lost, {dropped} dropped by the kernel");
        match lost {
            Some(lost) if lost <= dropped => None,
            _ => Some(format!(
                "{lost:?} queries lost, of which the kernel dropped {dropped}"
            )),
        }
    }
}

/// The number behind a label of dnsperf's report.
fn figure<T: std::str::FromStr>(report: &str, label: &str) -> Option<T> {
    let line = report.lines().find(|line| line.contains(label))?;
    let after = line.split(label).nth(1)?;
    after.split_whitespace().next()?.parse().ok()
}

/// Datagrams that found a socket's buffer full, the clients' sockets included.
fn dropped() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split_whitespace().zip(values.split_whitespace());
    let errors = both.find(|(name, _)| *name == "RcvbufErrors");
    errors.unwrap().1.parse().unwrap()
}

fn write_zones(folder: &Path, serial: u64) {
    let head = format!("$TTL 300\n@ SOA ns1 hostmaster {serial} 7200 900 1209600 300\n@ NS ns1\n");
    let contoso = format!("{head}ns1 A 192.0.2.1\nversion TXT \"{serial}\"\n");
    let hosts = (0..NAMES).map(|at| {
        let [.., a, b] = at.to_be_bytes();
        format!("h{at:06} A 10.0.{a}.{b}\n")
    });
    let names = format!("{head}ns1 A 192.0.2.1\n{}", hosts.collect::<String>());
    for (name, text) in [("contoso.zone", contoso), ("names.zone", names)] {
        // Renamed, so that whoever reads it sees all of the old one or of the new one.
        fs::write(folder.join("fresh"), text).unwrap();
        fs::rename(folder.join("fresh"), folder.join(name)).unwrap();
    }
}

fn configuration(folder: &Path, port: u16, edge_port: u16) -> String {
    let at = folder.display();
    format!(
        r#"state_dir = "{at}/state"
[listen]
dns = ["127.0.0.1:{port}"]
control = "{at}/control.sock"
[history]
entries = 500
megabytes = 1
[[zone]]
origin = "contoso.test."
file = "{at}/contoso.zone"
[[zone]]
origin = "names.test."
file = "{at}/names.zone"
transfer = ["127.0.0.1"]
[probe]
kind = "tcp"
port = {edge_port}
interval = "200ms"
[[pool]]
name = "one"
servers = [{{ name = "edge1.contoso.test.", addresses = ["127.0.0.1"] }}]
[[pool]]
name = "two"
servers = [{{ name = "edge2.contoso.test.", addresses = ["127.0.0.2"] }}]
[[service]]
name = "xmpp"
pools = ["one", "two"]
records = [
  {{ srv = "_xmpp-server._tcp.contoso.test.", port = {edge_port} }},
  {{ address = "xmpp.contoso.test." }},
]
failover = {{ after = "0s", cap_per_hour = 100000 }}
failback = "manual"
[[service.step]]
run = ["/bin/true"]
[[service.step]]
publish = true
"#
    )
}
