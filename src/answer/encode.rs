//! Writing an answer: RRsets whole or not at all, names compressed where that is allowed.

use super::edns::Opt;
use super::query::{HEADER, QUESTION, Query};
use super::resolve::{Answer, Entry, Owner, Rcode};
use crate::ids::Serial;
use crate::zone::rdata::{host, layout};
use crate::zone::{Rrset, is_below};

/// The owner that stands in the question: a pointer to it.
pub(super) const TO_QUESTION: [u8; 2] = [0xc0, 12];
/// A pointer reaches so far (RFC 1035 section 4.1.4).
const MAX_POINTER: usize = 0x3fff;
/// So many places that a pointer may point at are remembered.
const MAX_TARGETS: usize = 64;

/// Fills `out` with the response to `query`, of `limit` octets at most (512 at least). What
/// does not fit is left out by whole RRsets (RFC 2181 section 9); if it was required, TC is set
/// and nothing follows it. OPT always fits, but for what of it may be left out.
pub fn encode(
    query: &Query<'_>,
    answer: &Answer<'_>,
    opt: Option<&Opt<'_>>,
    limit: usize,
    out: &mut Vec<u8>,
) {
    begin(query, out);
    let room = limit.saturating_sub(opt.map_or(0, Opt::len));
    let (mut counts, truncated) = sections(query, answer, room, out, None);
    if let Some(opt) = opt {
        opt.write(answer.rcode, answer.extended, limit, out);
        counts[2] += 1;
    }
    let flags = Flags {
        rcode: answer.rcode,
        authoritative: answer.authoritative,
        truncated: truncated || answer.over_stream,
    };
    header(query, flags, counts, out);
}

/// The beginning of a response, with room for its header.
pub(super) fn begin(query: &Query<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; HEADER]);
    out.extend_from_slice(query.question);
}

/// Appends the sections to a message that has its question, up to `room` octets in all. How many
/// records each has, and whether something required was left out. `moving` takes where pointers
/// stand that depend on the length of the question.
pub(super) fn sections(
    query: &Query<'_>,
    answer: &Answer<'_>,
    room: usize,
    out: &mut Vec<u8>,
    moving: Option<&mut Vec<usize>>,
) -> ([u16; 3], bool) {
    let base = query.qname.len().saturating_sub(answer.base);
    let mut writer = Writer {
        out,
        limit: room,
        class: query.qclass.to_be_bytes(),
        qname: query.qname,
        shared: query.qname.get(base..).unwrap_or(&[]),
        targets: Targets::default(),
        moving,
    };
    let mut counts = [0u16; 3];
    let answers = answer.answer.iter().map(|entry| (entry, 0));
    let authority = answer.authority.iter().map(|entry| (entry, 1));
    let additional = answer.additional.iter().map(|entry| (entry, 2));
    for (entry, section) in answers.chain(authority).chain(additional) {
        let records = writer.rrset(entry);
        if records.is_none() && entry.required {
            return (counts, true);
        }
        if let Some(count) = counts.get_mut(section) {
            *count += records.unwrap_or(0);
        }
    }
    (counts, false)
}

/// What the header says beside the counts.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
}

/// Writes the header where [`begin`] left room for it.
pub(super) fn header(query: &Query<'_>, of: Flags, counts: [u16; 3], out: &mut [u8]) {
    let [id0, id1, asked, ..] = query.header;
    // QR, the opcode and RD as asked, AA and TC.
    let mut flags = 0x80 | (asked & 0x79);
    flags |= u8::from(of.authoritative) << 2 | u8::from(of.truncated) << 1;
    // RA, Z, AD and CD are clear: nothing here recurses or validates (RFC 4035 section 3.1.6).
    let more = u8::try_from(of.rcode.number() & 0xf).unwrap_or(0);
    let questions = u16::from(!query.question.is_empty());
    let mut octets = [id0, id1, flags, more, 0, 0, 0, 0, 0, 0, 0, 0];
    let all = [questions, counts[0], counts[1], counts[2]];
    for (place, count) in octets[4..].chunks_exact_mut(2).zip(all) {
        place.copy_from_slice(&count.to_be_bytes());
    }
    if let Some(place) = out.first_chunk_mut::<HEADER>() {
        *place = octets;
    }
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    limit: usize,
    /// That of the question: nothing of another is ever answered.
    class: [u8; 2],
    /// The name in the question, and the rest of it that others may be compressed against.
    qname: &'o [u8],
    shared: &'o [u8],
    /// Offsets behind the question at which a name, or the rest of one, is written out.
    targets: Targets,
    moving: Option<&'o mut Vec<usize>>,
}

/// The first [`MAX_TARGETS`] offsets that a pointer may point at, without the heap.
struct Targets {
    offsets: [u16; MAX_TARGETS],
    count: usize,
}

impl Default for Targets {
    fn default() -> Targets {
        Targets {
            offsets: [0; MAX_TARGETS],
            count: 0,
        }
    }
}

impl Targets {
    fn push(&mut self, offset: u16) {
        if let Some(free) = self.offsets.get_mut(self.count) {
            *free = offset;
            self.count += 1;
        }
    }

    fn find(&self, is_it: impl Fn(u16) -> bool) -> Option<u16> {
        let offsets = self.offsets.get(..self.count).unwrap_or(&[]);
        offsets.iter().rev().copied().find(|offset| is_it(*offset))
    }
}

