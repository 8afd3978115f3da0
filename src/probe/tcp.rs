//! The connect, and what its failure says.
//!
//! `connect()` on a socket that does not block answers twice. What it returns *itself* was
//! decided on this machine: `ENETUNREACH` and `EHOSTUNREACH` there mean that our own routing
//! table has no way, or a route of type `unreachable` ([`Verdict::NoRoute`]). `EINPROGRESS`
//! means that the SYN is out; what `SO_ERROR` says *later* came back from the network: the same
//! two codes are then an ICMP message or a neighbour that does not answer
//! ([`Verdict::Unreachable`]). Only over loopback can `ECONNREFUSED` come at once; it is a
//! refusal all the same. A packet filter of our own that drops what we send looks like silence.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;

use crate::health::Verdict;

/// Connects. There is no deadline here: the look has one.
pub(super) async fn connect(to: SocketAddr) -> Result<TcpStream, Verdict> {
    let socket = open(to).map_err(|error| at_once(&error))?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
        Err(error) => return Err(at_once(&error)),
    }
    let stream = TcpStream::from_std(socket.into()).map_err(|error| at_once(&error))?;
    stream.writable().await.map_err(|error| later(&error))?;
    match stream.take_error() {
        Ok(None) => Ok(stream),
        Ok(Some(error)) | Err(error) => Err(later(&error)),
    }
}

/// Makes a dead host show on an idle stream: a keepalive each second, and a reset once none
/// has been answered for `timeout`.
pub(super) fn watch_over(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    let second = Duration::from_secs(1);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(second)
            .with_interval(second)
            .with_retries(3),
    )?;
    socket.set_tcp_user_timeout(Some(timeout.max(second)))
}

fn open(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn errno(error: &io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw)
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a list of all the codes there are would say less"
)]
fn at_once(error: &io::Error) -> Verdict {
    match errno(error) {
        Errno::ECONNREFUSED => Verdict::Refused,
        Errno::ENETUNREACH
        | Errno::EHOSTUNREACH
        | Errno::ENETDOWN
        | Errno::EAFNOSUPPORT
        | Errno::EACCES
        | Errno::EINVAL => Verdict::NoRoute,
        code => Verdict::NotMade(code.desc().to_owned()),
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a list of all the codes there are would say less"
)]
fn later(error: &io::Error) -> Verdict {
    match errno(error) {
        Errno::ECONNREFUSED | Errno::ECONNRESET => Verdict::Refused,
        Errno::ETIMEDOUT => Verdict::Filtered,
        Errno::ENETUNREACH
        | Errno::EHOSTUNREACH
        | Errno::EHOSTDOWN
        | Errno::ENONET
        | Errno::EACCES
        | Errno::EPROTO
        | Errno::ENOPROTOOPT
        | Errno::EOPNOTSUPP => Verdict::Unreachable,
        code => Verdict::NotMade(code.desc().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_code_is_ours_at_once_and_the_networks_later() {
        for code in [Errno::ENETUNREACH, Errno::EHOSTUNREACH] {
            let error = io::Error::from_raw_os_error(code as i32);
            assert_eq!(at_once(&error), Verdict::NoRoute);
            assert_eq!(later(&error), Verdict::Unreachable);
        }
        let full = io::Error::from_raw_os_error(Errno::EMFILE as i32);
        assert!(!at_once(&full).is_about_the_server());
        assert_eq!(
            at_once(&io::Error::from_raw_os_error(111)),
            Verdict::Refused
        );
    }
}
