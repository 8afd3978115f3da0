//! From a name to its place by one hash. Linear probing over a table that is a third empty.
//!
//! Whoever writes the zone may choose names that collide, so no search goes far: names that would
//! lie further than [`REACH`] from where they belong are left out, and [`Index::get`] says that
//! it does not know. With names that nobody chose for that it never comes to it.

use foldhash::quality::FixedState;
use std::hash::BuildHasher;
use std::hint::black_box;

use super::name::MAX_WIRE;

/// A name lies at most so many slots from where its hash says.
const REACH: usize = 1024;
const EMPTY: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Where the name stands.
    place: u32,
    /// The half of its hash that did not choose the slot.
    tag: u32,
}

/// Places by the hash of the name that stands there.
#[derive(Clone, Debug)]
pub struct Index {
    slots: Box<[Slot]>,
    is_complete: bool,
}

/// What the index says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// It is this.
    At(T),
    /// It does not exist.
    Nowhere,
    /// It may be one of those that were left out.
    Perhaps,
}

/// The hash of a name: `wire` in lower case.
pub(super) fn hash(wire: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(wire)
}

/// The hash of a name in any spelling.
pub(super) fn hash_in_lower_case(wire: &[u8]) -> u64 {
    let mut lower = [0; MAX_WIRE];
    let length = wire.len().min(MAX_WIRE);
    let lower = lower.get_mut(..length).unwrap_or_default();
    for (place, octet) in lower.iter_mut().zip(wire) {
        *place = octet.to_ascii_lowercase();
    }
    hash(lower)
}

impl Index {
    /// The index of `names`: hash and place of each, all different.
    #[must_use]
    pub fn build(names: impl ExactSizeIterator<Item = (u64, u32)>) -> Index {
        let slot = Slot {
            place: EMPTY,
            tag: 0,
        };
        let mut index = Index {
            slots: vec![slot; names.len() + names.len() / 2 + 1].into(),
            is_complete: true,
        };
        for (hash, place) in names {
            index.insert(hash, place);
        }
        index
    }

    fn insert(&mut self, hash: u64, place: u32) {
        let (home, tag) = self.home(hash);
        let (before, from) = self.slots.split_at_mut(home);
        let mut near = from.iter_mut().chain(before).take(REACH);
        match near.find(|slot| slot.place == EMPTY) {
            Some(free) => *free = Slot { place, tag },
            None => self.is_complete = false,
        }
    }

    /// What `read` makes of the first place with this hash that it takes for the name.
    #[must_use]
    pub fn get<T>(&self, hash: u64, read: impl Fn(u32) -> Option<T>) -> Seen<T> {
        let (mut at, tag) = self.home(hash);
        for _ in 0..REACH.min(self.slots.len()) {
            let Some(slot) = self.slots.get(at) else {
                break;
            };
            if slot.place == EMPTY {
                return Seen::Nowhere;
            }
            if slot.tag == tag
                && let Some(found) = read(slot.place)
            {
                return Seen::At(found);
            }
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
        if self.is_complete {
            Seen::Nowhere
        } else {
            Seen::Perhaps
        }
    }

    /// The place of the first name with this hash: nearly always of the only one.
    pub(super) fn first(&self, hash: u64) -> Option<u32> {
        match self.get(hash, Some) {
            Seen::At(place) => Some(place),
            Seen::Nowhere | Seen::Perhaps => None,
        }
    }

    /// Reads the slot at which the search for this hash begins.
    pub fn touch(&self, hash: u64) {
        let (home, _) = self.home(hash);
        black_box(self.slots.get(home).map(|slot| slot.place));
    }

    /// The slot where a hash belongs, and its tag: the upper half of the hash, spread over the
    /// table, and the lower half.
    fn home(&self, hash: u64) -> (usize, u32) {
        let (upper, lower) = (hash >> 32, hash & u64::from(u32::MAX));
        // There are fewer slots than 2³², for each has a place of 32 bits.
        let home = upper.wrapping_mul(self.slots.len() as u64) >> 32;
        (
            usize::try_from(home).unwrap_or(0),
            u32::try_from(lower).unwrap_or(0),
        )
    }

    /// The number of octets that the index takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(wanted: u32) -> impl Fn(u32) -> Option<u32> {
        move |place| (place == wanted).then_some(place)
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0u32, 1, 2, 3, 1000] {
            let names = |at: u32| hash(format!("name {at}").as_bytes());
            let all: Vec<(u64, u32)> = (0..count).map(|at| (names(at), at)).collect();
            let index = Index::build(all.into_iter());
            for at in 0..2 * count + 1 {
                let expected = if at < count {
                    Seen::At(at)
                } else {
                    Seen::Nowhere
                };
                assert_eq!(index.get(names(at), only(at)), expected);
            }
        }
    }

    #[test]
    fn names_that_collide_are_left_out_and_the_index_knows_it() {
        let count = u32::try_from(REACH).unwrap() + 5;
        let same: Vec<(u64, u32)> = (0..count).map(|at| (7, at)).collect();
        let index = Index::build(same.into_iter());
        assert_eq!(index.get(7, only(3)), Seen::At(3));
        assert_eq!(index.get(7, only(count - 1)), Seen::Perhaps);
        let elsewhere = u64::from(u32::MAX) << 32;
        assert_eq!(index.get(elsewhere, only(3)), Seen::Nowhere);
    }
}
