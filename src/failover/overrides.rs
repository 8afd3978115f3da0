//! An operator's word: drain, pin, freeze. It outlives restarts, is always visible, and may
//! expire.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{PoolName, ServerName, ServiceName};
use crate::time::Wall;

/// What an override says, and of what. There is one override per subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// This pool takes no federation, in any service.
    DrainPool(PoolName),
    /// This server is not listed.
    DrainServer(ServerName),
    /// The service stays at the pool of the override, whatever health says.
    Pin(ServiceName),
    /// The service does not move, and an operation under way pauses before its next step.
    Freeze(ServiceName),
}

/// One override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What it says.
    pub subject: Subject,
    /// The pool of a pin.
    pub pool: Option<PoolName>,
    /// Who said it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was said.
    pub since: Wall,
    /// When it ends by itself.
    pub expires: Option<Wall>,
    /// Whether a move that follows from it does not wait until the old answer has left the caches.
    #[serde(default)]
    pub now: bool,
}

/// All overrides in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overrides(pub Vec<Override>);

impl Overrides {
    /// The override of this subject.
    #[must_use]
    pub fn get(&self, subject: &Subject) -> Option<&Override> {
        self.0.iter().find(|said| said.subject == *subject)
    }

    /// Whether the service is frozen.
    #[must_use]
    pub fn is_frozen(&self, service: &ServiceName) -> bool {
        self.get(&Subject::Freeze(service.clone())).is_some()
    }

    /// The pool that the service is pinned to.
    #[must_use]
    pub fn pin(&self, service: &ServiceName) -> Option<&PoolName> {
        self.get(&Subject::Pin(service.clone()))?.pool.as_ref()
    }

    /// Whether a move to the pin does not wait for caches.
    #[must_use]
    pub fn pin_hurries(&self, service: &ServiceName) -> bool {
        self.get(&Subject::Pin(service.clone()))
            .is_some_and(|said| said.now)
    }

    /// Whether a move away from the drained pool does not wait for caches.
    #[must_use]
    pub fn drain_hurries(&self, pool: &PoolName) -> bool {
        self.get(&Subject::DrainPool(pool.clone()))
            .is_some_and(|said| said.now)
    }

    /// Whether the pool is drained.
    #[must_use]
    pub fn is_pool_drained(&self, pool: &PoolName) -> bool {
        self.get(&Subject::DrainPool(pool.clone())).is_some()
    }

    /// Whether the server is drained.
    #[must_use]
    pub fn is_server_drained(&self, server: &ServerName) -> bool {
        self.get(&Subject::DrainServer(server.clone())).is_some()
    }

    /// Sets or replaces one.
    pub fn set(&mut self, said: Override) {
        self.clear(&said.subject.clone());
        self.0.push(said);
    }

    /// Takes one back. Says whether it was there.
    pub fn clear(&mut self, subject: &Subject) -> bool {
        let before = self.0.len();
        self.0.retain(|said| said.subject != *subject);
        self.0.len() != before
    }

    /// Takes out what has expired, except what an operation under way still needs: the subjects
    /// in `kept` expire at its end.
    pub fn expire(&mut self, now: Wall, kept: &BTreeSet<Subject>) -> Vec<Override> {
        let over = |said: &Override| {
            said.expires.is_some_and(|at| at <= now) && !kept.contains(&said.subject)
        };
        let expired = self.0.iter().filter(|said| over(said)).cloned().collect();
        self.0.retain(|said| !over(said));
        expired
    }

    /// The next expiry of an override that concerns this service.
    #[must_use]
    pub fn next_expiry_for(&self, service: &ServiceName, pools: &[PoolName]) -> Option<Wall> {
        let concerns = |said: &&Override| match &said.subject {
            Subject::Pin(name) | Subject::Freeze(name) => name == service,
            Subject::DrainPool(pool) => pools.contains(pool),
            Subject::DrainServer(_) => false,
        };
        self.0
            .iter()
            .filter(concerns)
            .filter_map(|said| said.expires)
            .min()
    }

    /// The next expiry.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Wall> {
        self.0.iter().filter_map(|said| said.expires).min()
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::DrainPool(pool) => write!(f, "drain pool {pool}")?,
            Subject::DrainServer(server) => write!(f, "drain server {server}")?,
            Subject::Pin(service) => match &self.pool {
                Some(pool) => write!(f, "pin {service} to {pool}")?,
                None => write!(f, "pin {service}")?,
            },
            Subject::Freeze(service) => write!(f, "freeze {service}")?,
        }
        write!(f, " by {}: {}", self.author, self.reason)?;
        self.expires.map_or(Ok(()), |at| write!(f, " (until {at})"))
    }
}
