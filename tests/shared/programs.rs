//! Programs of others that tests start: where they are, and that each ends with its value.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(
    dead_code,
    reason = "not every test that includes this file needs all of it"
)]

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
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

/// A port of loopback that was free a moment ago, for UDP and TCP. It lies below those that the
/// system hands out: one of them may be another socket's until the program has started.
pub(crate) fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = u16::try_from(PORTS.start + random % (PORTS.end - PORTS.start)).unwrap();
        let at = ("127.0.0.1", port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            return port;
        }
    }
}

const PORTS: Range<u64> = 20_000..32_000;

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
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

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
