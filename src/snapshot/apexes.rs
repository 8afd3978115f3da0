//! Which zone a name lies in: one hash for each depth at which there are apexes.

use super::ServedZone;
use crate::zone::{Index, Key, Seen};

/// The apexes of zones, by name.
#[derive(Debug)]
pub(super) struct Apexes {
    index: Index,
    /// Bit `n` is set if an apex has `n` labels. A name has 127 at most.
    depths: u128,
}

impl Apexes {
    /// Those of `zones`, which are found by their place in the slice.
    pub(super) fn of(zones: &[ServedZone]) -> Apexes {
        let mut depths = 0;
        let names = zones.iter().zip(0u32..).map(|(zone, at)| {
            let key = zone.origin().key();
            depths |= 1 << key.labels();
            (key.hash(), at)
        });
        let names: Vec<(u64, u32)> = names.collect();
        Apexes {
            index: Index::build(names.into_iter()),
            depths,
        }
    }

    /// The place in `zones` of the deepest zone whose apex is at or above a name.
    pub(super) fn enclosing(&self, key: &Key, zones: &[ServedZone]) -> Option<usize> {
        let labels = key.labels();
        // All depths that the name reaches.
        let mut left = self.depths & (u128::MAX >> (127 - labels.min(127)));
        while left != 0 {
            let depth = 127 - left.leading_zeros() as usize;
            left &= !(1 << depth);
            let hash = match depth == labels {
                true => key.hash(),
                false => key.suffix_hash(depth),
            };
            let found = self.at(key.suffix(depth), hash, zones);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The place in `zones` of the zone with the apex `lower`.
    fn at(&self, lower: &[u8], hash: u64, zones: &[ServedZone]) -> Option<usize> {
        let is_it = |zone: &ServedZone| zone.apex().eq_ignore_ascii_case(lower);
        let at = |place: u32| usize::try_from(place).ok();
        match self.index.get(hash, |place| {
            at(place).and_then(|at| zones.get(at)).is_some_and(is_it)
        }) {
            Seen::At(place) => at(place),
            Seen::Nowhere => None,
            // So many names with one hash: somebody chose them.
            Seen::Perhaps => zones.iter().position(is_it),
        }
    }
}
