//! The encrypted transports: their sockets, their certificate, and their start.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use quinn::Endpoint;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::accept::{Stop, listen};
use super::bind;
use super::certificate::Certificate;
use super::error::BindProblem;
use super::https::Https;
use super::quic;
use super::spec::{EncryptedSpec, LocalAddrs};
use super::stream::Shared;
use super::tcp;
use super::tls::Tls;
use crate::certificate::provider;
use crate::supervisor::Handed;

/// The names by which the two ends agree on what they speak (ALPN): RFC 7858 and RFC 9103 know
/// `dot`, RFC 9250 `doq`.
const DOT: &[&[u8]] = &[b"dot"];
const HTTP: &[&[u8]] = &[b"h2", b"http/1.1"];
const DOQ: &[&[u8]] = &[b"doq"];

/// Bound sockets with a certificate.
pub(super) struct Encrypted {
    pub(super) certificate: Arc<Certificate>,
    tls: Vec<TcpListener>,
    https: Vec<TcpListener>,
    quic: Vec<UdpSocket>,
    acceptors: Acceptors,
}

/// The same, with sockets that a runtime knows.
pub(super) struct StartedEncrypted {
    pub(super) certificate: Arc<Certificate>,
    tls: Vec<tokio::net::TcpListener>,
    https: Vec<tokio::net::TcpListener>,
    quic: Vec<Endpoint>,
    acceptors: Acceptors,
}

/// What handshakes are made with.
struct Acceptors {
    tls: TlsAcceptor,
    https: TlsAcceptor,
    quic: Arc<QuicServerConfig>,
}

impl Encrypted {
    /// Binds every address of `spec` and reads the certificate; `None` after a problem.
    pub(super) fn bind(
        spec: &EncryptedSpec,
        handed: &mut Handed,
        addrs: &mut LocalAddrs,
        problems: &mut Vec<BindProblem>,
    ) -> Option<Encrypted> {
        let before = problems.len();
        let tls = streams(&spec.tls, "tls", handed, &mut addrs.tls, problems);
        let https = streams(&spec.https, "https", handed, &mut addrs.https, problems);
        let certificate = match Certificate::open(&spec.certificate) {
            Ok(certificate) => Some(Arc::new(certificate)),
            Err(found) => {
                problems.extend(found.into_iter().map(BindProblem::from));
                None
            }
        };
        let acceptors = certificate.as_ref().and_then(|certificate| {
            let made = Acceptors::new(certificate);
            made.map_err(|why| problems.push(BindProblem::Tls(why)))
                .ok()
        });
        let quic = datagrams(&spec.quic, handed, &mut addrs.quic, problems);
        (problems.len() == before).then_some(())?;
        Some(Encrypted {
            certificate: certificate?,
            tls,
            https,
            quic,
            acceptors: acceptors?,
        })
    }

    /// Those that listen, and those for datagrams.
    pub(super) fn sockets(&self) -> (impl Iterator<Item = &TcpListener>, &[UdpSocket]) {
        (self.tls.iter().chain(&self.https), &self.quic)
    }

    /// Hands the sockets to the runtime. Call within it.
    pub(super) fn start(self) -> io::Result<StartedEncrypted> {
        let endpoint = |socket| quic::endpoint(socket, Arc::clone(&self.acceptors.quic));
        Ok(StartedEncrypted {
            certificate: self.certificate,
            tls: tcp::listeners(self.tls)?,
            https: tcp::listeners(self.https)?,
            quic: self
                .quic
                .into_iter()
                .map(endpoint)
                .collect::<Result<_, _>>()?,
            acceptors: self.acceptors,
        })
    }
}

impl StartedEncrypted {
    /// Starts to answer.
    pub(super) fn serve(self, shared: &Arc<Shared>, stop: &Stop, tasks: &mut JoinSet<()>) {
        let Acceptors { tls, https, .. } = self.acceptors;
        let speaker = Arc::new(Tls {
            shared: Arc::clone(shared),
            acceptor: tls,
        });
        for listener in self.tls {
            tasks.spawn(listen(listener, Arc::clone(&speaker), stop.clone()));
        }
        let speaker = Arc::new(Https::new(Arc::clone(shared), https));
        for listener in self.https {
            tasks.spawn(listen(listener, Arc::clone(&speaker), stop.clone()));
        }
        for endpoint in self.quic {
            tasks.spawn(quic::listen(endpoint, Arc::clone(shared), stop.clone()));
        }
    }
}

impl Acceptors {
    fn new(certificate: &Arc<Certificate>) -> Result<Acceptors, String> {
        let quic = config(certificate, &[&TLS13], DOQ)?;
        Ok(Acceptors {
            tls: TlsAcceptor::from(Arc::new(config(certificate, &[&TLS13, &TLS12], DOT)?)),
            https: TlsAcceptor::from(Arc::new(config(certificate, &[&TLS13, &TLS12], HTTP)?)),
            quic: Arc::new(QuicServerConfig::try_from(quic).map_err(|error| error.to_string())?),
        })
    }
}

fn config(
    certificate: &Arc<Certificate>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    speaks: &[&[u8]],
) -> Result<ServerConfig, String> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificate) as Arc<_>);
    config.alpn_protocols = speaks.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn streams(
    addresses: &[SocketAddr],
    protocol: &'static str,
    handed: &mut Handed,
    locals: &mut Vec<SocketAddr>,
    problems: &mut Vec<BindProblem>,
) -> Vec<TcpListener> {
    let mut listeners = Vec::new();
    for &address in addresses {
        match bind::stream(address, handed) {
            Ok((listener, local)) => {
                locals.push(local);
                listeners.push(listener);
            }
            Err(source) => problems.push(BindProblem::Socket {
                address,
                protocol,
                source,
            }),
        }
    }
    listeners
}

fn datagrams(
    addresses: &[SocketAddr],
    handed: &mut Handed,
    locals: &mut Vec<SocketAddr>,
    problems: &mut Vec<BindProblem>,
) -> Vec<UdpSocket> {
    let mut sockets = Vec::new();
    for &address in addresses {
        let bound = bind::exclusive_datagram(address, handed)
            .and_then(|socket| socket.local_addr().map(|local| (socket, local)));
        match bound {
            Ok((socket, local)) => {
                locals.push(local);
                sockets.push(socket);
            }
            Err(source) => problems.push(BindProblem::Socket {
                address,
                protocol: "quic",
                source,
            }),
        }
    }
    sockets
}
