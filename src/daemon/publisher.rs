//! From publications to the one snapshot that answers: numbers first, then one swap.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::DaemonError;
use super::disk::Disk;
use super::histories::{Digests, Prepared, begin_anew, carry_on, restore};
use super::history_total::Grown;
use super::secondaries::Followed;
use crate::config::{Config, Secondaries};
use crate::failover::{Policy, Publication};
use crate::ids::{Generation, Serial, ServerName, ServiceName};
use crate::snapshot::{ServiceRecord, ServiceSpec, Settings, Snapshot, SnapshotSpec, Source};
use crate::store::Counters;
use crate::tsig::Keys;
use crate::zone::{Name, Zone};

/// One zone as loaded.
#[derive(Clone)]
struct ServedFile {
    zone: Arc<Zone>,
    /// Zones of a group share one serial; a zone of its own is a group of one.
    group: String,
    file_serial: Serial,
}

/// What the configuration contributes to a snapshot.
#[derive(Clone)]
pub(super) struct Ground {
    settings: Arc<Settings>,
    zones: Vec<ServedFile>,
    records: BTreeMap<ServiceName, Vec<ServiceRecord>>,
    negative_ttl: BTreeMap<ServiceName, Duration>,
    servers: Vec<(ServerName, Vec<std::net::IpAddr>)>,
    /// The groups whose zones hold something of the service.
    touched: BTreeMap<ServiceName, BTreeSet<String>>,
    /// Where transferred zones come from.
    sources: Vec<(Name, Arc<[Source]>)>,
    /// Of the zones that have any.
    secondaries: BTreeMap<Name, Secondaries>,
    keys: Arc<Keys>,
    /// What the histories of all zones may have together.
    history_octets: usize,
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
    ground: Ground,
    numbers: Numbers,
    serials: BTreeMap<String, Serial>,
    publications: BTreeMap<ServiceName, Publication>,
    snapshots: Arc<ArcSwap<Snapshot>>,
    digests: Digests,
    grown: Grown,
}

impl Ground {
    /// What `config` says, with the data of transferred zones as it is `followed`.
    pub(super) fn new(config: &Config, followed: &BTreeMap<Name, Followed>) -> Ground {
        let zones = config.zones.iter().map(|loaded| {
            let origin = loaded.zone.origin();
            let transferred = followed.get(origin);
            let zone = transferred.and_then(|followed| followed.served(origin).ok());
            let zone = zone.unwrap_or_else(|| Arc::clone(&loaded.zone));
            ServedFile {
                group: loaded.group.clone().unwrap_or_else(|| origin.to_string()),
                file_serial: zone.file_serial(),
                zone,
            }
        });
        let zones: Vec<ServedFile> = zones.collect();
        let groups = zones.iter().map(|file| (file.zone.origin(), &file.group));
        let group_by_origin: HashMap<&Name, &String> = groups.collect();
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
                .filter_map(|name| group_of(&group_by_origin, &name));
            touched.insert(service.clone(), groups.collect());
        }
        let services = config.policy.services.iter();
        Ground {
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
            zones,
            touched,
            sources: sources(config),
        }
    }

    fn floors(&self, groups: &BTreeSet<String>) -> BTreeMap<String, Serial> {
        let mut floors: BTreeMap<String, Serial> = BTreeMap::new();
        for zone in self
            .zones
            .iter()
            .filter(|zone| groups.contains(&zone.group))
        {
            let floor = floors.entry(zone.group.clone()).or_insert(zone.file_serial);
            if zone.file_serial.is_newer_than(*floor) {
                *floor = zone.file_serial;
            }
        }
        floors
    }

    fn all_groups(&self) -> BTreeSet<String> {
        self.zones.iter().map(|zone| zone.group.clone()).collect()
    }

    /// The snapshot of these publications under these numbers.
    fn snapshot(
        &self,
        generation: Generation,
        serials: &BTreeMap<String, Serial>,
        publications: &BTreeMap<ServiceName, Publication>,
        before: Option<&Snapshot>,
    ) -> Result<Snapshot, DaemonError> {
        let zones = self.zones.iter().map(|zone| {
            let serial = serials
                .get(&zone.group)
                .copied()
                .unwrap_or(zone.file_serial);
            (Arc::clone(&zone.zone), serial)
        });
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
            zones: zones.collect(),
            services: services.collect(),
            servers: self.servers.clone(),
        };
        let built = match before {
            Some(before) => before.next(&spec),
            None => Snapshot::build(&spec),
        };
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
        self.snapshot(Generation(0), &BTreeMap::new(), publications, None)
            .map(|_| ())
    }
}

