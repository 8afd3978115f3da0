//! The daemon as a whole: its transports and its certificate as an operator sees them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use hickory_proto::rr::RecordType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::query;
use crate::house::{ask, certificate, certificate_until, connect_tls, eventually};

const CONFIG: &str = r#"
state_dir = "state"
[listen]
dns         = ["127.0.0.1:0"]
tls         = ["127.0.0.1:0"]
https       = ["127.0.0.1:0"]
quic        = ["127.0.0.1:0"]
certificate = "server.pem"
key         = "server.key"
control     = "control.sock"
[[zone]]
origin = "contoso.test."
file   = "contoso.test.zone"
"#;
pub(crate) const ZONE: &str =
    "$TTL 300\n@ SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 127.0.0.1\n";

/// A running `switchback serve`; it ends with the value.
pub(crate) struct Daemon {
    folder: TempDir,
    child: Child,
}

impl Daemon {
    fn start() -> Daemon {
        Daemon::start_with("", ZONE)
    }

    /// With more keys for the zone, and another master file.
    pub(crate) fn start_with(keys: &str, zone: &str) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("{CONFIG}{keys}");
        fs::write(folder.path().join("switchback.toml"), config).unwrap();
        fs::write(folder.path().join("contoso.test.zone"), zone).unwrap();
        certificate(&folder, "server");
        let child = Command::new(env!("CARGO_BIN_EXE_switchback"))
            .arg("serve")
            .arg("--config")
            .arg(folder.path().join("switchback.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let daemon = Daemon { folder, child };
        eventually("it answers at all its addresses", || {
            daemon.status()["listening"]
                .as_array()
                .is_some_and(|listening| listening.len() == 4)
        });
        daemon
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn ask_control(&self, command: &str, json: bool) -> Output {
        let mut ask = Command::new(env!("CARGO_BIN_EXE_switchback"));
        ask.arg(command)
            .arg("--control")
            .arg(self.path("control.sock"));
        if json {
            ask.arg("--json");
        }
        ask.output().unwrap()
    }

    /// What `status --json` says; null before the daemon listens to it.
    fn status(&self) -> Value {
        let output = self.ask_control("status", true);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    pub(crate) fn address(&self, transport: &str) -> String {
        let status = self.status();
        let listening = status["listening"].as_array().unwrap();
        let found = listening
            .iter()
            .find(|socket| socket["transport"] == transport);
        found.unwrap()["address"].as_str().unwrap().to_owned()
    }

    /// Asks over TLS, trusting the certificate in `pem` and no other.
    fn answers_with(&self, pem: &Path) -> bool {
        let address = self.address("tls").parse().unwrap();
        let mut stream = connect_tls(pem, address, b"dot");
        let question = query(1, "ns1.contoso.test.", RecordType::A, None);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(&mut stream, &question)))
            .is_ok()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn put(&self, stem: &str) {
        fs::rename(self.path(&format!("{stem}.pem")), self.path("server.pem")).unwrap();
        fs::rename(self.path(&format!("{stem}.key")), self.path("server.key")).unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn an_operator_renews_the_certificate_and_sees_how_it_stands() {
    let daemon = Daemon::start();
    assert!(daemon.answers_with(&daemon.path("server.pem")));
    let counters = &daemon.status()["counters"];
    assert_eq!(counters["tls"]["queries"], 1);
    assert_eq!(counters["tls"]["responses"], 1);
    assert_eq!(counters["udp"]["queries"], 0);
    assert_eq!(counters["queries"], 1);
    let text = daemon.ask_control("status", false);
    assert_eq!(text.status.code(), Some(0), "nothing is wrong: {text:?}");

    // A renewal, noticed by itself.
    certificate(&daemon.folder, "next");
    daemon.put("next");
    eventually("the new certificate is shown", || {
        daemon.log().contains("a new certificate is shown")
    });
    assert!(daemon.answers_with(&daemon.path("server.pem")));

    // A broken one, at an operator's word.
    fs::copy(daemon.path("server.pem"), daemon.path("good.pem")).unwrap();
    certificate(&daemon.folder, "stray");
    fs::copy(daemon.path("stray.pem"), daemon.path("server.pem")).unwrap();
    let reload = daemon.ask_control("reload", false);
    let said = String::from_utf8_lossy(&reload.stdout).into_owned()
        + &String::from_utf8_lossy(&reload.stderr);
    assert!(said.contains("the key must be the one"), "{said}");
    assert!(said.contains("nothing has changed"), "{said}");
    assert!(daemon.answers_with(&daemon.path("good.pem")));
    // It is seen without a word too.
    eventually("an alarm", || {
        let status = daemon.status();
        let alarm = status["alarms"][0].as_str().unwrap_or_default();
        alarm.contains("the old certificate is shown on")
    });
    assert_eq!(daemon.ask_control("status", false).status.code(), Some(1));

    // A pair that fits, beside a configuration that is refused: nothing of it is taken.
    let config = fs::read_to_string(daemon.path("switchback.toml")).unwrap();
    fs::write(
        daemon.path("switchback.toml"),
        format!("{config}\nnonsense = 1\n"),
    )
    .unwrap();
    certificate_until(&daemon.folder, "refused", 2090);
    daemon.put("refused");
    assert_eq!(daemon.ask_control("reload", false).status.code(), Some(1));
    assert!(daemon.answers_with(&daemon.path("good.pem")));
    fs::write(daemon.path("switchback.toml"), config).unwrap();

    // A pair that fits, by signal.
    certificate_until(&daemon.folder, "last", 2100);
    daemon.put("last");
    daemon.signal(Signal::SIGHUP);
    eventually("the alarm is over", || {
        daemon.status()["alarms"]
            .as_array()
            .is_some_and(Vec::is_empty)
    });
    // 2100-01-01T00:00:00Z.
    let not_after = &daemon.status()["certificate"]["not_after"];
    assert_eq!(*not_after, 4_102_444_800_000_u64);
    assert!(daemon.answers_with(&daemon.path("server.pem")));
}
