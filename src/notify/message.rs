//! NOTIFY messages (RFC 1996 section 3).

use crate::snapshot::ServedZone;
use crate::zone::rdata::rtype;
use crate::zone::skip_name;

const HEADER: usize = 12;
/// The opcode, in its place, with AA.
const NOTIFY: u8 = 0x24;

/// The message that tells of a zone: its SOA stands in the answer section as a hint (section 3.7).
pub(super) fn compose(id: [u8; 2], zone: ServedZone<'_>) -> Vec<u8> {
    let [id0, id1] = id;
    let mut message = vec![id0, id1, NOTIFY, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(zone.apex());
    message.extend_from_slice(&rtype::SOA.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    if let Some((ttl, rdata)) = zone.soa_record()
        && let Ok(length) = u16::try_from(rdata.len())
    {
        message[7] = 1;
        message.extend_from_slice(&[0xc0, 0x0c]);
        message.extend_from_slice(&rtype::SOA.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message.extend_from_slice(&ttl.to_be_bytes());
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&rdata);
    }
    message
}

/// The id of a response to a NOTIFY, and its RCODE.
pub(super) fn read_response(message: &[u8]) -> Option<([u8; 2], u8)> {
    let [id0, id1, flags, more, ..] = *message.first_chunk::<HEADER>()?;
    (flags & 0xf8 == 0xa0).then_some(([id0, id1], more & 0xf))
}

/// Whether a response speaks of the zone, if it says of which.
pub(super) fn is_about(message: &[u8], apex: &[u8]) -> bool {
    if message.get(4..6) != Some(&[0, 1]) {
        return true;
    }
    let name = skip_name(message, HEADER).and_then(|end| message.get(HEADER..end));
    name.is_some_and(|name| name.eq_ignore_ascii_case(apex))
}

/// An RCODE as people write it.
pub(super) fn rcode_word(rcode: u8) -> String {
    let word = match rcode {
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        other => return format!("RCODE{other}"),
    };
    word.to_owned()
}
