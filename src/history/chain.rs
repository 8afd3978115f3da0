//! The last differences of one zone.

use std::sync::Arc;

use super::delta::Delta;
use super::difference::{Difference, WireRecord, WireRecords, write_record};
use crate::ids::Serial;

/// So many differences of a zone are kept at the most.
pub const MOST_DIFFERENCES: usize = 256;
/// So many octets of differences of a zone are kept at the most.
pub const MOST_OCTETS: usize = 1 << 20;

/// The last differences of a zone, the oldest first. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct History {
    differences: Arc<[Arc<Difference>]>,
    /// The octets of all of them.
    size: usize,
}

impl History {
    /// A chain of differences. What stands before a gap is left out, for nobody could get over
    /// it; so is what is beyond the bounds.
    #[must_use]
    pub fn of(differences: impl IntoIterator<Item = Arc<Difference>>) -> History {
        let all: Vec<_> = differences.into_iter().collect();
        let (mut size, mut begin, mut follows) = (0, all.len(), None);
        for (at, difference) in all.iter().enumerate().rev() {
            let with_it = size + difference.size();
            let is_linked = follows.is_none_or(|serial| serial == difference.to);
            if !is_linked || with_it > MOST_OCTETS || all.len() - at > MOST_DIFFERENCES {
                break;
            }
            (size, begin, follows) = (with_it, at, Some(difference.from));
        }
        History {
            differences: all.get(begin..).unwrap_or(&[]).into(),
            size,
        }
    }

    /// The history with one more difference; without those before it, if it does not follow
    /// them.
    #[must_use]
    pub fn with(&self, next: Arc<Difference>) -> History {
        History::of(self.differences.iter().cloned().chain([next]))
    }

    /// How many differences there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.differences.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }

    /// The octets of all differences.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The serial that it reaches back to.
    #[must_use]
    pub fn oldest(&self) -> Option<Serial> {
        self.differences.first().map(|difference| difference.from)
    }

    /// The serial that it ends at.
    #[must_use]
    pub fn newest(&self) -> Option<Serial> {
        self.differences.last().map(|difference| difference.to)
    }

    /// The octets of the differences that follow `serial`; `None` if it does not reach there.
    #[must_use]
    pub fn size_since(&self, serial: Serial) -> Option<usize> {
        self.following(serial)
            .map(|all| all.iter().map(|difference| difference.size()).sum())
    }

    /// All that changed since `serial`, as one difference (RFC 1995 section 5): what came and went
    /// again is in it no more. `None` if the history does not reach there.
    #[must_use]
    pub fn since(&self, serial: Serial) -> Option<Difference> {
        let following = self.following(serial)?;
        let (first, last) = (following.first()?, following.last()?);
        let mut delta = Delta::default();
        for difference in following {
            difference
                .removed()
                .for_each(|record| delta.count(record, -1));
            difference.added().for_each(|record| delta.count(record, 1));
        }
        let soa = |records| {
            let soa: WireRecord<'_> = WireRecords(records).next()?;
            let mut octets = Vec::with_capacity(soa.size());
            write_record(soa, &mut octets);
            Some(octets)
        };
        delta.between(&soa(&first.removed)?, &soa(&last.added)?)
    }

    fn following(&self, serial: Serial) -> Option<&[Arc<Difference>]> {
        let begin = self
            .differences
            .iter()
            .position(|difference| difference.from == serial)?;
        self.differences.get(begin..)
    }
}
