//! From publications to the one snapshot that answers: numbers first, then one swap.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::DaemonError;
use super::disk::Disk;
use super::ground::{Ground, Group};
use super::histories::{Digests, Prepared, begin_anew, carry_on, restore};
use super::history_total::Grown;
use super::retired::Retired;
use super::trial::Trial;
use crate::answer::compile;
use crate::clock;
use crate::failover::Publication;
use crate::ids::{Generation, Serial, ServiceName};
use crate::snapshot::Snapshot;
use crate::store::Counters;
use crate::time::Wall;
use crate::zone::{Name, Zone};

/// Where serials and generations come from.
pub(super) enum Numbers {
    /// From durably reserved blocks.
    Reserved(Counters),
    /// From the zone files: a plain server.
    FromFiles(Generation),
}

/// Owns the snapshot.
pub(super) struct Publisher {
    ground: Arc<Ground>,
    numbers: Numbers,
    /// In the order of the ground's groups.
    serials: Vec<Serial>,
    publications: BTreeMap<ServiceName, Publication>,
    snapshots: Arc<ArcSwap<Snapshot>>,
    retired: Retired,
    digests: Digests,
    grown: Grown,
    /// When the snapshot was swapped in.
    swapped: Wall,
}

impl Publisher {
    /// Publishes for the first time: every zone gets a new serial.
    pub(super) fn start(
        mut ground: Ground,
        mut numbers: Numbers,
        publications: BTreeMap<ServiceName, Publication>,
        disk: &mut Disk,
    ) -> Result<Publisher, DaemonError> {
        let mut serials = vec![Serial(0); ground.groups.len()];
        numbers.introduce(&mut ground);
        let generation = numbers.draw(&ground, &ground.all_groups(), &mut serials, disk)?;
        let mut snapshot = ground.snapshot(generation, &serials, &publications)?;
        let (stored, mut digests) = (disk.histories()?, Digests::default());
        compile(&mut snapshot);
        let writes = restore(stored, &mut snapshot, &ground.secondaries, &mut digests);
        disk.note_histories(writes);
        let mut grown = Grown::default();
        let most = ground.history_octets;
        let lost = grown.keep_within(most, &mut snapshot);
        disk.note_histories(begin_anew(&lost, &snapshot, &mut digests));
        disk.commit(Vec::new());
        let snapshots = Arc::new(ArcSwap::from_pointee(snapshot));
        Ok(Publisher {
            ground: Arc::new(ground),
            numbers,
            serials,
            publications,
            snapshots,
            retired: Retired::default(),
            digests,
            grown,
            swapped: clock::wall(),
        })
    }

    /// A copy of what publications need; nothing is recorded of it.
    pub(super) fn trial(&self) -> Trial {
        Trial {
            ground: Arc::clone(&self.ground),
            serials: self.serials.clone(),
            counters: match &self.numbers {
                Numbers::Reserved(counters) => Some(counters.clone()),
                Numbers::FromFiles(_) => None,
            },
            snapshot: self.snapshots.load_full(),
        }
    }

    /// The number of the snapshot that answers.
    pub(super) fn generation(&self) -> Generation {
        self.snapshots.load().generation()
    }

    /// Since when it answers.
    pub(super) fn swapped(&self) -> Wall {
        self.swapped
    }

    /// The zones that are served, with the serial of each.
    pub(super) fn serials(&self) -> Vec<(Name, Serial)> {
        let snapshot = self.snapshots.load();
        snapshot
            .zones()
            .map(|zone| (zone.origin().clone(), zone.serial()))
            .collect()
    }

