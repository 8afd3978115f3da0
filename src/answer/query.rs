//! Reading a query, and refusing what is none.

use super::edns::Edns;
use super::resolve::Rcode;
use crate::zone::rdata::rtype;
use crate::zone::{Key, Name};

/// A header has so many octets.
pub(super) const HEADER: usize = 12;
/// The offset of the first question, and so of its name.
pub(super) const QUESTION: usize = HEADER;

/// A query as far as the answer needs it.
#[derive(Clone, Copy, Debug)]
pub struct Query<'p> {
    /// The first twelve octets.
    pub(super) header: [u8; HEADER],
    /// The question octet for octet, name, type and class; empty if there is none, or if it
    /// cannot be read.
    pub question: &'p [u8],
    /// The name, in wire format, as asked.
    pub qname: &'p [u8],
    /// The type.
    pub qtype: u16,
    /// The class.
    pub qclass: u16,
    /// The OPT record, if there is one.
    pub edns: Option<Edns<'p>>,
    /// Whether a TSIG record stands somewhere in it.
    pub has_tsig: bool,
}

/// A message that gets an error and no lookup.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'p> {
    /// What was readable of it.
    pub query: Query<'p>,
    /// The error.
    pub rcode: Rcode,
}

impl Query<'_> {
    /// The query that asks this question and nothing else.
    pub(super) fn of_question<'p>(
        question: &'p [u8],
        qname: &'p [u8],
        qtype: u16,
        qclass: u16,
    ) -> Query<'p> {
        Query {
            header: [0; HEADER],
            question,
            qname,
            qtype,
            qclass,
            edns: None,
            has_tsig: false,
        }
    }

    /// The opcode.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        (self.header[2] >> 3) & 0xf
    }

    /// What the name is looked up by.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::of_wire(self.qname)
    }

    fn count(&self, section: usize) -> u16 {
        let at = 4 + 2 * section;
        u16::from_be_bytes([
            self.header.get(at).copied().unwrap_or(0),
            self.header.get(at + 1).copied().unwrap_or(0),
        ])
    }
}

/// Reads a message. `None` if it deserves no response: it is shorter than a header, or it is a
/// response itself.
#[must_use]
pub fn read(packet: &[u8]) -> Option<Result<Query<'_>, Refusal<'_>>> {
    let (header, body) = packet.split_first_chunk::<HEADER>()?;
    if header[2] & 0x80 != 0 {
        return None;
    }
    let mut query = Query {
        header: *header,
        question: &[],
        qname: &[],
        qtype: 0,
        qclass: 0,
        edns: None,
        has_tsig: false,
    };
    let result = read_body(&mut query, body);
    Some(match result {
        Ok(()) => Ok(query),
        Err(rcode) => Err(Refusal { query, rcode }),
    })
}

/// Reads the rest, as far as it goes.
fn read_body<'p>(query: &mut Query<'p>, body: &'p [u8]) -> Result<(), Rcode> {
    let read = read_sections(query, body);
    // What other operations want of a message is theirs; but whoever sent an OPT gets one.
    if query.opcode() != 0 {
        return Err(Rcode::NotImplemented);
    }
    read?;
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Err(Rcode::BadVersion);
    }
    // RFC 9619: exactly one question, or none beside a cookie (RFC 7873 section 5.4). A query has
    // no answers; IXFR has an SOA in authority (RFC 1995 section 3).
    let has_cookie = query.edns.is_some_and(|edns| edns.cookie.is_some());
    match (query.count(0), query.count(1)) {
        (1, 0) => Ok(()),
        (0, 0) if has_cookie => Ok(()),
        _ => Err(Rcode::FormatError),
    }
}

fn read_sections<'p>(query: &mut Query<'p>, body: &'p [u8]) -> Result<(), Rcode> {
    let mut rest = body;
    match query.count(0) {
        0 => {}
        1 => rest = read_question(query, rest).ok_or(Rcode::FormatError)?,
        // Which of them would go back?
        _ => return Err(Rcode::FormatError),
    }
    for _ in 0..u32::from(query.count(1)) + u32::from(query.count(2)) {
        let (_, fixed, after) = Fixed::read(rest).ok_or(Rcode::FormatError)?;
        rest = after;
        query.has_tsig |= fixed.rtype == rtype::TSIG;
    }
    for _ in 0..query.count(3) {
        let (name, fixed, after) = Fixed::read(rest).ok_or(Rcode::FormatError)?;
        rest = after;
        query.has_tsig |= fixed.rtype == rtype::TSIG;
        if fixed.rtype == rtype::OPT {
            // RFC 6891 section 6.1.1: one OPT, owned by the root.
            if query.edns.is_some() || name != [0] {
                return Err(Rcode::FormatError);
            }
            let (edns, well_formed) = Edns::read(fixed.class, fixed.ttl, fixed.rdata);
            query.edns = Some(edns);
            if !well_formed {
                return Err(Rcode::FormatError);
            }
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Rcode::FormatError)
    }
}

fn read_question<'p>(query: &mut Query<'p>, body: &'p [u8]) -> Option<&'p [u8]> {
    // Nothing stands before the question that a pointer could point at.
    let name = Name::wire_prefix(body)?;
    let [t0, t1, c0, c1] = *body.get(name.len()..)?.first_chunk::<4>()?;
    let (question, rest) = body.split_at_checked(name.len() + 4)?;
    query.question = question;
    query.qname = name;
    query.qtype = u16::from_be_bytes([t0, t1]);
    query.qclass = u16::from_be_bytes([c0, c1]);
    Some(rest)
}

/// The fixed part of a record and its RDATA.
pub(super) struct Fixed<'p> {
    pub(super) rtype: u16,
    class: u16,
    pub(super) ttl: [u8; 4],
    rdata: &'p [u8],
}

impl<'p> Fixed<'p> {
    /// Takes one record off `octets`: its name as it stands there, itself, and what follows.
    pub(super) fn read(octets: &'p [u8]) -> Option<(&'p [u8], Fixed<'p>, &'p [u8])> {
        let mut at = 0;
        loop {
            let length = *octets.get(at)?;
            match length {
                0 => {
                    at += 1;
                    break;
                }
                1..=63 => at += 1 + usize::from(length),
                0xc0.. => {
                    at += 2;
                    break;
                }
                64..=0xbf => return None,
            }
        }
        let (name, rest) = octets.split_at_checked(at)?;
        let ([t0, t1, c0, c1, ttl @ .., l0, l1], rest) = rest.split_first_chunk::<10>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        let fixed = Fixed {
            rtype: u16::from_be_bytes([*t0, *t1]),
            class: u16::from_be_bytes([*c0, *c1]),
            ttl: *ttl,
            rdata,
        };
        Some((name, fixed, rest))
    }
}
