//! Records into messages, as many into each as fit.

use super::plan::{Denial, Plan};
use super::request::TransferRequest;
use crate::answer::Rcode;
use crate::history::{WireRecord, WireRecords};
use crate::snapshot::ServedZone;
use crate::zone::rdata::{layout, rtype};
use crate::zone::wire_len;

const HEADER: usize = 12;
/// A message is no longer than this, unless one record is: a pointer reaches so far (RFC 1035
/// section 4.1.4), and RFC 5936 section 2.2 asks for many records in a message.
const MESSAGE: usize = 16 << 10;
/// No message is longer.
const MOST: usize = 65_535;
/// An OPT record without options.
const OPT: usize = 11;
/// So many places that names may point at are remembered in a message.
const PLACES: usize = 1024;
/// The greatest UDP payload that we take.
const UDP_PAYLOAD: u16 = crate::snapshot::UDP_PAYLOAD;

/// Why a transfer ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Whoever takes the messages takes no more.
    Unwanted,
    /// A record fits into no message.
    TooLarge,
}

/// Hands the messages of a transfer to `emit`, which says whether it takes more. Each has `room`
/// octets left for a signature. `limit` is set over UDP: there is one message, of so many octets
/// at most.
///
/// # Errors
/// Why it ended early: the stream is to be closed, for the client must not take the part that it
/// has for the whole. Over UDP, [`Stopped::TooLarge`] means that it does not fit.
pub fn write(
    zone: ServedZone<'_>,
    request: &TransferRequest<'_>,
    plan: &Plan,
    room: usize,
    limit: Option<usize>,
    emit: &mut dyn FnMut(&mut Vec<u8>) -> bool,
) -> Result<(), Stopped> {
    let mut packer = Packer::new(request, room, limit, emit);
    let result = match plan {
        Plan::Current => packer.soa(zone),
        Plan::Incremental(difference) => packer.soa(zone).and_then(|()| {
            for records in [&difference.removed, &difference.added] {
                for record in WireRecords(records) {
                    packer.record(record)?;
                }
            }
            packer.soa(zone)
        }),
        Plan::Full => packer.soa(zone).and_then(|()| {
            let mut result = Ok(());
            zone.each_record(&mut |record| {
                result = packer.record(record);
                result.is_ok()
            });
            result?;
            packer.soa(zone)
        }),
    };
    result?;
    packer.flush()
}

/// The response to a request that cannot be read, or gets no transfer.
pub fn write_error(
    message: &[u8],
    error: Result<Denial, Rcode>,
    has_edns: bool,
    out: &mut Vec<u8>,
) {
    let (rcode, reason) = match error {
        Ok(Denial::NotOurs) => (9, None),
        // RFC 8914 section 4.19: prohibited.
        Ok(Denial::NotPermitted) => (5, Some(18u16)),
        Ok(Denial::TooMany) => (5, None),
        Ok(Denial::NoData) => (2, None),
        Err(rcode) => (u8::try_from(rcode.number() & 0xf).unwrap_or(2), None),
    };
    out.clear();
    let header = message.first_chunk::<HEADER>().copied().unwrap_or_default();
    let [id0, id1, asked, ..] = header;
    out.extend_from_slice(&[id0, id1, 0x80 | (asked & 0x79), rcode]);
    out.extend_from_slice(&[0; 8]);
    let question = crate::zone::skip_name(message, HEADER)
        .and_then(|end| message.get(HEADER..end + 4))
        .filter(|_| header[4..6] == [0, 1]);
    if let Some(question) = question {
        out.extend_from_slice(question);
        if let Some(count) = out.get_mut(5) {
            *count = 1;
        }
    }
    if has_edns {
        let option = reason.map_or(Vec::new(), |code| {
            let [high, low] = code.to_be_bytes();
            vec![0, 15, 0, 2, high, low]
        });
        opt(&option, out);
        if let Some(count) = out.get_mut(11) {
            *count = 1;
        }
    }
}

fn opt(options: &[u8], out: &mut Vec<u8>) {
    let [p0, p1] = UDP_PAYLOAD.to_be_bytes();
    let length = u16::try_from(options.len()).unwrap_or(0);
    let [l0, l1] = length.to_be_bytes();
    out.extend_from_slice(&[0, 0, 41, p0, p1, 0, 0, 0, 0, l0, l1]);
    out.extend_from_slice(options);
}

struct Packer<'r> {
    request: &'r TransferRequest<'r>,
    emit: &'r mut dyn FnMut(&mut Vec<u8>) -> bool,
    message: Vec<u8>,
    answers: u16,
    /// Whether this is the first message: it has the question, and OPT (RFC 5936 section 2.2).
    first: bool,
    /// What a message may take beside OPT and the signature.
    soft: usize,
    hard: usize,
    one_only: bool,
    /// Offsets of names, by the hash of their octets; 0 for none.
    places: Box<[u16; PLACES]>,
}

