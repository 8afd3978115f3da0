//! Answers that are written out before anybody asks.
//!
//! The question goes back octet for octet, so what follows it is the same for all who ask the
//! same, but for the pointers into it and behind it, which move with its length. A [`Body`] is
//! these octets. What a generation shares with the one before it keeps its bodies.
//!
//! Bodies are kept packed: a head of fourteen octets, the places of the pointers, the octets. Those
//! of static data, of which there may be many, stand one after another in one buffer, behind one index:
//! it takes two looks into memory to find one, and each costs little more than its octets.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::ids::Serial;
use crate::zone::rdata::layout;
use crate::zone::{Index, Seen};

/// The octets of an answer that follow the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body<'b> {
    /// How many octets the name has that they were written for. No name that is answered with
    /// them has fewer, but for those of a set, in which nothing depends on it.
    pub base: u8,
    /// Whether AA is set.
    pub authoritative: bool,
    /// The records of each section.
    pub counts: [u16; 3],
    /// Where the serial of an SOA stands, which each generation has anew.
    pub serial_at: Option<u16>,
    /// Where pointers stand in them that move with the length of the question, 16 bits each.
    pub moving: &'b [[u8; 2]],
    /// The octets.
    pub octets: &'b [u8],
}

/// What a body is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A type at a name: the RRset of a static node, and what it needs beside it.
    Type(u16),
    /// Anything at or below a cut.
    Referral,
}

/// The bodies of a snapshot.
#[derive(Debug, Default)]
pub struct Compiled {
    /// What all generations of a layout have.
    pub(super) fixed: Arc<Fixed>,
    /// Of the sets with SRV records, by their number.
    pub(super) sets: Vec<Option<Arc<[u8]>>>,
}

/// Bodies of static data.
#[derive(Debug, Default)]
pub struct Fixed {
    packed: Box<[u8]>,
    /// Where that of each zone's SOA stands, as it is in a negative answer.
    negative: Box<[u32]>,
    /// Where those of nodes stand, each behind its [`At`].
    nodes: Option<Index>,
}

/// A [`Fixed`] that is being put together.
#[derive(Debug, Default)]
pub struct FixedDraft {
    packed: Vec<u8>,
    negative: Vec<u32>,
    nodes: Vec<(u64, u32)>,
}

/// The place of a zone, the place of a node in it, and the type that is asked for.
type At = [u8; 10];

/// No place.
const NONE: u32 = u32::MAX;
/// In the place of [`Body::serial_at`]: there is none.
const NO_SERIAL: u16 = u16::MAX;

impl Asked {
    /// The question for a type whose RRsets are written out: those with names in them. What has
    /// none is as quickly written from the tree.
    #[must_use]
    pub fn of(rtype: u16) -> Option<Asked> {
        layout(rtype).map(|_| Asked::Type(rtype))
    }

    fn number(self) -> u16 {
        match self {
            Asked::Type(rtype) => rtype,
            // No RRset has this type: it is reserved (RFC 6895 section 3.1).
            Asked::Referral => 0,
        }
    }
}

impl<'b> Body<'b> {
    /// Appends the octets to a message that has the header and the question, whose name has
    /// `name` octets; in an SOA goes the `serial`. Where they begin.
    pub fn write(&self, name: usize, serial: Serial, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(self.octets);
        let Some(written) = out.get_mut(start..) else {
            return start;
        };
        // A name has 255 octets at most, and a body ends far from where pointers do.
        let name = u16::try_from(name).unwrap_or(0);
        let by = name.wrapping_sub(u16::from(self.base));
        for at in self.moving {
            let at = usize::from(u16::from_be_bytes(*at));
            if let Some(pointer) = two(written, at) {
                *pointer = (u16::from_be_bytes(*pointer).wrapping_add(by)).to_be_bytes();
            }
        }
        if let Some(at) = self.serial_at.map(usize::from)
            && let Some(place) = written.get_mut(at..at + 4)
        {
            place.copy_from_slice(&serial.0.to_be_bytes());
        }
        start
    }

    /// Appends the body in its packed form; `None`, with nothing appended, if it is too long for that.
    pub(super) fn pack(&self, into: &mut Vec<u8>) -> Option<()> {
        let moving = u16::try_from(self.moving.len()).ok()?.to_be_bytes();
        let octets = u16::try_from(self.octets.len()).ok()?.to_be_bytes();
        let [answer, authority, additional] = self.counts.map(u16::to_be_bytes);
        let serial_at = self.serial_at.unwrap_or(NO_SERIAL).to_be_bytes();
        into.extend_from_slice(&[self.base, u8::from(self.authoritative)]);
        for number in [answer, authority, additional, serial_at, moving, octets] {
            into.extend_from_slice(&number);
        }
        into.extend_from_slice(self.moving.as_flattened());
        into.extend_from_slice(self.octets);
        Some(())
    }

    /// The body that stands packed at the beginning of `packed`.
    pub(super) fn unpack(packed: &'b [u8]) -> Option<Body<'b>> {
        let ([base, authoritative, numbers @ ..], rest) = packed.split_first_chunk::<14>()?;
        let numbers: &[[u8; 2]; 6] = numbers.as_chunks().0.try_into().ok()?;
        let [answer, authority, additional, serial_at, moving, octets] =
            numbers.map(u16::from_be_bytes);
        let (moving, rest) = rest.split_at_checked(2 * usize::from(moving))?;
        Some(Body {
            base: *base,
            authoritative: *authoritative != 0,
            counts: [answer, authority, additional],
            serial_at: (serial_at != NO_SERIAL).then_some(serial_at),
            moving: moving.as_chunks().0,
            octets: rest.get(..usize::from(octets))?,
        })
    }
}

impl Fixed {
    /// How many zones there are.
    pub(super) fn zones(&self) -> usize {
        self.negative.len()
    }

