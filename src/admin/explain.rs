//! Why the pools of a service stand in this order, and what would change it.

use serde::{Deserialize, Serialize};

use crate::health::PoolHealth;
use crate::ids::{PoolName, ServiceName};
use crate::time::Wall;

/// The answer to `switchback explain SERVICE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explain {
    /// The service.
    pub service: ServiceName,
    /// When this was true.
    pub now: Wall,
    /// Why the first pool is the active one, in a sentence.
    pub because: String,
    /// The TTL of its records.
    pub ttl_s: u64,
    /// Why the TTL is this, in a sentence.
    pub ttl_because: String,
    /// The pools as published, the active one first.
    pub pools: Vec<ExplainedPool>,
    /// What else bears on the order, a sentence each: overrides, an operation under way,
    /// isolation, a halt, the cap per hour.
    pub lines: Vec<String>,
}

/// One pool, at its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedPool {
    /// The pool.
    pub pool: PoolName,
    /// The priority of its SRV records.
    pub priority: u16,
    /// What is believed of it.
    pub health: PoolHealth,
    /// Why it stands here, and why its health is this, a sentence each.
    pub because: Vec<String>,
    /// What would change that next, a sentence each: "fails over when 1 more look is bad",
    /// "fails back in 7m12s".
    pub next: Vec<String>,
}
