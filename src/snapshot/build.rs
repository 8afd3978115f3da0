//! From zones and publications to a snapshot, or to the reasons against it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::apexes::Apexes;
use super::served::Overlay;
use super::{GuardViolation, ServedZone, Settings, Snapshot};
use crate::failover::Publication;
use crate::ids::{Generation, Serial, ServerName, ServiceName};
use crate::zone::rdata::{rtype, soa_with_serial};
use crate::zone::{Name, Record, Tree, Zone};

/// The step between the priorities of two pools that follow one another.
const PRIORITY_STEP: u16 = 10;
/// The TTL of the addresses of servers when there is no service to say another.
const LONE_SERVER_TTL: u32 = 60;

/// All that a snapshot is made of.
#[derive(Clone, Debug)]
pub struct SnapshotSpec {
    /// The number of the snapshot.
    pub generation: Generation,
    /// What answers depend on beside the zones.
    pub settings: Arc<Settings>,
    /// The zones, each with the serial that it is served with.
    pub zones: Vec<(Arc<Zone>, Serial)>,
    /// The services.
    pub services: Vec<ServiceSpec>,
    /// All servers with all their addresses; for those that no publication lists.
    pub servers: Vec<(ServerName, Vec<IpAddr>)>,
}

/// One service with what is published of it.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The service.
    pub name: ServiceName,
    /// What it owns.
    pub records: Vec<ServiceRecord>,
    /// The order, the listed servers, the TTL.
    pub publication: Publication,
    /// The longest life of a negative answer at its names (`ttl.min`). Whole seconds.
    pub negative_ttl: Duration,
}

/// A set of records that follows a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceRecord {
    /// One SRV record for each listed server of each pool, in the order of the ranking.
    Srv {
        /// The owner: `_xmpp-server._tcp.contoso.test.`.
        owner: Name,
        /// The port.
        port: u16,
    },
    /// A and AAAA of the listed servers of the active pool.
    Address {
        /// The owner: `xmpp.contoso.test.`.
        owner: Name,
    },
}

pub(super) fn build(
    spec: &SnapshotSpec,
    before: Option<&Snapshot>,
) -> Result<Snapshot, Vec<GuardViolation>> {
    let mut builder = Builder::new(spec);
    for service in &spec.services {
        builder.service(service);
    }
    builder.servers(spec);
    builder.finish(spec.generation, before)
}

/// The records that are laid over one zone.
#[derive(Default)]
struct Laid {
    records: Vec<Record>,
    /// The longest life of a negative answer, in seconds, by owner.
    negative: BTreeMap<Name, u32>,
}

struct Builder<'s> {
    /// The zones in canonical order, with nothing laid over them: for looking names up.
    bare: Snapshot,
    /// By the place of the zone.
    laid: BTreeMap<usize, Laid>,
    /// Who owns a name and type.
    owners: BTreeMap<(Name, u16), String>,
    violations: Vec<GuardViolation>,
    names: BTreeMap<&'s ServerName, Name>,
}

