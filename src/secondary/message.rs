//! Queries to a primary, and its responses as records with names uncompressed.

use super::error::TransferError;
use crate::zone::rdata::{is_well_formed, layout, rtype, type_name};
use crate::zone::{Name, Record};

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;

/// A query for `qtype` of `origin`. With `have`, the SOA that says which version we hold stands in
/// the authority section (RFC 1995 section 3).
#[must_use]
pub fn query(id: u16, origin: &Name, qtype: u16, have: Option<&[u8]>) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let mut message = vec![high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(origin.wire());
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    if let Some((soa, length)) = have.and_then(|soa| Some((soa, u16::try_from(soa.len()).ok()?))) {
        if let Some(count) = message.get_mut(9) {
            *count = 1;
        }
        message.extend_from_slice(origin.wire());
        message.extend_from_slice(&rtype::SOA.to_be_bytes());
        message.extend_from_slice(&CLASS_IN.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(soa);
    }
    message
}

/// A response, checked as far as it can be without its records.
#[derive(Clone, Copy, Debug)]
pub struct Response<'m> {
    octets: &'m [u8],
    /// Where the answer section begins.
    at: usize,
    answers: u16,
    /// AA.
    pub authoritative: bool,
}

impl<'m> Response<'m> {
    /// Reads the header and the question of a response to our query `id` about `origin`.
    ///
    /// # Errors
    /// It is none, or it says an error.
    pub fn read(
        octets: &'m [u8],
        id: u16,
        origin: &Name,
        qtype: u16,
    ) -> Result<Response<'m>, TransferError> {
        let cut = TransferError::Malformed("it ends too early");
        let [i0, i1, high, low, q0, q1, a0, a1, ..] = *octets.first_chunk::<HEADER>().ok_or(cut)?;
        if u16::from_be_bytes([i0, i1]) != id {
            return Err(TransferError::Malformed("it has another ID than the query"));
        }
        if high & 0x80 == 0 || high & 0x78 != 0 {
            return Err(TransferError::Malformed("it is no response to a query"));
        }
        if low & 0xf != 0 {
            return Err(TransferError::Refused(low & 0xf));
        }
        if high & 0x02 != 0 {
            return Err(TransferError::Malformed(
                "it is truncated, over TCP nothing is",
            ));
        }
        let mut at = HEADER;
        // The later messages of a transfer need not repeat the question (RFC 5936 section 2.2.1).
        for _ in 0..u16::from_be_bytes([q0, q1]) {
            let (name, after) = Name::from_message(octets, at)
                .ok_or(TransferError::Malformed("its question is no question"))?;
            let asked = octets.get(after..after + 4).unwrap_or_default();
            let [t0, t1] = qtype.to_be_bytes();
            if name != *origin || asked != [t0, t1, 0, 1] {
                return Err(TransferError::Malformed(
                    "it has another question than the query",
                ));
            }
            at = after + 4;
        }
        Ok(Response {
            octets,
            at,
            answers: u16::from_be_bytes([a0, a1]),
            authoritative: high & 0x04 != 0,
        })
    }

    /// The records of the answer section, names in them uncompressed, each RDATA as its type asks
    /// for.
    pub fn answers(&self) -> impl Iterator<Item = Result<Record, TransferError>> {
        let (octets, mut at, mut left) = (self.octets, self.at, self.answers);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let read = record(octets, at);
            match &read {
                Ok((_, after)) => at = *after,
                Err(_) => left = 0,
            }
            Some(read.map(|(record, _)| record))
        })
    }
}

/// The record at `at`, and where the next one begins.
fn record(octets: &[u8], at: usize) -> Result<(Record, usize), TransferError> {
    let cut = TransferError::Malformed("it ends within a record");
    let (owner, at) = Name::from_message(octets, at).ok_or(TransferError::Malformed(
        "the owner of a record is no name (RFC 1035 section 4.1.4)",
    ))?;
    let fixed = octets.get(at..).and_then(|rest| rest.first_chunk::<10>());
    let [t0, t1, c0, c1, ttl @ .., l0, l1] = *fixed.ok_or(cut.clone())?;
    let start = at + 10;
    let end = start + usize::from(u16::from_be_bytes([l0, l1]));
    let rtype = u16::from_be_bytes([t0, t1]);
    let bad = |message| TransferError::Record {
        owner: owner.clone(),
        kind: type_name(rtype),
        message,
    };
    if end > octets.len() {
        return Err(cut);
    }
    if u16::from_be_bytes([c0, c1]) != CLASS_IN {
        return Err(bad(
            "its class is not IN, this server serves no other, remove it at the primary",
        ));
    }
    if rtype == 0 || rtype == rtype::OPT || (128..=255).contains(&rtype) {
        return Err(bad(
            "it is of a meta type, a zone holds data types only (RFC 6895 section 3.1), remove it \
             at the primary",
        ));
    }
    let rdata = rdata(octets, rtype, start, end)
        .filter(|rdata| is_well_formed(rtype, rdata))
        .ok_or_else(|| {
            bad("its data has not the form that the type's RFC gives it, correct it at the primary")
        })?;
    // RFC 2181 section 8: a TTL with the top bit set is zero.
    let ttl = u32::from_be_bytes(ttl);
    let ttl = if ttl > i32::MAX.unsigned_abs() {
        0
    } else {
        ttl
    };
    let record = Record {
        owner,
        rtype,
        ttl,
        rdata,
    };
    Ok((record, end))
}