    /// The SOA of a zone as it stands in a negative answer.
    pub(super) fn negative(&self, zone: usize) -> Option<Body<'_>> {
        let place = *self.negative.get(zone)?;
        Body::unpack(self.packed.get(place as usize..)?)
    }

    /// Reads the slot at which [`Fixed::node`] begins to look.
    pub(super) fn touch_slot(&self, zone: usize, node: u32, asked: Asked) {
        if let (Some(at), Some(nodes)) = (at(zone, node, asked), &self.nodes) {
            nodes.touch(hash(&at));
        }
    }

    /// What a node is answered with.
    pub(super) fn node(&self, zone: usize, node: u32, asked: Asked) -> Option<Body<'_>> {
        let at = at(zone, node, asked)?;
        let read = |place: u32| {
            let rest = self.packed.get(place as usize..)?;
            let (stands, body) = rest.split_first_chunk()?;
            (*stands == at).then_some(body)
        };
        match self.nodes.as_ref()?.get(hash(&at), read) {
            Seen::At(body) => Body::unpack(body),
            Seen::Nowhere | Seen::Perhaps => None,
        }
    }
}

impl FixedDraft {
    /// How many octets it takes by now.
    #[must_use]
    pub fn size(&self) -> usize {
        // The index has a slot and a half of eight octets for each.
        self.packed.len() + 12 * self.nodes.len()
    }

    /// Adds that of the next zone: its SOA as it stands in a negative answer.
    pub fn add_zone(&mut self, negative: Option<&Body<'_>>) {
        let place = self.place();
        let packed = negative.and_then(|body| body.pack(&mut self.packed));
        self.negative.push(packed.and(place).unwrap_or(NONE));
    }

    /// Adds what a node of the zone at a place is answered with.
    pub fn add_node(&mut self, zone: usize, node: u32, asked: Asked, body: &Body<'_>) {
        let (Some(at), Some(place)) = (at(zone, node, asked), self.place()) else {
            return;
        };
        self.packed.extend_from_slice(&at);
        match body.pack(&mut self.packed) {
            Some(()) => self.nodes.push((hash(&at), place)),
            None => self.packed.truncate(place as usize),
        }
    }

    /// Where the next one will stand.
    fn place(&self) -> Option<u32> {
        u32::try_from(self.packed.len()).ok()
    }

    /// It is whole.
    #[must_use]
    pub fn finish(self) -> Fixed {
        Fixed {
            packed: self.packed.into(),
            negative: self.negative.into(),
            nodes: Some(Index::build(self.nodes.into_iter())),
        }
    }
}

fn at(zone: usize, node: u32, asked: Asked) -> Option<At> {
    let [z0, z1, z2, z3] = u32::try_from(zone).ok()?.to_be_bytes();
    let [n0, n1, n2, n3] = node.to_be_bytes();
    let [t0, t1] = asked.number().to_be_bytes();
    Some([z0, z1, z2, z3, n0, n1, n2, n3, t0, t1])
}

fn hash(at: &At) -> u64 {
    FixedState::with_seed(0).hash_one(at)
}

fn two(octets: &mut [u8], at: usize) -> Option<&mut [u8; 2]> {
    octets.get_mut(at..)?.first_chunk_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_found_where_it_was_put_and_is_as_it_was() {
        let soa = Body {
            base: 3,
            authoritative: true,
            counts: [0, 1, 0],
            serial_at: Some(2),
            moving: &[],
            octets: b"soa....",
        };
        let mx = Body {
            counts: [1, 0, 2],
            serial_at: None,
            moving: &[[0, 1], [0, 4]],
            octets: b"mail exchange",
            ..soa
        };
        let mut draft = FixedDraft::default();
        draft.add_zone(Some(&soa));
        draft.add_node(0, 7, Asked::Type(15), &mx);
        draft.add_zone(None);
        draft.add_node(1, 7, Asked::Referral, &soa);
        let fixed = draft.finish();
        assert_eq!((fixed.negative(0), fixed.negative(1)), (Some(soa), None));
        assert_eq!(fixed.node(0, 7, Asked::Type(15)), Some(mx));
        assert_eq!(fixed.node(1, 7, Asked::Referral), Some(soa));
        assert_eq!(fixed.node(1, 7, Asked::Type(15)), None);
        assert_eq!(fixed.node(0, 8, Asked::Type(15)), None);
        assert_eq!((fixed.zones(), Fixed::default().zones()), (2, 0));
    }

    #[test]
    fn what_is_too_long_to_be_packed_is_left_out() {
        let body = Body {
            base: 1,
            authoritative: true,
            counts: [1, 0, 0],
            serial_at: None,
            moving: &[],
            octets: &[0; 70_000],
        };
        let mut draft = FixedDraft::default();
        draft.add_node(0, 0, Asked::Type(2), &body);
        assert_eq!(draft.size(), 0);
    }
}
