//! One question to one server.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Lookup, Said};
use crate::clock;
use crate::inquiry::{Failure, Question, Reply, Way, packet, read};

/// The longest datagram there is; more than we say we take is no error of the reader.
const LONGEST: usize = 65_535;

impl Lookup {
    /// Asks `server` over `way`.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn exchange(
        &self,
        server: SocketAddr,
        question: &Question,
        way: Way,
    ) -> Result<Said, Failure> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(Failure::NotAsked("the questions have been ended".into()));
        };
        match way {
            Way::Udp => self.over_udp(server, question).await,
            Way::Tcp => self.over_tcp(server, question).await,
        }
    }

    /// Asks `server` over UDP, and over TCP if the answer does not fit.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn ask(&self, server: SocketAddr, question: &Question) -> Result<Said, Failure> {
        let said = self.exchange(server, question, Way::Udp).await?;
        if said.reply.truncated {
            return self.exchange(server, question, Way::Tcp).await;
        }
        Ok(said)
    }

    async fn over_udp(&self, server: SocketAddr, question: &Question) -> Result<Said, Failure> {
        let failed = |error: io::Error| failure(&error, Way::Udp, server);
        let attempts = self.patience.attempts.max(1);
        for _ in 0..attempts {
            // A fresh port and id each time: whoever wants to answer in the server's place has to
            // guess both (RFC 5452 section 9.2).
            let id = random_id()?;
            let octets = packet(id, question)?;
            let socket = way_to(server).await?;
            let begun = clock::mono();
            socket.send(&octets).await.map_err(failed)?;
            let listening = listen(&socket, id, question);
            match timeout(self.patience.udp, listening).await {
                Ok(Ok(reply)) => {
                    let took = clock::mono().since(begun);
                    return Ok(Said { reply, took });
                }
                Ok(Err(error)) => return Err(failed(error)),
                Err(_) => {}
            }
        }
        Err(Failure::NoAnswer {
            way: Way::Udp,
            waited_ms: millis(self.patience.udp.saturating_mul(attempts)),
        })
    }

    async fn over_tcp(&self, server: SocketAddr, question: &Question) -> Result<Said, Failure> {
        let id = random_id()?;
        let octets = packet(id, question)?;
        drop(way_to(server).await?);
        let begun = clock::mono();
        match timeout(self.patience.tcp, converse(server, &octets)).await {
            Ok(Ok(response)) => Ok(Said {
                reply: read(id, question, &response)?,
                took: clock::mono().since(begun),
            }),
            Ok(Err(error)) => Err(failure(&error, Way::Tcp, server)),
            Err(_) => Err(Failure::NoAnswer {
                way: Way::Tcp,
                waited_ms: millis(self.patience.tcp),
            }),
        }
    }
}

/// A socket to the server. That it cannot be had means that *this* machine has no way: connecting
/// it sends nothing, it only asks our routing table. What fails later came from the network.
async fn way_to(server: SocketAddr) -> Result<UdpSocket, Failure> {
    let not_asked = |error: io::Error| Failure::NotAsked(error.to_string());
    let socket = UdpSocket::bind(any(server)).await.map_err(not_asked)?;
    socket.connect(server).await.map_err(not_asked)?;
    Ok(socket)
}

/// What an error of a socket says of the server.
fn failure(error: &io::Error, way: Way, server: SocketAddr) -> Failure {
    let kind = error.kind();
    let ended = [
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::BrokenPipe,
    ];
    let no_way = [
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
    ];
    if no_way.contains(&kind) {
        Failure::Unreachable(way)
    } else if kind == io::ErrorKind::ConnectionRefused {
        let port = server.port();
        Failure::Closed { way, port }
    } else if ended.contains(&kind) {
        Failure::CutOff
    } else {
        Failure::NotAsked(error.to_string())
    }
}

/// The first response to the question. What is none is as if it had not come: it may be forged.
async fn listen(socket: &UdpSocket, id: u16, question: &Question) -> io::Result<Reply> {
    let mut octets = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut octets).await?;
        let datagram = octets.get(..length).unwrap_or_default();
        if let Ok(reply) = read(id, question, datagram) {
            return Ok(reply);
        }
    }
}

async fn converse(server: SocketAddr, octets: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], octets].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut response = vec![0; usize::from(length)];
    stream.read_exact(&mut response).await?;
    Ok(response)
}

fn any(server: SocketAddr) -> SocketAddr {
    if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    }
}

fn random_id() -> Result<u16, Failure> {
    let mut id = [0; 2];
    match getrandom::fill(&mut id) {
        Ok(()) => Ok(u16::from_be_bytes(id)),
        Err(error) => Err(Failure::NotAsked(format!(
            "the system gives no random numbers: {error}"
        ))),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
