//! What should be seen, from the configuration and what is published of it.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::failover::{Publication, RankedServer};
use crate::ids::{PoolName, Serial, ServerName, ServiceName};
use crate::probe::{ProbeSpec, Roots};
use crate::snapshot::ServiceRecord;
use crate::verify::{
    Expected, ExpectedLook, ExpectedPool, ExpectedServer, ExpectedSet, ExpectedZone, SetKind,
};
use crate::zone::Name;

/// The step between the priorities of two pools that follow one another.
const PRIORITY_STEP: u16 = 10;

/// What partners should see of `service`: as `published`, or else as the configuration prefers it,
/// with every server. `serial_of` says which serial a zone is served with. `None` if the
/// configuration has no such service.
#[must_use]
pub fn expect(
    config: &Config,
    service: &ServiceName,
    published: Option<&Publication>,
    serial_of: &dyn Fn(&Name) -> Option<Serial>,
) -> Option<Expected> {
    let policy = config.policy.services.get(service)?;
    let records = config.records.get(service)?;
    let mut zones = BTreeSet::new();
    let mut sets = Vec::new();
    for record in records {
        let (owner, kind) = match record {
            ServiceRecord::Srv { owner, port } => (owner, SetKind::Srv { port: *port }),
            ServiceRecord::Address { owner } => (owner, SetKind::Address),
        };
        let Some(zone) = zone_of(config, owner) else {
            continue;
        };
        zones.insert(zone.clone());
        sets.push(ExpectedSet {
            owner: owner.to_string(),
            zone: zone.to_string(),
            kind,
        });
    }
    let ranked: Vec<(PoolName, Vec<ExpectedServer>)> = match published {
        Some(published) => published
            .ranking
            .pools
            .iter()
            .map(|ranked| {
                (
                    ranked.pool.clone(),
                    ranked.servers.iter().map(listed).collect(),
                )
            })
            .collect(),
        None => policy
            .pools
            .iter()
            .map(|pool| (pool.clone(), configured(config, pool)))
            .collect(),
    };
    // Targets in our zones are found through them too.
    let targets = ranked.iter().flat_map(|(_, servers)| servers);
    let names = targets.filter_map(|server| server.name.as_str().parse::<Name>().ok());
    zones.extend(names.filter_map(|name| zone_of(config, &name).cloned()));
    let places = (1u16..).zip(ranked);
    let pools = places.filter_map(|(place, (pool, servers))| {
        Some(ExpectedPool {
            priority: place.saturating_mul(PRIORITY_STEP),
            standby: config.policy.pools.get(&pool)?.standby,
            looks: looks(config, &pool),
            pool,
            servers,
        })
    });
    Some(Expected {
        service: service.clone(),
        published: published.is_some(),
        pools: pools.collect(),
        zones: zones
            .iter()
            .map(|origin| ExpectedZone {
                origin: origin.to_string(),
                serial: serial_of(origin),
            })
            .collect(),
        sets,
        ttl_s: published.map(|published| published.ttl.as_secs()),
        ttl_min_s: policy.ttl.min.as_secs(),
        ttl_max_s: policy.ttl.max.as_secs(),
    })
}

/// The deepest zone that a name lies in.
fn zone_of<'c>(config: &'c Config, name: &Name) -> Option<&'c Name> {
    let origins = config.zones.iter().map(|loaded| loaded.zone.origin());
    let around = origins.filter(|origin| name.is_at_or_below(origin));
    around.max_by_key(|origin| origin.labels().count())
}

fn listed(ranked: &RankedServer) -> ExpectedServer {
    ExpectedServer {
        name: ranked.server.clone(),
        addresses: sorted(&ranked.addresses),
        weight: ranked.weight,
    }
}

fn configured(config: &Config, pool: &PoolName) -> Vec<ExpectedServer> {
    let servers = config.policy.pools.get(pool).map(|pool| &pool.servers[..]);
    let servers = servers.unwrap_or_default().iter();
    servers
        .map(|server| ExpectedServer {
            name: ServerName::from(server.name.as_str()),
            addresses: sorted(&server.addresses),
            weight: server.weight,
        })
        .collect()
}

fn sorted(addresses: &[std::net::IpAddr]) -> Vec<std::net::IpAddr> {
    let mut addresses = addresses.to_vec();
    addresses.sort();
    addresses
}

fn looks(config: &Config, pool: &PoolName) -> Vec<ExpectedLook> {
    let specs = config.probes.get(pool).map(|specs| &specs[..]);
    let look = |spec: &std::sync::Arc<ProbeSpec>| ExpectedLook {
        kind: spec.kind.word().to_owned(),
        port: spec.port,
        domain: spec.domain.clone(),
        from: spec.from.clone(),
        timeout_ms: u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX),
        ca_file: match &spec.roots {
            Roots::System => None,
            Roots::File(file) => Some(file.display().to_string()),
        },
    };
    specs.unwrap_or_default().iter().map(look).collect()
}
