//! What secondaries have asked for lately: those that a zone's configuration names, no others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::Serial;
use crate::snapshot::ServedZone;
use crate::time::Wall;
use crate::zone::Name;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The SOA, to see whether there is something new.
    Soa,
    /// The changes since a serial.
    Changes,
    /// The whole zone.
    Zone,
}

/// The latest question of one secondary about one zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What was asked for.
    pub asked: Asked,
    /// The serial that it was given.
    pub serial: Serial,
    /// When.
    pub at: Wall,
    /// The latest serial that it was given in a transfer.
    pub taken: Option<Serial>,
}

/// The latest question of each secondary.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<BTreeMap<(Name, IpAddr), Sighting>>);

impl Seen {
    /// Notes a question, if it is a secondary's that the zone names.
    pub(super) fn note(&self, zone: ServedZone<'_>, client: IpAddr, asked: Asked, at: Wall) {
        let client = client.to_canonical();
        let mut targets = zone.replication().targets.iter();
        if targets.any(|target| target.address.ip() == client) {
            let serial = zone.serial();
            let mut all = self.lock();
            let entry = all.entry((zone.origin().clone(), client));
            let sighting = entry.or_insert(Sighting {
                asked,
                serial,
                at,
                taken: None,
            });
            let taken = match asked {
                Asked::Soa => sighting.taken,
                Asked::Changes | Asked::Zone => Some(serial),
            };
            *sighting = Sighting {
                asked,
                serial,
                at,
                taken,
            };
        }
    }

    /// Adds the questions to others; of two about the same, the later one stays.
    pub(super) fn merge_into(&self, all: &mut BTreeMap<(Name, IpAddr), Sighting>) {
        for (key, sighting) in &*self.lock() {
            let known = all.entry(key.clone()).or_insert(*sighting);
            let taken = match (known.taken, sighting.taken) {
                (Some(one), Some(other)) if one.is_newer_than(other) => Some(one),
                (one, other) => other.or(one),
            };
            if sighting.at > known.at {
                *known = *sighting;
            }
            known.taken = taken;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Name, IpAddr), Sighting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
