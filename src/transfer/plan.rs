//! What a request gets.

use std::net::IpAddr;

use super::request::{Kind, TransferRequest};
use crate::history::{Difference, WireRecord};
use crate::snapshot::{ServedZone, Snapshot};
use crate::zone::Name;

/// A transfer up to this size, uncompressed octets, is small: it is made at once.
const SMALL: usize = 64 << 10;

/// Why there is no transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// NOTAUTH: it is no zone of ours (RFC 5936 section 2.2.1).
    NotOurs,
    /// REFUSED: no permit admits the client.
    NotPermitted,
    /// SERVFAIL: no primary has given the zone to us, or it has expired.
    NoData,
    /// REFUSED: too many transfers are under way.
    TooMany,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Our SOA alone.
    Current,
    /// What changed.
    Incremental(Difference),
    /// The whole zone.
    Full,
}

/// The zone that a request is for, if the client may have it.
///
/// # Errors
/// Why not.
pub fn admit<'s>(
    snapshot: &'s Snapshot,
    request: &TransferRequest<'_>,
    client: IpAddr,
    key: Option<&Name>,
) -> Result<ServedZone<'s>, Denial> {
    let zone = snapshot.zone(&request.origin()).ok_or(Denial::NotOurs)?;
    let mut permits = zone.replication().permits.iter();
    if !permits.any(|permit| permit.admits(client, key)) {
        return Err(Denial::NotPermitted);
    }
    match zone.zone().absence() {
        None => Ok(zone),
        Some(_) => Err(Denial::NoData),
    }
}

/// Whether the transfer takes hardly more work than a large answer.
#[must_use]
pub fn is_small(zone: ServedZone<'_>, request: &TransferRequest<'_>) -> bool {
    if let Kind::Since(serial) = request.kind {
        if is_current(zone, request) {
            return true;
        }
        if let Some(size) = zone.replication().history.size_since(serial) {
            return size <= SMALL;
        }
    }
    !is_larger(zone, SMALL)
}

/// Decides what is sent.
#[must_use]
pub fn plan(zone: ServedZone<'_>, request: &TransferRequest<'_>) -> Plan {
    let Kind::Since(serial) = request.kind else {
        return Plan::Full;
    };
    if is_current(zone, request) {
        return Plan::Current;
    }
    match zone.replication().history.since(serial) {
        // The chain ends where this generation does, or it is another zone's.
        Some(difference) if difference.to == zone.serial() => {
            if is_larger(zone, difference.size()) {
                Plan::Incremental(difference)
            } else {
                Plan::Full
            }
        }
        _ => Plan::Full,
    }
}

/// Whether the client has what we have, or more (RFC 1995 section 2).
fn is_current(zone: ServedZone<'_>, request: &TransferRequest<'_>) -> bool {
    match request.kind {
        Kind::Full => false,
        Kind::Since(serial) => !zone.serial().is_newer_than(serial),
    }
}

/// Whether the zone's records take more octets than this. It looks no further than that.
fn is_larger(zone: ServedZone<'_>, octets: usize) -> bool {
    let mut total = 0usize;
    zone.each_record(&mut |record: WireRecord<'_>| {
        total += record.size();
        total <= octets
    });
    total > octets
}
