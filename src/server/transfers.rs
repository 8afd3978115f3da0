//! Zones on their way to secondaries, over a stream (RFC 5936, RFC 1995, RFC 9103).
//!
//! A small transfer, which is what a failover makes, is put together at once. A large one is made
//! by a thread of its own as fast as the client reads: at most [`AHEAD`] pieces wait. So many go
//! at a time ([`LARGE_AT_A_TIME`]); others wait for their turn, for a while. Those who ask do not
//! wait, and a secondary can: while queries come in, a large transfer keeps to a twentieth of a core, and
//! if they come in when it begins, its thread runs in the time that nobody else wants.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::AsyncWrite;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::connections::Seat;
use super::counters::{Tallies, Tally};
use super::seen::Asked;
use super::stream::Outlet;
use super::threads::{aside, in_spare_time};
use crate::clock;
use crate::snapshot::Snapshot;
use crate::transfer::{Denial, Kind, TransferRequest, admit, is_small, plan, write, write_error};
use crate::tsig::{Request, Signer, read_request};

/// Large transfers at a time.
const LARGE_AT_A_TIME: usize = 4;
/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// Messages are handed over in pieces of about this size. What a stream takes at once, the system carries to
/// the other end at once, and no datagram passes it.
const PIECE: usize = 16 << 10;
/// So many pieces wait for the client.
const AHEAD: usize = 2;
/// How long queries are counted before a large transfer begins.
const FIRST_LOOK: Duration = Duration::from_millis(10);
/// From so many queries a second on, a large transfer makes room.
const BUSY_QUERIES_PER_S: u128 = 500;
/// It rests so many times as long as it worked.
const REST: u32 = 19;
/// The longest rest after one piece.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// What all transfers share.
#[derive(Debug)]
pub(super) struct Transfers(Semaphore);

impl Default for Transfers {
    fn default() -> Self {
        Transfers(Semaphore::new(LARGE_AT_A_TIME))
    }
}

/// Whom a transfer goes to, and what it is made of.
pub(super) struct Receiver<'a> {
    pub(super) address: IpAddr,
    pub(super) seat: &'a Seat,
    pub(super) tally: &'a Tally,
    pub(super) snapshots: &'a ArcSwap<Snapshot>,
    pub(super) tallies: &'a Tallies,
    pub(super) transfers: &'a Transfers,
}

impl Receiver<'_> {
    /// Answers one request for a transfer. A large one is only begun: it is to be handed to
    /// [`Receiver::stream`].
    ///
    /// # Errors
    /// What the stream says; `TimedOut`; `InvalidData` when the zone cannot be sent. The
    /// connection is to be closed: a client must not take a part for the whole.
    pub(super) async fn answer<W>(
        &self,
        outlet: &Outlet<W>,
        query: &[u8],
    ) -> io::Result<Option<Job>>
    where
        W: AsyncWrite + Unpin,
    {
        self.tally.measures.exchange(query, None);
        let snapshot = self.snapshots.load_full();
        let mut out = Vec::new();
        let (message, signer) = match read_request(query, snapshot.keys(), clock::wall()) {
            Request::Plain => (query.to_vec(), None),
            Request::Signed(signed) => (signed.message, Some(signed.signer)),
            Request::Rejected(rejection) => {
                rejection.write(query, clock::wall(), &mut out);
                outlet.send(&framed(&out)).await?;
                return Ok(None);
            }
        };
        let job = Job {
            snapshot,
            message,
            signer,
            client: self.address,
        };
        let size = match job.size(self.tally) {
            Ok(size) => size,
            Err(denial) => {
                self.tally.measures.transfer_refused();
                outlet.send(&job.denied(denial)).await?;
                return Ok(None);
            }
        };
        match size {
            Size::Small => {
                let mut pieces = Vec::new();
                job.run(&mut |piece| {
                    pieces.extend_from_slice(&piece);
                    true
                })?;
                outlet.send(&pieces).await?;
                Ok(None)
            }
            Size::Large => Ok(Some(job)),
        }
    }

    /// Waits for its turn and sends the pieces of a large transfer as they are made.
    ///
    /// # Errors
    /// As [`Receiver::answer`].
    pub(super) async fn stream<W>(&self, outlet: &Outlet<W>, job: Job) -> io::Result<()>
    where
        W: AsyncWrite + Unpin,
    {
        let Ok(Ok(_turn)) = timeout(TURN, self.transfers.0.acquire()).await else {
            self.tally.measures.transfer_refused();
            return outlet.send(&job.denied(Denial::TooMany)).await;
        };
        let mut pace = Pace::new(self.tallies);
        sleep(FIRST_LOOK).await;
        let (pieces, mut made) = mpsc::channel(AHEAD);
        let make = move || job.run(&mut |piece| pieces.blocking_send(piece).is_ok());
        let maker = if pace.is_busy(self.tallies) {
            in_spare_time("transfer", make)?
        } else {
            aside("transfer", make)?
        };
        pace = Pace::new(self.tallies);
        while let Some(piece) = made.recv().await {
            outlet.send(&piece).await?;
            self.seat.is_active();
            pace.rest(self.tallies).await;
        }
        maker.await.map_err(io::Error::other)?
    }
}

