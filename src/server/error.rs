//! Why listeners could not be bound: every reason at once, each with a remedy.

use std::io;
use std::net::SocketAddr;

use crate::certificate::CertificateProblem;
use crate::supervisor::HandedProblem;

/// All that stands in the way of listening.
#[derive(Debug, thiserror::Error)]
#[error("{}", one_per_line(.problems))]
pub struct BindError {
    /// Every problem found. Never empty.
    pub problems: Vec<BindProblem>,
}

/// One of them.
#[derive(Debug, thiserror::Error)]
pub enum BindProblem {
    /// No address at all.
    #[error("listen.dns: no address to listen on: name one at least, for example \"0.0.0.0:53\"")]
    NoAddress,
    /// A socket could not be had.
    #[error("{address} ({protocol}): {source}: {}", remedy(*.address, source))]
    Socket {
        /// As configured.
        address: SocketAddr,
        /// `udp`, `tcp`, `tls`, `https` or `quic`.
        protocol: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A socket that the service manager handed over.
    #[error(transparent)]
    Handed(#[from] HandedProblem),
    /// A thread or a pipe could not be had.
    #[error("cannot start the threads of the server: {0}: raise the limit of tasks or descriptors")]
    Resources(#[source] io::Error),
    /// Certificate or key.
    #[error(transparent)]
    Certificate(#[from] CertificateProblem),
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}: this is a defect, report it")]
    Tls(String),
}

fn one_per_line(problems: &[BindProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// What an operator can do about `error` at `address`.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of I/O errors grow with the standard library"
)]
fn remedy(address: SocketAddr, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there (`ss -lntup` names it; systemd-resolved and named are \
             usual): stop it, or listen on another address or port"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has that address: correct it, or bring the interface up first"
        }
        io::ErrorKind::PermissionDenied if address.port() != 0 && address.port() < 1024 => {
            "ports below 1024 need a privilege: give the service CAP_NET_BIND_SERVICE \
             (AmbientCapabilities= in systemd), start as root, or listen on a higher port"
        }
        io::ErrorKind::PermissionDenied => {
            "a security policy forbids it: allow this program to listen there"
        }
        // The kinds that are left are rare here; the system's own words carry the news.
        _ if address.is_ipv6() => {
            "check the address, and that IPv6 is not switched off on this machine"
        }
        _ => "check the address and the limits of this process",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_says_what_where_and_what_to_do() {
        let problem = |address: &str, kind: io::ErrorKind| BindProblem::Socket {
            address: address.parse().unwrap(),
            protocol: "udp",
            source: kind.into(),
        };
        let error = BindError {
            problems: vec![
                problem("192.0.2.1:53", io::ErrorKind::PermissionDenied),
                problem("[2001:db8::1]:5300", io::ErrorKind::AddrInUse),
            ],
        };
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("192.0.2.1:53 (udp): permission denied: ports below 1024"));
        assert!(
            lines[1].starts_with("[2001:db8::1]:5300 (udp): ") && lines[1].contains("ss -lntup")
        );
    }
}
