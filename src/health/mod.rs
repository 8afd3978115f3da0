//! **Pure.** From what looks see to what is believed: [`Observation`] → [`Detector`] →
//! [`Health`].

mod detector;
mod observation;
mod rollup;
mod watch;

pub use detector::{Detector, Thresholds};
pub use rollup::{PoolHealth, pool_health, server_health};
pub use watch::{LatestLook, Stir, Watch, WatchLimits};

pub use observation::{Finding, Layer, Observation, Verdict};

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is believed of an endpoint, a server or a pool. Ordered from the worst to the best.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It does not serve.
    Down,
    /// Nobody has looked, or not for too long: it starts no failover and is no target of one.
    #[default]
    Unknown,
    /// It speaks XMPP, but some partners will refuse it (its certificate).
    Degraded,
    /// It serves.
    Up,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Health::Down => "down",
            Health::Unknown => "unknown",
            Health::Degraded => "degraded",
            Health::Up => "up",
        })
    }
}
