//! **IO.** What the service manager is told, as sd_notify(3) has it: datagrams to a local socket; and
//! the sockets that it hands over ([`Handed`]).
//!
//! systemd names the socket in `NOTIFY_SOCKET`, and in `WATCHDOG_USEC` how long it waits for a sign
//! of life. Others (s6 and runit through helpers, podman) speak the same.

mod handed;

pub use handed::{Handed, HandedProblem, Kind};

use std::env::VarError;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use thiserror::Error;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::clock;
use handed::KEPT;

/// A word that has to arrive waits so long for room at the service manager.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many descriptors go with one message at the most (`SCM_MAX_FD` of the kernel).
const AT_A_TIME: usize = 253;

/// The socket that the environment names cannot be used.
#[derive(Debug, Error)]
pub enum SupervisorError {
    /// It names none that we know.
    #[error(
        "NOTIFY_SOCKET is {0:?}, neither an absolute path nor '@' and a name: start the daemon by a \
         service manager, or unset it"
    )]
    Address(String),
    /// Nobody listens there, or we may not speak to it.
    #[error("NOTIFY_SOCKET {0}: {1}; unset it if no service manager waits there")]
    Connect(String, #[source] io::Error),
}

/// A socket that is open, before there is a runtime.
#[derive(Debug)]
pub struct Line {
    socket: StdDatagram,
    watchdog: Option<Duration>,
}

impl Line {
    /// Opens what the environment names. A sandbox may forbid it later.
    ///
    /// # Errors
    /// It names what cannot be used.
    pub fn open() -> Result<Option<Line>, SupervisorError> {
        let name = match std::env::var("NOTIFY_SOCKET") {
            Ok(name) => name,
            Err(VarError::NotPresent) => return Ok(None),
            Err(VarError::NotUnicode(name)) => {
                let name = name.to_string_lossy().into_owned();
                return Err(SupervisorError::Address(name));
            }
        };
        let socket = connect(&name)?;
        let word = |key| std::env::var(key).ok();
        let watchdog = watchdog(word("WATCHDOG_USEC"), word("WATCHDOG_PID"));
        Ok(Some(Line { socket, watchdog }))
    }

    /// Leaves `sockets` with the service manager, which keeps them open when this process ends and
    /// hands them to the next one (`FileDescriptorStoreMax=`). One that keeps none ignores it. What
    /// an earlier run left is forgotten.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.socket
            .send(format!("FDSTOREREMOVE=1\nFDNAME={KEPT}").as_bytes())?;
        // A client's ICMP error must not end what is kept: nobody is to poll it.
        let words = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={KEPT}");
        let descriptors: Vec<RawFd> = sockets.iter().map(|it| it.as_raw_fd()).collect();
        for some in descriptors.chunks(AT_A_TIME) {
            sendmsg::<()>(
                self.socket.as_raw_fd(),
                &[IoSlice::new(words.as_bytes())],
                &[ControlMessage::ScmRights(some)],
                MsgFlags::MSG_NOSIGNAL,
                None,
            )?;
        }
        Ok(())
    }

    /// Needs a runtime with IO.
    ///
    /// # Errors
    /// The runtime cannot take the socket.
    pub fn attend(self) -> io::Result<Supervisor> {
        self.socket.set_nonblocking(true)?;
        Ok(Supervisor {
            socket: UnixDatagram::from_std(self.socket)?,
            watchdog: self.watchdog,
        })
    }
}

fn connect(name: &str) -> Result<StdDatagram, SupervisorError> {
    let failed = |error| SupervisorError::Connect(name.to_owned(), error);
    let address = match name.strip_prefix('@') {
        Some(name) if !name.is_empty() => SocketAddr::from_abstract_name(name),
        None if name.starts_with('/') => SocketAddr::from_pathname(name),
        Some(_) | None => return Err(SupervisorError::Address(name.to_owned())),
    };
    let socket = StdDatagram::unbound().map_err(failed)?;
    socket
        .connect_addr(&address.map_err(failed)?)
        .map_err(failed)?;
    socket.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    Ok(socket)
}

/// How long the service manager waits for a sign of life, if it is ours that it waits for.
fn watchdog(usec: Option<String>, pid: Option<String>) -> Option<Duration> {
    let ours = pid.is_none_or(|pid| pid == std::process::id().to_string());
    let usec: u64 = usec?.parse().ok()?;
    (ours && usec > 0).then(|| Duration::from_micros(usec))
}

/// Speaks to the service manager.
#[derive(Debug)]
pub struct Supervisor {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// How long it waits for a sign of life.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says it now or not at all. Returns whether it was taken.
    #[must_use]
    pub fn try_say(&self, words: &str) -> bool {
        self.socket.try_send(words.as_bytes()).is_ok()
    }

    /// Says it, when there is room for it.
    async fn say(&self, words: &str) {
        // One that takes nothing for so long does not manage us: we serve on.
        let _ = timeout(PATIENCE, self.socket.send(words.as_bytes())).await;
    }

    /// Everything is open and answers; after a reload too.
    pub async fn ready(&self) {
        self.say("READY=1").await;
    }

    /// A reload begins. The time tells it from an earlier one (`Type=notify-reload`).
    pub async fn reloading(&self) {
        let now = clock::since_boot().as_micros();
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={now}"))
            .await;
    }

    /// The end begins.
    pub async fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=ending").await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_that_waits_for_another_process_is_none_of_ours() {
        let some = |word: &str| Some(word.to_owned());
        let own = std::process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(some("1000000"), None), second);
        assert_eq!(watchdog(some("1000000"), Some(own)), second);
        assert_eq!(watchdog(some("1000000"), some("1")), None);
        assert_eq!(watchdog(some("0"), None), None);
        assert_eq!(watchdog(some("soon"), None), None);
        assert_eq!(watchdog(None, None), None);
    }

    #[test]
    fn what_is_no_address_is_named_with_the_remedy() {
        for name in ["", "@", "run/notify", "vsock:2:1"] {
            let error = connect(name).unwrap_err().to_string();
            assert!(error.contains("neither an absolute path"), "{error}");
        }
        let error = connect("/nowhere/notify").unwrap_err().to_string();
        assert!(error.contains("/nowhere/notify: No such file"), "{error}");
    }

    #[test]
    fn an_abstract_address_is_spoken_to() {
        let name = format!("switchback-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = StdDatagram::bind_addr(&address).unwrap();
        let socket = connect(&format!("@{name}")).unwrap();
        socket.send(b"READY=1").unwrap();
        let mut heard = [0; 16];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
    }
}
