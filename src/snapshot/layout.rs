//! What only a new configuration or a new zone changes: the zones, and who owns what in them.
//!
//! A *set* is the records that a service or a server owns at one or at many names: the SRV records
//! of a service with one port, its addresses, the addresses of one server. What is in it, the
//! generation says; a layout knows the names. So a pool that moves changes a few sets, however many
//! zones share it, and all generations of one configuration share the layout.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::apexes::Apexes;
use super::served::Source;
use super::spec::{ServiceRecord, ServiceSpec, SnapshotSpec};
use super::{GuardViolation, Replication, Settings};
use crate::ids::{ServerName, ServiceName};
use crate::tsig::Keys;
use crate::zone::rdata::{rtype, soa_numbers};
use crate::zone::{Key, Name, Node, Record, Tree, Zone};

/// The second cache of a processor of today has one or two MiB, and others use it too.
const LARGE: usize = 1 << 20;

/// What generations of one configuration share.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) settings: Arc<Settings>,
    pub(super) keys: Arc<Keys>,
    /// In canonical order of their origins.
    pub(super) zones: Vec<LaidZone>,
    pub(super) has_large_zones: bool,
    apexes: Apexes,
    pub(super) services: Vec<LaidService>,
    pub(super) servers: BTreeMap<ServerName, LaidServer>,
    pub(super) sets: Vec<SetSpec>,
    /// What stands for a zone that has no secondaries.
    pub(super) without_secondaries: Replication,
}

/// A zone, and the names in it that services and servers own.
#[derive(Debug)]
pub(super) struct LaidZone {
    pub(super) zone: Arc<Zone>,
    /// How many labels the apex has.
    pub(super) depth: usize,
    /// The zone that the apex lies in, other than itself.
    pub(super) above: Option<usize>,
    /// How long the absence of something may be kept, in seconds: the least of the SOA's TTL and
    /// its MINIMUM (RFC 2308 section 5).
    pub(super) negative_ttl: u32,
    /// The owned names, at each the types that are owned; in place of records stands the number
    /// of the set. `None` if there are none.
    pub(super) owned: Option<Tree>,
    pub(super) sources: Arc<[Source]>,
}

/// A service.
#[derive(Debug)]
pub(super) struct LaidService {
    pub(super) name: ServiceName,
    /// In seconds.
    pub(super) negative_ttl: u32,
}

/// A server.
#[derive(Debug)]
pub(super) struct LaidServer {
    pub(super) name: Name,
    /// All its addresses, for when no publication lists it.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether its addresses are ours to give: its name lies in a zone and at or below no cut or
    /// DNAME.
    pub(super) is_ours: bool,
    pub(super) is_alias: bool,
}

/// Which records are in a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SetKind {
    /// One SRV record for each listed server of a service, by its number, with one port.
    Srv(usize, u16),
    /// The addresses of the active pool of a service, by its number.
    Address(usize),
    /// The addresses of a server.
    Server(ServerName),
}

/// A set, and one of its owners: all have the same.
#[derive(Debug)]
pub(super) struct SetSpec {
    pub(super) kind: SetKind,
    pub(super) owner: Name,
}

impl Layout {
    /// The zone that a name lies in.
    pub(super) fn zone_of(&self, key: &Key) -> Option<usize> {
        self.apexes.enclosing(key, |at| self.origin(at))
    }

    /// The zone with this apex.
    pub(super) fn zone_at(&self, origin: &Name) -> Option<usize> {
        self.apexes.exactly(&origin.key(), |at| self.origin(at))
    }

    fn origin(&self, at: usize) -> Option<&Name> {
        self.zones.get(at).map(|zone| zone.zone.origin())
    }

    /// The layout of `spec`, or of what of it can be laid out, with all that speaks against it.
    pub(super) fn build(spec: &SnapshotSpec) -> (Layout, Vec<GuardViolation>) {
        let mut builder = Builder::new(spec);
        for (number, service) in spec.services.iter().enumerate() {
            builder.service(number, service);
        }
        builder.servers();
        builder.finish()
    }
}

impl LaidZone {
    /// Whether the zone is larger than what a processor keeps near for one thread.
    pub(super) fn is_large(&self) -> bool {
        self.zone.tree().size() > LARGE
    }

