//! `[[service]]` to services and what they own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::duration::show;
use super::names;
use super::paths::Base;
use super::pools::Pools;
use super::problem::{At, Notes};
use super::spec::{FailbackSpec, FailoverSpec, List, RecordSpec, ServiceSpec, TtlSpec};
use super::steps;
use super::zones::Zones;
use crate::failover::{Failback, Mode, OnHalt, Service, Standby, TtlRange};
use crate::ids::{PoolName, ServiceName};
use crate::probe::Kind;
use crate::runbook::{Act, Condition, Pause, Plan};
use crate::snapshot::ServiceRecord;
use crate::zone::Name;

const DAY: Duration = Duration::from_secs(86_400);

/// All services, and the records of each with their places.
#[derive(Default)]
pub(super) struct Services {
    pub(super) services: BTreeMap<ServiceName, Service>,
    pub(super) records: BTreeMap<ServiceName, List<ServiceRecord>>,
}

/// Reads all services.
pub(super) fn read(
    specs: &List<ServiceSpec>,
    pools: &Pools,
    zones: &Zones,
    base: &Base,
    notes: &mut Notes,
) -> Services {
    let mut all = Services::default();
    let mut places: BTreeMap<ServiceName, usize> = BTreeMap::new();
    for spec in specs {
        let Some((service, records)) = service(&spec.value, pools, zones, base, notes) else {
            continue;
        };
        let Some(name_at) = &spec.value.name else {
            continue;
        };
        let Some(label) = names::label("service", name_at, notes) else {
            continue;
        };
        let name = ServiceName::from(label);
        if let Some(earlier) = places.insert(name.clone(), name_at.at) {
            let line = notes.line(earlier);
            notes.error(name_at.at, format!("service '{name}' stands at line {line} already, a name is given once, rename one"));
            continue;
        }
        all.records.insert(name.clone(), records);
        all.services.insert(name, service);
    }
    shared_pools(specs, &all, notes);
    all
}

fn service(
    spec: &ServiceSpec,
    all: &Pools,
    zones: &Zones,
    base: &Base,
    notes: &mut Notes,
) -> Option<(Service, List<ServiceRecord>)> {
    let ServiceSpec {
        name: _, // read by the caller, so that what is inside is checked under any name
        pools,
        records,
        ttl,
        failover,
        failback,
        on_halt,
        mode,
        remind_every,
        steps,
    } = spec;
    let read = records.as_ref().map(|list| records_of(list, zones, notes));
    let pools = pools.as_ref().map(|list| pools_of(list, all, notes));
    let ttl = ttl_of(ttl.as_ref(), notes);
    let runbook = steps::plan(steps, ttl.max, base, notes);
    let FailoverSpec {
        after,
        cap_per_hour,
        settle,
    } = failover.as_ref().map_or(&NO_FAILOVER, |table| &table.value);
    let default_after = Duration::from_secs(if runbook.has_hooks() { 10 } else { 0 });
    let (pools, read) = (pools?, read?);
    let failback = failback_of(failback.as_ref(), &pools, all, notes);
    if let Some(list) = records {
        unprobed_ports(&read, &pools, all, notes);
        unseen_paths(&runbook, &pools, all, notes);
        unasked_secondaries(&runbook, &read, zones, list.at, notes);
        if read.is_empty() && list.value.is_empty() {
            notes.error(list.at, "a service without records moves nothing, add one");
        }
    }
    let service = Service {
        pools: pools.into_iter().map(|pool| pool.value).collect(),
        ttl,
        failover_after: after.as_ref().map_or(default_after, |after| after.value),
        cap_per_hour: cap_per_hour.as_ref().map_or(4, |cap| cap.value),
        failback,
        on_halt: on_halt.as_ref().map_or(OnHalt::Next, |word| word.value),
        settle: settle
            .as_ref()
            .map_or(Duration::from_secs(5), |settle| settle.value),
        runbook,
        mode: mode.as_ref().map_or(Mode::Automatic, |word| word.value),
        remind_every: remind_of(remind_every.as_ref(), notes),
    };
    Some((service, read))
}

/// How often people are reminded: not so often that the log is nothing else.
fn remind_of(every: Option<&At<Duration>>, notes: &mut Notes) -> Duration {
    match every {
        Some(every) if every.value < Duration::from_secs(10) => {
            notes.error(
                every.at,
                format!(
                    "'{}' reminds too often, at most every 10 s, write more",
                    show(every.value)
                ),
            );
            every.value
        }
        Some(every) => every.value,
        None => Duration::from_secs(15 * 60),
    }
}

const NO_FAILOVER: FailoverSpec = FailoverSpec {
    after: None,
    cap_per_hour: None,
    settle: None,
};

