//! What orders would do: the answer to `switchback plan`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{Generation, OperationId, PoolName, Serial, ServerName, ServiceName};
use crate::time::Wall;

/// So many orders are planned at a time.
pub const ORDERS_MAX: usize = 8;

/// An order as it would go, if it were given now and every step succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// When it would be given.
    pub now: Wall,
    /// What is served then; `failover --if-generation` refuses if it is another by then.
    pub generation: Generation,
    /// What stands in the way, a sentence each. Empty: the order would be taken as it is.
    pub in_the_way: Vec<String>,
    /// Each service that it moves, or may change.
    pub services: Vec<ServicePlan>,
}

/// What an order does to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// The service.
    pub service: ServiceName,
    /// The pool that is active before.
    pub from: PoolName,
    /// The pool that it moves to; absent: it stays.
    pub to: Option<PoolName>,
    /// The number that the operation gets, if no other gets it first.
    pub operation: Option<OperationId>,
    /// Why it stands afterwards as it stands.
    pub because: String,
    /// How long its runbook can take, with every timeout and every retry.
    pub at_most_ms: Option<u64>,
    /// What happens, in order.
    pub parts: Vec<Part>,
    /// Who still goes to where it was afterwards, and until when, a sentence each.
    pub forecast: Vec<String>,
}

/// A move as the configuration has it, whatever is active, seen or served: what `check` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The service.
    pub service: ServiceName,
    /// The pool that federation leaves.
    pub from: PoolName,
    /// The pool that it moves to.
    pub to: PoolName,
    /// What happens, in order, with no environment and no records.
    pub parts: Vec<Part>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "part")]
pub enum Part {
    /// Records change, all of them in one swap.
    Publish {
        /// When, at the earliest: hooks and verifications take their time.
        at: Wall,
        /// The TTL of the service's records from then on.
        ttl_s: u64,
        /// What changes.
        change: Change,
        /// What changes, of a hundred zones at the most.
        zones: Vec<ZoneChange>,
        /// So many more zones change in the same way.
        more_zones: usize,
    },
    /// A task of the runbook begins.
    Step {
        /// The step's name, and its server.
        name: String,
        /// How long it can take, with all its runs and the pauses between them.
        at_most_ms: u64,
    },
    /// A call over HTTP is made.
    Call {
        /// The method.
        method: String,
        /// The address.
        url: String,
        /// The server that it is for, if the step runs once per server.
        server: Option<ServerName>,
        /// The fields of its header, in order; what is secret is not in it.
        headers: Vec<(String, String)>,
        /// Its body, if the method has one.
        body: Option<Value>,
        /// Whether it takes its step back.
        undo: bool,
        /// How long it may take.
        timeout_ms: u64,
    },
    /// A program runs.
    Run {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The server that it is for, if the step runs once per server.
        server: Option<ServerName>,
        /// Whether it takes its step back.
        undo: bool,
        /// Its environment, beside `PATH`, `HOME`, `LANG` and `TZ` of the daemon.
        environment: BTreeMap<String, String>,
        /// How long it may take.
        timeout_ms: u64,
    },
}

/// What a publication changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The active pool, and with it the order.
    Moves,
    /// The order behind the active pool, or what is listed of the pools.
    Records,
    /// Nothing but the TTL.
    Ttl,
}

/// What changes in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneChange {
    /// Its origin.
    pub origin: String,
    /// Its serial before.
    pub from: Serial,
    /// And after, if nothing else changes it first.
    pub to: Serial,
    /// The RRsets that change.
    pub rrsets: Vec<RrsetChange>,
}

/// An RRset before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RrsetChange {
    /// The owner, absolute.
    pub owner: String,
    /// The type.
    pub rtype: String,
    /// As it was; absent if there was none.
    pub before: Option<RrsetText>,
    /// As it will be; absent if there will be none.
    pub after: Option<RrsetText>,
}

/// An RRset in presentation format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RrsetText {
    /// The TTL in seconds.
    pub ttl: u32,
    /// The data of its records, as they are served.
    pub records: Vec<String>,
}
