//! Reading a request for a transfer.

use crate::answer::{self, Rcode};
use crate::ids::Serial;
use crate::zone::rdata::{rtype, soa_numbers};
use crate::zone::{Name, skip_name};

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;

/// A request for a transfer.
#[derive(Clone, Copy, Debug)]
pub struct TransferRequest<'m> {
    /// The message without a signature.
    pub(super) header: [u8; HEADER],
    /// The question, octet for octet.
    pub(super) question: &'m [u8],
    /// The zone, in wire format.
    pub(super) origin: &'m [u8],
    /// What is wanted of it.
    pub kind: Kind,
    /// The client's UDP payload size, if it speaks EDNS.
    pub(super) edns: Option<u16>,
}

/// What is wanted of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All of it: AXFR.
    Full,
    /// What changed since this serial: IXFR.
    Since(Serial),
}

/// The type in the question of a message, if it is a plain query.
fn question_type(message: &[u8]) -> Option<u16> {
    // QR and the opcode are zero, and there is a question.
    if message.get(2)? & 0xf8 != 0 || message.get(4..6)? == [0, 0] {
        return None;
    }
    let at = skip_name(message, HEADER)?;
    let [t0, t1] = *message.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes([t0, t1]))
}

/// Whether a message asks for a transfer; it may still be malformed.
#[must_use]
pub fn is_request(message: &[u8]) -> bool {
    matches!(question_type(message), Some(rtype::AXFR | rtype::IXFR))
}

impl<'m> TransferRequest<'m> {
    /// Reads a message for which [`is_request`] holds, its signature taken off.
    ///
    /// # Errors
    /// The RCODE that it is answered with.
    pub fn read(message: &'m [u8]) -> Result<TransferRequest<'m>, Rcode> {
        let query = match answer::read(message) {
            Some(Ok(query)) => query,
            Some(Err(refusal)) => return Err(refusal.rcode),
            None => return Err(Rcode::FormatError),
        };
        if query.qclass != CLASS_IN {
            return Err(Rcode::Refused);
        }
        let kind = match query.qtype {
            rtype::AXFR => Kind::Full,
            rtype::IXFR => {
                let serial = serial_of(message, HEADER + query.question.len());
                Kind::Since(serial.ok_or(Rcode::FormatError)?)
            }
            _ => return Err(Rcode::FormatError),
        };
        Ok(TransferRequest {
            header: message.first_chunk().copied().unwrap_or_default(),
            question: query.question,
            origin: query.qname,
            kind,
            edns: query.edns.map(|edns| edns.udp_payload),
        })
    }

    /// The zone that is wanted.
    #[must_use]
    pub fn origin(&self) -> Name {
        Name::from_wire(self.origin).unwrap_or_else(|_| Name::root())
    }

    /// The client's UDP payload size, if it speaks EDNS.
    #[must_use]
    pub fn udp_payload(&self) -> Option<u16> {
        self.edns
    }
}

/// The serial of the SOA at `at`, the first record of the authority section (RFC 1995 section 3).
fn serial_of(message: &[u8], at: usize) -> Option<Serial> {
    let [authority @ .., _, _] = message.get(8..HEADER)? else {
        return None;
    };
    if authority == [0, 0] {
        return None;
    }
    let at = skip_name(message, at)?;
    let [t0, t1, ..] = *message.get(at..)?.first_chunk::<10>()?;
    if u16::from_be_bytes([t0, t1]) != rtype::SOA {
        return None;
    }
    let numbers = skip_name(message, skip_name(message, at + 10)?)?;
    let serial = soa_numbers(message.get(numbers..numbers + 20)?)?;
    Some(Serial(serial.serial))
}
