//! A server on loopback ports, and clients that wait for states with a bound.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use switchback::clock;
use switchback::server::{ListenSpec, Listeners, Serving, TlsSpec};
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
    pub(crate) runtime: Runtime,
    pub(crate) files: TempDir,
}

impl House {
    /// Serves the fixture on 127.0.0.1, with TLS.
    pub(crate) fn open() -> House {
        House::at(&[(Ipv4Addr::LOCALHOST, 0).into()], |listeners| listeners)
    }

    /// Serves it elsewhere, or with other listeners.
    pub(crate) fn at(dns: &[SocketAddr], change: impl FnOnce(Listeners) -> Listeners) -> House {
        let runtime = Runtime::new().unwrap();
        let files = tempfile::tempdir().unwrap();
        let spec = ListenSpec {
            dns: dns.to_vec(),
            tls: Some(certificate(&files, "server")),
        };
        let snapshots = Arc::new(ArcSwap::new(fixture::snapshot(1)));
        let within = runtime.enter();
        let listeners = change(Listeners::bind(&spec).unwrap());
        let serving = Some(listeners.serve(Arc::clone(&snapshots)));
        drop(within);
        House {
            snapshots,
            serving,
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
}

/// A self-signed certificate for `edge.test` and its key, as files in `directory`.
pub(crate) fn certificate(directory: &TempDir, stem: &str) -> TlsSpec {
    let made = rcgen::generate_simple_self_signed(["edge.test".to_owned()]).unwrap();
    let path = |end: &str| -> PathBuf { directory.path().join(format!("{stem}.{end}")) };
    std::fs::write(path("pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    TlsSpec {
        addresses: vec![(Ipv4Addr::LOCALHOST, 0).into()],
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
