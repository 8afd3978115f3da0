//! switchback as a secondary, with a configuration as an operator would write it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::dns::{Answer, ask};
use crate::patience::wait_for;
use crate::primary::ORIGIN;

/// A running `switchback serve`; it ends with the value.
pub(crate) struct Switchback {
    folder: PathBuf,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Switchback {
    /// Starts it on `port` in `folder`, with `primary` as written after `primary = ` and `more`
    /// tables.
    pub(crate) fn start(folder: &Path, port: u16, primary: &str, more: &str) -> Switchback {
        let mut switchback = Switchback {
            folder: folder.to_owned(),
            port,
            child: None,
        };
        switchback.configure(primary, more);
        switchback.run();
        switchback
    }

    /// Writes the configuration; `reload` or a start takes it.
    pub(crate) fn configure(&self, primary: &str, more: &str) {
        let config = format!(
            "state_dir = \"state\"\n[listen]\ndns = [\"127.0.0.1:{}\"]\ncontrol = \
             \"control.sock\"\n[[zone]]\norigin = \"{ORIGIN}\"\nprimary = {primary}\n{more}",
            self.port
        );
        fs::write(self.folder.join("switchback.toml"), config).unwrap();
    }

    /// Starts it on what is there.
    pub(crate) fn run(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("switchback.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_switchback"))
            .args(["serve", "--config"])
            .arg(self.folder.join("switchback.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// SIGKILL: what is not on the disk is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill(
                Pid::from_raw(child.id().try_into().unwrap()),
                Signal::SIGKILL,
            );
            let _ = child.wait();
        }
    }

    /// What it wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("switchback.log")).unwrap_or_default()
    }

    /// Runs a command of the control socket.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_switchback"))
            .args(arguments)
            .arg("--control")
            .arg(self.folder.join("control.sock"))
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// What `status` says of the zone.
    pub(crate) fn zone(&self) -> Option<Value> {
        let status: Value = serde_json::from_str(&self.control(&["status", "--json"])).ok()?;
        let zones = status.get("zones")?.as_array()?;
        zones.iter().find(|zone| zone["origin"] == ORIGIN).cloned()
    }

    pub(crate) fn ask(&self, name: &str, rtype: RecordType) -> Option<Answer> {
        ask(self.port, name, rtype)
    }

    /// The serial that it answers.
    pub(crate) fn serial(&self) -> Option<u32> {
        let answer = self.ask(ORIGIN, RecordType::SOA)?;
        answer.data.first()?.split(' ').nth(2)?.parse().ok()
    }

    /// Waits until it answers so.
    pub(crate) fn answers(&self, name: &str, rtype: RecordType, data: &[&str]) {
        let mut last = None;
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(&format!("{name} {rtype} to be {data:?}"), || {
                last = self.ask(name, rtype);
                let answer = last.as_ref()?;
                (answer.code == ResponseCode::NoError && answer.data == data).then_some(())
            });
        }));
        assert!(waited.is_ok(), "last: {last:?}; log:\n{}", self.log());
    }

    /// Waits until it answers with this code.
    pub(crate) fn says(&self, name: &str, code: ResponseCode) {
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(&format!("{name} to be {code}"), || {
                let answer = self.ask(name, RecordType::A)?;
                (answer.code == code).then_some(())
            });
        }));
        assert!(waited.is_ok(), "log:\n{}", self.log());
    }
}

impl Drop for Switchback {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill(
                Pid::from_raw(child.id().try_into().unwrap()),
                Signal::SIGTERM,
            );
            let _ = child.wait();
        }
    }
}