    pub(super) fn snapshots(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshots)
    }

    /// Generations that are not served any more.
    pub(super) fn retired(&mut self) -> &mut Retired {
        &mut self.retired
    }

    /// The zones whose serial changes with the service.
    pub(super) fn zones_of(&self, service: &ServiceName) -> Vec<Name> {
        let Some(groups) = self.ground.touched.get(service) else {
            return Vec::new();
        };
        let zones = self.ground.zones.iter();
        zones
            .filter(|(_, group)| groups.contains(group))
            .map(|(zone, _)| zone.origin().clone())
            .collect()
    }

    /// Swaps in new publications of these services: all their records and the serials of all
    /// zones that they touch, in one store.
    ///
    /// # Errors
    /// The guard's reasons, or that no serial is left. What was served goes on being served.
    pub(super) fn publish(
        &mut self,
        changed: BTreeMap<ServiceName, Publication>,
        disk: &mut Disk,
    ) -> Result<(), DaemonError> {
        let touched = changed
            .keys()
            .filter_map(|name| self.ground.touched.get(name));
        let groups: BTreeSet<usize> = touched.flatten().copied().collect();
        let mut serials = self.serials.clone();
        let generation = self
            .numbers
            .draw(&self.ground, &groups, &mut serials, disk)?;
        let before = self.snapshots.load_full();
        let moved = before.moved(generation, &changed, self.ground.serials_of_zones(&serials));
        let snapshot = moved.map_err(|violations| DaemonError::Guard { violations })?;
        self.swap(snapshot, None, &Prepared::default(), disk);
        self.numbers.top_up(&self.ground, &groups, disk);
        self.serials = serials;
        self.publications.extend(changed);
        Ok(())
    }

    /// Swaps in new data of one zone, under a new serial; `prepared` is what it changes, if that
    /// is known.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub(super) fn renew(
        &mut self,
        zone: Arc<Zone>,
        prepared: &Prepared,
        disk: &mut Disk,
    ) -> Result<(), DaemonError> {
        let (ground, groups) = self.ground.with(&zone);
        let publications = self.publications.clone();
        self.change_ground(ground, prepared, publications, &groups, disk)
    }

    /// Swaps in new zones and records along with the publications of all services.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub(super) fn reload(
        &mut self,
        ground: Ground,
        prepared: &Prepared,
        publications: BTreeMap<ServiceName, Publication>,
        disk: &mut Disk,
    ) -> Result<(), DaemonError> {
        let groups = ground.all_groups();
        self.change_ground(ground, prepared, publications, &groups, disk)
    }

    fn change_ground(
        &mut self,
        mut ground: Ground,
        prepared: &Prepared,
        publications: BTreeMap<ServiceName, Publication>,
        groups: &BTreeSet<usize>,
        disk: &mut Disk,
    ) -> Result<(), DaemonError> {
        let known = self.ground.groups.iter().zip(&self.serials);
        let known: HashMap<&str, Serial> = known
            .map(|(group, serial)| (group.name.as_str(), *serial))
            .collect();
        let of = |group: &Group| known.get(group.name.as_str()).copied();
        let serials = ground.groups.iter();
        let mut serials: Vec<Serial> = serials
            .map(|group| of(group).unwrap_or(group.floor))
            .collect();
        self.numbers.introduce(&mut ground);
        let generation = self.numbers.draw(&ground, groups, &mut serials, disk)?;
        let snapshot = ground.snapshot(generation, &serials, &publications)?;
        self.swap(snapshot, Some(ground), prepared, disk);
        self.numbers.top_up(&self.ground, groups, disk);
        self.serials = serials;
        self.publications = publications;
        Ok(())
    }

    /// Makes durable what secondaries will be sent, then swaps.
    fn swap(
        &mut self,
        mut snapshot: Snapshot,
        ground: Option<Ground>,
        prepared: &Prepared,
        disk: &mut Disk,
    ) {
        if let Some(ground) = ground {
            self.ground = Arc::new(ground);
        }
        compile(&mut snapshot);
        let before = self.snapshots.load();
        let (who, digests) = (&self.ground.secondaries, &mut self.digests);
        let writes = carry_on(&before, &mut snapshot, who, prepared, digests);
        disk.note_histories(writes);
        let most = self.ground.history_octets;
        let lost = self.grown.keep_within(most, &mut snapshot);
        disk.note_histories(begin_anew(&lost, &snapshot, &mut self.digests));
        // A disk that fails is tried again by the core, and holds up no swap.
        if disk.failed().is_none() {
            disk.commit(Vec::new());
        }
        drop(before);
        self.retired.push(self.snapshots.swap(Arc::new(snapshot)));
        self.swapped = clock::wall();
    }

    /// At an orderly end: what is left of the reserved blocks is given back.
    pub(super) fn last_writes(self) -> Vec<crate::store::Write> {
        match self.numbers {
            Numbers::Reserved(counters) => counters.into_last_writes(),
            Numbers::FromFiles(_) => Vec::new(),
        }
    }
}

impl Numbers {
    /// Lets the counters know the groups of new ground.
    fn introduce(&mut self, ground: &mut Ground) {
        if let Numbers::Reserved(counters) = self {
            for group in &mut ground.groups {
                let number = group.number.unwrap_or_else(|| counters.group(&group.name));
                group.number = Some(number);
            }
        }
    }

    /// Draws a generation and a new serial for each of these groups.
    fn draw(
        &mut self,
        ground: &Ground,
        groups: &BTreeSet<usize>,
        serials: &mut [Serial],
        disk: &mut Disk,
    ) -> Result<Generation, DaemonError> {
        let counters = match self {
            Numbers::Reserved(counters) => counters,
            Numbers::FromFiles(generation) => {
                generation.0 += 1;
                for at in groups {
                    let floor = ground.groups.get(*at).map_or(Serial(0), |it| it.floor);
                    set(serials, *at, floor);
                }
                return Ok(*generation);
            }
        };
        // If the disk fails, what is left of the blocks is still good.
        let wanted = ground.wanted(counters, groups);
        if wanted.is_urgent() && disk.commit(wanted.writes()) {
            counters.confirm(wanted);
        }
        for (at, number, floor) in ground.numbered(groups) {
            set(serials, at, counters.next_serial(number, floor)?);
        }
        Ok(counters.next_generation()?)
    }

    /// Reserves what the next swaps will take, after one: nobody waits for it.
    fn top_up(&mut self, ground: &Ground, groups: &BTreeSet<usize>, disk: &mut Disk) {
        if let Numbers::Reserved(counters) = self {
            let wanted = ground.wanted(counters, groups);
            if !wanted.is_empty() && disk.commit(wanted.writes()) {
                counters.confirm(wanted);
            }
        }
    }
}

fn set(serials: &mut [Serial], at: usize, serial: Serial) {
    if let Some(place) = serials.get_mut(at) {
        *place = serial;
    }
}