impl Publisher {
    /// Publishes for the first time: every zone gets a new serial.
    pub(super) fn start(
        ground: Ground,
        mut numbers: Numbers,
        publications: BTreeMap<ServiceName, Publication>,
        disk: &mut Disk,
    ) -> Result<Publisher, DaemonError> {
        let groups = ground.all_groups();
        let mut serials = BTreeMap::new();
        let generation = numbers.draw(&ground, &groups, &mut serials, disk)?;
        let mut snapshot = ground.snapshot(generation, &serials, &publications, None)?;
        let (stored, mut digests) = (disk.histories()?, Digests::default());
        let writes = restore(stored, &mut snapshot, &ground.secondaries, &mut digests);
        disk.note_histories(writes);
        let mut grown = Grown::default();
        let most = ground.history_octets;
        let lost = grown.keep_within(most, &mut snapshot);
        disk.note_histories(begin_anew(&lost, &snapshot, &mut digests));
        disk.commit(Vec::new());
        let snapshots = Arc::new(ArcSwap::from_pointee(snapshot));
        Ok(Publisher {
            ground,
            numbers,
            serials,
            publications,
            snapshots,
            digests,
            grown,
        })
    }

    /// The number of the snapshot that answers.
    pub(super) fn generation(&self) -> Generation {
        self.snapshots.load().generation()
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
        let groups: BTreeSet<String> = touched.flatten().cloned().collect();
        let mut publications = self.publications.clone();
        publications.extend(changed);
        self.swap(None, &Prepared::default(), publications, &groups, disk)
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
        let mut ground = self.ground.clone();
        let mut groups = BTreeSet::new();
        for served in &mut ground.zones {
            if served.zone.origin() == zone.origin() {
                served.file_serial = zone.file_serial();
                served.zone = Arc::clone(&zone);
                groups.insert(served.group.clone());
            }
        }
        let publications = self.publications.clone();
        self.swap(Some(ground), prepared, publications, &groups, disk)
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
        self.swap(Some(ground), prepared, publications, &groups, disk)
    }

    fn swap(
        &mut self,
        ground: Option<Ground>,
        prepared: &Prepared,
        publications: BTreeMap<ServiceName, Publication>,
        groups: &BTreeSet<String>,
        disk: &mut Disk,
    ) -> Result<(), DaemonError> {
        let next = ground.as_ref().unwrap_or(&self.ground);
        let mut serials = self.serials.clone();
        let generation = self.numbers.draw(next, groups, &mut serials, disk)?;
        let before = self.snapshots.load();
        let mut snapshot = next.snapshot(generation, &serials, &publications, Some(&before))?;
        let (who, digests) = (&next.secondaries, &mut self.digests);
        let writes = carry_on(&before, &mut snapshot, who, prepared, digests);
        disk.note_histories(writes);
        let most = next.history_octets;
        let lost = self.grown.keep_within(most, &mut snapshot);
        disk.note_histories(begin_anew(&lost, &snapshot, &mut self.digests));
        // A disk that fails is tried again by the core, and holds up no swap.
        if disk.failed().is_none() {
            disk.commit(Vec::new());
        }
        self.snapshots.store(Arc::new(snapshot));
        self.serials = serials;
        self.publications = publications;
        if let Some(ground) = ground {
            self.ground = ground;
        }
        Ok(())
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
    /// Draws a generation and a new serial for each of these groups.
    fn draw(
        &mut self,
        ground: &Ground,
        groups: &BTreeSet<String>,
        serials: &mut BTreeMap<String, Serial>,
        disk: &mut Disk,
    ) -> Result<Generation, DaemonError> {
        let counters = match self {
            Numbers::Reserved(counters) => counters,
            Numbers::FromFiles(generation) => {
                generation.0 += 1;
                *serials = ground.floors(groups);
                return Ok(*generation);
            }
        };
        let floors = ground.floors(groups);
        let wanted = counters.reserve(floors.iter().map(|(group, floor)| (group.as_str(), *floor)));
        // If the disk fails, what is left of the blocks is still good.
        if !wanted.is_empty() && disk.commit(wanted.writes()) {
            counters.confirm(wanted);
        }
        for (group, floor) in floors {
            let serial = counters.next_serial(&group, floor)?;
            serials.insert(group, serial);
        }
        Ok(counters.next_generation()?)
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
fn group_of(groups: &HashMap<&Name, &String>, name: &Name) -> Option<String> {
    let mut above = std::iter::successors(Some(name.clone()), Name::parent);
    above.find_map(|above| groups.get(&above).map(|group| (*group).clone()))
}
