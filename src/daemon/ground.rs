//! What the configuration brings to a snapshot, and how its zones share serials.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::DaemonError;
use super::secondaries::Followed;
use crate::config::{Config, Secondaries};
use crate::failover::{Policy, Publication};
use crate::ids::{Generation, Serial, ServerName, ServiceName};
use crate::snapshot::{ServiceRecord, ServiceSpec, Settings, Snapshot, SnapshotSpec, Source};
use crate::store::{Counters, GroupNumber, Reservation};
use crate::tsig::Keys;
use crate::zone::{Name, Zone};

/// What the configuration contributes to a snapshot.
#[derive(Clone)]
pub(super) struct Ground {
    settings: Arc<Settings>,
    /// In canonical order, each with the number of its group.
    pub(super) zones: Vec<(Arc<Zone>, usize)>,
    pub(super) groups: Vec<Group>,
    records: BTreeMap<ServiceName, Vec<ServiceRecord>>,
    negative_ttl: BTreeMap<ServiceName, Duration>,
    servers: Vec<(ServerName, Vec<std::net::IpAddr>)>,
    /// The groups whose zones hold something of the service.
    pub(super) touched: BTreeMap<ServiceName, BTreeSet<usize>>,
    /// Where transferred zones come from.
    sources: Vec<(Name, Arc<[Source]>)>,
    /// Of the zones that have any.
    pub(super) secondaries: BTreeMap<Name, Secondaries>,
    keys: Arc<Keys>,
    /// What the histories of all zones may have together.
    pub(super) history_octets: usize,
}

/// Zones that share one serial; a zone of its own is a group of one.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) name: String,
    /// What the counters know it by, once they do.
    pub(super) number: Option<GroupNumber>,
    /// The newest serial of their files: what is served is never older.
    pub(super) floor: Serial,
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

    /// The same with the new data of a zone, and the groups that it touches.
    pub(super) fn with(&self, zone: &Arc<Zone>) -> (Ground, BTreeSet<usize>) {
        let mut ground = self.clone();
        let mut groups = BTreeSet::new();
        for (served, group) in &mut ground.zones {
            if served.origin() == zone.origin() {
                *served = Arc::clone(zone);
                groups.insert(*group);
            }
        }
        ground.find_floors();
        (ground, groups)
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
    pub(super) fn numbered<'g>(
        &'g self,
        groups: &'g BTreeSet<usize>,
    ) -> impl Iterator<Item = (usize, GroupNumber, Serial)> {
        groups.iter().filter_map(|at| {
            let group = self.groups.get(*at)?;
            Some((*at, group.number?, group.floor))
        })
    }

    pub(super) fn wanted(&self, counters: &Counters, groups: &BTreeSet<usize>) -> Reservation {
        let numbered = self.numbered(groups);
        counters.reserve(numbered.map(|(_, number, floor)| (number, floor)))
    }

    pub(super) fn all_groups(&self) -> BTreeSet<usize> {
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
    pub(super) fn snapshot(
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
