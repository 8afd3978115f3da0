//! From sorted records to a [`Tree`].

use foldhash::quality::FixedState;
use std::hash::BuildHasher;

use super::draft::{Draft, Row};
use super::key::{LabelStarts, SortKey, common_ancestor};
use super::rdata::rtype;
use super::rrset::pack;
use super::tree::{NONE, SHARED, Tree, TreeTooLarge, WILDCARD};

/// RDATA of fewer octets is never shared: saying where it stands takes about as much.
const WORTH_SHARING: usize = 12;
/// So many RRsets are remembered to be shared.
const MAX_REMEMBERED: usize = 1 << 16;

/// A name at or above the last one added.
struct Above {
    key_length: usize,
    place: u32,
    boundary: u32,
}

/// A tree under construction; owners come in canonical order.
pub(super) struct Builder {
    octets: Vec<u8>,
    places: Vec<u32>,
    /// The names from the apex to the last one added.
    path: Vec<Above>,
    last: SortKey,
    apex_labels: usize,
    /// Where RRsets stand whose data may come again, by its hash; the latest has the slot.
    remembered: Box<[u32]>,
}

impl Builder {
    /// A builder with nothing but what `records` records will need at the least.
    pub(super) fn new(apex: &[u8], records: usize) -> Builder {
        let slots = records.next_power_of_two().min(MAX_REMEMBERED);
        Builder {
            octets: Vec::with_capacity(records.saturating_mul(16)),
            places: Vec::with_capacity(records / 2),
            path: Vec::new(),
            last: SortKey::of_wire(apex),
            apex_labels: LabelStarts::of(apex).count(),
            remembered: vec![NONE; slots].into(),
        }
    }

    /// Adds the records of one owner, sorted by type and without duplicates, and the empty
    /// non-terminals above it. An RRset takes the TTL of its first record. Says which node it is.
    pub(super) fn add(&mut self, draft: &Draft, rows: &[Row]) -> Result<u32, TreeTooLarge> {
        let owner = rows.first().map_or(&[0][..], |first| draft.owner(first));
        let key = SortKey::of_wire(owner);
        self.add_above(owner, &key)?;
        let is_apex = self.places.is_empty();
        let is_boundary = rows
            .iter()
            .any(|row| row.rtype == rtype::DNAME || (row.rtype == rtype::NS && !is_apex));
        let node = self.add_name(owner, key.as_slice().len(), is_boundary)?;
        self.last = key;

        let count_at = self.octets.len();
        let mut count = 0u16;
        self.octets.extend_from_slice(&[0, 0]);
        for rrset in rows.chunk_by(|a, b| a.rtype == b.rtype) {
            self.add_rrset(draft, rrset)?;
            count = count.checked_add(1).ok_or(TreeTooLarge)?;
        }
        if let Some(place) = self.octets.get_mut(count_at..count_at + 2) {
            place.copy_from_slice(&count.to_le_bytes());
        }
        Ok(node)
    }

    /// The names between the last one and this one that have no records of their own.
    fn add_above(&mut self, owner: &[u8], key: &SortKey) -> Result<(), TreeTooLarge> {
        let sorted = key.as_slice();
        let shared = common_ancestor(sorted, self.last.as_slice());
        while self
            .path
            .last()
            .is_some_and(|above| above.key_length > shared)
        {
            self.path.pop();
        }
        let above = self.path.last().map(|above| above.key_length);
        let starts = LabelStarts::of(owner);
        let ends = sorted.iter().enumerate().filter(|(_, octet)| **octet == 0);
        // The root first: its key has no octet.
        let lengths = std::iter::once(0).chain(ends.map(|(end, _)| end + 1));
        for (labels, length) in lengths.enumerate() {
            let is_between = labels >= self.apex_labels && length < sorted.len();
            if is_between && above.is_none_or(|above| length > above) {
                let name = owner.get(starts.suffix(labels)..).unwrap_or(&[0]);
                self.add_name(name, length, false)?;
                self.octets.extend_from_slice(&[0, 0]);
            }
        }
        Ok(())
    }

