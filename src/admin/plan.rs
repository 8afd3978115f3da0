//! What a move would do: the answer to `switchback plan SERVICE`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Generation, OperationId, PoolName, Serial, ServerName, ServiceName};
use crate::time::Wall;

/// A move as it would go, if it were ordered now and every step succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The service.
    pub service: ServiceName,
    /// When this was true.
    pub now: Wall,
    /// What is served now; `failover --if-generation` refuses if it is another by then.
    pub generation: Generation,
    /// The pool that federation leaves.
    pub from: PoolName,
    /// The pool that it moves to.
    pub to: PoolName,
    /// The number that the operation gets if it is the next.
    pub operation: OperationId,
    /// What stands in the way, a sentence each. Empty: the order would be taken as it is.
    pub in_the_way: Vec<String>,
    /// What happens, in order.
    pub parts: Vec<Part>,
    /// Who still goes to the old pool afterwards, and until when, a sentence each.
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
        /// Whether the active pool changes; else only the TTL does.
        moves: bool,
        /// What changes, of a hundred zones at the most.
        zones: Vec<ZoneChange>,
        /// So many more zones change in the same way.
        more_zones: usize,
    },
    /// A task of the runbook begins.
    Step {
        /// The step's name, and its server.
        name: String,
    },
    /// A call over HTTP is made, with the environment of a program as its body.
    Call {
        /// The method.
        method: String,
        /// The address.
        url: String,
        /// How long it may take.
        timeout_ms: u64,
    },
    /// A program runs.
    Run {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The server that it is for, if the step runs once per server.
        server: Option<ServerName>,
        /// Its environment, beside `PATH`, `HOME`, `LANG` and `TZ` of the daemon.
        environment: BTreeMap<String, String>,
        /// How long it may take.
        timeout_ms: u64,
    },
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
