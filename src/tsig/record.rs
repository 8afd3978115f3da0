//! The TSIG record in a message (RFC 8945 section 4.2): found, read, and written.

use ring::hmac;
use subtle::ConstantTimeEq;

use super::key::Key;
use crate::time::Wall;
use crate::zone::rdata::rtype;
use crate::zone::{Name, skip_name};

const HEADER: usize = 12;
const CLASS_ANY: u16 = 255;

/// The message has a TSIG record that cannot be one: FORMERR (RFC 8945 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A TSIG record as it was received.
#[derive(Clone, Debug)]
pub(super) struct Found<'m> {
    /// Where it begins: all before it is signed.
    pub(super) start: usize,
    /// The key's name.
    pub(super) key: Name,
    /// The algorithm's name.
    pub(super) algorithm: Name,
    pub(super) variables: Variables<'m>,
    pub(super) mac: &'m [u8],
    pub(super) original_id: [u8; 2],
}

/// What is signed beside the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variables<'m> {
    /// Seconds since 1970, 48 bits.
    pub(super) time: u64,
    pub(super) fudge: u16,
    pub(super) error: u16,
    pub(super) other: &'m [u8],
}

/// The time as TSIG counts it.
pub(super) fn seconds(now: Wall) -> u64 {
    now.unix_seconds() & 0xffff_ffff_ffff
}

/// The last six octets of a number: 48 bits.
pub(super) fn six(time: u64) -> [u8; 6] {
    let [_, _, six @ ..] = time.to_be_bytes();
    six
}

impl Variables<'_> {
    /// Whether the two clocks agree (RFC 8945 section 5.2.3).
    pub(super) fn is_timely(&self, now: Wall) -> bool {
        self.time.abs_diff(seconds(now)) <= u64::from(self.fudge)
    }

    /// RFC 8945 section 4.3.3.
    fn sign(&self, key: &Key, context: &mut hmac::Context) {
        context.update(key.name().wire());
        context.update(&CLASS_ANY.to_be_bytes());
        context.update(&[0; 4]);
        context.update(key.algorithm().wire());
        self.sign_timers(context);
        context.update(&self.error.to_be_bytes());
        context.update(&length(self.other));
        context.update(self.other);
    }

    /// RFC 8945 section 5.3.1: all that later messages of a response sign.
    fn sign_timers(&self, context: &mut hmac::Context) {
        context.update(&six(self.time));
        context.update(&self.fudge.to_be_bytes());
    }
}

fn length(octets: &[u8]) -> [u8; 2] {
    u16::try_from(octets.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes()
}

/// How much of the variables a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// All: requests, and the first message of a response.
    All,
    /// The time and the fudge: later messages.
    Timers,
}

/// Begins the digest of the next message with the signature before it.
pub(super) fn after(key: &Key, mac: &[u8]) -> hmac::Context {
    let mut context = key.context();
    context.update(&length(mac));
    context.update(mac);
    context
}

/// Ends a digest: the message as it was before it was signed, then the variables.
pub(super) fn digest(
    mut context: hmac::Context,
    key: &Key,
    header: &[u8],
    body: &[u8],
    variables: &Variables<'_>,
    cover: Cover,
) -> hmac::Tag {
    context.update(header);
    context.update(body);
    match cover {
        Cover::All => variables.sign(key, &mut context),
        Cover::Timers => variables.sign_timers(&mut context),
    }
    context.sign()
}

/// Whether `mac` is the beginning of `tag`. Its length is checked before.
pub(super) fn is_beginning(tag: &hmac::Tag, mac: &[u8]) -> bool {
    let expected = tag.as_ref().get(..mac.len());
    expected.is_some_and(|expected| expected.ct_eq(mac).into())
}