fn pools_of(list: &At<List<String>>, all: &Pools, notes: &mut Notes) -> List<PoolName> {
    let mut pools: List<PoolName> = Vec::new();
    for written in &list.value {
        let name = PoolName::from(written.value.as_str());
        if !all.places.contains_key(&name) {
            let known: Vec<&str> = all.places.keys().map(PoolName::as_str).collect();
            notes.error(written.at, format!("pool '{name}' is not configured, the pools are {}, correct the name or add a [[pool]]", known.join(", ")));
        } else if pools.iter().any(|pool| pool.value == name) {
            notes.error(
                written.at,
                format!("pool '{name}' is listed twice, an order has it once, remove one"),
            );
        } else {
            pools.push(At {
                value: name,
                at: written.at,
            });
        }
    }
    if list.value.len() < 2 {
        notes.error(
            list.at,
            "fewer than two pools, a failover needs another pool to go to, deploy and add one",
        );
    }
    pools
}

fn records_of(
    list: &At<List<RecordSpec>>,
    zones: &Zones,
    notes: &mut Notes,
) -> List<ServiceRecord> {
    let mut records = Vec::new();
    for record in &list.value {
        let RecordSpec {
            srv,
            address,
            group,
            port,
        } = &record.value;
        let (text, port) = match (srv, address, port) {
            (Some(_), None, Some(At { value: 0, at })) => {
                notes.error(*at, "port 0 cannot be connected to, write 1 to 65535");
                continue;
            }
            (Some(srv), None, Some(port)) => (srv, Some(port.value)),
            (None, Some(address), None) => (address, None),
            (Some(_), None, None) => {
                notes.error(
                    record.at,
                    "an srv record has no 'port', which it needs, add it",
                );
                continue;
            }
            (None, Some(_), Some(port)) => {
                notes.error(port.at, "an address record has no port, remove it");
                continue;
            }
            (Some(_), Some(_), _) | (None, None, _) => {
                notes.error(
                    record.at,
                    "a record is either 'srv' with 'port' or 'address', write one of them",
                );
                continue;
            }
        };
        for owner in owners(text, group.as_ref(), zones, notes) {
            let value = match port {
                Some(port) => ServiceRecord::Srv { owner, port },
                None => ServiceRecord::Address { owner },
            };
            records.push(At { value, at: text.at });
        }
    }
    records
}

/// The names that a record stands at: its own, or one in each zone of a group.
fn owners(
    text: &At<String>,
    group: Option<&At<String>>,
    zones: &Zones,
    notes: &mut Notes,
) -> Vec<Name> {
    let Some(group) = group else {
        return names::absolute(text, notes).into_iter().collect();
    };
    if !zones.groups.contains(&group.value) {
        notes.error(group.at, format!("no [[zone]] has group '{}', a record goes into the zones of a group, add it or correct the name", group.value));
        return Vec::new();
    }
    if text.value.ends_with('.') {
        notes.error(text.at, format!("'{}' is absolute, with 'in' it is completed by each zone's origin, remove the final dot", text.value));
        return Vec::new();
    }
    let members = zones
        .loaded
        .iter()
        .filter(|zone| zone.group.as_ref() == Some(&group.value));
    let mut owners = Vec::new();
    for zone in members {
        match Name::from_text(text.value.as_bytes(), Some(zone.zone.origin())) {
            Ok(name) => owners.push(name.to_lower()),
            Err(error) => notes.error(
                text.at,
                format!("'{}' in '{}': {error}", text.value, zone.zone.origin()),
            ),
        }
    }
    owners
}

fn ttl_of(spec: Option<&At<TtlSpec>>, notes: &mut Notes) -> TtlRange {
    let second = Duration::from_secs(1);
    let mut read = |value: &Option<At<Duration>>, default| match value {
        None => default,
        Some(At { value, .. })
            if *value >= second && *value <= DAY && value.subsec_nanos() == 0 =>
        {
            *value
        }
        Some(At { value, at }) => {
            notes.error(
                *at,
                format!(
                    "a TTL of {}, write whole seconds from 1s to 1d",
                    show(*value)
                ),
            );
            default
        }
    };
    let none = TtlSpec {
        min: None,
        max: None,
    };
    let TtlSpec { min, max } = spec.map_or(&none, |spec| &spec.value);
    let long = read(max, Duration::from_secs(60));
    let range = TtlRange {
        min: read(min, long.min(Duration::from_secs(5))),
        max: long,
    };
    let at = max.as_ref().or(min.as_ref()).map_or(0, |value| value.at);
    if range.min > range.max {
        notes.error(at, format!("ttl.min {} is longer than ttl.max {}, the short one is for times of change, exchange them", show(range.min), show(range.max)));
    } else if range.max > Duration::from_secs(300) {
        notes.warn(at, format!("ttl.max {}, partners may use an answer that long after a failover, 300s or less is usual", show(range.max)));
    }
    range
}

