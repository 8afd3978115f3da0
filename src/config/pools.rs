//! `[[pool]]` to the pools of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::names;
use super::paths::Base;
use super::probes;
use super::problem::{At, Notes};
use super::spec::{List, PoolSpec, ProbeTable, ServerSpec, VarsSpec};
use crate::failover::{Pool, Server, Standby};
use crate::ids::{PoolName, ServerName};
use crate::probe::ProbeSpec;
use crate::zone::Name;

/// All pools, with where they and their servers stand.
#[derive(Default)]
pub(super) struct Pools {
    pub(super) pools: BTreeMap<PoolName, Pool>,
    pub(super) probes: BTreeMap<PoolName, Vec<Arc<ProbeSpec>>>,
    /// Every server's place and name.
    pub(super) servers: BTreeMap<ServerName, At<Name>>,
    /// Every pool name that was written, with its place.
    pub(super) places: BTreeMap<PoolName, usize>,
}

/// Reads all pools.
pub(super) fn read(
    specs: &List<PoolSpec>,
    defaults: Option<&At<ProbeTable>>,
    base: &Base,
    notes: &mut Notes,
) -> Pools {
    let mut all = Pools::default();
    for spec in specs {
        pool(spec, defaults, base, &mut all, notes);
    }
    all
}

fn pool(
    spec: &At<PoolSpec>,
    defaults: Option<&At<ProbeTable>>,
    base: &Base,
    all: &mut Pools,
    notes: &mut Notes,
) {
    let PoolSpec {
        name,
        servers,
        min_healthy,
        standby,
        vars: own_vars,
        probes: own_probes,
    } = &spec.value;
    let written = servers.as_ref().map_or(0, |list| list.value.len());
    let read: Vec<Server> = servers
        .iter()
        .flat_map(|list| &list.value)
        .filter_map(|spec| server(spec, &mut all.servers, notes))
        .collect();
    if let Some(list) = servers.as_ref().filter(|list| list.value.is_empty()) {
        notes.error(
            list.at,
            "a pool without servers, it needs one at least, add one",
        );
    }
    let needed = min_healthy.as_ref().map_or(1, |count| count.value);
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    if let Some(count) = min_healthy
        && written > 0
        && !(1..=written).contains(&needed)
    {
        let message =
            format!("'min_healthy' is {needed} of {written} servers, write 1 to {written}");
        notes.error(count.at, message);
    }
    let (specs, detection) = probes::of_pool(own_probes, defaults, spec.at, base, notes)
        .into_iter()
        .unzip();
    let vars = vars(own_vars.as_ref(), notes);
    let Some(name_at) = name else { return };
    let Some(label) = names::label("pool", name_at, notes) else {
        return;
    };
    let name = PoolName::from(label);
    if let Some(earlier) = all.places.insert(name.clone(), name_at.at) {
        let line = notes.line(earlier);
        notes.error(
            name_at.at,
            format!(
                "pool '{name}' stands at line {line} already, a name is given once, rename one"
            ),
        );
        return;
    }
    let pool = Pool {
        servers: read,
        min_healthy: needed,
        standby: standby.as_ref().map_or(Standby::Hot, |word| word.value),
        detection,
        vars,
    };
    all.probes.insert(name.clone(), specs);
    all.pools.insert(name, pool);
}

fn server(
    spec: &At<ServerSpec>,
    known: &mut BTreeMap<ServerName, At<Name>>,
    notes: &mut Notes,
) -> Option<Server> {
    let ServerSpec {
        name,
        addresses,
        weight,
        vars: own_vars,
    } = &spec.value;
    let vars = vars(own_vars.as_ref(), notes);
    let mut seen = BTreeSet::new();
    for address in addresses.iter().flat_map(|list| &list.value) {
        let ip = address.value;
        if !seen.insert(ip) {
            notes.error(
                address.at,
                format!("address '{ip}' is listed twice, remove one"),
            );
        } else if ip.is_unspecified() || ip.is_multicast() {
            notes.error(
                address.at,
                format!("address '{ip}' is no host's, write a unicast address"),
            );
        }
    }
    if let Some(list) = addresses.as_ref().filter(|list| list.value.is_empty()) {
        notes.error(
            list.at,
            "a server without an address, a target needs one (RFC 2782), add one",
        );
    }
    let name_at = name.as_ref()?;
    let (name, dns) = names::host(name_at, notes)?;
    if let Some(earlier) = known.get(&name) {
        let line = notes.line(earlier.at);
        notes.error(
            name_at.at,
            format!("server '{name}' stands at line {line} already, a server is in one pool, once, remove one"),
        );
        return None;
    }
    let at = name_at.at;
    known.insert(name.clone(), At { value: dns, at });
    Some(Server {
        name,
        addresses: addresses
            .iter()
            .flat_map(|list| &list.value)
            .map(|a| a.value)
            .collect(),
        weight: weight.as_ref().map_or(50, |weight| weight.value),
        vars,
    })
}

fn vars(spec: Option<&At<VarsSpec>>, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    let mut variables = BTreeSet::new();
    for word in spec.into_iter().flat_map(|spec| &spec.value.0) {
        let (key, value) = &word.value;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || !key.chars().all(plain) {
            notes.error(word.at, format!("'{key}' cannot be part of a variable's name, which is letters, digits and '_', rename it"));
        } else if !variables.insert(key.to_ascii_uppercase()) {
            notes.error(word.at, format!("'{key}' differs from another word by case alone, both would be one variable, rename one"));
        } else if value.contains('\0') {
            notes.error(
                word.at,
                format!("'{key}' holds a zero octet, no variable can, remove it"),
            );
        }
        vars.insert(key.clone(), value.clone());
    }
    vars
}
