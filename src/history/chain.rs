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
pub struct History(Arc<[Arc<Difference>]>);

impl History {
    /// A chain of differences. What stands before a gap is left out, for nobody could get over
    /// it; so is what is beyond the bounds.
    #[must_use]
    pub fn of(differences: impl IntoIterator<Item = Arc<Difference>>) -> History {
        let all: Vec<_> = differences.into_iter().collect();
        let (mut octets, mut begin, mut follows) = (0, all.len(), None);
        for (at, difference) in all.iter().enumerate().rev() {
            octets += difference.size();
            let is_linked = follows.is_none_or(|serial| serial == difference.to);
            if !is_linked || octets > MOST_OCTETS || all.len() - at > MOST_DIFFERENCES {
                break;
            }
            (begin, follows) = (at, Some(difference.from));
        }
        History(all.get(begin..).unwrap_or(&[]).into())
    }

    /// The history with one more difference; without those before it, if it does not follow
    /// them.
    #[must_use]
    pub fn with(&self, next: Arc<Difference>) -> History {
        History::of(self.0.iter().cloned().chain([next]))
    }

    /// How many differences there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The serial that it reaches back to.
    #[must_use]
    pub fn oldest(&self) -> Option<Serial> {
        self.0.first().map(|difference| difference.from)
    }

    /// The serial that it ends at.
    #[must_use]
    pub fn newest(&self) -> Option<Serial> {
        self.0.last().map(|difference| difference.to)
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
            .0
            .iter()
            .position(|difference| difference.from == serial)?;
        self.0.get(begin..)
    }
}
