//! **IO.** Visits to the primaries of a zone: one connection, its serial, and what is newer.
//!
//! The SOA is asked for over the same TCP or TLS connection as the transfer: an answer over UDP
//! could be forged, and would keep a zone from being renewed.
//!
//! Invariants: every wait has a bound, and the whole visit another; nothing is kept of a visit
//! that fails.

mod error;
mod tls;

pub use error::VisitError;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock;
use crate::secondary::{Brought, Held, Limits, Primary, Reception, TransferError, query, read_soa};
use crate::tsig::{Key, Verifier, VerifyError, sign_request};
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// Of a transfer so many octets come in a second on average, once it has gone on for
/// [`Patience::silence`]: else a primary that drips would hold its place for hours.
const LEAST_PER_SECOND: u64 = 1024;

/// How long a primary is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection, the handshake of TLS included.
    pub connect: Duration,
    /// From one message to the next.
    pub silence: Duration,
    /// For the whole visit.
    pub whole: Duration,
}

impl Default for Patience {
    /// 5 s to connect, 20 s of silence, 2 hours in all.
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            whole: Duration::from_secs(7200),
        }
    }
}

/// What a visit found.
#[derive(Debug)]
pub enum Found {
    /// The primary has the version that we have.
    Current,
    /// It has a newer one, or we had none.
    Newer(Brought),
}

/// Asks `primary` for the zone `origin`: first for its serial if a version is `held`, then for
/// what is newer; for the `whole` zone, or for changes where that is possible.
///
/// # Errors
/// Why nothing came of it.
pub async fn visit(
    primary: &Primary,
    origin: &Name,
    held: Option<&Held>,
    whole: bool,
    patience: Patience,
) -> Result<Found, VisitError> {
    let visit = async {
        let stream = within(patience.connect, TcpStream::connect(primary.address)).await?;
        let stream = stream.map_err(VisitError::Connect)?;
        // Small questions are not to wait for others to fill the packet.
        stream.set_nodelay(true).map_err(VisitError::Connect)?;
        match &primary.tls {
            None => converse(stream, primary, origin, held, whole, patience).await,
            Some(tls) => {
                let stream = within(patience.connect, tls::connect(tls, stream)).await??;
                converse(stream, primary, origin, held, whole, patience).await
            }
        }
    };
    let done = timeout(patience.whole, visit).await;
    done.unwrap_or(Err(VisitError::TooLong(patience.whole)))
}

/// The serial that a server of `origin` answers with; all of it within `bound`.
///
/// # Errors
/// Why there is none.
pub async fn serial(
    at: SocketAddr,
    origin: &Name,
    bound: Duration,
) -> Result<crate::ids::Serial, VisitError> {
    let asked = async {
        let stream = TcpStream::connect(at).await.map_err(VisitError::Connect)?;
        let mut conversation = Conversation {
            stream,
            key: None,
            silence: bound,
        };
        let random = RandomState::new().hash_one(origin).to_be_bytes();
        let id = u16::from_be_bytes([random[0], random[1]]);
        conversation.serial(origin, id).await
    };
    within(bound, asked).await?
}

async fn within<T>(bound: Duration, what: impl Future<Output = T>) -> Result<T, VisitError> {
    timeout(bound, what)
        .await
        .map_err(|_| VisitError::Silent(bound))
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    primary: &Primary,
    origin: &Name,
    held: Option<&Held>,
    whole: bool,
    patience: Patience,
) -> Result<Found, VisitError> {
    let mut conversation = Conversation {
        stream,
        key: primary.key.as_ref(),
        silence: patience.silence,
    };
    // Two questions on one connection need two IDs.
    let random = RandomState::new().hash_one(origin).to_be_bytes();
    let id = u16::from_be_bytes([random[0], random[1]]);
    if let Some(held) = held {
        let theirs = conversation.serial(origin, id).await?;
        let ours = held.serial();
        if theirs == ours && !whole {
            return Ok(Found::Current);
        }
        if theirs != ours && !theirs.is_newer_than(ours) {
            return Err(TransferError::Behind { theirs, ours }.into());
        }
    }
    let base = held.filter(|_| !whole);
    let brought = conversation
        .transfer(origin, base, id.wrapping_add(1))
        .await?;
    match (&brought, held) {
        (Brought::Nothing(theirs), Some(held)) if *theirs == held.serial() => Ok(Found::Current),
        (Brought::Nothing(theirs), Some(held)) => Err(TransferError::Behind {
            theirs: *theirs,
            ours: held.serial(),
        }
        .into()),
        (Brought::Nothing(_) | Brought::Whole(_) | Brought::Changes(_), _) => {
            Ok(Found::Newer(brought))
        }
    }
}

