//! DNS over dedicated QUIC connections (RFC 9250), over quinn: one query for each stream, streams
//! side by side.
//!
//! hickory-server is not used for it: its listener completes one handshake before it looks at the
//! next, so that a single client which leaves one half done keeps all others out for five
//! seconds; and it reads one stream of a connection at a time.

use std::future::ready;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, ReadToEndError, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::QUERY_LIMIT;
use super::accept::Stop;
use super::connections::{IN_TOTAL, Seat};
use super::counters::bump;
use super::stream::{LAST_WORDS, Shared};
use crate::answer::read;

/// Exchanges of one client at a time.
const STREAMS: u32 = 100;
/// What a client may send ahead, octets: on one stream, and in all.
const STREAM_WINDOW: u32 = 8 << 10;
const CONNECTION_WINDOW: u32 = 64 << 10;
/// What we keep of our answers to one client while it takes them.
const SEND_WINDOW: u64 = 256 << 10;

/// What is kept of a handshake that waits to be accepted, octets: of one, and of all.
const INCOMING: u64 = 16 << 10;
const INCOMING_IN_ALL: u64 = 4 << 20;

/// The codes with which connections and streams end (RFC 9250 section 4.3).
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(5);

/// An endpoint on `socket`. What arrives waits until [`listen`]. Call it within a tokio runtime.
///
/// # Errors
/// What the system says about the socket.
pub(super) fn endpoint(socket: UdpSocket, tls: Arc<QuicServerConfig>) -> io::Result<Endpoint> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None);
    let mut server = ServerConfig::with_crypto(tls);
    server.transport_config(Arc::new(transport));
    server
        .max_incoming(IN_TOTAL)
        .incoming_buffer_size(INCOMING)
        .incoming_buffer_size_total(INCOMING_IN_ALL);
    Endpoint::new(
        EndpointConfig::default(),
        Some(server),
        socket,
        Arc::new(TokioRuntime),
    )
}

/// Accepts until the stop; ends when the last connection has.
pub(super) async fn listen(endpoint: Endpoint, shared: Arc<Shared>, mut stop: Stop) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = open.join_next() => {}
            () = stop.wait() => break,
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => welcome(&mut open, incoming, &shared, &stop),
                None => break,
            },
        }
    }
    endpoint.set_server_config(None);
    while open.join_next().await.is_some() {}
    endpoint.close(NO_ERROR, b"");
    endpoint.wait_idle().await;
}

fn welcome(open: &mut JoinSet<()>, incoming: Incoming, shared: &Arc<Shared>, stop: &Stop) {
    let connections = &shared.tallies.quic.connections;
    let address = incoming.remote_address().ip();
    // Anybody can write any address on a first packet. When places run short, one is for those
    // who have shown that they receive at theirs (RFC 9000 section 8.1.2).
    if !incoming.remote_address_validated() && connections.is_busy(address) {
        // An error means that a retry came before, which the check has ruled out.
        let _ = incoming.retry();
        return;
    }
    let Some(seat) = connections.admit(address) else {
        incoming.refuse();
        return;
    };
    let caller = Caller {
        shared: Arc::clone(shared),
        address,
    };
    let stop = stop.clone();
    open.spawn(async move { serve(incoming, Arc::new(caller), seat, stop).await });
}

/// One client over QUIC.
struct Caller {
    shared: Arc<Shared>,
    address: IpAddr,
}

/// What ends a whole connection (RFC 9250 section 4.3.3).
#[derive(Debug)]
struct ProtocolError;

impl ProtocolError {
    fn over(send: &mut SendStream) -> ProtocolError {
        give_up(send, PROTOCOL_ERROR);
        ProtocolError
    }
}

/// Ends a stream without an answer: one that is merely dropped looks like an empty answer.
fn give_up(send: &mut SendStream, code: VarInt) {
    // An error means that it is over already.
    let _ = send.reset(code);
}

async fn serve(incoming: Incoming, caller: Arc<Caller>, seat: Seat, mut stop: Stop) {
    let handshake = timeout(caller.shared.patience.query, incoming);
    let shaken = tokio::select! {
        biased;
        () = seat.evicted() => return,
        shaken = handshake => shaken,
        // Who is as good as through with it may have asked already.
        () = stop.and(LAST_WORDS) => return,
    };
    let Ok(Ok(connection)) = shaken else {
        return;
    };
    let code = tokio::select! {
        biased;
        () = seat.evicted() => EXCESSIVE_LOAD,
        code = caller.converse(&connection, &seat, stop) => code,
    };
    connection.close(code, b"");
}