/// How much work a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Small,
    Large,
}

/// One transfer: it sees one snapshot from its beginning to its end.
pub(super) struct Job {
    snapshot: Arc<Snapshot>,
    /// The request without its signature.
    message: Vec<u8>,
    signer: Option<Signer>,
    client: IpAddr,
}

impl Job {
    /// How much work it is; notes who asked, and counts it.
    fn size(&self, tally: &Tally) -> Result<Size, Denial> {
        let Ok(request) = TransferRequest::read(&self.message) else {
            return Ok(Size::Small);
        };
        let key = self.signer.as_ref().map(|signer| signer.key().name());
        let zone = admit(&self.snapshot, &request, self.client, key)?;
        let asked = match request.kind {
            Kind::Full => Asked::Zone,
            Kind::Since(_) => Asked::Changes,
        };
        tally.seen.note(zone, self.client, asked, clock::wall());
        tally.measures.transfer(asked == Asked::Zone);
        Ok(if is_small(zone, &request) {
            Size::Small
        } else {
            Size::Large
        })
    }

    /// The response that says why there is no transfer.
    fn denied(&self, denial: Denial) -> Vec<u8> {
        let edns = TransferRequest::read(&self.message).is_ok_and(|r| r.udp_payload().is_some());
        let mut out = Vec::new();
        write_error(&self.message, Ok(denial), edns, &mut out);
        if let Some(signer) = &self.signer {
            signer.clone().sign(&mut out, clock::wall());
        }
        framed(&out)
    }

    /// Makes all messages and hands them over in pieces, until `emit` takes no more.
    fn run(self, emit: &mut dyn FnMut(Vec<u8>) -> bool) -> io::Result<()> {
        let Job {
            snapshot,
            message,
            mut signer,
            client,
        } = self;
        let request = match TransferRequest::read(&message) {
            Ok(request) => request,
            Err(rcode) => {
                let mut out = Vec::new();
                write_error(&message, Err(rcode), false, &mut out);
                if let Some(signer) = &mut signer {
                    signer.sign(&mut out, clock::wall());
                }
                emit(framed(&out));
                return Ok(());
            }
        };
        let key = signer.as_ref().map(|signer| signer.key().name().clone());
        let Ok(zone) = admit(&snapshot, &request, client, key.as_ref()) else {
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let plan = plan(zone, &request);
        let room = signer.as_ref().map_or(0, Signer::room);
        let mut piece = Vec::with_capacity(PIECE);
        let written = write(zone, &request, &plan, room, None, &mut |message| {
            if let Some(signer) = &mut signer {
                signer.sign(message, clock::wall());
            }
            piece.extend_from_slice(&framed(message));
            piece.len() < PIECE || emit(std::mem::take(&mut piece))
        });
        match written {
            Ok(()) => {
                emit(piece);
                Ok(())
            }
            Err(stopped) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the transfer of {} ended early: {stopped:?}", zone.origin()),
            )),
        }
    }
}

/// A message with its length before it.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

/// How fast a large transfer goes.
struct Pace {
    queries: u64,
    since: crate::time::Mono,
}

impl Pace {
    fn new(tallies: &Tallies) -> Pace {
        Pace {
            queries: tallies.udp().queries,
            since: clock::mono(),
        }
    }

    /// Whether queries come in.
    fn is_busy(&self, tallies: &Tallies) -> bool {
        let queries = u128::from(tallies.udp().queries.saturating_sub(self.queries));
        queries * 1_000_000 / self.worked().as_micros().max(1) >= BUSY_QUERIES_PER_S
    }

    fn worked(&self) -> Duration {
        clock::mono().since(self.since)
    }

    /// Rests after a piece, if queries come in.
    async fn rest(&mut self, tallies: &Tallies) {
        if self.is_busy(tallies) {
            sleep((self.worked() * REST).min(LONGEST_REST)).await;
        }
        *self = Pace::new(tallies);
    }
}
