//! Publications tried out beside what is served: the same numbers and the same snapshots, with
//! nothing recorded and nothing swapped in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::DaemonError;
use super::ground::Ground;
use crate::failover::Publication;
use crate::history::Difference;
use crate::ids::{Generation, Serial, ServiceName};
use crate::snapshot::{ServedZone, Snapshot};
use crate::store::Counters;
use crate::zone::Name;

/// Of so many zones it is said what changes; the others are counted.
const ZONES_MAX: usize = 100;

/// A copy of all that publications need.
pub(super) struct Trial {
    pub(super) ground: Arc<Ground>,
    /// In the order of the ground's groups.
    pub(super) serials: Vec<Serial>,
    /// `None`: serials come from the zone files.
    pub(super) counters: Option<Counters>,
    pub(super) snapshot: Arc<Snapshot>,
}

/// What a publication would change.
pub(super) struct Outcome {
    pub(super) zones: Vec<(Name, Difference)>,
    /// So many more zones change.
    pub(super) more: usize,
    before: Arc<Snapshot>,
    after: Arc<Snapshot>,
}

impl Outcome {
    /// A zone as it was, and as it would be.
    pub(super) fn sides(&self, origin: &Name) -> Option<(ServedZone<'_>, ServedZone<'_>)> {
        Some((self.before.zone(origin)?, self.after.zone(origin)?))
    }
}

impl Trial {
    /// What is served, or would be by now.
    pub(super) fn generation(&self) -> Generation {
        self.snapshot.generation()
    }

    /// Publishes this of a service, and says what changed in each zone.
    ///
    /// # Errors
    /// As the publication itself: the guard's reasons, or that no serial is left.
    pub(super) fn publish(
        &mut self,
        service: &ServiceName,
        publication: Publication,
    ) -> Result<Outcome, DaemonError> {
        let before = Arc::clone(&self.snapshot);
        self.draw(service)?;
        let serials = self.ground.serials_of_zones(&self.serials);
        let next = Generation(self.generation().0.saturating_add(1));
        let changed = BTreeMap::from([(service.clone(), publication)]);
        let moved = before.moved(next, &changed, serials);
        let moved = moved.map_err(|violations| DaemonError::Guard { violations })?;
        self.snapshot = Arc::new(moved);
        let pairs = before.zones().zip(self.snapshot.zones());
        let mut changed = pairs.filter(|(was, is)| was.serial() != is.serial());
        let told = changed.by_ref().take(ZONES_MAX);
        let zones =
            told.filter_map(|(was, is)| Some((is.origin().clone(), is.changes_since(was)?)));
        Ok(Outcome {
            zones: zones.collect(),
            more: changed.count(),
            before: Arc::clone(&before),
            after: Arc::clone(&self.snapshot),
        })
    }

    /// Gives the zones that a service touches new serials.
    fn draw(&mut self, service: &ServiceName) -> Result<(), DaemonError> {
        let Trial {
            ground,
            serials,
            counters,
            ..
        } = self;
        if let Some(counters) = counters {
            // A copy may reserve what it likes: nothing of it reaches the disk.
            let touched = ground.touched_by(service);
            let numbered = touched.filter_map(|(_, number, floor)| Some((number?, floor)));
            let wanted = counters.reserve(numbered);
            counters.confirm(wanted);
        }
        for (at, number, floor) in ground.touched_by(service) {
            let serial = match (&mut *counters, number) {
                (Some(counters), Some(number)) => counters.next_serial(number, floor)?,
                (None, _) | (_, None) => floor,
            };
            if let Some(place) = serials.get_mut(at) {
                *place = serial;
            }
        }
        Ok(())
    }
}
