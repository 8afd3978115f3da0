//! How long a response may be kept by whoever passes it on.

use super::query::{Fixed, HEADER};
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// The seconds for which `response`, one of ours, may be kept: the least TTL of its records, that
/// of the SOA in a negative one (RFC 8484 section 5.1, RFC 2308 section 5). `None` for what must
/// not be kept: errors, and what has no records.
#[must_use]
pub fn freshness(response: &[u8]) -> Option<u32> {
    let (header, mut rest) = response.split_first_chunk::<HEADER>()?;
    // NOERROR and NXDOMAIN.
    if !matches!(header[3] & 0xf, 0 | 3) {
        return None;
    }
    let count = |at: usize| {
        let octets = header.get(at..at + 2)?.first_chunk()?;
        Some(u16::from_be_bytes(*octets))
    };
    for _ in 0..count(4)? {
        let name = Name::wire_prefix(rest)?;
        rest = rest.get(name.len() + 4..)?;
    }
    let mut least = None;
    for section in [6, 8, 10] {
        for _ in 0..count(section)? {
            let (_, record, after) = Fixed::read(rest)?;
            rest = after;
            if record.rtype != rtype::OPT {
                let ttl = u32::from_be_bytes(record.ttl);
                least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
            }
        }
    }
    least
}
