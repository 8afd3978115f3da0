//! DNS over TCP (RFC 7766): pipelined queries, answered in their order; every wait bounded.
//!
//! How long a connection may take to send a query and to read its answers says [`Patience`]. It
//! holds one query buffer and at most [`OUTBOX`] plus one answer of ours.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connections::{Connections, IN_TOTAL, Seat};
use super::counters::{Counters, Tallies, bump};
use super::{QUERY_LIMIT, answer};
use crate::answer::{Asker, Transport};
use crate::clock;
use crate::snapshot::Snapshot;

/// After the stop, for queries that are on their way from the system to us.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Answers are written when this much has gathered, or no whole query is left.
const OUTBOX: usize = 64 << 10;
/// The pause after the system could not accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a TCP client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the connect or the last answer to the next whole query, however it drips
    /// (RFC 7766 section 6.2.3).
    pub query: Duration,
    /// For the client to take what is written.
    pub write: Duration,
}

impl Default for Patience {
    /// 10 s for a query, 5 s for its answers.
    fn default() -> Self {
        Patience {
            query: Duration::from_secs(10),
            write: Duration::from_secs(5),
        }
    }
}

/// What all TCP connections share.
pub(super) struct Shared {
    pub(super) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(super) connections: Arc<Connections>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) patience: Patience,
}

impl Shared {
    pub(super) fn counters(&self) -> Counters {
        Counters {
            udp: self.tallies.udp(),
            tcp: self.tallies.tcp.count(),
            tls: self.tallies.tls.count(),
            connections: u64::try_from(self.connections.open()).unwrap_or(u64::MAX),
            evicted: self.connections.evicted.load(Relaxed),
            refused: self.connections.refused.load(Relaxed),
        }
    }
}

/// The stop: it comes when `true` is sent, or the sender is gone.
#[derive(Clone)]
pub(super) struct Stop(pub(super) watch::Receiver<bool>);

impl Stop {
    async fn wait(&mut self) {
        // An error means that the sender is gone: that is a stop too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Accepts until the stop, then whatever already waits to be accepted; ends when the last
/// connection has.
pub(super) async fn listen(listener: TcpListener, shared: Arc<Shared>, mut stop: Stop) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = open.join_next() => {}
            () = stop.wait() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => welcome(&mut open, stream, peer, &shared, &stop),
                Err(error) => {
                    if let Some(nix::libc::EMFILE | nix::libc::ENFILE) = error.raw_os_error() {
                        shared.connections.make_room();
                    }
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            },
        }
    }
    for _ in 0..IN_TOTAL {
        tokio::select! {
            biased;
            Ok((stream, peer)) = listener.accept() => {
                welcome(&mut open, stream, peer, &shared, &stop);
            }
            () = std::future::ready(()) => break,
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

fn welcome(
    open: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    stop: &Stop,
) {
    let Some(seat) = shared.connections.admit(peer.ip()) else {
        return;
    };
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    open.spawn(async move {
        tokio::select! {
            biased;
            () = seat.evicted() => {}
            // An error is the client's affair: the connection is closed, and that says it all.
            _ = converse(stream, peer.ip(), &seat, &shared, stop) => {}
        }
    });
}

/// Answers until the client leaves, tires us, or the server stops.
async fn converse(
    mut stream: TcpStream,
    client: IpAddr,
    seat: &Seat,
    shared: &Shared,
    mut stop: Stop,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut inbox = Inbox::new();
    let mut outbox = Vec::new();
    let mut stopping = false;
    loop {
        let wait = if stopping {
            LAST_WORDS
        } else {
            shared.patience.query
        };
        let whole = tokio::select! {
            biased;
            whole = timeout(wait, inbox.fill(&mut stream)) => whole??,
            () = stop.wait(), if !stopping => {
                stopping = true;
                continue;
            }
        };
        if !whole {
            return Ok(());
        }
        loop {
            let next = gather(&mut inbox, &mut outbox, client, shared);
            timeout(shared.patience.write, stream.write_all(&outbox)).await??;
            outbox.clear();
            match next {
                Next::Gather => {}
                Next::Read => break,
                Next::Close => return Ok(()),
            }
        }
        outbox.shrink_to(OUTBOX);
        seat.is_active();
    }
}

/// What follows after the gathered answers are written.
enum Next {
    /// Whole queries are left.
    Gather,
    /// None is.
    Read,
    /// The client sent something that gets no answer: it is no DNS client.
    Close,
}

/// Answers whole queries into `outbox`, each message with its length before it, so that one
/// write carries both (RFC 7766 section 8). All see one snapshot, which is let go of before
/// anything is written.
fn gather(inbox: &mut Inbox, outbox: &mut Vec<u8>, client: IpAddr, shared: &Shared) -> Next {
    let tally = &shared.tallies.tcp;
    let snapshot = shared.snapshots.load();
    let asker = Asker {
        transport: Transport::Stream,
        client,
        now: clock::wall(),
        idle: Some(shared.patience.query),
    };
    let mut message = Vec::new();
    while outbox.len() < OUTBOX {
        let Some(query) = inbox.next() else {
            return Next::Read;
        };
        bump(&tally.queries, 1);
        let answered = answer(&snapshot, query, &asker, &mut message, tally);
        let Some(length) = u16::try_from(message.len()).ok().filter(|_| answered) else {
            bump(&tally.dropped, 1);
            return Next::Close;
        };
        bump(&tally.responses, 1);
        outbox.extend_from_slice(&length.to_be_bytes());
        outbox.extend_from_slice(&message);
    }
    Next::Gather
}

/// Octets received and not yet answered: `bytes[start..end]`.
struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new() -> Inbox {
        Inbox {
            bytes: vec![0; 2 + QUERY_LIMIT].into(),
            start: 0,
            end: 0,
        }
    }

    /// Reads until a whole query is there. `false` at the end of the stream. Nothing is lost if
    /// the future is dropped.
    ///
    /// # Errors
    /// What the socket says, and `InvalidData` for a length beyond [`QUERY_LIMIT`].
    async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        loop {
            match self.length() {
                Some(length) if length > QUERY_LIMIT => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Some(length) if self.end - self.start >= 2 + length => return Ok(true),
                Some(_) | None => {}
            }
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match stream.read(&mut self.bytes[self.end..]).await? {
                0 => return Ok(false),
                read => self.end += read,
            }
        }
    }

    /// The length of the first query, if its two octets are there.
    fn length(&self) -> Option<usize> {
        let prefix = self.bytes[self.start..self.end].first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*prefix)))
    }

    /// Takes the first query, if it is whole.
    fn next(&mut self) -> Option<&[u8]> {
        let (from, to) = (self.start + 2, self.start + 2 + self.length()?);
        if to > self.end {
            return None;
        }
        self.start = to;
        Some(&self.bytes[from..to])
    }
}
