//! From publications to the one snapshot that answers: numbers first, then one swap.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::DaemonError;
use super::disk::Disk;
use super::histories::{Digests, Prepared, begin_anew, carry_on, restore};
use super::history_total::Grown;
use super::retired::Retired;
use super::secondaries::Followed;
use super::trial::Trial;
use crate::answer::compile;
use crate::clock;
use crate::config::{Config, Secondaries};
use crate::failover::{Policy, Publication};
use crate::ids::{Generation, Serial, ServerName, ServiceName};
use crate::snapshot::{ServiceRecord, ServiceSpec, Settings, Snapshot, SnapshotSpec, Source};
use crate::store::{Counters, GroupNumber, Reservation};
use crate::time::Wall;
use crate::tsig::Keys;
use crate::zone::{Name, Zone};

/// What the configuration contributes to a snapshot.
#[derive(Clone)]
pub(super) struct Ground {
    settings: Arc<Settings>,
    /// In canonical order, each with the number of its group.
    zones: Vec<(Arc<Zone>, usize)>,
    groups: Vec<Group>,
    records: BTreeMap<ServiceName, Vec<ServiceRecord>>,
    negative_ttl: BTreeMap<ServiceName, Duration>,
    servers: Vec<(ServerName, Vec<std::net::IpAddr>)>,
    /// The groups whose zones hold something of the service.
    touched: BTreeMap<ServiceName, BTreeSet<usize>>,
    /// Where transferred zones come from.
    sources: Vec<(Name, Arc<[Source]>)>,
    /// Of the zones that have any.
    secondaries: BTreeMap<Name, Secondaries>,
    keys: Arc<Keys>,
    /// What the histories of all zones may have together.
    history_octets: usize,
}

/// Zones that share one serial; a zone of its own is a group of one.
#[derive(Clone)]
struct Group {
    name: String,
    /// What the counters know it by, once they do.
    number: Option<GroupNumber>,
    /// The newest serial of their files: what is served is never older.
    floor: Serial,
}

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

impl Ground {
    /// What `config` says, with the data of transferred zones as it is `followed`.
    pub(super) fn new(config: &Config, followed: &BTreeMap<Name, Followed>) -> Ground {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut zones: Vec<(Arc<Zone>, usize)> = Vec::with_capacity(config.zones.len());
        for loaded in &config.zones {
            let origin = loaded.zone.origin();
            let transferred = followed.get(origin);
            let zone = transferred.and_then(|followed| followed.served(origin).ok());
            let zone = zone.unwrap_or_else(|| Arc::clone(&loaded.zone));
            let group = loaded.group.clone().unwrap_or_else(|| origin.to_string());
            let next = numbers.len();
            zones.push((zone, *numbers.entry(group).or_insert(next)));
        }
        zones.sort_by(|(a, _), (b, _)| a.key().cmp(b.key()));
        let by_origin = zones.iter().map(|(zone, group)| (zone.origin(), *group));
        let by_origin: HashMap<&Name, usize> = by_origin.collect();
        let mut touched = BTreeMap::new();
        for (service, records) in &config.records {
            let owners = records.iter().map(|record| match record {
                ServiceRecord::Srv { owner, .. } | ServiceRecord::Address { owner } => {
                    owner.clone()
                }
            });
            let servers = server_names(&config.policy, service);
            let groups = owners
                .chain(servers)
                .filter_map(|name| group_of(&by_origin, &name));
            touched.insert(service.clone(), groups.collect());
        }
        let mut names: Vec<(String, usize)> = numbers.into_iter().collect();
        names.sort_by_key(|(_, number)| *number);
        let groups = names.into_iter().map(|(name, _)| Group {
            name,
            number: None,
            floor: Serial(0),
        });
        let services = config.policy.services.iter();
        let mut ground = Ground {
            settings: Arc::clone(&config.settings),
            records: config.records.clone(),
            negative_ttl: services
                .map(|(name, s)| (name.clone(), s.ttl.min))
                .collect(),
            servers: config
                .policy
                .pools
                .values()
                .flat_map(|pool| &pool.servers)
                .map(|server| (server.name.clone(), server.addresses.clone()))
                .collect(),
            secondaries: secondaries(config),
            keys: Arc::clone(&config.keys),
            history_octets: config.following.history_octets,
            groups: groups.collect(),
            zones,
            touched,
            sources: sources(config),
        };
        ground.find_floors();
        ground
    }

    fn find_floors(&mut self) {
        let mut floors: Vec<Option<Serial>> = vec![None; self.groups.len()];
        for (zone, group) in &self.zones {
            if let Some(floor) = floors.get_mut(*group) {
                let serial = zone.file_serial();
                let is_newer = floor.is_none_or(|floor| serial.is_newer_than(floor));
                *floor = if is_newer { Some(serial) } else { *floor };
            }
        }
        for (group, floor) in self.groups.iter_mut().zip(floors) {
            group.floor = floor.unwrap_or(Serial(0));
        }
    }

