//! NOTIFY (RFC 1996): a primary says that a zone has changed.

use std::net::IpAddr;

use super::query::{HEADER, QUESTION};
use super::resolve::{Answer, Rcode};
use super::{Asker, Query, encode, gate, read};
use crate::ids::Serial;
use crate::snapshot::Snapshot;
use crate::zone::rdata::rtype;
use crate::zone::{Name, skip_name};

const OPCODE: u8 = 4;
const CLASS_IN: u16 = 1;

/// A primary's word that a zone has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The zone.
    pub origin: Name,
    /// The primary.
    pub from: IpAddr,
    /// The serial that it says it has: a hint.
    pub serial: Option<Serial>,
}

/// Whether a message is a NOTIFY request.
#[must_use]
pub fn is_notify(message: &[u8]) -> bool {
    message
        .get(2)
        .is_some_and(|flags| flags & 0xf8 == OPCODE << 3)
}

/// Fills `out` with the response to the NOTIFY request `message` of `asker`, signed with `key` if
/// with any. The notice, if it came from a primary of the zone; nobody else's counts (RFC 1996
/// section 3.10).
pub fn take_notify(
    snapshot: &Snapshot,
    message: &[u8],
    asker: &Asker,
    key: Option<&Name>,
    out: &mut Vec<u8>,
) -> Option<Notice> {
    out.clear();
    let query = match read(message)? {
        Ok(query) => query,
        Err(refusal) => refusal.query,
    };
    let judged = judge(snapshot, &query, message, asker.client, key);
    let mut answer = Answer::empty(judged.as_ref().err().copied().unwrap_or(Rcode::NoError));
    // RFC 1996 section 3.7: the response says nothing but that the request has come.
    answer.authoritative = judged.is_ok();
    let settings = snapshot.settings();
    let cookie = gate::judge(settings, &query, asker);
    let opt = gate::opt(settings, &query, cookie, asker);
    let client = query.edns.map(|edns| edns.udp_payload);
    let limit = asker.transport.limit(client, settings.udp_payload);
    encode(&query, &answer, opt.as_ref(), limit, out);
    judged.ok()
}

fn judge(
    snapshot: &Snapshot,
    query: &Query<'_>,
    message: &[u8],
    client: IpAddr,
    key: Option<&Name>,
) -> Result<Notice, Rcode> {
    if query.question.is_empty() {
        return Err(Rcode::FormatError);
    }
    if query.qtype != rtype::SOA || query.qclass != CLASS_IN {
        return Err(Rcode::NotImplemented);
    }
    let origin = Name::from_wire(query.qname).map_err(|_| Rcode::FormatError)?;
    let zone = snapshot.zone_of(&origin.key());
    let zone = zone.filter(|zone| *zone.origin() == origin && !zone.sources().is_empty());
    // RFC 2136 section 2.2: not a zone that we follow.
    let zone = zone.ok_or(Rcode::NotAuth)?;
    let from = client.to_canonical();
    let is_primary = zone.sources().iter().any(|source| {
        source.address.to_canonical() == from
            && (source.key.is_none() || source.key.as_ref() == key)
    });
    if !is_primary {
        return Err(Rcode::Refused);
    }
    Ok(Notice {
        origin,
        from,
        serial: serial(message, query.question.len()),
    })
}

