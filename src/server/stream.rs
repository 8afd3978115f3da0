//! Messages on a stream of octets (RFC 7766), in the clear or within TLS (RFC 7858): pipelined
//! queries; every wait bounded.
//!
//! # Order
//! An answer of one message is made at once from memory, so these leave in the order of their
//! queries. A large transfer leaves piece by piece, and whatever is asked while it does is answered
//! between two of its pieces, each of whole messages: out of order, as RFC 7766 section 7 wants it.
//! Large transfers of one connection follow one another; small ones overtake them.
//!
//! # What a client can make us keep
//! [`Patience`] says how long a client may take to send a query and to read its answers. A
//! connection holds one query buffer, at most [`OUTBOX`] plus one answer of ours, and the pieces of
//! one transfer that its maker is ahead; nothing more is read while answers wait to be taken, or
//! while [`IN_LINE`] transfers wait.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::accept::Stop;
use super::connections::Seat;
use super::counters::{Tallies, Tally, bump};
use super::transfers::{Job, Receiver, Transfers};
use super::{QUERY_LIMIT, answer};
use crate::answer::{Asker, Transport};
use crate::clock;
use crate::snapshot::Snapshot;
use crate::transfer::is_request;

/// After the stop, for queries that are on their way from the system to us.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(100);
/// For the client to hear that we part, before the connection is closed over what it still sends:
/// the system would then reset it, and our last answers might be lost with it.
const FAREWELL: Duration = Duration::from_millis(500);
/// Large transfers of one connection that wait for the one under way.
const IN_LINE: usize = 4;
/// Answers are written when this much has gathered, or no whole query is left.
const OUTBOX: usize = 64 << 10;

/// How long a client with a connection is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the connect or the last answer to the next whole query, however it drips
    /// (RFC 7766 section 6.2.3); and for a handshake.
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

/// What all connections share.
pub(super) struct Shared {
    pub(super) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) patience: Patience,
    pub(super) transfers: Transfers,
}

impl Shared {
    /// The answer to one message of a transport that has a stream or request for each and has no
    /// idle time to tell: HTTPS and QUIC.
    pub(super) fn answer_apart(
        &self,
        query: &[u8],
        client: IpAddr,
        tally: &Tally,
    ) -> Option<Vec<u8>> {
        let asker = Asker {
            transport: Transport::Encrypted,
            client,
            now: clock::wall(),
            idle: None,
        };
        let begun = clock::mono();
        let mut message = Vec::new();
        let answered = {
            let snapshot = self.snapshots.load();
            answer(&snapshot, query, &asker, &mut message, tally)
        };
        let took = clock::mono().since(begun);
        tally.measures.took(usize::from(answered), took);
        answered.then_some(message)
    }
}

/// One client with a connection, and what its queries are answered with.
pub(super) struct Client<'a> {
    pub(super) transport: Transport,
    pub(super) address: IpAddr,
    pub(super) seat: &'a Seat,
    pub(super) tally: &'a Tally,
    pub(super) shared: &'a Shared,
}

/// Why a conversation ended.
enum End {
    /// The client has said all, or nothing for too long.
    Silence,
    /// It sent something that gets no answer: it is no DNS client, and may go on sending.
    Nonsense,
}