    fn new(zone: &Arc<Zone>) -> LaidZone {
        let soa = zone.soa();
        let numbers = soa.and_then(|soa| soa.records().next().and_then(soa_numbers));
        let minimum = numbers.map_or(0, |numbers| numbers.minimum);
        LaidZone {
            zone: Arc::clone(zone),
            depth: zone.origin().labels().count(),
            above: None,
            negative_ttl: soa.map_or(0, |soa| soa.ttl.min(minimum)),
            owned: None,
            sources: Arc::default(),
        }
    }
}

/// The number of the set that owns a type at a node of [`LaidZone::owned`].
pub(super) fn set_at(node: &Node<'_>, rtype: u16) -> Option<usize> {
    set_number(node.rrset(rtype)?.records().next()?)
}

/// The number in place of a record.
pub(super) fn set_number(octets: &[u8]) -> Option<usize> {
    let number = u32::from_be_bytes(*octets.first_chunk()?);
    usize::try_from(number).ok()
}

struct Builder {
    layout: Layout,
    /// What stands in place of the records, by the place of the zone.
    owned: BTreeMap<usize, Vec<Record>>,
    /// Who owns a name and type. Hashed: names in canonical order are dear to compare.
    owners: HashMap<(Name, u16), Arc<str>>,
    numbers: BTreeMap<SetKind, usize>,
    violations: Vec<GuardViolation>,
}

impl Builder {
    fn new(spec: &SnapshotSpec) -> Builder {
        let mut violations = Vec::new();
        let mut zones: Vec<&Arc<Zone>> = spec.zones.iter().map(|(zone, _)| zone).collect();
        zones.sort_by(|a, b| a.key().cmp(b.key()));
        zones.dedup_by(|later, earlier| {
            let twice = later.key() == earlier.key();
            if twice {
                let origin = later.origin().clone();
                violations.push(GuardViolation::ZoneTwice { origin });
            }
            twice
        });
        let mut zones: Vec<LaidZone> = zones.into_iter().map(LaidZone::new).collect();
        link(&mut zones);
        let services = spec.services.iter().map(|service| LaidService {
            name: service.name.clone(),
            negative_ttl: super::sets::seconds(service.negative_ttl),
        });
        let mut builder = Builder {
            layout: Layout {
                settings: Arc::clone(&spec.settings),
                keys: Arc::default(),
                has_large_zones: zones.iter().any(LaidZone::is_large),
                apexes: Apexes::of(zones.iter().map(|zone| zone.zone.origin())),
                zones,
                services: services.collect(),
                servers: BTreeMap::new(),
                sets: Vec::new(),
                without_secondaries: Replication::default(),
            },
            owned: BTreeMap::new(),
            owners: HashMap::new(),
            numbers: BTreeMap::new(),
            violations,
        };
        for (server, addresses) in &spec.servers {
            builder.know_server(server, addresses);
        }
        for service in &spec.services {
            let pools = service.publication.ranking.pools.iter();
            for server in pools.flat_map(|pool| &pool.servers) {
                builder.know_server(&server.server, &[]);
            }
        }
        builder
    }

    /// Reads a server's name and sees where it lies, once.
    fn know_server(&mut self, server: &ServerName, addresses: &[IpAddr]) {
        if self.layout.servers.contains_key(server) {
            return;
        }
        let name = match server.as_str().parse::<Name>() {
            Ok(name) => name,
            Err(error) => {
                self.violations.push(GuardViolation::BadServerName {
                    server: server.clone(),
                    reason: error.to_string(),
                });
                return;
            }
        };
        let zone = self.layout.zone_of(&name.key());
        let zone = zone.filter(|zone| !self.is_handed_off(*zone, &name));
        let known = LaidServer {
            addresses: addresses.to_vec(),
            is_ours: zone.is_some(),
            is_alias: zone.is_some_and(|zone| self.has_static(zone, &name, rtype::CNAME)),
            name,
        };
        self.layout.servers.insert(server.clone(), known);
    }