/// The serial of the SOA in the answer section, if there is one that can be read.
fn serial(message: &[u8], question: usize) -> Option<Serial> {
    let answers = message.get(6..8)?;
    if message.len() < HEADER || answers == [0, 0] {
        return None;
    }
    let at = skip_name(message, QUESTION + question)?;
    let [t0, t1, _, _, _, _, _, _, l0, l1] = *message.get(at..)?.first_chunk::<10>()?;
    if u16::from_be_bytes([t0, t1]) != rtype::SOA {
        return None;
    }
    let start = at + 10;
    let end = start + usize::from(u16::from_be_bytes([l0, l1]));
    let numbers = skip_name(message, skip_name(message, start)?)?;
    if numbers + 20 != end {
        return None;
    }
    let serial = message.get(..end)?.get(numbers..)?.first_chunk::<4>()?;
    Some(Serial(u32::from_be_bytes(*serial)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::answer::Transport;
    use crate::ids::Generation;
    use crate::snapshot::{SnapshotSpec, Source};
    use crate::time::Wall;
    use crate::zone::{Absence, Zone};

    /// `z.` is followed, from 192.0.2.1 and, with a key, from 192.0.2.2; `own.` is not.
    fn snapshot() -> Snapshot {
        let zones = ["z.", "own."].map(|origin| {
            let zone = Zone::without_data(&origin.parse().unwrap(), Absence::NotYet).unwrap();
            (Arc::new(zone), Serial(1))
        });
        let mut snapshot = Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            zones: zones.into(),
            services: Vec::new(),
            servers: Vec::new(),
            settings: Arc::default(),
        })
        .unwrap();
        let source = |last: u8, key: Option<&str>| Source {
            address: IpAddr::from([192, 0, 2, last]),
            key: key.map(|key| key.parse().unwrap()),
        };
        snapshot.follow(
            &"z.".parse().unwrap(),
            [source(1, None), source(2, Some("k."))].into(),
        );
        snapshot
    }

    fn notify(origin: &[u8], qtype: u8, answer: &[u8]) -> Vec<u8> {
        let answers = u8::from(!answer.is_empty());
        let mut message = vec![7, 7, 0x24, 0, 0, 1, 0, answers, 0, 0, 0, 0];
        message.extend_from_slice(origin);
        message.extend_from_slice(&[0, qtype, 0, 1]);
        message.extend_from_slice(answer);
        message
    }

    fn take(message: &[u8], last: u8, key: Option<&str>) -> (u8, Option<Notice>) {
        let mut out = Vec::new();
        let asker = Asker {
            transport: Transport::Udp,
            client: IpAddr::from([192, 0, 2, last]),
            now: Wall(0),
            idle: None,
        };
        let key: Option<Name> = key.map(|key| key.parse().unwrap());
        assert!(is_notify(message));
        let notice = take_notify(&snapshot(), message, &asker, key.as_ref(), &mut out);
        assert!(out.len() <= message.len(), "it must not amplify");
        assert_eq!((&out[..2], out[2] & 0xf8), (&message[..2], 0xa0));
        (out[3] & 0xf, notice)
    }

    #[test]
    fn only_the_primaries_of_a_zone_are_believed() {
        let word = notify(b"\x01z\0", 6, &[]);
        for (last, key, code) in [
            (1, None, 0),
            (2, Some("k."), 0),
            (2, None, 5),
            (2, Some("o."), 5),
            (3, None, 5),
        ] {
            let (said, notice) = take(&word, last, key);
            assert_eq!(
                (said, notice.is_some()),
                (code, code == 0),
                "{last} {key:?}"
            );
        }
        for (other, code) in [
            (notify(b"\x03own\0", 6, &[]), 9),
            (notify(b"\x01a\x01z\0", 6, &[]), 9),
            (notify(b"\x01y\0", 6, &[]), 9),
            (notify(b"\x01z\0", 1, &[]), 4),
            (notify(b"\xc0\x0c", 6, &[]), 1),
        ] {
            let (said, notice) = take(&other, 1, None);
            assert_eq!((said, notice), (code, None));
        }
        assert!(
            !is_notify(&[7, 7, 0xa4, 0, 0, 1]),
            "a response is no request"
        );
    }

    #[test]
    fn the_serial_is_a_hint_and_may_be_missing() {
        let soa = b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x18\xc0\x0c\xc0\x0c\0\0\0\x09";
        let whole = [&soa[..], &[0; 16]].concat();
        let serial = |answer: &[u8]| {
            take(&notify(b"\x01z\0", 6, answer), 1, None)
                .1
                .unwrap()
                .serial
        };
        assert_eq!(serial(&whole), Some(Serial(9)));
        assert_eq!(serial(&[]), None);
        for end in 1..whole.len() {
            assert_eq!(serial(&whole[..end]), None, "{end}");
        }
    }
}
