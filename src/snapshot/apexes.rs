//! Which zone a name lies in: one hash for each depth at which there are apexes.

use crate::zone::{Index, Key, Name, Seen, is_same};

/// The apexes of zones, by name. A zone is known by its place in a row that somebody else has.
#[derive(Debug)]
pub(super) struct Apexes {
    index: Index,
    /// Bit `n` is set if an apex has `n` labels. A name has 127 at most.
    depths: u128,
}

impl Apexes {
    /// Those of zones with these origins, in the order of the row.
    pub(super) fn of<'z>(origins: impl Iterator<Item = &'z Name>) -> Apexes {
        let mut depths = 0;
        let names: Vec<(u64, u32)> = origins
            .zip(0u32..)
            .map(|(origin, at)| {
                let key = origin.key();
                depths |= 1 << key.labels();
                (key.hash(), at)
            })
            .collect();
        Apexes {
            index: Index::build(names.into_iter()),
            depths,
        }
    }

    /// The place of the deepest zone whose apex is at or above a name. `origins` is the row.
    pub(super) fn enclosing<'z>(
        &self,
        key: &Key,
        origins: impl Fn(usize) -> Option<&'z Name>,
    ) -> Option<usize> {
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
            let found = self.at(key.suffix(depth), hash, &origins);
            if found.is_some() {
                return found;
            }
        }
        None
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
        let is_it = |at: usize| {
            let origin = origins(at);
            origin.is_some_and(|origin| is_same(origin.wire(), lower))
        };
        match self.index.get(hash, |place| is_it(place as usize)) {
            Seen::At(place) => Some(place as usize),
            Seen::Nowhere => None,
            // More names of one hash than the index takes: somebody chose them.
            Seen::Perhaps => (0..)
                .take_while(|at| origins(*at).is_some())
                .find(|at| is_it(*at)),
        }
    }
}
