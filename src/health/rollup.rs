//! From addresses to servers, from servers to pools.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Health;

/// What is believed of a pool. Ordered from the worst to the best, as candidates are compared
/// and pools behind the active one are listed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum PoolHealth {
    /// No server serves.
    Down,
    /// Not enough is known.
    #[default]
    Unknown,
    /// Some servers serve, fewer than `min_healthy`.
    PartlyUp,
    /// Enough servers speak XMPP, but some partners will refuse them.
    Degraded,
    /// Enough servers serve.
    Up,
}

impl fmt::Display for PoolHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PoolHealth::Down => "down",
            PoolHealth::Unknown => "unknown",
            PoolHealth::PartlyUp => "partly up",
            PoolHealth::Degraded => "degraded",
            PoolHealth::Up => "up",
        })
    }
}

/// A server is as well as the best of its addresses: partners try them all.
#[must_use]
pub fn server_health(addresses: impl IntoIterator<Item = Health>) -> Health {
    addresses.into_iter().max().unwrap_or_default()
}

/// A pool is up when `min_healthy` servers are, degraded when so many are at least degraded,
/// unknown while so many might still be, and else partly up or down.
#[must_use]
pub fn pool_health(servers: impl IntoIterator<Item = Health>, min_healthy: usize) -> PoolHealth {
    let (mut up, mut degraded, mut unknown) = (0, 0, 0);
    for health in servers {
        match health {
            Health::Up => up += 1,
            Health::Degraded => degraded += 1,
            Health::Unknown => unknown += 1,
            Health::Down => {}
        }
    }
    if up >= min_healthy {
        PoolHealth::Up
    } else if up + degraded >= min_healthy {
        PoolHealth::Degraded
    } else if up + degraded + unknown >= min_healthy {
        PoolHealth::Unknown
    } else if up + degraded > 0 {
        PoolHealth::PartlyUp
    } else {
        PoolHealth::Down
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Health::{Degraded, Down, Unknown, Up};

    #[test]
    fn pools_roll_up_from_their_servers() {
        assert_eq!(pool_health([Up, Down], 1), PoolHealth::Up);
        assert_eq!(pool_health([Up, Down], 2), PoolHealth::PartlyUp);
        assert_eq!(pool_health([Up, Degraded], 2), PoolHealth::Degraded);
        assert_eq!(pool_health([Up, Unknown], 2), PoolHealth::Unknown);
        assert_eq!(pool_health([Unknown, Down], 1), PoolHealth::Unknown);
        assert_eq!(pool_health([Down, Down], 1), PoolHealth::Down);
        assert_eq!(server_health([Down, Degraded, Unknown]), Degraded);
        assert_eq!(server_health([Down, Up]), Up);
    }
}