    /// The head of a node: all but its RRsets.
    fn add_name(
        &mut self,
        owner: &[u8],
        key_length: usize,
        is_boundary: bool,
    ) -> Result<u32, TreeTooLarge> {
        let place = self.place()?;
        let index = u32::try_from(self.places.len()).map_err(|_| TreeTooLarge)?;
        if index >= WILDCARD {
            return Err(TreeTooLarge);
        }
        let boundary = match self.path.last() {
            Some(above) if above.boundary != NONE => above.boundary,
            _ if is_boundary => place,
            _ => NONE,
        };
        if let (Some(above), b"\x01*") = (self.path.last(), owner.get(..2).unwrap_or(&[])) {
            self.mark_wildcard(above.place as usize);
        }
        self.path.push(Above {
            key_length,
            place,
            boundary,
        });
        self.places.push(place);
        self.octets.extend_from_slice(&index.to_le_bytes());
        self.octets.extend_from_slice(&boundary.to_le_bytes());
        self.octets
            .push(u8::try_from(owner.len()).map_err(|_| TreeTooLarge)?);
        self.octets.extend_from_slice(owner);
        Ok(index)
    }

    /// Notes at the node of an encloser that `*` stands right below it.
    fn mark_wildcard(&mut self, encloser: usize) {
        let number = self.octets.get_mut(encloser..encloser + 4);
        if let Some(number) = number.and_then(|four| four.first_chunk_mut::<4>()) {
            *number = (u32::from_le_bytes(*number) | WILDCARD).to_le_bytes();
        }
    }

    fn add_rrset(&mut self, draft: &Draft, rows: &[Row]) -> Result<(), TreeTooLarge> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        self.octets.extend_from_slice(&first.rtype.to_le_bytes());
        self.octets.extend_from_slice(&first.ttl.to_le_bytes());
        let place = self.place()?;
        self.octets.extend_from_slice(&[0; 4]);
        for row in rows {
            if !pack(draft.rdata(row), &mut self.octets) {
                return Err(TreeTooLarge);
            }
        }
        let start = place as usize + 4;
        let length = self.octets.len() - start;
        if length >= WORTH_SHARING
            && let Some(same) = self.remember(place)
        {
            self.octets.truncate(place as usize);
            self.octets.extend_from_slice(&SHARED.to_le_bytes());
            self.octets.extend_from_slice(&same.to_le_bytes());
            return Ok(());
        }
        let length = u32::try_from(length).map_err(|_| TreeTooLarge)?;
        if let Some(room) = self.octets.get_mut(place as usize..start) {
            room.copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    /// The place of an earlier RRset with the data that stands last, at `place`, without its
    /// length yet; if there is none, `place` is remembered.
    fn remember(&mut self, place: u32) -> Option<u32> {
        let data = self.octets.get(place as usize + 4..)?;
        let hash = FixedState::with_seed(1).hash_one(data);
        let mask = self.remembered.len() - 1;
        let slot = usize::try_from(hash & mask as u64).ok()?;
        let slot = self.remembered.get_mut(slot)?;
        let before = *slot;
        let is_same = before != NONE && {
            let start = before as usize;
            let length = self.octets.get(start..start + 4)?;
            let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
            self.octets.get(start + 4..start + 4 + length) == Some(data)
        };
        if is_same {
            return Some(before);
        }
        *slot = place;
        None
    }

    fn place(&self) -> Result<u32, TreeTooLarge> {
        // The two greatest are marks.
        u32::try_from(self.octets.len())
            .ok()
            .filter(|place| *place < SHARED)
            .ok_or(TreeTooLarge)
    }

    /// The tree of what was added; of the apex alone if nothing was.
    pub(super) fn finish(mut self, apex: &[u8]) -> Result<Tree, TreeTooLarge> {
        if self.places.is_empty() {
            let key = SortKey::of_wire(apex);
            self.add_name(apex, key.as_slice().len(), false)?;
            self.octets.extend_from_slice(&[0, 0]);
        }
        self.place()?;
        let (octets, places) = (
            self.octets.into_boxed_slice(),
            self.places.into_boxed_slice(),
        );
        drop(self.remembered);
        Ok(Tree::new(octets, places))
    }
}
