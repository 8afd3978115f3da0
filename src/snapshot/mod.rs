//! **Pure.** All that is needed to answer any query, immutable and numbered.
//!
//! A [`Snapshot`] lays the records of the services over the static zones. Which names they have
//! stands in a `layout`, which only a new configuration or a new zone changes; what stands at
//! them in this generation, in a few `sets`, of which a service has one however many zones it
//! touches; and each zone has its serial. So a failover makes new what it moves and nothing else:
//! all generations of one configuration share the rest. A lookup asks the static tree of a zone
//! and that of the owned names and takes the deeper answer, so that owned names exist, have empty
//! non-terminals above them and stop wildcards like any other name.
//!
//! Invariant: nothing static stands at a name and type that a service or a server owns, nor a
//! CNAME beside it, nor a cut or DNAME at or above it. [`Snapshot::build`] refuses it, and every
//! published set that would send partners nowhere.

mod apexes;
mod compiled;
mod guard;
mod layout;
mod replication;
mod served;
mod sets;
mod settings;
mod spec;

pub use compiled::{Asked, Body, Compiled, Fixed, FixedDraft};
pub use guard::GuardViolation;
pub use replication::{Network, NetworkError, Permit, Replication, Target};
pub use served::{Place, ServedZone, Source};
pub use settings::{CookieSecret, Cookies, RateLimit, Settings, ShortText, UDP_PAYLOAD};
pub use spec::{ServiceRecord, ServiceSpec, SnapshotSpec};

use std::collections::BTreeMap;
use std::sync::Arc;

use self::layout::{Layout, SetKind};
use self::sets::{LiveSet, live_sets};
use crate::failover::Publication;
use crate::ids::{Generation, Serial, ServiceName};
use crate::tsig::Keys;
use crate::zone::{Key, Name};

/// Everything that answers need, of one generation.
#[derive(Debug)]
pub struct Snapshot {
    generation: Generation,
    layout: Arc<Layout>,
    /// In the order of the layout's services.
    publications: Vec<Arc<Publication>>,
    /// In the order of the layout's sets.
    sets: Vec<Arc<LiveSet>>,
    /// In the order of the zones.
    serials: Vec<Serial>,
    /// By the place of the zone.
    replications: BTreeMap<usize, Replication>,
    has_targets: bool,
    compiled: Compiled,
}

impl Snapshot {
    /// The snapshot of `spec`.
    ///
    /// # Errors
    /// All reasons why it must not be published.
    pub fn build(spec: &SnapshotSpec) -> Result<Snapshot, Vec<GuardViolation>> {
        let (layout, mut violations) = Layout::build(spec);
        let publications = spec.services.iter();
        let publications: Vec<_> = publications
            .map(|service| Arc::new(service.publication.clone()))
            .collect();
        let sets = live_sets(&layout, &publications, &[]).unwrap_or_else(|found| {
            violations.extend(found);
            Vec::new()
        });
        if !violations.is_empty() {
            return Err(violations);
        }
        let mut serials = vec![Serial(0); layout.zones.len()];
        for (zone, serial) in &spec.zones {
            if let Some(at) = layout.zone_at(zone.origin())
                && let Some(place) = serials.get_mut(at)
            {
                *place = *serial;
            }
        }
        Ok(Snapshot {
            generation: spec.generation,
            layout: Arc::new(layout),
            publications,
            sets,
            serials,
            replications: BTreeMap::new(),
            has_targets: false,
            compiled: Compiled::default(),
        })
    }

    /// The generation after this one, of the same configuration and zones: with other
    /// publications of some services, and with these serials, in the order of
    /// [`Snapshot::zones`]. Nobody transfers anything from it yet.
    ///
    /// # Errors
    /// All reasons why it must not be published.
    pub fn moved(
        &self,
        generation: Generation,
        changed: &BTreeMap<ServiceName, Publication>,
        serials: Vec<Serial>,
    ) -> Result<Snapshot, Vec<GuardViolation>> {
        let services = self.layout.services.iter().zip(&self.publications);
        let publications: Vec<_> = services
            .map(|(service, before)| match changed.get(&service.name) {
                Some(publication) => Arc::new(publication.clone()),
                None => Arc::clone(before),
            })
            .collect();
        let sets = live_sets(&self.layout, &publications, &self.sets)?;
        let compiled = Compiled {
            fixed: Arc::clone(&self.compiled.fixed),
            sets: self.still_compiled(&sets),
        };
        Ok(Snapshot {
            generation,
            layout: Arc::clone(&self.layout),
            sets,
            publications,
            serials,
            replications: BTreeMap::new(),
            has_targets: false,
            compiled,
        })
    }

