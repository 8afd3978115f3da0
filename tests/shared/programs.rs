//! Programs of others that tests start: where they are, and that each ends with its value.

#![allow(
    dead_code,
    reason = "not every test that includes this file needs all of it"
)]

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where a program is, if it is installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
}

/// A port of loopback that was free a moment ago, for UDP and TCP.
pub(crate) fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp.local_addr().unwrap();
        if UdpSocket::bind(at).is_ok() {
            return at.port();
        }
    }
}

/// One that runs.
pub(crate) struct Process(Child);

impl Process {
    /// Starts `program`; what it prints goes into the file `output` in `folder`.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        config: &Path,
        folder: &Path,
    ) -> Process {
        let log = File::create(folder.join("output")).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Process(child.unwrap())
    }
}

impl Process {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        // It may have ended by itself.
        let _ = kill(pid, signal);
    }
}

impl Drop for Process {
    /// SIGTERM, and the end of it.
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        let _ = self.0.wait();
    }
}