impl Client<'_> {
    /// Answers until the client leaves, tires us, or the server stops.
    ///
    /// # Errors
    /// What the stream says, and `TimedOut`. The connection is of no more use then.
    pub(super) async fn converse<S>(&self, stream: &mut S, stop: Stop) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.exchange(stream, stop).await? {
            End::Silence => timeout(FAREWELL, stream.shutdown()).await?,
            End::Nonsense => timeout(FAREWELL, part(stream)).await?,
        }
    }

    /// Answers queries, and sends the large transfers that are among them beside that.
    async fn exchange<S>(&self, stream: &mut S, stop: Stop) -> io::Result<End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (reader, writer) = tokio::io::split(stream);
        let outlet = Outlet {
            writer: Mutex::new(writer),
            patience: self.shared.patience.write,
        };
        let (line, mut waiting) = mpsc::channel(IN_LINE);
        let line = Line {
            jobs: line,
            length: &AtomicUsize::new(0),
        };
        let length = line.length;
        let transfers = async {
            while let Some(job) = waiting.recv().await {
                self.receiver().stream(&outlet, job).await?;
                bump(&self.tally.responses, 1);
                length.fetch_sub(1, Relaxed);
            }
            Ok(())
        };
        let (end, ()) = tokio::try_join!(self.answer_all(reader, &outlet, line, stop), transfers)?;
        Ok(end)
    }

    async fn answer_all<R, W>(
        &self,
        mut reader: R,
        outlet: &Outlet<W>,
        line: Line<'_>,
        mut stop: Stop,
    ) -> io::Result<End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let patience = self.shared.patience;
        let mut inbox = Inbox::new();
        let mut outbox = Vec::new();
        let mut stopping = false;
        loop {
            let wait = if stopping { LAST_WORDS } else { patience.query };
            let filled = tokio::select! {
                biased;
                filled = timeout(wait, inbox.fill(&mut reader)) => filled,
                () = stop.wait(), if !stopping => {
                    stopping = true;
                    continue;
                }
            };
            match filled {
                Ok(filled) => match filled? {
                    Filled::Query => {}
                    Filled::TooLong => return Ok(End::Nonsense),
                    Filled::End => return Ok(End::Silence),
                },
                // Silence, while it takes what it has asked for.
                Err(_) if !stopping && line.length.load(Relaxed) > 0 => continue,
                Err(_) => return Ok(End::Silence),
            }
            loop {
                let begun = clock::mono();
                let (answers, next) = self.gather(&mut inbox, &mut outbox);
                outlet.send(&outbox).await?;
                let took = clock::mono().since(begun);
                self.tally.measures.took(answers, took);
                outbox.clear();
                match next {
                    Next::Gather => {}
                    Next::Transfer(request) => self.transfer(outlet, &line, &request).await?,
                    Next::Read => break,
                    Next::Close => return Ok(End::Nonsense),
                }
            }
            outbox.shrink_to(OUTBOX);
            self.seat.is_active();
        }
    }

    /// Answers a request for a zone, or puts it in line.
    async fn transfer<W>(
        &self,
        outlet: &Outlet<W>,
        line: &Line<'_>,
        request: &[u8],
    ) -> io::Result<()>
    where
        W: AsyncWrite + Unpin,
    {
        let Some(job) = self.receiver().answer(outlet, request).await? else {
            bump(&self.tally.responses, 1);
            return Ok(());
        };
        line.length.fetch_add(1, Relaxed);
        // The other end is gone only after an error, which ends all of it.
        let _ = line.jobs.send(job).await;
        Ok(())
    }

    fn receiver(&self) -> Receiver<'_> {
        Receiver {
            address: self.address,
            seat: self.seat,
            tally: self.tally,
            snapshots: &self.shared.snapshots,
            tallies: &self.shared.tallies,
            transfers: &self.shared.transfers,
        }
    }

    /// Answers whole queries into `outbox`, each message with its length before it, so that one
    /// write carries both (RFC 7766 section 8). All see one snapshot, which is let go of before
    /// anything is written.
    fn gather(&self, inbox: &mut Inbox, outbox: &mut Vec<u8>) -> (usize, Next) {
        let tally = self.tally;
        let snapshot = self.shared.snapshots.load();
        let asker = Asker {
            transport: self.transport,
            client: self.address,
            now: clock::wall(),
            idle: Some(self.shared.patience.query),
        };
        let (mut message, mut answers) = (Vec::new(), 0);
        while outbox.len() < OUTBOX {
            let Some(query) = inbox.next() else {
                return (answers, Next::Read);
            };
            bump(&tally.queries, 1);
            if is_request(query) {
                return (answers, Next::Transfer(query.to_vec()));
            }
            let answered = answer(&snapshot, query, &asker, &mut message, tally);
            let Some(length) = u16::try_from(message.len()).ok().filter(|_| answered) else {
                bump(&tally.dropped, 1);
                return (answers, Next::Close);
            };
            bump(&tally.responses, 1);
            answers += 1;
            outbox.extend_from_slice(&length.to_be_bytes());
            outbox.extend_from_slice(&message);
        }
        (answers, Next::Gather)
    }
}

/// What follows after the gathered answers are written.
enum Next {
    /// Whole queries are left.
    Gather,
    /// This one asks for a zone; others may be left.
    Transfer(Vec<u8>),
    /// None is.
    Read,
    /// The client sent something that gets no answer.
    Close,
}

/// The large transfers of one connection.
struct Line<'a> {
    jobs: mpsc::Sender<Job>,
    /// Those that wait, and the one under way.
    length: &'a AtomicUsize,
}

/// The sending half of a connection: whole messages, of one answer or of another.
pub(super) struct Outlet<W> {
    writer: Mutex<W>,
    patience: Duration,
}

impl<W: AsyncWrite + Unpin> Outlet<W> {
    /// Writes all of `messages`, each with its length before it, out of the buffers of a TLS
    /// session too.
    ///
    /// # Errors
    /// What the stream says; `TimedOut` if the client does not take them.
    pub(super) async fn send(&self, messages: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        let all = async {
            writer.write_all(messages).await?;
            writer.flush().await
        };
        timeout(self.patience, all).await?
    }
}

/// Ends our side, then reads and forgets until the client has ended its own.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.shutdown().await?;
    let mut forgotten = [0; 1024];
    while stream.read(&mut forgotten).await? > 0 {}
    Ok(())
}

/// Octets received and not yet answered: `bytes[start..end]`.
struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What waiting for a query came to.
enum Filled {
    /// A whole query is there.
    Query,
    /// Its length is beyond [`QUERY_LIMIT`].
    TooLong,
    /// The stream has ended.
    End,
}

impl Inbox {
    fn new() -> Inbox {
        Inbox {
            bytes: vec![0; 2 + QUERY_LIMIT].into(),
            start: 0,
            end: 0,
        }
    }

    /// Reads until a whole query is there, or there will be none. Nothing is lost if the future
    /// is dropped.
    ///
    /// # Errors
    /// What the stream says.
    async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<Filled> {
        loop {
            match self.length() {
                Some(length) if length > QUERY_LIMIT => return Ok(Filled::TooLong),
                Some(length) if self.end - self.start >= 2 + length => return Ok(Filled::Query),
                Some(_) | None => {}
            }
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match stream.read(&mut self.bytes[self.end..]).await? {
                0 => return Ok(Filled::End),
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