fn failback_of(
    spec: Option<&At<FailbackSpec>>,
    pools: &List<PoolName>,
    all: &Pools,
    notes: &mut Notes,
) -> Failback {
    let cold = |pool: &&At<PoolName>| {
        all.pools
            .get(&pool.value)
            .is_some_and(|pool| pool.standby == Standby::Cold)
    };
    let cold = pools
        .split_last()
        .and_then(|(_, preferred)| preferred.iter().find(cold));
    match (spec.map(|spec| &spec.value), cold) {
        (Some(FailbackSpec::Manual), _) => Failback::Manual,
        (Some(FailbackSpec::After(after)), None) => Failback::After(after.value),
        (Some(FailbackSpec::After(after)), Some(pool)) => {
            notes.warn(after.at, format!("pool '{}' is cold, so failback to it counts its open path alone, write failback = \"manual\" if that is not enough", pool.value));
            Failback::After(after.value)
        }
        (None, None) => Failback::After(Duration::from_secs(600)),
        (None, Some(pool)) => {
            notes.warn(pool.at, format!("pool '{}' is cold, so failback is manual, write failback = {{ after = \"10m\" }} or \"manual\" to settle it", pool.value));
            Failback::Manual
        }
    }
}

fn unprobed_ports(
    records: &List<ServiceRecord>,
    pools: &List<PoolName>,
    all: &Pools,
    notes: &mut Notes,
) {
    let mut told = std::collections::BTreeSet::new();
    for record in records {
        let ServiceRecord::Srv { port, .. } = &record.value else {
            continue;
        };
        for pool in pools {
            let Some(probes) = all.probes.get(&pool.value) else {
                continue;
            };
            if !probes.iter().any(|probe| probe.port == *port)
                && told.insert((record.at, &pool.value))
            {
                notes.warn(record.at, format!("no probe of pool '{}' looks at port {port}, a fault there moves nothing, add a [[pool.probe]] for it", pool.value));
            }
        }
    }
}

/// What a cold pool and `verify = "path"` rely on: a probe that connects, and for a cold pool a
/// program that opens its port.
fn unseen_paths(runbook: &Plan, pools: &List<PoolName>, all: &Pools, notes: &mut Notes) {
    let verifies = runbook
        .steps
        .iter()
        .any(|step| matches!(step.act, Act::Verify(Condition::Path | Condition::Open)));
    for pool in pools {
        let cold = all
            .pools
            .get(&pool.value)
            .is_some_and(|known| known.standby == Standby::Cold);
        let probes = all.probes.get(&pool.value);
        let connects =
            probes.is_none_or(|probes| probes.iter().any(|probe| probe.kind != Kind::Exec));
        let name = &pool.value;
        if (cold || verifies) && !connects {
            let what = if cold {
                "it is cold"
            } else {
                "verify = \"path\""
            };
            notes.warn(pool.at, format!("no probe of pool '{name}' connects, so its path is seen open only while its program says yes, and that counts here ({what}), add a [[pool.probe]] of kind 'tcp'"));
        }
        if cold && !runbook.has_hooks() {
            notes.warn(pool.at, format!("pool '{name}' is cold, and no step acts on the outside, which would open its port, add one, or write standby = \"hot\""));
        }
    }
}

/// A wait for secondaries needs as many as it waits for.
fn unasked_secondaries(
    runbook: &Plan,
    records: &List<ServiceRecord>,
    zones: &Zones,
    at: usize,
    notes: &mut Notes,
) {
    let waits = runbook.steps.iter().find_map(|step| match step.act {
        Act::Wait(Pause::Secondaries { at_least }) => Some(at_least),
        Act::Wait(_) | Act::Run { .. } | Act::Publish | Act::Verify(_) => None,
    });
    let Some(at_least) = waits else { return };
    let owners = records.iter().map(|record| match &record.value {
        ServiceRecord::Srv { owner, .. } | ServiceRecord::Address { owner } => owner,
    });
    let zone_of = |owner: &Name| {
        let mut above = std::iter::successors(Some(owner.clone()), Name::parent);
        let zone = |name: Name| zones.loaded.iter().find(|zone| *zone.zone.origin() == name);
        above.find_map(zone)
    };
    let targets = owners
        .filter_map(zone_of)
        .flat_map(|zone| zone.secondaries.targets.iter());
    let addresses: std::collections::BTreeSet<_> = targets.map(|target| target.address).collect();
    let known = addresses.len();
    if known < at_least.unwrap_or(1) || at_least == Some(0) {
        let wanted = at_least.map_or("all".to_owned(), |count| count.to_string());
        notes.error(at, format!("a step waits for {wanted} secondaries, 'notify' of the zones of these records names {known}, add them or correct 'at_least'"));
    }
}

fn shared_pools(specs: &List<ServiceSpec>, all: &Services, notes: &mut Notes) {
    for spec in specs {
        let (Some(name), Some(list)) = (&spec.value.name, &spec.value.pools) else {
            continue;
        };
        let name = ServiceName::from(name.value.as_str());
        if !all
            .services
            .get(&name)
            .is_some_and(|service| service.runbook.has_hooks())
        {
            continue;
        }
        for pool in &list.value {
            let other = all.services.iter().find(|(other, service)| {
                **other != name && service.pools.iter().any(|p| p.as_str() == pool.value)
            });
            if let Some((other, _)) = other {
                notes.warn(pool.at, format!("pool '{}' also belongs to service '{other}', hooks do not run by themselves against a pool that is active for another service, they will wait for approval", pool.value));
            }
        }
    }
}
