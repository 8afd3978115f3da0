//! The order of a service's pools and what is listed of each: a function of the policy, the
//! health and the overrides.

use std::net::IpAddr;

use super::{Overrides, Pool, RankedPool, RankedServer, Ranking, Server, Service, Standby};
use crate::health::{Health, PoolHealth, server_health};
use crate::ids::{PoolName, ServerName};

/// What is believed of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolBelief {
    /// Its servers, in the order of the policy.
    pub servers: Vec<ServerBelief>,
    /// What follows for the pool, from the servers that are not drained.
    pub health: PoolHealth,
    /// Its health if every suspicion came true: nothing moves to a pool whose latest looks
    /// failed, while the verdict on them is out.
    pub firm: PoolHealth,
    /// Whether so many servers as it needs can be reached, listening or not.
    pub path_is_open: bool,
    /// Whether a state that is still held is under suspicion.
    pub suspicion: bool,
}

/// What is believed of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerBelief {
    /// Its name.
    pub name: ServerName,
    /// Its addresses with the health of each.
    pub addresses: Vec<(IpAddr, Health)>,
}

impl ServerBelief {
    /// The health of the server.
    #[must_use]
    pub fn health(&self) -> Health {
        server_health(self.addresses.iter().map(|(_, health)| *health))
    }
}

/// All pools of a service, in configured order, with what is believed of each.
pub type Beliefs<'a> = [(&'a PoolName, &'a Pool, &'a PoolBelief)];

/// The pools of `service` with `active` first, then by health, then as configured. While a
/// pool is unknown, the order that is published stands in for the configured one, and what is
/// listed of that pool stays.
///
/// Drained pools come last. The ranking is never empty and no pool in it is.
#[must_use]
pub fn rank(
    service: &Service,
    active: &PoolName,
    beliefs: &Beliefs<'_>,
    overrides: &Overrides,
    published: Option<&Ranking>,
) -> Ranking {
    let mut order: Vec<_> = beliefs.iter().collect();
    if beliefs
        .iter()
        .any(|(_, _, belief)| belief.health == PoolHealth::Unknown)
    {
        order.sort_by_key(|(name, ..)| {
            let listed = published
                .map(|ranking| &ranking.pools[..])
                .unwrap_or_default();
            let place = listed.iter().position(|ranked| ranked.pool == **name);
            place.unwrap_or(listed.len())
        });
    }
    order.sort_by_key(|(name, _, belief)| {
        let drained = overrides.is_pool_drained(name);
        (*name != active, drained, std::cmp::Reverse(belief.health))
    });
    let pools = order.into_iter().map(|(name, pool, belief)| {
        let entry =
            published.and_then(|ranking| ranking.pools.iter().find(|ranked| ranked.pool == **name));
        let servers = list_servers(pool, belief, overrides, entry);
        RankedPool {
            pool: (*name).clone(),
            servers,
        }
    });
    let ranking = Ranking {
        pools: pools.collect(),
    };
    debug_assert_eq!(
        ranking.pools.len(),
        service.pools.len(),
        "every pool of the service is listed"
    );
    debug_assert!(
        ranking
            .pools
            .iter()
            .all(|ranked| !ranked.servers.is_empty())
    );
    ranking
}

/// What is listed of one pool. A live pool lists what lives; a down pool lists all, because
/// what is published of it matters only when everything else fails; an unknown pool lists what
/// it did.
fn list_servers(
    pool: &Pool,
    belief: &PoolBelief,
    overrides: &Overrides,
    published: Option<&RankedPool>,
) -> Vec<RankedServer> {
    let keep = |health: Health| match belief.health {
        PoolHealth::Up => matches!(health, Health::Up | Health::Unknown),
        PoolHealth::Degraded | PoolHealth::PartlyUp => health != Health::Down,
        PoolHealth::Unknown | PoolHealth::Down => true,
    };
    let was_listed = |server: &Server, address: &IpAddr| {
        belief.health != PoolHealth::Unknown
            || published.is_none_or(|entry| {
                entry.servers.iter().any(|ranked| {
                    ranked.server == server.name && ranked.addresses.contains(address)
                })
            })
    };
    let listed = list(pool, |server, address| {
        !overrides.is_server_drained(&server.name)
            && was_listed(server, address)
            && keep(health_of(belief, server, address))
    });
    if !listed.is_empty() {
        return listed;
    }
    let not_drained = list(pool, |server, _| !overrides.is_server_drained(&server.name));
    if not_drained.is_empty() {
        list(pool, |_, _| true)
    } else {
        not_drained
    }
}

fn health_of(belief: &PoolBelief, server: &Server, address: &IpAddr) -> Health {
    let known = belief
        .servers
        .iter()
        .find(|known| known.name == server.name);
    let known = known.and_then(|known| known.addresses.iter().find(|(at, _)| at == address));
    known.map_or(Health::Unknown, |(_, health)| *health)
}

fn list(pool: &Pool, keep: impl Fn(&Server, &IpAddr) -> bool) -> Vec<RankedServer> {
    let listed = pool.servers.iter().map(|server| RankedServer {
        server: server.name.clone(),
        addresses: server
            .addresses
            .iter()
            .copied()
            .filter(|at| keep(server, at))
            .collect(),
        weight: server.weight,
    });
    listed
        .filter(|ranked| !ranked.addresses.is_empty())
        .collect()
}

/// How good a pool is as a target, as far as its health goes. `None`: it is no target.
#[must_use]
pub(super) fn strength(pool: &Pool, belief: &PoolBelief, active: PoolHealth) -> Option<PoolHealth> {
    let cold = pool.standby == Standby::Cold && belief.path_is_open;
    match belief.health.min(belief.firm) {
        // A cold standby cannot be known to serve: it is worth a move from a dead pool only.
        PoolHealth::Down | PoolHealth::Unknown | PoolHealth::PartlyUp
            if cold && active == PoolHealth::Down =>
        {
            Some(PoolHealth::Up)
        }
        PoolHealth::Down | PoolHealth::Unknown => None,
        health @ (PoolHealth::PartlyUp | PoolHealth::Degraded | PoolHealth::Up) => Some(health),
    }
}
