//! What is in each set of a layout, in one generation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::GuardViolation;
use super::layout::{LaidServer, Layout, SetKind};
use crate::failover::Publication;
use crate::ids::ServerName;
use crate::zone::rdata::rtype;
use crate::zone::{Rrset, pack};

/// The step between the priorities of two pools that follow one another.
const PRIORITY_STEP: u16 = 10;
/// The TTL of the addresses of servers when there is no service to say another.
const LONE_SERVER_TTL: u32 = 60;

/// The records of a set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LiveSet {
    ttl: u32,
    /// The longest life of a negative answer at the owners, in seconds.
    pub(super) negative_ttl: u32,
    /// By type, none of them empty.
    rrsets: Vec<(u16, Box<[u8]>)>,
}

impl LiveSet {
    /// All RRsets, by type.
    pub(super) fn rrsets(&self) -> impl Iterator<Item = Rrset<'_>> {
        let rrsets = self.rrsets.iter();
        rrsets.map(|(rtype, packed)| Rrset::from_packed(*rtype, self.ttl, packed))
    }

    /// The RRset of one type.
    pub(super) fn rrset(&self, rtype: u16) -> Option<Rrset<'_>> {
        self.rrsets().find(|rrset| rrset.rtype == rtype)
    }

    fn new(ttl: u32, negative_ttl: u32, records: &[(u16, Vec<u8>)]) -> LiveSet {
        let mut rrsets: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        for (rtype, rdata) in records {
            pack(rdata, rrsets.entry(*rtype).or_default());
        }
        LiveSet {
            ttl,
            negative_ttl,
            rrsets: rrsets
                .into_iter()
                .map(|(rtype, packed)| (rtype, packed.into()))
                .collect(),
        }
    }
}

/// The sets of `layout` with these publications, in the order of its services. A set that is as
/// it was `before` stays the same object.
///
/// # Errors
/// All that would send partners nowhere.
pub(super) fn live_sets(
    layout: &Layout,
    publications: &[Arc<Publication>],
    before: &[Arc<LiveSet>],
) -> Result<Vec<Arc<LiveSet>>, Vec<GuardViolation>> {
    let mut violations = Vec::new();
    for (service, publication) in publications.iter().enumerate() {
        check_targets(layout, service, publication, &mut violations);
    }
    let listed = listed(layout, publications);
    let mut sets = Vec::with_capacity(layout.sets.len());
    for (number, spec) in layout.sets.iter().enumerate() {
        let of_service = |service: usize| {
            let laid = layout.services.get(service)?;
            Some((laid, publications.get(service)?))
        };
        let set = match &spec.kind {
            SetKind::Srv(service, port) => of_service(*service).map(|(laid, publication)| {
                let records = srv_records(layout, publication, *port);
                LiveSet::new(seconds(publication.ttl), laid.negative_ttl, &records)
            }),
            SetKind::Address(service) => of_service(*service).map(|(laid, publication)| {
                let active = publication.ranking.pools.first();
                let servers = active.into_iter().flat_map(|pool| &pool.servers);
                let addresses = servers.flat_map(|server| server.addresses.iter().copied());
                let records = address_records(&addresses.collect());
                LiveSet::new(seconds(publication.ttl), laid.negative_ttl, &records)
            }),
            SetKind::Server(server) => listed.get(server).map(|listed| {
                let records = address_records(&listed.addresses);
                LiveSet::new(listed.ttl, listed.negative_ttl, &records)
            }),
        };
        let set = set.unwrap_or_else(|| LiveSet::new(0, 0, &[]));
        if let (true, SetKind::Srv(service, _) | SetKind::Address(service)) =
            (set.rrsets.is_empty(), &spec.kind)
            && let Some((laid, _)) = of_service(*service)
        {
            violations.push(GuardViolation::EmptySet {
                service: laid.name.clone(),
                owner: spec.owner.clone(),
            });
        }
        let same = before.get(number).filter(|before| ***before == set);
        sets.push(same.map_or_else(|| Arc::new(set), Arc::clone));
    }
    if violations.is_empty() {
        Ok(sets)
    } else {
        Err(violations)
    }
}