    fn service(&mut self, number: usize, service: &ServiceSpec) {
        let by = format!("service '{}'", service.name).into();
        for record in &service.records {
            let (owner, kind, types) = match record {
                ServiceRecord::Srv { owner, port } => {
                    (owner, SetKind::Srv(number, *port), &[rtype::SRV][..])
                }
                ServiceRecord::Address { owner } => (
                    owner,
                    SetKind::Address(number),
                    &[rtype::A, rtype::AAAA][..],
                ),
            };
            if matches!(kind, SetKind::Srv(_, 0)) {
                self.violations.push(GuardViolation::PortZero {
                    service: service.name.clone(),
                    owner: owner.clone(),
                });
            }
            let Some(zone) = self.layout.zone_of(&owner.key()) else {
                self.violations.push(GuardViolation::OutsideZones {
                    service: service.name.clone(),
                    owner: owner.clone(),
                });
                continue;
            };
            if self.is_handed_off(zone, owner) {
                self.violations.push(GuardViolation::BelowBoundary {
                    service: service.name.clone(),
                    owner: owner.clone(),
                });
                continue;
            }
            self.own(zone, owner, types, kind, &by);
        }
    }

    /// The addresses of the servers whose names are ours.
    fn servers(&mut self) {
        let ours = self.layout.servers.iter().filter(|(_, it)| it.is_ours);
        let ours = ours.map(|(server, it)| (server.clone(), it.name.clone()));
        for (server, name) in ours.collect::<Vec<_>>() {
            let by = format!("server '{server}'").into();
            if let Some(zone) = self.layout.zone_of(&name.key()) {
                let types = [rtype::A, rtype::AAAA];
                self.own(zone, &name, &types, SetKind::Server(server), &by);
            }
        }
    }

    /// Whether the zone hands the name off to others: a cut or DNAME at or above it.
    fn is_handed_off(&self, zone: usize, name: &Name) -> bool {
        let tree = self.layout.zones.get(zone).map(|zone| zone.zone.tree());
        let found = tree.and_then(|tree| tree.find(&name.key()).node);
        found.is_some_and(|node| node.boundary().is_some())
    }

    fn has_static(&self, zone: usize, name: &Name, rtype: u16) -> bool {
        let tree = self.layout.zones.get(zone).map(|zone| zone.zone.tree());
        let found = tree.and_then(|tree| tree.get(&name.key()));
        found.is_some_and(|node| node.rrset(rtype).is_some())
    }

    /// Gives a name and types to a set; notes who has them already.
    fn own(&mut self, zone: usize, owner: &Name, types: &[u16], kind: SetKind, by: &Arc<str>) {
        for &rtype in types {
            if let Some(first) = self.owners.insert((owner.clone(), rtype), Arc::clone(by)) {
                self.violations.push(GuardViolation::OwnedTwice {
                    owner: owner.clone(),
                    rtype,
                    first: first.to_string(),
                    second: by.to_string(),
                });
                return;
            }
        }
        for &rtype in types.iter().chain(&[rtype::CNAME]) {
            if self.has_static(zone, owner, rtype) {
                self.violations.push(GuardViolation::StaticConflict {
                    owner: owner.clone(),
                    rtype,
                    by: by.to_string(),
                });
            }
        }
        let sets = &mut self.layout.sets;
        let number = *self.numbers.entry(kind).or_insert_with_key(|kind| {
            sets.push(SetSpec {
                kind: kind.clone(),
                owner: owner.clone(),
            });
            sets.len() - 1
        });
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let records = types.iter().map(|rtype| Record {
            owner: owner.clone(),
            rtype: *rtype,
            ttl: 0,
            rdata: number.to_be_bytes().to_vec(),
        });
        self.owned.entry(zone).or_default().extend(records);
    }

    fn finish(mut self) -> (Layout, Vec<GuardViolation>) {
        for (zone, records) in self.owned {
            let Some(zone) = self.layout.zones.get_mut(zone) else {
                continue;
            };
            match Tree::build(zone.zone.origin(), &records) {
                Ok(owned) => zone.owned = Some(owned),
                Err(error) => self.violations.push(GuardViolation::BadZone {
                    origin: zone.zone.origin().clone(),
                    reason: error.to_string(),
                }),
            }
        }
        (self.layout, self.violations)
    }
}

/// Tells each zone which one its apex lies in. `zones` are in canonical order.
fn link(zones: &mut [LaidZone]) {
    let mut path: Vec<(Arc<Zone>, usize)> = Vec::new();
    for (index, laid) in zones.iter_mut().enumerate() {
        let is_above = |(above, _): &(Arc<Zone>, usize)| laid.zone.key().starts_with(above.key());
        while path.last().is_some_and(|above| !is_above(above)) {
            path.pop();
        }
        laid.above = path.last().map(|(_, index)| *index);
        path.push((Arc::clone(&laid.zone), index));
    }
}
