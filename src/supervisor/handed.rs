//! Sockets that were open before the process began, as sd_listen_fds(3) has it.
//!
//! They come from a socket unit, or from the service manager's store, where an earlier run of the
//! daemon left them ([`super::Line::keep`]). Either way they were open all the time: what arrived
//! while nobody ran waits in them.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};
use thiserror::Error;

/// The first descriptor that is handed over (`SD_LISTEN_FDS_START`).
const FIRST: usize = 3;
/// The name of those that the daemon itself left in the store.
pub(super) const KEPT: &str = "switchback";

/// What was handed over.
#[derive(Debug, Default)]
pub struct Handed {
    datagrams: Vec<Given<UdpSocket>>,
    streams: Vec<Given<TcpListener>>,
    useless: Vec<HandedProblem>,
    /// Those that a socket unit keeps open.
    held: BTreeSet<(Kind, SocketAddr)>,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// UDP.
    Datagram,
    /// TCP, listening.
    Stream,
}

#[derive(Debug)]
struct Given<S> {
    number: usize,
    address: SocketAddr,
    is_kept: bool,
    socket: S,
}

/// A socket of a socket unit cannot be used.
#[derive(Debug, Error)]
pub enum HandedProblem {
    /// Nothing is configured for it.
    #[error(
        "{address} ({}), descriptor {number} of the service manager: no address of [listen] is the same: \
         add it there, or take it out of the socket unit",
        protocol(*.kind)
    )]
    Surplus {
        /// The descriptor.
        number: usize,
        /// UDP or TCP.
        kind: Kind,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// It would answer for IPv4 too, with addresses that no access list knows.
    #[error(
        "{address}, descriptor {number} of the service manager: it takes IPv4 too, and '0.0.0.0' is a line of \
         its own: write BindIPv6Only=ipv6-only into the socket unit"
    )]
    BothFamilies {
        /// The descriptor.
        number: usize,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// It is something else.
    #[error(
        "descriptor {number} of the service manager is neither a UDP socket nor a TCP socket that listens \
         ({source}): in the socket unit, write ListenDatagram= and ListenStream= with an address and a port"
    )]
    Useless {
        /// The descriptor.
        number: usize,
        /// What the system said.
        source: io::Error,
    },
}

fn protocol(kind: Kind) -> &'static str {
    match kind {
        Kind::Datagram => "udp",
        Kind::Stream => "tcp",
    }
}

impl Handed {
    /// What the environment says was handed to this process (`LISTEN_FDS`, `LISTEN_PID`,
    /// `LISTEN_FDNAMES`). To be called once, before the first thread; programs that are begun later
    /// get none of it.
    #[must_use]
    pub fn from_environment() -> Handed {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut given = ListenFd::from_env();
        let mut handed = Handed::default();
        for at in 0..given.len() {
            let is_kept = names.get(at) == Some(&KEPT);
            if let Err(source) = handed.take(&mut given, at, is_kept) {
                let number = FIRST + at;
                let useless = HandedProblem::Useless { number, source };
                handed.useless.push(useless);
            }
        }
        handed
    }

    fn take(&mut self, given: &mut ListenFd, at: usize, is_kept: bool) -> io::Result<()> {
        let number = FIRST + at;
        // One of another kind stays where it is.
        if let Ok(Some(socket)) = given.take_udp_socket(at) {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            if address.is_ipv6() && !getsockopt(&socket, sockopt::Ipv6V6Only)? {
                let problem = HandedProblem::BothFamilies { number, address };
                self.useless.push(problem);
            }
            self.datagrams.push(Given {
                number,
                address,
                is_kept,
                socket,
            });
        } else if let Some(socket) = given.take_tcp_listener(at)? {
            if !getsockopt(&socket, sockopt::AcceptConn)? {
                return Err(io::Error::other("it does not listen"));
            }
            socket.set_nonblocking(true)?;
            self.streams.push(Given {
                number,
                address: socket.local_addr()?,
                is_kept,
                socket,
            });
        }
        Ok(())
    }

    /// The listener of an address.
    #[must_use]
    pub fn take_stream(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.streams.iter().position(|one| one.address == address)?;
        let one = self.streams.remove(at);
        if !one.is_kept {
            self.held.insert((Kind::Stream, address));
        }
        Some(one.socket)
    }

    /// All UDP sockets of an address: there may be one for each worker.
    #[must_use]
    pub fn take_datagrams(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        let all = std::mem::take(&mut self.datagrams).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) = all.partition(|one| one.address == address);
        self.datagrams = left;
        if taken.iter().any(|one| !one.is_kept) {
            self.held.insert((Kind::Datagram, address));
        }
        taken.into_iter().map(|one| one.socket).collect()
    }

    /// What is wrong with what was handed over and not taken. What an earlier run kept is
    /// merely closed: the configuration has changed since.
    #[must_use]
    pub fn left(&mut self) -> Vec<HandedProblem> {
        let datagrams = surplus(&mut self.datagrams, Kind::Datagram);
        let streams = surplus(&mut self.streams, Kind::Stream);
        let useless = std::mem::take(&mut self.useless).into_iter();
        useless.chain(datagrams).chain(streams).collect()
    }

    /// Whether a socket unit keeps it open.
    #[must_use]
    pub fn is_held(&self, kind: Kind, address: SocketAddr) -> bool {
        self.held.contains(&(kind, address))
    }
}

fn surplus<S>(left: &mut Vec<Given<S>>, kind: Kind) -> Vec<HandedProblem> {
    let ours = left.drain(..).filter(|one| !one.is_kept);
    ours.map(|one| HandedProblem::Surplus {
        number: one.number,
        kind,
        address: one.address,
    })
    .collect()
}
