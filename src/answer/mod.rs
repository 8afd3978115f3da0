//! **Pure.** A query and a snapshot to a response.
//!
//! `query` reads the packet, `gate` settles what needs no lookup, `resolve` finds the [`Answer`],
//! which is a value, and [`encode()`] writes it. [`respond`] is the four together. To read the
//! algorithm of RFC 1034 section 4.3.2, read `resolve`; for EDNS options, `edns`.
//!
//! Between `gate` and `resolve` stands `compiled`: what [`compile`] has written out before anybody
//! asked goes out from there, and the others stay as they are. What is to come has its place too:
//! DNSSEC adds RRsets to an [`Answer`] where `resolve` concludes.
//!
//! Invariants: no packet makes it panic; a response is never answered; the question goes back
//! octet for octet; an RRset is whole or absent; only what the answer needs sets TC.

mod additional;
mod chaos;
mod compiled;
mod cookie;
mod edns;
mod encode;
mod freshness;
mod gate;
mod near;
mod notify;
mod query;
mod resolve;
mod row;

pub use compiled::compile;
pub use cookie::Cookie;
pub use edns::{Edns, ExtendedError, Opt};
pub use encode::encode;
pub use freshness::freshness;
pub use near::bring_near;
pub use notify::{Notice, is_notify, take_notify};
pub use query::{Query, Refusal, read};
pub use resolve::{Answer, Entry, Owner, Rcode, answer};
pub use row::Row;

use std::net::IpAddr;
use std::time::Duration;

use self::gate::Settled;
use crate::snapshot::Snapshot;
use crate::time::Wall;

/// Who asks, how, and when: all that a response may depend on beside the snapshot and the
/// query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// How the query came.
    pub transport: Transport,
    /// From which address, as the socket has it.
    pub client: IpAddr,
    /// When.
    pub now: Wall,
    /// How long the connection is kept without a query: what a client that asks for it is told
    /// (RFC 7828). `None` where there is nothing to tell: over UDP, HTTPS and QUIC.
    pub idle: Option<Duration>,
}

/// How the query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP: the response is cut to what the client and the path take.
    Udp,
    /// TCP: up to 65,535 octets.
    Stream,
    /// TLS, HTTPS or QUIC: up to 65,535 octets, nobody reads along.
    Encrypted,
}

impl Transport {
    /// The greatest response in octets, for a client that takes `client` octets over UDP, where
    /// we send `ours` at most. A client without EDNS, and one that says less, takes 512 (RFC 6891
    /// section 6.2.5).
    #[must_use]
    pub fn limit(self, client: Option<u16>, ours: u16) -> usize {
        match self {
            Transport::Udp => usize::from(client.unwrap_or(512).min(ours).max(512)),
            Transport::Stream | Transport::Encrypted => usize::from(u16::MAX),
        }
    }
}

/// What is known of whoever a response goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: the query may have been sent in the name of a victim.
    Unknown,
    /// It reads what is sent to its address: it has shown a good cookie (RFC 7873 section 5.2.3).
    Proven,
}

/// Fills `out` with the response to `packet`. False, with `out` empty, if none is to be sent:
/// what is shorter than a header, and responses, which two servers would pass to and fro.
pub fn respond(snapshot: &Snapshot, packet: &[u8], asker: &Asker, out: &mut Vec<u8>) -> bool {
    respond_within(snapshot, packet, asker, 0, out).is_some()
}

/// [`respond`], with `room` octets less than the client takes: they are for a signature. `None` if
/// no response is to be sent.
pub fn respond_within(
    snapshot: &Snapshot,
    packet: &[u8],
    asker: &Asker,
    room: usize,
    out: &mut Vec<u8>,
) -> Option<Standing> {
    out.clear();
    Some(respond_to(snapshot, &read(packet)?, asker, room, out))
}

/// [`respond_within`], to a message that has been read.
pub fn respond_to(
    snapshot: &Snapshot,
    read: &Result<Query<'_>, Refusal<'_>>,
    asker: &Asker,
    room: usize,
    out: &mut Vec<u8>,
) -> Standing {
    let query = read.as_ref().unwrap_or_else(|refusal| &refusal.query);
    let settings = snapshot.settings();
    let cookie = gate::judge(settings, query, asker);
    let settled = match read {
        Ok(query) => gate::settled(settings, query, cookie, asker.transport),
        Err(refusal) => Some(gate::refusal(refusal.rcode)),
    };
    let opt = gate::opt(settings, query, cookie, asker);
    let client = query.edns.map(|edns| edns.udp_payload);
    let limit = asker.transport.limit(client, settings.udp_payload);
    let limit = limit.saturating_sub(room);
    if settled.is_some() || !compiled::write(snapshot, query, opt.as_ref(), limit, out) {
        put(snapshot, query, settled, opt.as_ref(), limit, out);
    }
    gate::standing(cookie)
}

/// Fills `out` with what is `settled`, or with what the engine says.
#[inline(never)]
fn put(
    snapshot: &Snapshot,
    query: &Query<'_>,
    settled: Option<Settled>,
    opt: Option<&Opt<'_>>,
    limit: usize,
    out: &mut Vec<u8>,
) {
    let answer = settled.map_or_else(|| answer(snapshot, query), Settled::answer);
    encode(query, &answer, opt, limit, out);
}

/// Fills `out` with the way to a stream in place of the response to `packet`: TC, no records, and
/// the cookie if one was asked for, with which the client may come back over UDP as well. It is
/// longer than the query by the server's part of the cookie (16 octets) at most. False, with `out`
/// empty, if no response is to be sent.
pub fn slip(snapshot: &Snapshot, packet: &[u8], asker: &Asker, out: &mut Vec<u8>) -> bool {
    out.clear();
    let Some(read) = read(packet) else {
        return false;
    };
    let query = read.unwrap_or_else(|refusal| refusal.query);
    let settings = snapshot.settings();
    let cookie = gate::judge(settings, &query, asker);
    let opt = gate::opt(settings, &query, cookie, asker).map(|opt| Opt { nsid: None, ..opt });
    let answer = Settled::over_stream().answer();
    encode(&query, &answer, opt.as_ref(), 512, out);
    true
}

#[cfg(test)]
mod tests;