/// Targets in our zones must have addresses and be no aliases.
fn check_targets(
    layout: &Layout,
    service: usize,
    publication: &Publication,
    violations: &mut Vec<GuardViolation>,
) {
    let Some(service) = layout.services.get(service).map(|laid| &laid.name) else {
        return;
    };
    let pools = publication.ranking.pools.iter();
    for server in pools.flat_map(|pool| &pool.servers) {
        let ours = layout.servers.get(&server.server).filter(|it| it.is_ours);
        let Some(LaidServer { is_alias, .. }) = ours else {
            continue;
        };
        if server.addresses.is_empty() {
            violations.push(GuardViolation::TargetWithoutAddress {
                service: service.clone(),
                server: server.server.clone(),
            });
        }
        if *is_alias {
            violations.push(GuardViolation::TargetIsAlias {
                service: service.clone(),
                server: server.server.clone(),
            });
        }
    }
}

fn srv_records(layout: &Layout, publication: &Publication, port: u16) -> Vec<(u16, Vec<u8>)> {
    let mut records = Vec::new();
    let mut priority = 0u16;
    for pool in &publication.ranking.pools {
        priority = priority.saturating_add(PRIORITY_STEP);
        for server in &pool.servers {
            let Some(target) = layout.servers.get(&server.server) else {
                continue;
            };
            let mut rdata = Vec::with_capacity(6 + target.name.wire().len());
            for number in [priority, server.weight, port] {
                rdata.extend_from_slice(&number.to_be_bytes());
            }
            rdata.extend_from_slice(target.name.wire());
            records.push((rtype::SRV, rdata));
        }
    }
    records
}

fn address_records(addresses: &BTreeSet<IpAddr>) -> Vec<(u16, Vec<u8>)> {
    let record = |address: &IpAddr| match address {
        IpAddr::V4(address) => (rtype::A, address.octets().to_vec()),
        IpAddr::V6(address) => (rtype::AAAA, address.octets().to_vec()),
    };
    addresses.iter().map(record).collect()
}

/// What the publications list of one server.
struct Listed {
    addresses: BTreeSet<IpAddr>,
    ttl: u32,
    negative_ttl: u32,
}

/// What is listed of each server; all addresses of those that no publication lists.
fn listed<'l>(
    layout: &'l Layout,
    publications: &'l [Arc<Publication>],
) -> BTreeMap<&'l ServerName, Listed> {
    let mut listed: BTreeMap<&ServerName, Listed> = BTreeMap::new();
    let (mut least_ttl, mut least_negative) = (None, None);
    let least = |least: Option<u32>, ttl: u32| Some(least.map_or(ttl, |least| least.min(ttl)));
    for (publication, laid) in publications.iter().zip(&layout.services) {
        let (ttl, negative_ttl) = (seconds(publication.ttl), laid.negative_ttl);
        least_ttl = least(least_ttl, ttl);
        least_negative = least(least_negative, negative_ttl);
        let pools = publication.ranking.pools.iter();
        for server in pools.flat_map(|pool| &pool.servers) {
            let entry = listed.entry(&server.server).or_insert(Listed {
                addresses: BTreeSet::new(),
                ttl,
                negative_ttl,
            });
            entry.addresses.extend(&server.addresses);
            entry.ttl = entry.ttl.min(ttl);
            entry.negative_ttl = entry.negative_ttl.min(negative_ttl);
        }
    }
    for (server, laid) in &layout.servers {
        listed.entry(server).or_insert_with(|| Listed {
            addresses: laid.addresses.iter().copied().collect(),
            ttl: least_ttl.unwrap_or(LONE_SERVER_TTL),
            negative_ttl: least_negative.unwrap_or(LONE_SERVER_TTL),
        });
    }
    listed
}

/// A TTL: whole seconds, at most 2³¹-1 (RFC 2181 section 8).
pub(super) fn seconds(duration: Duration) -> u32 {
    let most = i32::MAX.unsigned_abs();
    u32::try_from(duration.as_secs()).map_or(most, |seconds| seconds.min(most))
}