    /// The bodies of sets that are still right among the new `sets`: all addresses are as they
    /// were, and the set is.
    fn still_compiled(&self, sets: &[Arc<LiveSet>]) -> Vec<Option<Arc<[u8]>>> {
        let kinds = self.layout.sets.iter();
        let pairs = kinds.zip(self.sets.iter().zip(sets));
        let mut moved = pairs.filter(|(_, (before, set))| !Arc::ptr_eq(before, set));
        if moved.any(|(spec, _)| !matches!(spec.kind, SetKind::Srv(..))) {
            return Vec::new();
        }
        let pairs = self.sets.iter().zip(sets).zip(&self.compiled.sets);
        let still = pairs.map(|((before, set), body)| {
            let body = body.as_ref().filter(|_| Arc::ptr_eq(before, set));
            body.map(Arc::clone)
        });
        still.collect()
    }

    /// The owners of sets of SRV records whose answers are not compiled yet, one for each, with
    /// the number of the set.
    #[must_use]
    pub fn to_compile(&self) -> Vec<(usize, Name)> {
        let sets = self.layout.sets.iter().enumerate();
        let missing = sets.filter(|(number, spec)| {
            let has_body = self.compiled.sets.get(*number).is_some_and(Option::is_some);
            matches!(spec.kind, SetKind::Srv(..)) && !has_body
        });
        missing
            .map(|(number, spec)| (number, spec.owner.clone()))
            .collect()
    }

    /// Whether the static data is compiled.
    #[must_use]
    pub fn has_fixed(&self) -> bool {
        self.compiled.fixed.zones() == self.layout.zones.len()
    }

    /// Takes what static data is answered with.
    pub fn set_fixed(&mut self, fixed: Fixed) {
        self.compiled.fixed = Arc::new(fixed);
    }

    /// Takes what a set is answered with.
    pub fn set_body(&mut self, number: usize, body: &Body<'_>) {
        let bodies = &mut self.compiled.sets;
        bodies.resize(self.sets.len(), None);
        let mut packed = Vec::new();
        if let (Some(place), Some(())) = (bodies.get_mut(number), body.pack(&mut packed)) {
            *place = Some(packed.into());
        }
    }

    /// The number of this snapshot.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What answers depend on beside the zones.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.layout.settings
    }

    /// All zones, in canonical order.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = ServedZone<'_>> {
        let laid = self.layout.zones.iter().enumerate();
        laid.map(|(at, laid)| ServedZone::new(self, at, laid))
    }

    /// The serial that the zone `origin` has in this snapshot.
    #[must_use]
    pub fn serial(&self, origin: &Name) -> Option<Serial> {
        self.zone(origin).map(|zone| zone.serial())
    }

    /// Takes where the zone `origin` comes from, before anything is moved.
    pub fn follow(&mut self, origin: &Name, sources: Arc<[Source]>) {
        if let Some(layout) = Arc::get_mut(&mut self.layout)
            && let Some(at) = layout.zone_at(origin)
            && let Some(zone) = layout.zones.get_mut(at)
        {
            zone.sources = sources;
        }
    }

    /// The zone with this origin.
    #[must_use]
    pub fn zone(&self, origin: &Name) -> Option<ServedZone<'_>> {
        self.zone_number(self.layout.zone_at(origin)?)
    }

    /// The keys that messages may be signed with.
    #[must_use]
    pub fn keys(&self) -> &Arc<Keys> {
        &self.layout.keys
    }

    /// Takes the keys that messages may be signed with, before anything is moved.
    pub fn set_keys(&mut self, keys: Arc<Keys>) {
        if let Some(layout) = Arc::get_mut(&mut self.layout) {
            layout.keys = keys;
        }
    }

    /// Takes what the secondaries of one zone need, before it is published.
    pub fn replicate(&mut self, origin: &Name, replication: Replication) {
        self.has_targets |= !replication.targets.is_empty();
        if let Some(at) = self.layout.zone_at(origin) {
            self.replications.insert(at, replication);
        }
    }

    /// The zones that have secondaries.
    pub fn replicated(&self) -> impl Iterator<Item = (ServedZone<'_>, &Replication)> {
        let replications = self.replications.iter();
        replications.filter_map(|(at, replication)| Some((self.zone_number(*at)?, replication)))
    }

    /// Whether any zone has somebody who is told of its changes.
    #[must_use]
    pub fn has_targets(&self) -> bool {
        self.has_targets
    }

    /// Whether there is a zone that is larger than the caches of a processor.
    #[must_use]
    pub fn has_large_zones(&self) -> bool {
        self.layout.has_large_zones
    }

    /// The zone that a name lies in: the deepest of those whose apex is at or above it.
    #[must_use]
    pub fn zone_of(&self, key: &Key) -> Option<ServedZone<'_>> {
        self.zone_number(self.layout.zone_of(key)?)
    }

    /// The deepest zone that the apex of `zone` lies in, other than itself.
    #[must_use]
    pub fn zone_above(&self, zone: ServedZone<'_>) -> Option<ServedZone<'_>> {
        self.zone_number(zone.above()?)
    }

    fn zone_number(&self, at: usize) -> Option<ServedZone<'_>> {
        let laid = self.layout.zones.get(at)?;
        Some(ServedZone::new(self, at, laid))
    }
}

#[cfg(test)]
mod tests;
