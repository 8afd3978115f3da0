//! Real daemons: what the kernel says of them, and what their programs can reach.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use serde_json::Value;
use switchback::clock;
use tempfile::TempDir;

use crate::attacks::has_landlock;

const EXE: &str = env!("CARGO_BIN_EXE_switchback");
const ZONE: &str =
    "$TTL 300\n@ SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 127.0.0.1\n";
/// No test waits longer for anything that should happen.
const BOUND: Duration = Duration::from_secs(20);

/// A running `switchback serve`; it ends with the value.
struct Daemon {
    folder: TempDir,
    child: Child,
}

fn config(more: &str) -> String {
    format!(
        r#"
state_dir = "state"
[listen]
dns     = ["127.0.0.1:0"]
control = "control.sock"
[[zone]]
origin = "contoso.test."
file   = "contoso.test.zone"
{more}"#
    )
}

impl Daemon {
    fn start(more: &str, uid: Option<u32>) -> Daemon {
        Daemon::start_with(more, ZONE, uid)
    }

    fn start_with(more: &str, zone: &str, uid: Option<u32>) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("switchback.toml"), config(more)).unwrap();
        fs::write(path("contoso.test.zone"), zone).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(EXE);
        command
            .arg("serve")
            .arg("--config")
            .arg(path("switchback.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("log")).unwrap());
        if let Some(uid) = uid {
            chown(folder.path(), Some(uid), Some(uid)).unwrap();
            command.uid(uid).gid(uid);
        }
        let child = command.spawn().unwrap();
        let daemon = Daemon { folder, child };
        daemon.until("it answers", |daemon| daemon.log().contains("ready"));
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn until(&self, what: &str, is_so: impl Fn(&Daemon) -> bool) {
        let deadline = clock::mono() + BOUND;
        while !is_so(self) {
            assert!(clock::mono() < deadline, "never so: {what}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn ask(&self, words: &[&str]) -> Output {
        let control = self.path("control.sock");
        let mut ask = Command::new(EXE);
        ask.args(words)
            .arg("--control")
            .arg(control)
            .output()
            .unwrap()
    }

    /// A field of `/proc/PID/status`, of every thread: they agree.
    fn field(&self, name: &str) -> String {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut told: Vec<String> = threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
            .filter_map(|status| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                Some(line.trim_start_matches(':').trim().to_owned())
            })
            .collect();
        told.dedup();
        assert_eq!(told.len(), 1, "{name}: {told:?}");
        told.remove(0)
    }

    fn has_nothing(&self) {
        assert_eq!(self.field("NoNewPrivs"), "1");
        assert_eq!(self.field("Seccomp"), "2");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(self.field(set), "0000000000000000", "{set}");
        }
        let status = self.ask(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["sandbox"]["capabilities"], 0);
        assert_eq!(status["sandbox"]["seccomp"], true);
        assert_eq!(status["sandbox"]["no_new_privs"], true);
        assert!(self.log().contains("sandbox: user "), "{}", self.log());
        let reload = self.ask(&["reload"]);
        assert!(reload.status.success(), "{reload:?}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        );
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("left out, for it takes root to become another user");
    }
    root
}

fn uid_of(name: &str) -> u32 {
    User::from_name(name).unwrap().unwrap().uid.as_raw()
}

pub(crate) fn has_given_up() {
    let daemon = Daemon::start("", None);
    daemon.has_nothing();
    assert_eq!(
        daemon.field("Uid").split('\t').next().unwrap(),
        nix::unistd::geteuid().to_string()
    );
}

pub(crate) fn of_an_ordinary_user() {
    if is_root() {
        let nobody = uid_of("nobody");
        let daemon = Daemon::start("", Some(nobody));
        daemon.has_nothing();
        let uid = daemon.field("Uid");
        assert_eq!(uid.split('\t').next().unwrap(), nobody.to_string());
    }
}

/// A probe that tells who it is and what it can read.
fn spy(folder: &Path) -> String {
    let script = folder.join("spy");
    let body = format!(
        "#!/bin/sh\ncd {0} || exit 1\nid -u > told/uid.new; mv told/uid.new told/uid\n\
         if cat key.pem > told/key 2> /dev/null; then touch told/leak; fi\n\
         grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status > told/status.new\n\
         mv told/status.new told/status\nexit 0\n",
        folder.display()
    );
    fs::write(&script, body).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let told = folder.join("told");
    fs::create_dir(&told).unwrap();
    fs::set_permissions(&told, Permissions::from_mode(0o777)).unwrap();
    script.display().to_string()
}

fn watched(program: &str) -> String {
    format!(
        r#"
[probe]
kind     = "exec"
port     = 5269
command  = ["{program}"]
interval = "1s"
timeout  = "5s"
[[pool]]
name    = "edgepool1"
servers = [{{ name = "edge1.contoso.test.", addresses = ["127.0.2.1"] }}]
[[pool]]
name    = "edgepool2"
servers = [{{ name = "edge2.contoso.test.", addresses = ["127.0.2.2"] }}]
[[service]]
name    = "xmpp-federation"
pools   = ["edgepool1", "edgepool2"]
records = [{{ srv = "_xmpp-server._tcp.contoso.test.", port = 5269 }}]
"#
    )
}

pub(crate) fn programs_run_as_their_user() {
    if !is_root() {
        return;
    }
    let tools = tempfile::tempdir().unwrap();
    fs::set_permissions(tools.path(), Permissions::from_mode(0o755)).unwrap();
    let (nobody, other) = (uid_of("nobody"), uid_of("daemon"));
    let key = tools.path().join("key.pem");
    fs::write(&key, "secret").unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    chown(&key, Some(nobody), None).unwrap();
    let users = "[sandbox]\nuser = \"nobody\"\nhooks_user = \"daemon\"\n";
    let daemon = Daemon::start(&format!("{users}{}", watched(&spy(tools.path()))), None);
    daemon.has_nothing();
    assert_eq!(
        daemon.field("Uid").split('\t').next().unwrap(),
        nobody.to_string()
    );
    let told = |name: &str| fs::read_to_string(tools.path().join("told").join(name)).ok();
    daemon.until("the program tells", |_| told("status").is_some());
    assert_eq!(told("uid").unwrap().trim(), other.to_string());
    assert!(!tools.path().join("told/leak").exists(), "it read a key");
    let outside = told("status").unwrap();
    assert!(outside.contains("Seccomp:\t0"), "{outside}");
}

pub(crate) fn what_is_new_takes_a_restart() {
    let tools = tempfile::tempdir().unwrap();
    let program = spy(tools.path());
    // Its zone includes a file from elsewhere.
    let folder = tempfile::tempdir().unwrap();
    let included = folder.path().join("more");
    fs::write(&included, "www A 127.0.0.1\n").unwrap();
    let zone = format!("{ZONE}$INCLUDE {}\n", included.display());
    let daemon = Daemon::start_with(&watched(&program), &zone, None);
    let told = |words: &[&str]| {
        let output = daemon.ask(words);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // A program that was not there.
    let other = tools.path().join("other");
    fs::copy(&program, &other).unwrap();
    fs::write(
        daemon.path("switchback.toml"),
        config(&watched(&other.display().to_string())),
    )
    .unwrap();
    let why = told(&["reload"]);
    assert!(
        why.contains("other' was not in the configuration") && why.contains("restart"),
        "{why}"
    );
    // A file elsewhere.
    let status = daemon.ask(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(!status["sandbox"]["landlock"].is_null(), has_landlock());
    if !has_landlock() {
        eprintln!("left out: this kernel has no Landlock");
        return;
    }
    let elsewhere = tools.path().join("contoso.test.zone");
    fs::write(&elsewhere, ZONE).unwrap();
    let text = config(&watched(&program)).replace(
        "\"contoso.test.zone\"",
        &format!("{:?}", elsewhere.display().to_string()),
    );
    fs::write(daemon.path("switchback.toml"), text).unwrap();
    let why = told(&["reload"]);
    assert!(
        why.contains("in none of them") && why.contains("restart the daemon"),
        "{why}"
    );
    // What stands where it stood may be replaced, as editors do; what is included, too.
    fs::write(daemon.path("switchback.toml"), config(&watched(&program))).unwrap();
    fs::write(
        daemon.path("new.zone"),
        zone.replace("hostmaster 1", "hostmaster 2"),
    )
    .unwrap();
    fs::rename(daemon.path("new.zone"), daemon.path("contoso.test.zone")).unwrap();
    fs::write(folder.path().join("new"), "www A 127.0.0.2\n").unwrap();
    fs::rename(folder.path().join("new"), &included).unwrap();
    let reload = daemon.ask(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
}

pub(crate) fn the_kernel_is_asked() {
    let ask = |words: &[&str]| Command::new(EXE).args(words).output().unwrap();
    let json = ask(&["check", "--sandbox", "--json"]);
    let offered: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(offered["seccomp"], true, "{offered}");
    assert_eq!(offered["capabilities"], 0);
    let all = offered["missing"].as_array().unwrap().is_empty();
    assert_eq!(json.status.code(), Some(i32::from(!all)));
    let words = String::from_utf8(ask(&["check", "--sandbox"]).stdout).unwrap();
    assert!(words.contains("system calls   seccomp"), "{words}");
}
