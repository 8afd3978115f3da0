//! Which zone a name lies in: one hash for each depth at which there are apexes.

use std::collections::BTreeSet;

use crate::zone::{Index, Key, Name, Seen, is_same};

/// The apexes of zones, by name. A zone is known by its place in a row that somebody else has.
#[derive(Debug)]
pub(super) struct Apexes {
    index: Index,
    /// How many labels the apexes have, the most first, each number once.
    depths: Box<[usize]>,
}

impl Apexes {
    /// Those of zones with these origins, in the order of the row.
    pub(super) fn of<'z>(origins: impl Iterator<Item = &'z Name>) -> Apexes {
        let mut depths = BTreeSet::new();
        let names: Vec<(u64, u32)> = origins
            .zip(0u32..)
            .map(|(origin, at)| {
                let key = origin.key();
                depths.insert(key.labels());
                (key.hash(), at)
            })
            .collect();
        Apexes {
            index: Index::build(names.into_iter()),
            depths: depths.into_iter().rev().collect(),
        }
    }

    /// The place of the deepest zone whose apex is at or above a name. `origins` is the row.
    pub(super) fn enclosing<'z>(
        &self,
        key: &Key,
        origins: impl Fn(usize) -> Option<&'z Name>,
    ) -> Option<usize> {
        let depths = self.depths.iter().filter(|depth| **depth <= key.labels());
        depths.copied().find_map(|depth| {
            let (suffix, hash) = key.suffix_and_hash(depth);
            self.at(suffix, hash, &origins)
        })
    }

    /// The place of the zone with the apex `key`.
    pub(super) fn exactly<'z>(
        &self,
        key: &Key,
        origins: impl Fn(usize) -> Option<&'z Name>,
    ) -> Option<usize> {
        self.at(key.wire(), key.hash(), &origins)
    }

    fn at<'z>(
        &self,
        lower: &[u8],
        hash: u64,
        origins: &impl Fn(usize) -> Option<&'z Name>,
    ) -> Option<usize> {
        let read = |at: usize| {
            let origin = origins(at)?;
            is_same(origin.wire(), lower).then_some(at)
        };
        match self.index.get(hash, |place| read(place as usize)) {
            Seen::At(at) => Some(at),
            Seen::Nowhere => None,
            // More names of one hash than the index takes: somebody chose them.
            Seen::Perhaps => (0..).take_while(|at| origins(*at).is_some()).find_map(read),
        }
    }
}
