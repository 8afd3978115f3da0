//! What the operator wants: pools, servers, services, thresholds.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::health::Layer;
use crate::ids::{Endpoint, PoolName, ServerName, ServiceName};
use crate::runbook;

/// All that the engine is told by configuration. `config` guarantees: every pool has a server,
/// every server an address, a server stands in one pool, every pool of a service exists and
/// stands in it once, every service has a pool, `min_healthy` is between 1 and the pool's
/// servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The edge pools.
    pub pools: BTreeMap<PoolName, Pool>,
    /// The services.
    pub services: BTreeMap<ServiceName, Service>,
    /// Reference targets: when all of a family fail, it is our uplink that is down. Two at
    /// least, or none.
    pub references: Vec<SocketAddr>,
}

impl Pool {
    /// Every address of every server.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        self.servers.iter().flat_map(|server| {
            let name = &server.name;
            server.addresses.iter().map(|at| Endpoint {
                server: name.clone(),
                address: *at,
            })
        })
    }

    /// The names of its servers.
    #[must_use]
    pub fn server_names(&self) -> Vec<ServerName> {
        self.servers
            .iter()
            .map(|server| server.name.clone())
            .collect()
    }
}

/// An edge pool: servers that stand or fall together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its servers, in the order of the configuration.
    pub servers: Vec<Server>,
    /// So many servers must be up for the pool to be up.
    pub min_healthy: usize,
    /// Whether its port is open while it stands by.
    pub standby: Standby,
    /// How each of its probes counts; the index is the probe's [`crate::ids::ProbeIndex`].
    pub detection: Vec<Detection>,
    /// Free words, handed to hooks.
    pub vars: BTreeMap<String, String>,
}

/// One edge server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The SRV target.
    pub name: ServerName,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The weight of its SRV records (RFC 2782).
    pub weight: u16,
    /// Free words, handed to hooks; they win over the pool's.
    pub vars: BTreeMap<String, String>,
}

/// Whether a pool listens while it is not the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standby {
    /// It listens all the time.
    Hot,
    /// Its port opens only after the route step.
    Cold,
}

/// How the findings of one probe become health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// The deepest layer that the probe looks at; health needs all layers down to it.
    pub depth: Layer,
    /// So many good findings in a row make a layer good.
    pub rise: u32,
    /// So many bad findings in a row make a layer bad.
    pub fall: u32,
    /// After so long without a finding a layer is unknown.
    pub stale_after: Duration,
    /// The same for [`Layer::Tls`], which is looked at less often.
    pub tls_stale_after: Duration,
}

/// A service: the unit of decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its pools, in order of preference.
    pub pools: Vec<PoolName>,
    /// The lifetimes of its records.
    pub ttl: TtlRange,
    /// Continuous trouble of the active pool before a failover.
    pub failover_after: Duration,
    /// So many moves an hour, failbacks and returns to a pool left within the hour; a first
    /// move away from a dead pool is never held back.
    pub cap_per_hour: u32,
    /// When to return to a more preferred pool.
    pub failback: Failback,
    /// What follows a halted runbook.
    pub on_halt: OnHalt,
    /// How long the first pool that is back after all were down must hold.
    pub settle: Duration,
    /// The steps of a move.
    pub runbook: runbook::Plan,
    /// Who has the last word on a move that health decides.
    pub mode: Mode,
    /// People are reminded so often of a move that waits for their word.
    pub remind_every: Duration,
}

/// Who has the last word on a move that health decides. An operator's own orders need no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The engine.
    Automatic,
    /// A person: the engine decides, proposes, and waits.
    Approve,
    /// Nobody: the engine decides and says so, and that is all.
    Observe,
}

/// The two values that a service's TTL takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TtlRange {
    /// Under suspicion, during an operation, and before a known change. Whole seconds.
    pub min: Duration,
    /// When settled. Whole seconds.
    pub max: Duration,
}

/// When to return to a more preferred pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failback {
    /// After it has been up for so long without a break.
    After(Duration),
    /// When an operator says so.
    Manual,
}

/// What follows a halted runbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnHalt {
    /// If the published first pool is down, try each other candidate once.
    Next,
    /// Wait for an operator.
    Hold,
}