impl<'s> Builder<'s> {
    fn new(spec: &'s SnapshotSpec) -> Builder<'s> {
        let mut violations = Vec::new();
        let nothing = Arc::new(Overlay::new(Tree::empty(), Vec::new(), true));
        let bare = |(zone, serial): &(Arc<Zone>, Serial)| {
            ServedZone::new(Arc::clone(zone), *serial, Arc::clone(&nothing))
        };
        let mut zones: Vec<ServedZone> = spec.zones.iter().map(bare).collect();
        zones.sort_by(|a, b| a.key().cmp(b.key()));
        zones.dedup_by(|later, earlier| {
            let twice = later.key() == earlier.key();
            if twice {
                violations.push(GuardViolation::ZoneTwice {
                    origin: later.origin().clone(),
                });
            }
            twice
        });
        link(&mut zones);
        let mut builder = Builder {
            laid: BTreeMap::new(),
            bare: snapshot_of(spec.generation, Arc::clone(&spec.settings), zones),
            owners: BTreeMap::new(),
            violations,
            names: BTreeMap::new(),
        };
        let listed = spec.services.iter().flat_map(|service| {
            let pools = service.publication.ranking.pools.iter();
            pools.flat_map(|pool| pool.servers.iter().map(|server| &server.server))
        });
        for server in spec.servers.iter().map(|(name, _)| name).chain(listed) {
            builder.name_server(server);
        }
        builder
    }

    /// Reads a server's name, once.
    fn name_server(&mut self, server: &'s ServerName) {
        if self.names.contains_key(server) {
            return;
        }
        match server.as_str().parse::<Name>() {
            Ok(name) => {
                self.names.insert(server, name);
            }
            Err(error) => self.violations.push(GuardViolation::BadServerName {
                server: server.clone(),
                reason: error.to_string(),
            }),
        }
    }

    fn service(&mut self, service: &ServiceSpec) {
        let by = format!("service '{}'", service.name);
        for record in &service.records {
            let (owner, types) = match record {
                ServiceRecord::Srv { owner, .. } => (owner, &[rtype::SRV][..]),
                ServiceRecord::Address { owner } => (owner, &[rtype::A, rtype::AAAA][..]),
            };
            let Some(zone) = self.place_of(owner) else {
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
            self.own(zone, owner, types, &by);
            let records = match record {
                ServiceRecord::Srv { owner, port } => self.srv_records(service, owner, *port),
                ServiceRecord::Address { owner } => active_addresses(service, owner),
            };
            if records.is_empty() {
                self.violations.push(GuardViolation::EmptySet {
                    service: service.name.clone(),
                    owner: owner.clone(),
                });
            }
            self.lay(zone, owner, records, seconds(service.negative_ttl));
        }
        self.targets(service);
    }

    fn srv_records(&mut self, service: &ServiceSpec, owner: &Name, port: u16) -> Vec<Record> {
        if port == 0 {
            self.violations.push(GuardViolation::PortZero {
                service: service.name.clone(),
                owner: owner.clone(),
            });
        }
        let mut records = Vec::new();
        let mut priority = 0u16;
        for pool in &service.publication.ranking.pools {
            priority = priority.saturating_add(PRIORITY_STEP);
            for server in &pool.servers {
                let Some(target) = self.names.get(&server.server) else {
                    continue;
                };
                let mut rdata = Vec::with_capacity(6 + target.wire().len());
                for number in [priority, server.weight, port] {
                    rdata.extend_from_slice(&number.to_be_bytes());
                }
                rdata.extend_from_slice(target.wire());
                records.push(Record {
                    owner: owner.clone(),
                    rtype: rtype::SRV,
                    ttl: seconds(service.publication.ttl),
                    rdata,
                });
            }
        }
        records
    }

    /// Targets in our zones must have addresses and be no aliases.
    fn targets(&mut self, service: &ServiceSpec) {
        for pool in &service.publication.ranking.pools {
            for server in &pool.servers {
                let Some(name) = self.names.get(&server.server) else {
                    continue;
                };
                let Some(zone) = self.place_of(name) else {
                    continue;
                };
                if self.is_handed_off(zone, name) {
                    continue;
                }
                if server.addresses.is_empty() {
                    self.violations.push(GuardViolation::TargetWithoutAddress {
                        service: service.name.clone(),
                        server: server.server.clone(),
                    });
                }
                if self.has_static(zone, name, rtype::CNAME) {
                    self.violations.push(GuardViolation::TargetIsAlias {
                        service: service.name.clone(),
                        server: server.server.clone(),
                    });
                }
            }
        }
    }

    /// The addresses of the servers whose names are ours.
    fn servers(&mut self, spec: &SnapshotSpec) {
        let least = |of: &dyn Fn(&ServiceSpec) -> Duration| {
            let least = spec.services.iter().map(of).min();
            least.map_or(LONE_SERVER_TTL, seconds)
        };
        let of_unlisted = Listed {
            addresses: BTreeSet::new(),
            ttl: least(&|service| service.publication.ttl),
            negative: least(&|service| service.negative_ttl),
        };
        let mut listed = listed(spec);
        for (server, addresses) in &spec.servers {
            listed.entry(server).or_insert_with(|| Listed {
                addresses: addresses.iter().copied().collect(),
                ..of_unlisted
            });
        }
        for (server, listed) in listed {
            let Some(name) = self.names.get(server).cloned() else {
                continue;
            };
            let Some(zone) = self.place_of(&name) else {
                continue;
            };
            if self.is_handed_off(zone, &name) {
                continue;
            }
            let by = format!("server '{server}'");
            self.own(zone, &name, &[rtype::A, rtype::AAAA], &by);
            let records = listed.addresses.iter();
            let records = records.map(|address| address_record(&name, *address, listed.ttl));
            self.lay(zone, &name, records.collect(), listed.negative);
        }
    }

    /// The zone that a name lies in.
    fn place_of(&self, name: &Name) -> Option<usize> {
        let zone = self.bare.zone_of(&name.key())?;
        self.bare.search(zone.key()).ok()
    }

    /// Whether the zone hands the name off to others: a cut or DNAME at or above it.
    fn is_handed_off(&self, zone: usize, name: &Name) -> bool {
        let zone = self.bare.zones.get(zone);
        zone.is_some_and(|zone| zone.find(&name.key()).boundary.is_some())
    }

    fn has_static(&self, zone: usize, name: &Name, rtype: u16) -> bool {
        self.bare.zones.get(zone).is_some_and(|zone| {
            let place = zone.find(&name.key());
            place.exact && place.rrset(rtype).is_some()
        })
    }

    /// Takes a name and types; notes who has them already.
    fn own(&mut self, zone: usize, owner: &Name, types: &[u16], by: &str) {
        for &rtype in types {
            if let Some(first) = self.owners.insert((owner.clone(), rtype), by.to_owned()) {
                self.violations.push(GuardViolation::OwnedTwice {
                    owner: owner.clone(),
                    rtype,
                    first,
                    second: by.to_owned(),
                });
            }
        }
        for &rtype in types.iter().chain(&[rtype::CNAME]) {
            if self.has_static(zone, owner, rtype) {
                self.violations.push(GuardViolation::StaticConflict {
                    owner: owner.clone(),
                    rtype,
                    by: by.to_owned(),
                });
            }
        }
    }

    fn lay(&mut self, zone: usize, owner: &Name, records: Vec<Record>, negative: u32) {
        let laid = self.laid.entry(zone).or_default();
        laid.records.extend(records);
        let least = laid.negative.entry(owner.clone()).or_insert(negative);
        *least = (*least).min(negative);
    }

    /// Lays each zone's records over it, or takes what `before` has where that is the same.
    fn finish(
        mut self,
        generation: Generation,
        before: Option<&Snapshot>,
    ) -> Result<Snapshot, Vec<GuardViolation>> {
        let mut zones = Vec::with_capacity(self.bare.zones.len());
        // Both are in canonical order.
        let mut earlier = before
            .map_or(&[][..], |before| &before.zones)
            .iter()
            .peekable();
        for (index, bare) in self.bare.zones.iter().enumerate() {
            while earlier.next_if(|it| it.key() < bare.key()).is_some() {}
            let same = earlier.next_if(|it| it.key() == bare.key());
            let laid = self.laid.remove(&index);
            let shared = same
                .filter(|_| laid.is_none())
                .and_then(|same| same.plain_overlay(bare.zone(), bare.serial()));
            let overlay = match shared {
                Some(shared) => Ok(shared),
                None => overlay_of(bare.zone(), bare.serial(), laid).map(Arc::new),
            };
            match overlay {
                Ok(overlay) => {
                    let zone = Arc::clone(bare.zone());
                    let mut zone = ServedZone::new(zone, bare.serial(), overlay);
                    zone.set_above(bare.above());
                    zones.push(zone);
                }
                Err(violation) => self.violations.push(violation),
            }
        }
        if self.violations.is_empty() {
            Ok(snapshot_of(generation, self.bare.settings, zones))
        } else {
            Err(self.violations)
        }
    }
}

/// A snapshot that nobody transfers anything from yet.
fn snapshot_of(
    generation: Generation,
    settings: Arc<Settings>,
    zones: Vec<ServedZone>,
) -> Snapshot {
    Snapshot {
        generation,
        settings,
        apexes: Apexes::of(&zones),
        zones,
        keys: Arc::default(),
        has_targets: false,
    }
}

/// What lies over a zone: the records `laid` and the SOA with its serial.
fn overlay_of(
    zone: &Arc<Zone>,
    serial: Serial,
    laid: Option<Laid>,
) -> Result<Overlay, GuardViolation> {
    let origin = zone.origin();
    let is_plain = laid.is_none();
    let mut laid = laid.unwrap_or_default();
    if let Some(soa) = zone.soa() {
        laid.records.extend(soa.records().map(|rdata| Record {
            owner: origin.clone(),
            rtype: rtype::SOA,
            ttl: soa.ttl,
            rdata: soa_with_serial(rdata, serial.0),
        }));
    }
    let tree = Tree::build(origin, &laid.records).map_err(|error| bad_zone(origin, &error))?;
    let negative = laid
        .negative
        .iter()
        .filter_map(|(owner, ttl)| Some((tree.get(&owner.key())?.index(), *ttl)))
        .collect();
    Ok(Overlay::new(tree, negative, is_plain))
}

/// Tells each zone which one its apex lies in. `zones` are in canonical order.
fn link(zones: &mut [ServedZone]) {
    let mut path: Vec<(Arc<Zone>, usize)> = Vec::new();
    for (index, zone) in zones.iter_mut().enumerate() {
        while path
            .last()
            .is_some_and(|(above, _)| !zone.key().starts_with(above.key()))
        {
            path.pop();
        }
        zone.set_above(path.last().map(|(_, index)| *index));
        path.push((Arc::clone(zone.zone()), index));
    }
}

/// What the publications list of one server.
struct Listed {
    addresses: BTreeSet<IpAddr>,
    ttl: u32,
    negative: u32,
}

fn listed(spec: &SnapshotSpec) -> BTreeMap<&ServerName, Listed> {
    let mut listed: BTreeMap<&ServerName, Listed> = BTreeMap::new();
    for service in &spec.services {
        let (ttl, negative) = (
            seconds(service.publication.ttl),
            seconds(service.negative_ttl),
        );
        for pool in &service.publication.ranking.pools {
            for server in &pool.servers {
                let entry = listed.entry(&server.server).or_insert(Listed {
                    addresses: BTreeSet::new(),
                    ttl,
                    negative,
                });
                entry.addresses.extend(&server.addresses);
                entry.ttl = entry.ttl.min(ttl);
                entry.negative = entry.negative.min(negative);
            }
        }
    }
    listed
}

/// A and AAAA of the active pool at `owner`.
fn active_addresses(service: &ServiceSpec, owner: &Name) -> Vec<Record> {
    let active = service.publication.ranking.pools.first();
    let addresses: BTreeSet<IpAddr> = active
        .into_iter()
        .flat_map(|pool| &pool.servers)
        .flat_map(|server| server.addresses.iter().copied())
        .collect();
    let ttl = seconds(service.publication.ttl);
    addresses
        .into_iter()
        .map(|address| address_record(owner, address, ttl))
        .collect()
}

fn address_record(owner: &Name, address: IpAddr, ttl: u32) -> Record {
    let (rtype, rdata) = match address {
        IpAddr::V4(address) => (rtype::A, address.octets().to_vec()),
        IpAddr::V6(address) => (rtype::AAAA, address.octets().to_vec()),
    };
    Record {
        owner: owner.clone(),
        rtype,
        ttl,
        rdata,
    }
}

/// A TTL: whole seconds, at most 2³¹-1 (RFC 2181 section 8).
fn seconds(duration: Duration) -> u32 {
    let most = i32::MAX.unsigned_abs();
    u32::try_from(duration.as_secs()).map_or(most, |seconds| seconds.min(most))
}

fn bad_zone(origin: &Name, error: &impl ToString) -> GuardViolation {
    GuardViolation::BadZone {
        origin: origin.clone(),
        reason: error.to_string(),
    }
}