impl Writer<'_> {
    /// Writes an RRset and says how many records it has, or leaves all as it was.
    fn rrset(&mut self, entry: &Entry<'_>) -> Option<u16> {
        let (start, targets) = (self.out.len(), self.targets.count);
        let mut records = 0u16;
        for rdata in Rrset::from_packed(entry.rtype, entry.ttl, &entry.packed).records() {
            self.record(entry, rdata);
            if self.out.len() > self.limit {
                self.out.truncate(start);
                self.targets.count = targets;
                return None;
            }
            records = records.saturating_add(1);
        }
        Some(records)
    }

    fn record(&mut self, entry: &Entry<'_>, rdata: &[u8]) {
        match &entry.owner {
            Owner::Question => self.out.extend_from_slice(&TO_QUESTION),
            Owner::Stored(_) | Owner::Made(_) => self.name(entry.owner.wire(&[])),
        }
        self.out.extend_from_slice(&entry.rtype.to_be_bytes());
        self.out.extend_from_slice(&self.class);
        self.out.extend_from_slice(&entry.ttl.to_be_bytes());
        let length_at = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        self.rdata(entry.rtype, rdata);
        if let Some(serial) = entry.serial {
            self.serial(serial);
        }
        let length = u16::try_from(self.out.len() - length_at - 2).unwrap_or(u16::MAX);
        if let Some(place) = self.out.get_mut(length_at..length_at + 2) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Puts a serial into the SOA that was just written: it has five numbers at its end.
    fn serial(&mut self, serial: Serial) {
        if let Some(numbers) = self.out.last_chunk_mut::<20>()
            && let Some(place) = numbers.first_chunk_mut::<4>()
        {
            *place = serial.0.to_be_bytes();
        }
    }

    fn rdata(&mut self, rtype: u16, rdata: &[u8]) {
        let Some(layout) = layout(rtype).filter(|layout| layout.compress) else {
            // The target of an SRV is written in full, and its addresses may point at it.
            if let Some(host) = host(rtype, rdata) {
                self.target(self.out.len() + rdata.len() - host.len());
            }
            self.out.extend_from_slice(rdata);
            return;
        };
        let (before, mut rest) = rdata
            .split_at_checked(layout.before)
            .unwrap_or((rdata, &[]));
        self.out.extend_from_slice(before);
        for _ in 0..layout.names {
            let length = crate::zone::wire_len(rest).unwrap_or(0);
            let (name, after) = rest.split_at_checked(length).unwrap_or((&[], rest));
            self.name(name);
            rest = after;
        }
        self.out.extend_from_slice(rest);
    }

    /// Writes a name: labels up to a rest that is already there, then a pointer to that.
    fn name(&mut self, wire: &[u8]) {
        let mut rest = wire;
        loop {
            let Some(&length) = rest.first() else {
                return;
            };
            if length == 0 {
                self.out.push(0);
                return;
            }
            if let Some(at) = self.known(rest) {
                self.pointer(at);
                return;
            }
            self.target(self.out.len());
            let (label, after) = rest
                .split_at_checked(1 + usize::from(length))
                .unwrap_or((rest, &[]));
            self.out.extend_from_slice(label);
            rest = after;
        }
    }

    /// Where the name `wire` stands already. What was written last comes first: the addresses of
    /// a host point at the record that names it, whatever the question is.
    fn known(&self, wire: &[u8]) -> Option<u16> {
        let behind = self.targets.find(|at| self.stands_at(wire, at));
        behind.or_else(|| self.in_question(wire))
    }

    fn in_question(&self, wire: &[u8]) -> Option<u16> {
        let is_it = is_below(self.shared, wire);
        let at = self.qname.len().checked_sub(wire.len()).filter(|_| is_it)?;
        u16::try_from(QUESTION + at).ok()
    }

    fn target(&mut self, at: usize) {
        if at <= MAX_POINTER
            && let Ok(at) = u16::try_from(at)
        {
            self.targets.push(at);
        }
    }

    fn pointer(&mut self, at: u16) {
        if let Some(moving) = &mut self.moving {
            moving.push(self.out.len());
        }
        self.out.extend_from_slice(&(0xc000 | at).to_be_bytes());
    }

    /// Whether the name `wire` stands at `at`, in any spelling.
    fn stands_at(&self, wire: &[u8], at: u16) -> bool {
        let (mut at, mut rest) = (usize::from(at), wire);
        // Every turn takes a label off `rest` or goes backwards, so it ends.
        loop {
            match self.out.get(at) {
                Some(&high @ 0xc0..) => {
                    let low = self.out.get(at + 1).copied().unwrap_or(0);
                    let to = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    if to >= at {
                        return false;
                    }
                    at = to;
                }
                Some(&length) => {
                    let size = 1 + usize::from(length);
                    let (Some(here), Some(ours)) = (self.out.get(at..at + size), rest.get(..size))
                    else {
                        return false;
                    };
                    if !here.eq_ignore_ascii_case(ours) {
                        return false;
                    }
                    if length == 0 {
                        return true;
                    }
                    at += size;
                    rest = rest.get(size..).unwrap_or(&[]);
                }
                None => return false,
            }
        }
    }
}
