//! A server on loopback ports, and clients that wait for states with a bound.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use switchback::certificate::CertificateFiles;
use switchback::clock;
use switchback::server::{Certificate, EncryptedSpec, ListenSpec, Listeners, Serving};
use switchback::snapshot::Snapshot;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::fixture;

/// No test waits longer for anything that should happen.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct House {
    pub(crate) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(crate) serving: Option<Serving>,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) runtime: Runtime,
    pub(crate) files: TempDir,
}

impl House {
    /// Serves the fixture on 127.0.0.1, over every transport.
    pub(crate) fn open() -> House {
        House::at(&[(Ipv4Addr::LOCALHOST, 0).into()], |listeners| listeners)
    }

    /// Serves it elsewhere, or with other listeners.
    pub(crate) fn at(dns: &[SocketAddr], change: impl FnOnce(Listeners) -> Listeners) -> House {
        let runtime = Runtime::new().unwrap();
        let files = tempfile::tempdir().unwrap();
        let spec = ListenSpec {
            dns: dns.to_vec(),
            xdp: Vec::new(),
            encrypted: Some(encrypted(certificate(&files, "server"))),
        };
        let snapshots = Arc::new(ArcSwap::new(fixture::snapshot(1)));
        let within = runtime.enter();
        let listeners = change(Listeners::bind(&spec).unwrap());
        let certificate = listeners.certificate().unwrap();
        let serving = Some(listeners.serve(Arc::clone(&snapshots)));
        drop(within);
        House {
            snapshots,
            serving,
            certificate,
            runtime,
            files,
        }
    }

    pub(crate) fn serving(&self) -> &Serving {
        self.serving.as_ref().unwrap()
    }

    /// The address for UDP and TCP.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.serving().local_addrs().dns[0]
    }

    /// The address for TLS.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.serving().local_addrs().tls[0]
    }

    /// The address for HTTPS.
    pub(crate) fn https(&self) -> SocketAddr {
        self.serving().local_addrs().https[0]
    }

    /// The address for QUIC.
    pub(crate) fn quic(&self) -> SocketAddr {
        self.serving().local_addrs().quic[0]
    }

    /// The certificate's file.
    pub(crate) fn pem(&self) -> PathBuf {
        self.files.path().join("server.pem")
    }

    /// A client's TLS that trusts the certificate as it is on the disk, and offers `protocol`.
    pub(crate) fn client_config(&self, protocol: &[u8]) -> ClientConfig {
        client_config(&self.pem(), protocol)
    }

    /// A TLS client of `server`, which offers `protocol`.
    pub(crate) fn secure(&self, server: SocketAddr, protocol: &[u8]) -> Secure {
        connect_tls(&self.pem(), server, protocol)
    }

    /// A client of DNS over TLS.
    pub(crate) fn over_tls(&self) -> Secure {
        self.secure(self.tls(), b"dot")
    }
}

fn client_config(pem: &Path, protocol: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

/// A TLS client of `server`, which trusts the certificate in `pem` and offers `protocol`. The
/// handshake comes with the first octets.
pub(crate) fn connect_tls(pem: &Path, server: SocketAddr, protocol: &[u8]) -> Secure {
    connect_tls_on(pem, tcp(server), protocol)
}

/// The same on a connection that stands.
pub(crate) fn connect_tls_on(pem: &Path, stream: TcpStream, protocol: &[u8]) -> Secure {
    let config = Arc::new(client_config(pem, protocol));
    let name = ServerName::try_from("edge.test").unwrap();
    let connection = ClientConnection::new(config, name).unwrap();
    StreamOwned::new(connection, stream)
}

/// A stream within TLS.
pub(crate) type Secure = StreamOwned<ClientConnection, TcpStream>;

/// Every encrypted transport on 127.0.0.1.
pub(crate) fn encrypted(certificate: CertificateFiles) -> EncryptedSpec {
    let anywhere = vec![(Ipv4Addr::LOCALHOST, 0).into()];
    EncryptedSpec {
        tls: anywhere.clone(),
        https: anywhere.clone(),
        quic: anywhere,
        certificate,
    }
}

/// A self-signed certificate for `edge.test` and its key, as files in `directory`.
pub(crate) fn certificate(directory: &TempDir, stem: &str) -> CertificateFiles {
    certificate_until(directory, stem, 2040)
}

/// The same, which ends with the year before `year`.
pub(crate) fn certificate_until(directory: &TempDir, stem: &str, year: i32) -> CertificateFiles {
    let signing_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["edge.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let cert = params.self_signed(&signing_key).unwrap();
    let path = |end: &str| -> PathBuf { directory.path().join(format!("{stem}.{end}")) };
    std::fs::write(path("pem"), cert.pem()).unwrap();
    std::fs::write(path("key"), signing_key.serialize_pem()).unwrap();
    CertificateFiles {
        certificate: path("pem"),
        key: path("key"),
    }
}

/// A UDP client of `server`, which takes datagrams from that very address only.
pub(crate) fn udp(server: SocketAddr) -> UdpSocket {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => "0.0.0.0:0".parse().unwrap(),
        SocketAddr::V6(_) => "[::]:0".parse().unwrap(),
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket
}

/// Asks over UDP.
pub(crate) fn ask_udp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = udp(server);
    socket.send(query).unwrap();
    let mut answer = vec![0; 65_535];
    let length = socket.recv(&mut answer).expect("an answer over UDP");
    answer.truncate(length);
    answer
}

/// A TCP client of `server`.
pub(crate) fn tcp(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.set_write_timeout(Some(BOUND)).unwrap();
    stream
}

/// Asks over a stream of octets: TCP, or TLS on top of it.
pub(crate) fn ask(stream: &mut (impl Read + Write), query: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(query)).unwrap();
    read_answer(stream).expect("an answer over a stream")
}

/// A message with its length before it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// The next answer of a stream.
pub(crate) fn read_answer(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Whether the server ends the stream, in whatever way, without sending anything.
pub(crate) fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Waits for a state.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = clock::mono();
    while !is_so() {
        assert!(clock::mono().since(begun) < BOUND, "never so: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