impl Caller {
    /// Answers stream by stream until the client leaves, tires us, or the server stops: the code
    /// to close the connection with.
    async fn converse(
        self: &Arc<Self>,
        connection: &Connection,
        seat: &Seat,
        stop: Stop,
    ) -> VarInt {
        let mut exchanges = JoinSet::new();
        let mut stopped = stop.clone();
        loop {
            let next = timeout(self.shared.patience.query, connection.accept_bi());
            tokio::select! {
                biased;
                Some(ended) = exchanges.join_next() => {
                    if let Ok(Err(ProtocolError)) = ended {
                        return PROTOCOL_ERROR;
                    }
                }
                () = stopped.wait() => break,
                accepted = next => match accepted {
                    Ok(Ok((send, receive))) => {
                        seat.activity().note();
                        let (caller, stop) = (Arc::clone(self), stop.clone());
                        exchanges.spawn(async move { caller.exchange(send, receive, stop).await });
                    }
                    // It is gone.
                    Ok(Err(_)) => return NO_ERROR,
                    Err(_) => break,
                },
            }
        }
        // What has arrived before the stop is answered.
        for _ in 0..STREAMS {
            tokio::select! {
                biased;
                Ok((send, receive)) = connection.accept_bi() => {
                    let (caller, stop) = (Arc::clone(self), stop.clone());
                    exchanges.spawn(async move { caller.exchange(send, receive, stop).await });
                }
                () = ready(()) => break,
            }
        }
        while exchanges.join_next().await.is_some() {}
        NO_ERROR
    }

    /// One query, one answer. What the client cancels ends quietly.
    async fn exchange(
        &self,
        mut send: SendStream,
        mut receive: RecvStream,
        mut stop: Stop,
    ) -> Result<(), ProtocolError> {
        let patience = self.shared.patience;
        let read = timeout(patience.query, receive.read_to_end(2 + QUERY_LIMIT));
        let read = tokio::select! {
            biased;
            read = read => read,
            () = stop.and(LAST_WORDS) => {
                give_up(&mut send, UNSPECIFIED_ERROR);
                return Ok(());
            }
        };
        let octets = match read {
            Ok(Ok(octets)) => octets,
            Ok(Err(ReadToEndError::TooLong)) => return Err(ProtocolError::over(&mut send)),
            // The client has cancelled it.
            Ok(Err(ReadToEndError::Read(_))) => return Ok(()),
            Err(_) => {
                give_up(&mut send, UNSPECIFIED_ERROR);
                return Ok(());
            }
        };
        let tally = &self.shared.tallies.quic.tally;
        bump(&tally.queries, 1);
        let Some(framed) = query_in(&octets).and_then(|query| self.answer(query)) else {
            bump(&tally.dropped, 1);
            return Err(ProtocolError::over(&mut send));
        };
        let written = timeout(patience.write, async {
            send.write_all(&framed).await.ok()?;
            send.finish().ok()?;
            // Until the client has it all: what is on its way is lost when the connection closes.
            send.stopped().await.ok()
        });
        let counter = match written.await {
            Ok(Some(_)) => &tally.responses,
            Ok(None) | Err(_) => &tally.dropped,
        };
        bump(counter, 1);
        Ok(())
    }

    /// The answer with its length before it.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let tally = &self.shared.tallies.quic.tally;
        let message = self.shared.answer_apart(query, self.address, tally)?;
        let length = u16::try_from(message.len()).ok()?;
        Some([&length.to_be_bytes()[..], &message].concat())
    }
}

/// The query of a whole stream: one, with its length before it, with the message ID 0
/// (RFC 9250 section 4.2.1), and without the option that keeps TCP connections (section 5.5.2).
fn query_in(octets: &[u8]) -> Option<&[u8]> {
    let (length, query) = octets.split_first_chunk::<2>()?;
    let whole = usize::from(u16::from_be_bytes(*length)) == query.len();
    (whole && query.starts_with(&[0, 0]) && !asks_to_be_kept(query)).then_some(query)
}

fn asks_to_be_kept(query: &[u8]) -> bool {
    let edns = match read(query) {
        Some(Ok(query)) => query.edns,
        Some(Err(refusal)) => refusal.query.edns,
        None => None,
    };
    edns.is_some_and(|edns| edns.keepalive)
}