/// One connection with a primary.
struct Conversation<'k, S> {
    stream: S,
    key: Option<&'k Arc<Key>>,
    silence: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<'_, S> {
    async fn serial(&mut self, origin: &Name, id: u16) -> Result<crate::ids::Serial, VisitError> {
        let mut verifier = self.ask(query(id, origin, rtype::SOA, None)).await?;
        let answer = self.hear(verifier.as_mut()).await?;
        Ok(read_soa(&answer, id, origin)?)
    }

    async fn transfer(
        &mut self,
        origin: &Name,
        base: Option<&Held>,
        id: u16,
    ) -> Result<Brought, VisitError> {
        let mut reception = Reception::new(origin, base.map(Held::serial), Limits::default());
        let soa = base.and_then(|held| held.zone.soa());
        let soa = soa.as_ref().and_then(|soa| soa.records().next());
        let question = query(id, origin, reception.qtype(), soa);
        let mut verifier = self.ask(question).await?;
        let (begun, mut octets) = (clock::mono(), 0);
        loop {
            let message = self.hear(verifier.as_mut()).await?;
            octets += message.len();
            let after = clock::mono().since(begun);
            let least = after.as_secs().saturating_mul(LEAST_PER_SECOND);
            if after > self.silence && u64::try_from(octets).unwrap_or(u64::MAX) < least {
                return Err(VisitError::Slow { octets, after });
            }
            if let Some(brought) = reception.take(&message, id)? {
                // Nothing of a signed transfer is believed before its last signature.
                return match verifier.is_none_or(|verifier| verifier.is_complete()) {
                    true => Ok(brought),
                    false => Err(VerifyError::Unsigned.into()),
                };
            }
        }
    }

    /// Sends a query, signed if there is a key.
    async fn ask(&mut self, mut message: Vec<u8>) -> Result<Option<Verifier>, VisitError> {
        let verifier = self
            .key
            .map(|key| sign_request(key, &mut message, clock::wall()));
        // A name of 255 octets, an SOA and a signature stay far below the limit.
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let octets = [&length.to_be_bytes()[..], &message].concat();
        let sent = within(self.silence, async {
            self.stream.write_all(&octets).await?;
            self.stream.flush().await
        });
        sent.await?.map_err(VisitError::Broken)?;
        Ok(verifier)
    }

    /// The next message, with its signature verified and taken off.
    async fn hear(&mut self, verifier: Option<&mut Verifier>) -> Result<Vec<u8>, VisitError> {
        let read = within(self.silence, async {
            let mut length = [0; 2];
            self.stream.read_exact(&mut length).await?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            self.stream.read_exact(&mut message).await?;
            Ok::<_, std::io::Error>(message)
        });
        let closed = [
            std::io::ErrorKind::UnexpectedEof,
            std::io::ErrorKind::ConnectionReset,
        ];
        let mut message = read.await?.map_err(|error| {
            if closed.contains(&error.kind()) {
                VisitError::Closed
            } else {
                VisitError::Broken(error)
            }
        })?;
        if let Some(verifier) = verifier {
            verifier.verify(&mut message, clock::wall())?;
        }
        Ok(message)
    }
}
