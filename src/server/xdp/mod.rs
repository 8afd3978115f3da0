//! DNS over UDP past the kernel's network stack: AF_XDP, for the interfaces that the
//! configuration names.
//!
//! It is a short cut, never the only way. The UDP sockets stay bound to the same addresses, and
//! whatever the interface's [`program`] does not take reaches them: fragments, IPv6 extension
//! headers, queues without a socket, addresses that the machine got later. So does everything if
//! AF_XDP is not to be had, and then a line in the log says why and what to do.
//!
//! A frame's way: the program sends it to the socket of its queue ([`kernel`]); [`frame`] finds
//! the datagram and checks it; the same `answer` as for every other transport fills a buffer; the
//! answer is put into the frame of the query, which is turned around and goes out the way it came.
//! The kernel does not route it: it goes to the link address that the query came from.

mod frame;
mod kernel;
mod program;
mod served;
mod worker;

use std::fmt;
use std::net::SocketAddr;

use xdp::nic::NicIndex;

use kernel::{Link, Mode, Program, Socket, Sockets, mtu};
use served::{held, link_address, served};

pub(super) use worker::Worker;

/// Queues of an interface that get a socket and a thread at most.
const MOST_QUEUES: u32 = 64;

/// An interface whose queries are answered past the kernel, or why they are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpState {
    /// The interface, as configured.
    pub interface: String,
    /// How it went.
    pub outcome: Result<XdpAttached, String>,
}

/// How an interface is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpAttached {
    /// Queues of the interface, each with a thread.
    pub queues: u32,
    /// Whether the driver runs the program; else the kernel does, later.
    pub native: bool,
    /// How many addresses are served this way.
    pub addresses: usize,
}

impl fmt::Display for XdpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interface = &self.interface;
        match &self.outcome {
            Ok(XdpAttached {
                queues,
                native,
                addresses,
            }) => {
                let mode = if *native { "native" } else { "generic" };
                write!(
                    f,
                    "listen.xdp: {interface}: queries take the short cut ({mode} mode, addresses: \
                     {addresses}, queues: {queues})"
                )
            }
            Err(why) => write!(
                f,
                "listen.xdp: {interface}: {why}; its queries are answered through sockets"
            ),
        }
    }
}

/// An interface that is ready: its sockets, and its program, which lets frames come.
pub(super) struct Attached {
    pub(super) state: XdpAttached,
    pub(super) sockets: Vec<Socket>,
    /// The longest answer that leaves in one frame.
    pub(super) room: usize,
    pub(super) link: Link,
}

/// Sets up the sockets of an interface and attaches its program.
///
/// # Errors
/// Why this cannot be, and what can be done about it.
pub(super) fn attach(interface: &str, listen: &[SocketAddr]) -> Result<Attached, String> {
    let name = std::ffi::CString::new(interface).map_err(|error| error.to_string())?;
    let index = NicIndex::lookup_by_name(&name)
        .ok()
        .flatten()
        .ok_or("there is no such interface: correct the name, or bring it up before the server")?;
    let held = held().map_err(|error| format!("the addresses of this machine: {error}"))?;
    let served = served(interface, listen, &held);
    if served.is_empty() {
        return Err("no address of listen.dns is on it: name one there, or remove it here".into());
    }
    let link = link_address(interface)
        .ok_or("it has no link address as Ethernet has: leave it out here")?;
    let room = room(mtu(&name).map_err(|error| format!("its MTU: {error}"))?)?;
    // Where the number of queues is not said there is one, as on all simple interfaces.
    let queues = index.queue_counts().map_or(1, |queues| queues.rx_count());
    let queues = queues.clamp(1, MOST_QUEUES);
    let map = Sockets::new(queues).map_err(|error| refused("a map of sockets", &error))?;
    let code = program::program(link, &served, map.number());
    let program = Program::load(&code).map_err(|error| refused("a program", &error))?;
    let mut sockets = Vec::new();
    for queue in 0..queues {
        let socket = Socket::open(index.0, queue).map_err(|error| {
            format!(
                "no AF_XDP socket for queue {queue} ({error}): the service needs CAP_NET_RAW and \
                 16 MiB of locked memory for each queue, and no other program may hold the queue"
            )
        })?;
        map.insert(queue, &socket)
            .map_err(|error| refused("a place in the map", &error))?;
        sockets.push(socket);
    }
    let native = program.attach(index.0, Mode::Native);
    let is_native = native.is_ok();
    let link = native
        .or_else(|_| program.attach(index.0, Mode::Generic))
        .map_err(|error| {
            format!(
                "the program cannot be attached ({error}): another one may be there already (`ip \
                 link show {interface}` names it)"
            )
        })?;
    Ok(Attached {
        state: XdpAttached {
            queues,
            native: is_native,
            addresses: served.len(),
        },
        sockets,
        room,
        link,
    })
}

/// The longest answer that an interface takes without fragments.
fn room(mtu: usize) -> Result<usize, String> {
    // The headers of IPv6 and UDP: the longer ones.
    let room = mtu.saturating_sub(48);
    let room = room.min(kernel::FRAME_ROOM - frame::HEADERS);
    // Any answer has room in 512 octets (RFC 1035 section 4.2.1).
    if room < 512 {
        return Err(format!(
            "its MTU of {mtu} is too small for DNS over UDP: raise it"
        ));
    }
    Ok(room)
}

fn refused(what: &str, error: &std::io::Error) -> String {
    format!(
        "the kernel does not take {what} ({error}): the service needs CAP_BPF and CAP_NET_ADMIN, \
         and the kernel CONFIG_XDP_SOCKETS"
    )
}