/// The RDATA at `start..end`, its names written out where a sender may have compressed them: the
/// types of RFC 1035, and those that RFC 3597 section 4 tells receivers to expect.
fn rdata(octets: &[u8], rtype: u16, start: usize, end: usize) -> Option<Vec<u8>> {
    let whole = octets.get(start..end)?;
    let (before, names, after) = match layout(rtype) {
        Some(layout) => (layout.before, layout.names, layout.after),
        None => match before_name(rtype, whole) {
            Some((before, names, after)) => (before, names, after),
            None => return Some(whole.to_vec()),
        },
    };
    let mut rdata = whole.get(..before)?.to_vec();
    let mut at = start + before;
    for _ in 0..names {
        let (name, next) = Name::from_message(octets, at)?;
        rdata.extend_from_slice(name.wire());
        at = next;
    }
    let rest = octets.get(at..end)?;
    if after.is_some_and(|after| after != rest.len()) {
        return None;
    }
    rdata.extend_from_slice(rest);
    Some(rdata)
}

/// Octets before the names of types that the answer engine has no use for, how many names there
/// are, and what follows them.
fn before_name(rtype: u16, rdata: &[u8]) -> Option<(usize, usize, Option<usize>)> {
    const SIG: u16 = 24;
    const PX: u16 = 26;
    const NXT: u16 = 30;
    const NAPTR: u16 = 35;
    match rtype {
        SIG => Some((18, 1, None)),
        PX => Some((2, 2, Some(0))),
        NXT => Some((0, 1, None)),
        NAPTR => {
            let mut at = 4;
            for _ in 0..3 {
                at += 1 + usize::from(*rdata.get(at)?);
            }
            Some((at, 1, Some(0)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(answer: &[u8]) -> Vec<u8> {
        let mut message = query(7, &"z.".parse().unwrap(), rtype::AXFR, None);
        message[2] = 0x84;
        message[7] = 1;
        message.extend_from_slice(answer);
        message
    }

    fn first(message: &[u8]) -> Result<Record, TransferError> {
        let response = Response::read(message, 7, &"z.".parse().unwrap(), rtype::AXFR)?;
        response.answers().next().unwrap()
    }

    #[test]
    fn compressed_names_come_out_whole() {
        let record = first(&response(
            b"\x01a\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x06\0\x0a\x01m\xc0\x0c",
        ));
        let record = record.unwrap();
        assert_eq!(record.owner.to_string(), "a.z.");
        assert_eq!(record.rdata, b"\0\x0a\x01m\x01z\0");
    }

    #[test]
    fn pointers_that_do_not_lead_back_are_refused() {
        for pointer in [&b"\xc0\x13"[..], b"\xc0\xff", b"\x01a\xc0\x13", b"\x40a"] {
            let mut answer = pointer.to_vec();
            answer.extend_from_slice(b"\0\x01\0\x01\0\0\0\x3c\0\x04\x01\x02\x03\x04");
            let error = first(&response(&answer)).unwrap_err();
            assert!(matches!(error, TransferError::Malformed(_)), "{error}");
        }
    }

    #[test]
    fn what_is_no_answer_of_a_primary_says_why() {
        let good = response(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x01\x02\x03\x04");
        assert!(first(&good).is_ok());
        let from_end = |back: usize| good.len() - back;
        for (at, value, what) in [
            (0, 9, "another ID"),
            (2, 0x04, "no response"),
            (2, 0xa4, "no response"),
            (2, 0x86, "truncated"),
            (3, 5, "REFUSED"),
            (13, b'y', "another question"),
            (from_end(11), 3, "class is not IN"),
            (from_end(13), 255, "meta type"),
            (from_end(13), 28, "not the form"),
            (from_end(5), 5, "ends within"),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            let said = first(&bad).map_or_else(|error| error.to_string(), |_| String::new());
            assert!(said.contains(what), "{what}: {said}");
        }
        for length in 0..good.len() {
            assert!(first(&good[..length]).is_err(), "{length}");
        }
    }
}
