//! Sockets: all that can fail when a server starts, done before anything is answered. What the
//! service manager handed over for an address is taken; what is missing is bound.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::error::BindProblem;
use crate::supervisor::Handed;

/// Room for the bursts that arrive while a worker answers a batch. The system caps it
/// (`net.core.rmem_max`).
const UDP_BUFFER: usize = 4 << 20;
/// Connections that wait to be accepted. The system caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;
/// With port 0 the system picks the TCP port, and another program may hold the same UDP port.
const PORT_TRIES: usize = 32;

/// The sockets of one configured address.
pub(super) struct Pair {
    /// The address with its real port.
    pub(super) local: SocketAddr,
    pub(super) tcp: TcpListener,
    /// One for each worker. None is without a datagram for long: the system spreads clients
    /// over them by address and port (SO_REUSEPORT).
    pub(super) udp: Vec<UdpSocket>,
}

/// UDP and TCP at the same port of `address`.
pub(super) fn pair(
    address: SocketAddr,
    workers: usize,
    handed: &mut Handed,
) -> Result<Pair, Vec<BindProblem>> {
    let (tcp, udp) = (handed.take_stream(address), handed.take_datagrams(address));
    if tcp.is_some() || !udp.is_empty() {
        return adopt(address, workers, tcp, udp);
    }
    let tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    let mut outcome = pair_once(address, workers);
    for _ in 1..tries {
        if outcome.is_ok() {
            break;
        }
        outcome = pair_once(address, workers);
    }
    outcome
}

/// Uses what was handed over, and binds what is missing.
fn adopt(
    address: SocketAddr,
    workers: usize,
    tcp: Option<TcpListener>,
    udp: Vec<UdpSocket>,
) -> Result<Pair, Vec<BindProblem>> {
    let problem = |protocol, source| {
        vec![BindProblem::Socket {
            address,
            protocol,
            source,
        }]
    };
    let tcp = tcp.map_or_else(|| bind_stream(address), Ok);
    let udp = adopt_datagrams(address, workers, udp);
    Ok(Pair {
        local: address,
        tcp: tcp.map_err(|error| problem("tcp", error))?,
        udp: udp.map_err(|error| problem("udp", error))?,
    })
}

/// One for each worker at the least. Workers share them where there are fewer, and none is bound
/// beside them: that takes the user who bound the first (SO_REUSEPORT).
fn adopt_datagrams(
    address: SocketAddr,
    workers: usize,
    mut udp: Vec<UdpSocket>,
) -> io::Result<Vec<UdpSocket>> {
    if udp.is_empty() {
        return (0..workers).map(|_| datagram(address)).collect();
    }
    for socket in &udp {
        prepare(SockRef::from(socket), address)?;
    }
    for at in 0..workers.saturating_sub(udp.len()) {
        udp.push(udp[at].try_clone()?);
    }
    Ok(udp)
}

fn pair_once(address: SocketAddr, workers: usize) -> Result<Pair, Vec<BindProblem>> {
    let problem = |protocol, source| BindProblem::Socket {
        address,
        protocol,
        source,
    };
    // TCP comes first: its socket is bound alone, so that a second server on the same address
    // fails here, although the UDP sockets could share the port with it unnoticed.
    let tcp = bind_stream(address).and_then(|tcp| Ok((tcp.local_addr()?, tcp)));
    let wanted = match &tcp {
        Ok((local, _)) => *local,
        Err(_) => address,
    };
    let udp: io::Result<Vec<UdpSocket>> = (0..workers).map(|_| datagram(wanted)).collect();
    match (tcp, udp) {
        (Ok((local, tcp)), Ok(udp)) => Ok(Pair { local, tcp, udp }),
        (Err(tcp), Ok(_)) => Err(vec![problem("tcp", tcp)]),
        (Ok(_), Err(udp)) => Err(vec![problem("udp", udp)]),
        (Err(tcp), Err(udp)) => Err(vec![problem("udp", udp), problem("tcp", tcp)]),
    }
}

/// A listening socket that does not block, and the address that it got.
pub(super) fn stream(
    address: SocketAddr,
    handed: &mut Handed,
) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = handed
        .take_stream(address)
        .map_or_else(|| bind_stream(address), Ok)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

fn bind_stream(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for the TIME_WAIT of the connections of before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A UDP socket that shares its port with nobody.
pub(super) fn exclusive_datagram(
    address: SocketAddr,
    handed: &mut Handed,
) -> io::Result<UdpSocket> {
    let mut given = handed.take_datagrams(address);
    if let Some(socket) = given.pop() {
        // Of two, the system would give half of the datagrams to the one that nobody reads.
        return match given.is_empty() {
            true => Ok(socket),
            false => Err(io::Error::other(
                "the socket unit has more than one ListenDatagram= for it, and QUIC reads one",
            )),
        };
    }
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    socket.set_recv_buffer_size(UDP_BUFFER)?;
    socket.set_send_buffer_size(UDP_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn datagram(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    // Before the bind, so that no datagram is received without the address that it was sent to.
    prepare(SockRef::from(&socket), address)?;
    socket.set_recv_buffer_size(UDP_BUFFER)?;
    socket.set_send_buffer_size(UDP_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What a UDP socket of a worker needs. Its buffers are left alone: those of a socket unit may be larger
/// than we could make them.
fn prepare(socket: SockRef<'_>, address: SocketAddr) -> io::Result<()> {
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => setsockopt(&*socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&*socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
    }
    // Whoever forges an ICMP "too big" must not make us cut answers into fragments, of which the
    // second can be forged in turn (RFC 9715).
    match address {
        SocketAddr::V4(_) => set_ip_mtu_discover(&*socket, Ipv4PathMtuDiscovery::OMIT)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(&*socket, Ipv6PathMtuDiscovery::OMIT)?,
    }
    Ok(())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two lines of a configuration, and neither answers for the
        // other.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
