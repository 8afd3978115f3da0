//! Where to listen, and where it was listened in the end.

use std::net::SocketAddr;

use crate::certificate::CertificateFiles;

/// Where to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenSpec {
    /// UDP and TCP. Port 0 is any free port, the same for both.
    pub dns: Vec<SocketAddr>,
    /// Interfaces whose queries to `dns` over UDP take the short cut past the kernel's network
    /// stack, where that is to be had.
    pub xdp: Vec<String>,
    /// TLS, HTTPS and QUIC.
    pub encrypted: Option<EncryptedSpec>,
}

/// Where to listen for encrypted DNS, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedSpec {
    /// DNS over TLS: TCP addresses; the port is usually 853.
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS: TCP addresses; the port is usually 443.
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC: UDP addresses; the port is usually 853.
    pub quic: Vec<SocketAddr>,
    /// Whose certificate clients are shown.
    pub certificate: CertificateFiles,
}

/// The addresses that listeners got, in the order of the [`ListenSpec`], with real ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalAddrs {
    /// UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// DNS over TLS.
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS.
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub quic: Vec<SocketAddr>,
}
