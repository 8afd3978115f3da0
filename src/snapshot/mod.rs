//! **Pure.** All that is needed to answer any query, immutable and numbered.
//!
//! A [`Snapshot`] lays the records of the services over the static zones. The zones are shared
//! between snapshots; only the overlays are new: each holds the zone's SOA with its serial, the
//! SRV and address records of the services, and the addresses of the servers whose names lie in
//! the zone. A lookup asks both trees and takes the deeper answer, so that names of the overlay
//! exist, have empty non-terminals above them and stop wildcards like any other name.
//!
//! Invariant: nothing static stands at a name and type that a service or a server owns, nor a
//! CNAME beside it, nor a cut or DNAME at or above it. [`Snapshot::build`] refuses it, and every
//! published set that would send partners nowhere.

mod apexes;
mod build;
mod guard;
mod replication;
mod served;
mod settings;

pub use build::{ServiceRecord, ServiceSpec, SnapshotSpec};
pub use guard::GuardViolation;
pub use replication::{Network, NetworkError, Permit, Replication, Target};
pub use served::{Place, ServedZone, Source};
pub use settings::{CookieSecret, Cookies, Settings, ShortText, UDP_PAYLOAD};

use std::sync::Arc;

use self::apexes::Apexes;
use crate::ids::{Generation, Serial};
use crate::tsig::Keys;
use crate::zone::{Key, Name};

/// Everything that answers need, of one generation.
#[derive(Debug)]
pub struct Snapshot {
    generation: Generation,
    settings: Arc<Settings>,
    /// In canonical order of their origins.
    zones: Vec<ServedZone>,
    apexes: Apexes,
    keys: Arc<Keys>,
    has_targets: bool,
}

impl Snapshot {
    /// The snapshot of `spec`.
    ///
    /// # Errors
    /// All reasons why it must not be published.
    pub fn build(spec: &SnapshotSpec) -> Result<Snapshot, Vec<GuardViolation>> {
        build::build(spec, None)
    }

    /// The snapshot of `spec` that comes after this one: it shares what lies over the zones that
    /// no service touches and whose serial is the same.
    ///
    /// # Errors
    /// As [`Snapshot::build`].
    pub fn next(&self, spec: &SnapshotSpec) -> Result<Snapshot, Vec<GuardViolation>> {
        build::build(spec, Some(self))
    }

    /// The number of this snapshot.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What answers depend on beside the zones.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All zones, in canonical order.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = &ServedZone> {
        self.zones.iter()
    }

    /// The serial that the zone `origin` has in this snapshot.
    #[must_use]
    pub fn serial(&self, origin: &Name) -> Option<Serial> {
        let at = self.search(origin.sort_key().as_slice()).ok()?;
        self.zones.get(at).map(ServedZone::serial)
    }

    /// Takes where the zone `origin` comes from, before it is published.
    pub fn follow(&mut self, origin: &Name, sources: Arc<[Source]>) {
        if let Ok(at) = self.search(origin.sort_key().as_slice())
            && let Some(zone) = self.zones.get_mut(at)
        {
            zone.set_sources(sources);
        }
    }

    /// The zone with this origin.
    #[must_use]
    pub fn zone(&self, origin: &Name) -> Option<&ServedZone> {
        let at = self.search(origin.sort_key().as_slice()).ok()?;
        self.zones.get(at)
    }

    /// The keys that messages may be signed with.
    #[must_use]
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Takes the keys that messages may be signed with, before it is published.
    pub fn set_keys(&mut self, keys: Arc<Keys>) {
        self.keys = keys;
    }

    /// Takes what the secondaries of one zone need, before it is published.
    pub fn replicate(&mut self, origin: &Name, replication: Replication) {
        self.has_targets |= !replication.targets.is_empty();
        if let Ok(at) = self.search(origin.sort_key().as_slice())
            && let Some(zone) = self.zones.get_mut(at)
        {
            zone.set_replication(replication);
        }
    }

    /// Whether any zone has somebody who is told of its changes.
    #[must_use]
    pub fn has_targets(&self) -> bool {
        self.has_targets
    }

    /// The zone that a name lies in: the deepest of those whose apex is at or above it.
    #[must_use]
    pub fn zone_of(&self, key: &Key) -> Option<&ServedZone> {
        self.zones.get(self.apexes.enclosing(key, &self.zones)?)
    }

    /// The deepest zone that the apex of `zone` lies in, other than itself.
    #[must_use]
    pub fn zone_above(&self, zone: &ServedZone) -> Option<&ServedZone> {
        self.zones.get(zone.above()?)
    }

    fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.zones.binary_search_by(|zone| zone.key().cmp(key))
    }
}

#[cfg(test)]
mod tests;