impl<'m> Found<'m> {
    /// The TSIG record of a message, if it has one. What cannot be read at all has none: whoever
    /// answers it will find the fault too.
    pub(super) fn find(message: &'m [u8]) -> Result<Option<Found<'m>>, Malformed> {
        let Some(header) = message.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [.., q0, q1, an0, an1, ns0, ns1, ar0, ar1] = *header;
        let count = |high, low| usize::from(u16::from_be_bytes([high, low]));
        if count(ar0, ar1) == 0 {
            return Ok(None);
        }
        let mut at = HEADER;
        for _ in 0..count(q0, q1) {
            match skip_name(message, at) {
                Some(end) => at = end + 4,
                None => return Ok(None),
            }
        }
        let records = count(an0, an1) + count(ns0, ns1) + count(ar0, ar1);
        for left in (0..records).rev() {
            let Some((fixed, rdata, end)) = fixed_part(message, at) else {
                return Ok(None);
            };
            let [t0, t1, class_and_ttl @ .., _, _] = *fixed;
            if u16::from_be_bytes([t0, t1]) == rtype::TSIG {
                // RFC 8945 section 5.2: one, and the last of the message.
                if left > 0 || end != message.len() || class_and_ttl != [0, 255, 0, 0, 0, 0] {
                    return Err(Malformed);
                }
                return Found::read(message, at, rdata).map(Some).ok_or(Malformed);
            }
            at = end;
        }
        Ok(None)
    }

    fn read(message: &'m [u8], start: usize, rdata: &'m [u8]) -> Option<Found<'m>> {
        let (key, _) = Name::from_message(message, start)?;
        let algorithm = Name::from_wire(rdata).ok()?;
        let rest = rdata.get(algorithm.wire().len()..)?;
        let ([time @ .., f0, f1, m0, m1], rest) = rest.split_first_chunk::<10>()?;
        let (mac, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*m0, *m1])))?;
        let ([i0, i1, e0, e1, o0, o1], other) = rest.split_first_chunk::<6>()?;
        let [t0, t1, t2, t3, t4, t5] = *time;
        (other.len() == usize::from(u16::from_be_bytes([*o0, *o1]))).then_some(Found {
            start,
            key,
            algorithm,
            variables: Variables {
                time: u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]),
                fudge: u16::from_be_bytes([*f0, *f1]),
                error: u16::from_be_bytes([*e0, *e1]),
                other,
            },
            mac,
            original_id: [*i0, *i1],
        })
    }

    /// The message without this record: its header as it was signed, and the rest.
    pub(super) fn unsigned(&self, message: &'m [u8]) -> ([u8; HEADER], &'m [u8]) {
        let mut header = message.first_chunk::<HEADER>().copied().unwrap_or_default();
        let additional = u16::from_be_bytes([header[10], header[11]]).saturating_sub(1);
        [header[10], header[11]] = additional.to_be_bytes();
        let body = message.get(HEADER..self.start).unwrap_or(&[]);
        (header, body)
    }

    /// The same as one piece, with the id that the message had on the way.
    pub(super) fn stripped(&self, message: &'m [u8]) -> Vec<u8> {
        let (header, body) = self.unsigned(message);
        [&header[..], body].concat()
    }

    /// The signature that the message should have. `context` has what comes before it.
    pub(super) fn expected(
        &self,
        message: &'m [u8],
        context: hmac::Context,
        key: &Key,
        cover: Cover,
    ) -> hmac::Tag {
        let (mut header, body) = self.unsigned(message);
        [header[0], header[1]] = self.original_id;
        digest(context, key, &header, body, &self.variables, cover)
    }
}

/// Appends a TSIG record.
pub(super) fn append(
    message: &mut Vec<u8>,
    key_name: &[u8],
    algorithm: &[u8],
    variables: &Variables<'_>,
    mac: &[u8],
) {
    let id = message.first_chunk::<2>().copied().unwrap_or_default();
    message.extend_from_slice(key_name);
    message.extend_from_slice(&rtype::TSIG.to_be_bytes());
    message.extend_from_slice(&CLASS_ANY.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    let size = algorithm.len() + 16 + mac.len() + variables.other.len();
    message.extend_from_slice(&u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes());
    message.extend_from_slice(algorithm);
    message.extend_from_slice(&six(variables.time));
    message.extend_from_slice(&variables.fudge.to_be_bytes());
    message.extend_from_slice(&length(mac));
    message.extend_from_slice(mac);
    message.extend_from_slice(&id);
    message.extend_from_slice(&variables.error.to_be_bytes());
    message.extend_from_slice(&length(variables.other));
    message.extend_from_slice(variables.other);
    if let Some(counts) = message.first_chunk_mut::<HEADER>() {
        let additional = u16::from_be_bytes([counts[10], counts[11]]).saturating_add(1);
        [counts[10], counts[11]] = additional.to_be_bytes();
    }
}

/// The record at `at`: type, class, TTL and length; RDATA; the offset behind it.
fn fixed_part(message: &[u8], at: usize) -> Option<(&[u8; 10], &[u8], usize)> {
    let (fixed, rest) = message
        .get(skip_name(message, at)?..)?
        .split_first_chunk::<10>()?;
    let [.., l0, l1] = *fixed;
    let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((fixed, rdata, message.len() - rest.len()))
}
