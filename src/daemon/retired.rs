//! Generations that are not served any more, until nobody reads them.
//!
//! A thread that answers holds a generation for the time of one batch. If it were the last to let
//! go, it would have to free it, which takes long for a large one; so whoever publishes keeps the
//! last hold, and frees apart from all who answer.

use std::sync::Arc;
use std::time::Duration;

use crate::snapshot::Snapshot;
use crate::time::Mono;

/// Between two looks at who still reads.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The old generations. There are as many as there were swaps in the time of the longest reader.
#[derive(Default)]
pub(super) struct Retired {
    old: Vec<Arc<Snapshot>>,
    looked: Option<Mono>,
}

impl Retired {
    pub(super) fn push(&mut self, snapshot: Arc<Snapshot>) {
        self.old.push(snapshot);
    }

    /// When to look again.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let last = self.looked.unwrap_or_default();
        (!self.old.is_empty()).then(|| last + LOOK_EVERY)
    }

    /// Takes those that nobody reads any more.
    pub(super) fn take_unread(&mut self, now: Mono) -> Vec<Arc<Snapshot>> {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.looked = Some(now);
        let is_unread = |old: &mut Arc<Snapshot>| Arc::strong_count(old) == 1;
        self.old.extract_if(.., is_unread).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Generation;
    use crate::snapshot::SnapshotSpec;

    #[test]
    fn a_generation_is_freed_here_and_only_when_nobody_reads_it() {
        let snapshot = Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            settings: Arc::default(),
            zones: Vec::new(),
            services: Vec::new(),
            servers: Vec::new(),
        });
        let (mut retired, read) = (Retired::default(), Arc::new(snapshot.unwrap()));
        assert_eq!(retired.poll_timeout(), None);
        let at = |millis| Mono(Duration::from_millis(millis));
        retired.push(Arc::clone(&read));
        assert!(retired.take_unread(at(1000)).is_empty(), "it is read");
        drop(read);
        assert!(retired.take_unread(at(1001)).is_empty(), "it is not time");
        assert_eq!(retired.poll_timeout(), Some(at(1100)));
        assert_eq!(retired.take_unread(at(1100)).len(), 1);
        assert_eq!(retired.poll_timeout(), None);
    }
}
