//! What is published: the pools of a service in order, and the live servers of each.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{PoolName, ServerName};

/// The pools of a service in the order published; the first is the active one. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ranking {
    /// The pools; SRV priorities are 10, 20, 30 … by position.
    pub pools: Vec<RankedPool>,
}

/// One pool of a ranking with what is listed of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RankedPool {
    /// The pool.
    pub pool: PoolName,
    /// Its listed servers. Never empty.
    pub servers: Vec<RankedServer>,
}

/// One listed server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RankedServer {
    /// The SRV target.
    pub server: ServerName,
    /// Its listed addresses. Never empty.
    pub addresses: Vec<IpAddr>,
    /// The SRV weight.
    pub weight: u16,
}

impl Ranking {
    /// The active pool.
    #[must_use]
    pub fn active(&self) -> Option<&PoolName> {
        self.pools.first().map(|first| &first.pool)
    }
}

/// All that DNS needs to know of one service at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The order.
    pub ranking: Ranking,
    /// The TTL of the service's records, whole seconds.
    pub ttl: Duration,
}