impl<'r> Packer<'r> {
    fn new(
        request: &'r TransferRequest<'r>,
        room: usize,
        limit: Option<usize>,
        emit: &'r mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Packer<'r> {
        let kept = room + OPT;
        let mut packer = Packer {
            request,
            emit,
            message: Vec::with_capacity(MESSAGE),
            answers: 0,
            first: true,
            soft: limit.unwrap_or(MESSAGE).saturating_sub(kept),
            hard: limit.unwrap_or(MOST).saturating_sub(kept),
            one_only: limit.is_some(),
            places: Box::new([0; PLACES]),
        };
        packer.begin();
        packer
    }

    fn begin(&mut self) {
        let [id0, id1, asked, ..] = self.request.header;
        self.message.clear();
        // QR, AA; RD as asked.
        self.message
            .extend_from_slice(&[id0, id1, 0x84 | (asked & 0x01), 0]);
        self.message.extend_from_slice(&[0; 8]);
        self.places.fill(0);
        self.answers = 0;
        if self.first {
            self.message.extend_from_slice(self.request.question);
            self.remember(self.request.origin, HEADER);
        }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        if self.first && self.request.edns.is_some() {
            opt(&[], &mut self.message);
        }
        let additional = u8::from(self.first && self.request.edns.is_some());
        let [a0, a1] = self.answers.to_be_bytes();
        let questions = u8::from(self.first);
        if let Some(counts) = self.message.get_mut(4..HEADER) {
            counts.copy_from_slice(&[0, questions, a0, a1, 0, 0, 0, additional]);
        }
        if !(self.emit)(&mut self.message) {
            return Err(Stopped::Unwanted);
        }
        self.first = false;
        self.begin();
        Ok(())
    }

    fn soa(&mut self, zone: ServedZone<'_>) -> Result<(), Stopped> {
        let (ttl, rdata) = zone.soa_record().ok_or(Stopped::TooLarge)?;
        self.record(WireRecord {
            owner: zone.apex(),
            rtype: rtype::SOA,
            ttl,
            rdata: &rdata,
        })
    }

    fn record(&mut self, record: WireRecord<'_>) -> Result<(), Stopped> {
        let start = self.message.len();
        self.put(record);
        if self.message.len() <= self.soft || (self.answers == 0 && self.message.len() <= self.hard)
        {
            self.answers += 1;
            return Ok(());
        }
        if self.one_only || self.answers == 0 {
            return Err(Stopped::TooLarge);
        }
        self.message.truncate(start);
        self.flush()?;
        self.put(record);
        if self.message.len() > self.hard {
            return Err(Stopped::TooLarge);
        }
        self.answers = 1;
        Ok(())
    }

    fn put(&mut self, record: WireRecord<'_>) {
        self.name(record.owner);
        self.message.extend_from_slice(&record.rtype.to_be_bytes());
        self.message.extend_from_slice(&[0, 1]);
        self.message.extend_from_slice(&record.ttl.to_be_bytes());
        let length_at = self.message.len();
        self.message.extend_from_slice(&[0, 0]);
        self.rdata(record.rtype, record.rdata);
        let length = u16::try_from(self.message.len() - length_at - 2).unwrap_or(u16::MAX);
        if let Some(place) = self.message.get_mut(length_at..length_at + 2) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn rdata(&mut self, rtype: u16, rdata: &[u8]) {
        let layout = layout(rtype).filter(|layout| layout.compress);
        let Some((before, mut rest, names)) = layout.and_then(|layout| {
            let (before, rest) = rdata.split_at_checked(layout.before)?;
            Some((before, rest, layout.names))
        }) else {
            self.message.extend_from_slice(rdata);
            return;
        };
        self.message.extend_from_slice(before);
        for _ in 0..names {
            let length = wire_len(rest).unwrap_or(0);
            let (name, after) = rest.split_at_checked(length).unwrap_or((&[], rest));
            self.name(name);
            rest = after;
        }
        self.message.extend_from_slice(rest);
    }

    /// Writes a name: labels up to a rest that stands already, then a pointer to that.
    fn name(&mut self, wire: &[u8]) {
        let mut at = 0;
        while let Some(&length) = wire.get(at).filter(|length| **length > 0) {
            let rest = wire.get(at..).unwrap_or(&[]);
            let slot = slot(rest);
            let known = self.places.get(slot).copied().unwrap_or(0);
            if known > 0 && self.stands_at(rest, usize::from(known)) {
                self.message
                    .extend_from_slice(&(0xc000 | known).to_be_bytes());
                return;
            }
            self.place(slot, self.message.len());
            let end = at + 1 + usize::from(length);
            self.message
                .extend_from_slice(wire.get(at..end).unwrap_or(&[]));
            at = end;
        }
        self.message.push(0);
    }

    /// Remembers a name that stands at `offset`, and each of its rests.
    fn remember(&mut self, wire: &[u8], offset: usize) {
        let mut at = 0;
        while let Some(&length) = wire.get(at).filter(|length| **length > 0) {
            self.place(slot(wire.get(at..).unwrap_or(&[])), offset + at);
            at += 1 + usize::from(length);
        }
    }

    fn place(&mut self, slot: usize, offset: usize) {
        let offset = u16::try_from(offset).ok().filter(|offset| *offset < 0x4000);
        if let (Some(place), Some(offset)) = (self.places.get_mut(slot), offset) {
            *place = offset;
        }
    }

    /// Whether exactly these octets stand at `at`, pointers followed.
    fn stands_at(&self, mut rest: &[u8], mut at: usize) -> bool {
        loop {
            match self.message.get(at) {
                Some(&high @ 0xc0..) => {
                    let low = self.message.get(at + 1).copied().unwrap_or(0);
                    let to = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    if to >= at {
                        return false;
                    }
                    at = to;
                }
                Some(0) => return rest == [0],
                Some(&length) => {
                    let size = 1 + usize::from(length);
                    let (Some(ours), Some(theirs)) =
                        (rest.get(..size), self.message.get(at..at + size))
                    else {
                        return false;
                    };
                    if ours != theirs {
                        return false;
                    }
                    (rest, at) = (rest.get(size..).unwrap_or(&[]), at + size);
                }
                None => return false,
            }
        }
    }
}

/// Where the offset of a name is kept: FNV-1a of its octets.
fn slot(name: &[u8]) -> usize {
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, octet| {
        (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
    });
    usize::try_from(hash ^ (hash >> 16)).unwrap_or(0) % PLACES
}