    /// These groups as the counters know them, each with its place and its floor.
    fn numbered<'g>(
        &'g self,
        groups: &'g BTreeSet<usize>,
    ) -> impl Iterator<Item = (usize, GroupNumber, Serial)> {
        groups.iter().filter_map(|at| {
            let group = self.groups.get(*at)?;
            Some((*at, group.number?, group.floor))
        })
    }

    fn wanted(&self, counters: &Counters, groups: &BTreeSet<usize>) -> Reservation {
        let numbered = self.numbered(groups);
        counters.reserve(numbered.map(|(_, number, floor)| (number, floor)))
    }

    fn all_groups(&self) -> BTreeSet<usize> {
        (0..self.groups.len()).collect()
    }

    /// The groups whose zones hold something of the service: the place, what the counters know
    /// it by, and the floor of each.
    pub(super) fn touched_by(
        &self,
        service: &ServiceName,
    ) -> impl Iterator<Item = (usize, Option<GroupNumber>, Serial)> {
        let places = self.touched.get(service).into_iter().flatten();
        places.filter_map(|at| {
            let group = self.groups.get(*at)?;
            Some((*at, group.number, group.floor))
        })
    }

    /// The serial of each zone, in canonical order, from those of the groups.
    pub(super) fn serials_of_zones(&self, serials: &[Serial]) -> Vec<Serial> {
        let of = |group: usize| serials.get(group).copied().unwrap_or(Serial(0));
        self.zones.iter().map(|(_, group)| of(*group)).collect()
    }

    /// The first snapshot of this ground, of these publications under these numbers.
    fn snapshot(
        &self,
        generation: Generation,
        serials: &[Serial],
        publications: &BTreeMap<ServiceName, Publication>,
    ) -> Result<Snapshot, DaemonError> {
        let zones = self.zones.iter().map(|(zone, _)| Arc::clone(zone));
        let services = publications.iter().filter_map(|(name, publication)| {
            Some(ServiceSpec {
                name: name.clone(),
                records: self.records.get(name)?.clone(),
                publication: publication.clone(),
                negative_ttl: *self.negative_ttl.get(name)?,
            })
        });
        let spec = SnapshotSpec {
            generation,
            settings: Arc::clone(&self.settings),
            zones: zones.zip(self.serials_of_zones(serials)).collect(),
            services: services.collect(),
            servers: self.servers.clone(),
        };
        let built = Snapshot::build(&spec);
        let mut snapshot = built.map_err(|violations| DaemonError::Guard { violations })?;
        for (origin, sources) in &self.sources {
            snapshot.follow(origin, Arc::clone(sources));
        }
        snapshot.set_keys(Arc::clone(&self.keys));
        Ok(snapshot)
    }

    /// Whether these publications could be served.
    ///
    /// # Errors
    /// Every reason against it.
    pub(super) fn try_out(
        &self,
        publications: &BTreeMap<ServiceName, Publication>,
    ) -> Result<(), DaemonError> {
        self.snapshot(Generation(0), &[], publications).map(|_| ())
    }
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
        let mut ground = Ground::clone(&self.ground);
        let mut groups = BTreeSet::new();
        for (served, group) in &mut ground.zones {
            if served.origin() == zone.origin() {
                *served = Arc::clone(&zone);
                groups.insert(*group);
            }
        }
        ground.find_floors();
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

/// The secondaries of each zone that has any.
fn secondaries(config: &Config) -> BTreeMap<Name, Secondaries> {
    let all = config.zones.iter();
    all.filter(|zone| !zone.secondaries.permits.is_empty() || !zone.secondaries.targets.is_empty())
        .map(|zone| (zone.zone.origin().clone(), zone.secondaries.clone()))
        .collect()
}

fn server_names(policy: &Policy, service: &ServiceName) -> Vec<Name> {
    let pools = policy
        .services
        .get(service)
        .map(|service| &service.pools[..])
        .unwrap_or_default();
    let pools = pools.iter().filter_map(|pool| policy.pools.get(pool));
    let servers = pools.flat_map(|pool| &pool.servers);
    servers
        .filter_map(|server| server.name.as_str().parse().ok())
        .collect()
}

/// The primaries of each zone that is transferred.
fn sources(config: &Config) -> Vec<(Name, Arc<[Source]>)> {
    let transferred = config.zones.iter().filter_map(|zone| {
        let sources = zone.primaries()?.iter().map(|primary| Source {
            address: primary.address.ip(),
            key: primary.key.as_ref().map(|key| key.name().clone()),
        });
        Some((zone.zone.origin().clone(), sources.collect()))
    });
    transferred.collect()
}

/// The group of the zone that a name lies in: of the deepest one.
fn group_of(groups: &HashMap<&Name, usize>, name: &Name) -> Option<usize> {
    let mut above = std::iter::successors(Some(name.clone()), Name::parent);
    above.find_map(|above| groups.get(&above).copied())
}
