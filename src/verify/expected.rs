//! What partners should see.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::failover::Standby;
use crate::ids::{PoolName, Serial, ServerName, ServiceName};
use crate::inquiry::{Reply, Srv};
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// What a service publishes. It travels over the control socket: fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The service.
    pub service: ServiceName,
    /// Whether the order is what the daemon publishes now. Else no daemon was asked: the pools
    /// stand as the configuration prefers them, and each may be first.
    pub published: bool,
    /// The zones that its names lie in.
    pub zones: Vec<ExpectedZone>,
    /// Its sets of records.
    pub sets: Vec<ExpectedSet>,
    /// Its pools in order, the first one active.
    pub pools: Vec<ExpectedPool>,
    /// The TTL of its records now; `None` without a daemon.
    pub ttl_s: Option<u64>,
    /// The TTL while something changes (`ttl.min`).
    pub ttl_min_s: u64,
    /// The TTL at rest (`ttl.max`).
    pub ttl_max_s: u64,
}

/// A zone of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedZone {
    /// Its origin.
    pub origin: String,
    /// The serial that the daemon serves; `None` without one.
    pub serial: Option<Serial>,
}

/// A set of records of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedSet {
    /// Its owner.
    pub owner: String,
    /// The zone that it lies in.
    pub zone: String,
    /// What stands there.
    #[serde(flatten)]
    pub kind: SetKind,
}

/// What stands at a name of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SetKind {
    /// SRV records to this port of every listed server.
    Srv {
        /// The port.
        port: u16,
    },
    /// The addresses of the active pool.
    Address,
}

/// A pool of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedPool {
    /// Its name.
    pub pool: PoolName,
    /// The priority of its SRV records.
    pub priority: u16,
    /// Whether its port is open while it stands by.
    pub standby: Standby,
    /// Those of its servers that are listed.
    pub servers: Vec<ExpectedServer>,
    /// How its probes look.
    pub looks: Vec<ExpectedLook>,
}

/// A listed server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedServer {
    /// The SRV target.
    pub name: ServerName,
    /// Its listed addresses.
    pub addresses: Vec<IpAddr>,
    /// The weight of its SRV records.
    pub weight: u16,
}

/// How a probe looks, as far as it can be done from anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedLook {
    /// `tcp`, `xmpp`, `xmpp-tls`, `tls` or `exec`.
    pub kind: String,
    /// The port.
    pub port: u16,
    /// The federated domain.
    pub domain: Option<String>,
    /// The domain that it introduces itself as.
    pub from: Option<String>,
    /// How long a look may take.
    pub timeout_ms: u64,
    /// The file with the roots that certificates must lead to; `None` for the system's.
    pub ca_file: Option<String>,
}

impl Expected {
    /// The SRV records that a set should have, in order.
    #[must_use]
    pub fn srv(&self, port: u16) -> Vec<Srv> {
        let mut records = Vec::new();
        for pool in &self.pools {
            for server in &pool.servers {
                let Ok(target) = server.name.as_str().parse::<Name>() else {
                    continue;
                };
                records.push(Srv {
                    priority: pool.priority,
                    weight: server.weight,
                    port,
                    target,
                });
            }
        }
        records.sort();
        records
    }

    /// The addresses that follow the active pool, sorted.
    #[must_use]
    pub fn active_addresses(&self) -> Vec<IpAddr> {
        let active = self.pools.first().into_iter();
        let servers = active.flat_map(|pool| &pool.servers);
        let mut addresses: Vec<IpAddr> = servers
            .flat_map(|server| server.addresses.iter().copied())
            .collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// Which pool a reply sends partners to first; `None` if it is none of the service's, or not
    /// one alone.
    #[must_use]
    pub fn first_pool(&self, reply: &Reply, owner: &Name, kind: u16) -> Option<PoolName> {
        if kind == rtype::SRV {
            let services = reply.services(owner);
            let (pool, _) = self.server(&services.first()?.target)?;
            return Some(pool.pool.clone());
        }
        let addresses = reply.addresses(owner);
        let has = |pool: &&ExpectedPool| {
            let mut servers = pool.servers.iter();
            let first = addresses.first();
            servers.any(|server| first.is_some_and(|first| server.addresses.contains(first)))
        };
        self.pools.iter().find(has).map(|pool| pool.pool.clone())
    }

    /// The pool of a server, and the server.
    #[must_use]
    pub fn server(&self, target: &Name) -> Option<(&ExpectedPool, &ExpectedServer)> {
        let is_it = |server: &&ExpectedServer| {
            let name = server.name.as_str().parse::<Name>();
            name.is_ok_and(|name| name == *target)
        };
        let mut pools = self.pools.iter();
        pools.find_map(|pool| Some((pool, pool.servers.iter().find(is_it)?)))
    }
}
