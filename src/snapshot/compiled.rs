//! Answers that are written out before anybody asks.
//!
//! The question goes back octet for octet, so what follows it is the same for all who ask the
//! same, but for the pointers into it and behind it, which move with its length. A [`Body`] is
//! these octets. What a generation shares with the one before it keeps its bodies.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::Serial;

/// The octets of an answer that follow the question.
#[derive(Debug, PartialEq, Eq)]
pub struct Body {
    /// How many octets the name has that they were written for. No name that is answered with
    /// them has fewer, but for those of a set, in which nothing depends on it.
    pub base: u8,
    /// Whether AA is set.
    pub authoritative: bool,
    /// The records of each section.
    pub counts: [u16; 3],
    /// The octets.
    pub octets: Box<[u8]>,
    /// Where pointers stand in them that move with the length of the question.
    pub moving: Box<[u16]>,
    /// Where the serial of an SOA stands, which each generation has anew.
    pub serial_at: Option<u16>,
}

/// What a body is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    pub(super) sets: Vec<Option<Arc<Body>>>,
}

/// Bodies of static data.
#[derive(Debug, Default)]
pub struct Fixed {
    /// Of each zone that has data, the SOA as it stands in a negative answer.
    pub negative: Vec<Option<Body>>,
    /// By the place of the zone and the place of the node in it.
    pub nodes: HashMap<(usize, u32, Asked), Body, foldhash::fast::FixedState>,
}

impl Body {
    /// Appends the octets to a message that has the header and the question, whose name has
    /// `name` octets; in an SOA goes the `serial`. Where they begin.
    pub fn write(&self, name: usize, serial: Serial, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.octets);
        let Some(written) = out.get_mut(start..) else {
            return start;
        };
        // A name has 255 octets at most, and a body ends far from where pointers do.
        let name = u16::try_from(name).unwrap_or(0);
        let by = name.wrapping_sub(u16::from(self.base));
        for at in &self.moving {
            let at = usize::from(*at);
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
}

fn two(octets: &mut [u8], at: usize) -> Option<&mut [u8; 2]> {
    octets.get_mut(at..)?.first_chunk_mut()
}
