//! Starting from memory, reloads, and an operator's word.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::engine::{Engine, uplinks};
use super::service_state::ServiceState;
use super::{
    Because, Change, Event, Order, Override, Policy, Publication, Ranking, Service, ServiceMemory,
    Subject,
};
use crate::health::PoolHealth;
use crate::ids::{PoolName, ServerName, ServiceName};
use crate::runbook::{Operation, Phase, TaskEvent, TaskStatus};
use crate::time::Now;

/// Why a policy is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyRefusal {
    /// The pool is in use.
    #[error(
        "pool {pool} is active for service {service}, but the new configuration leaves it out; \
         move the service to another pool first, or keep the pool"
    )]
    ActivePoolRemoved {
        /// The pool.
        pool: PoolName,
        /// The service.
        service: ServiceName,
    },
    /// An operation needs the pool or the service.
    #[error(
        "pool {pool} takes part in {operation} of service {service}, but the new configuration \
         leaves the pool or the service out; wait until the operation has ended"
    )]
    InOperation {
        /// The pool.
        pool: PoolName,
        /// The service.
        service: ServiceName,
        /// The operation.
        operation: crate::ids::OperationId,
    },
}

/// Why an operator's order is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderRefusal {
    /// No such service.
    #[error("there is no service {0}; `switchback status` lists them")]
    NoService(ServiceName),
    /// No such pool in the service.
    #[error("service {service} has no pool {pool}; `switchback status` lists its pools")]
    NoPool {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
    },
    /// No such pool or server at all.
    #[error("{0} is neither a pool nor a server of the configuration")]
    NothingToDrain(String),
    /// Nothing would be left.
    #[error(
        "draining {pool} leaves no pool that could serve {service}; bring another pool up first, \
         or force it"
    )]
    NoCandidateLeft {
        /// The pool that would be drained.
        pool: PoolName,
        /// The service.
        service: ServiceName,
    },
    /// There is no such override.
    #[error("there is no such override to take back")]
    NoOverride,
    /// The service is moving.
    #[error("service {0} has an operation under way; wait for its end")]
    Busy(ServiceName),
    /// It is there already.
    #[error("pool {pool} is the active pool of {service} already")]
    AlreadyActive {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
    },
    /// Something stands in the way.
    #[error("service {service} cannot move now: {because}")]
    Obstacle {
        /// The service.
        service: ServiceName,
        /// What.
        because: Because,
    },
}

impl Engine {
    /// Takes up what was known of each service. What was running when the process ended is
    /// unknown from here on, and is resolved as its step says.
    pub(super) fn resume_services(
        &mut self,
        mut known: BTreeMap<ServiceName, ServiceMemory>,
        now: Now,
    ) {
        let services: Vec<_> = self
            .policy
            .services
            .iter()
            .map(|(n, s)| (n.clone(), s.clone()))
            .collect();
        for (name, service) in services {
            let resumed = known.remove(&name);
            let fresh = resumed.is_none();
            let memory = resumed.unwrap_or_else(|| self.first_memory(&service, now));
            let mut state = ServiceState::new(memory);
            if state.memory.published.ttl == service.ttl.min {
                state.tense_until = Some(now.mono);
            }
            if let Some(operation) = &mut state.memory.operation {
                lose_runs(operation, now);
            }
            self.services.insert(name.clone(), state);
            self.end_if_pools_are_gone(&name);
            if fresh || !self.ranking_fits(&name, &service) {
                self.adopt_ranking(&name, &service, now);
            }
        }
        for (name, memory) in known {
            if let Some(operation) = memory.operation {
                self.give_up(operation);
            }
            self.changes.push(Change::ServiceGone(name));
        }
    }

    /// An operation whose service was taken out of the configuration while the daemon was down:
    /// nothing can be run for it any more, but it must not vanish without a word.
    fn give_up(&mut self, mut operation: Operation) {
        let question = format!(
            "service {} is no longer configured; what was left undone?",
            operation.service
        );
        operation.phase = Phase::NeedsHuman(question);
        self.changes
            .push(Change::Operation(Box::new(operation.clone())));
        let Operation {
            id,
            service,
            to,
            phase,
            ..
        } = operation;
        self.tell(Event::OperationEnded {
            id,
            service,
            to,
            phase,
        });
    }

    /// The memory of a service that was never seen: the pools in configured order.
    fn first_memory(&self, service: &Service, now: Now) -> ServiceMemory {
        ServiceMemory {
            published: Publication {
                ranking: Ranking { pools: Vec::new() },
                ttl: service.ttl.max,
            },
            active_since: now.wall,
            because: Because::Unknown,
            operation: None,
            halted: None,
            ineligible: BTreeSet::new(),
            moves: Vec::new(),
            failback_suspended: false,
        }
    }

    /// Whether the published ranking lists just the service's pools, with just their servers.
    fn ranking_fits(&self, name: &ServiceName, service: &Service) -> bool {
        let Some(state) = self.services.get(name) else {
            return false;
        };
        let ranking = &state.memory.published.ranking;
        let listed: BTreeSet<_> = ranking.pools.iter().map(|ranked| &ranked.pool).collect();
        let wanted: BTreeSet<_> = service.pools.iter().collect();
        listed == wanted
            && ranking.pools.iter().all(|ranked| {
                ranked.servers.iter().all(|server| {
                    self.policy.pools.get(&ranked.pool).is_some_and(|pool| {
                        let known = pool.servers.iter().find(|s| s.name == server.server);
                        known.is_some_and(|known| {
                            known.weight == server.weight
                                && server
                                    .addresses
                                    .iter()
                                    .all(|at| known.addresses.contains(at))
                        })
                    })
                })
            })
    }

    /// Ranks anew after the configuration changed: the active pool stays if it still exists.
    fn adopt_ranking(&mut self, name: &ServiceName, service: &Service, now: Now) {
        let active = self.services.get(name).map(ServiceState::active);
        let first = service.pools.first().cloned();
        let Some(active) = active
            .filter(|active| service.pools.contains(active))
            .or(first)
        else {
            return;
        };
        self.refresh_beliefs(now);
        if let Some(state) = self.services.get_mut(name) {
            let published = &mut state.memory.published.ranking;
            published
                .pools
                .retain(|ranked| service.pools.contains(&ranked.pool));
            published.pools.iter_mut().for_each(|ranked| {
                let pool = self.policy.pools.get(&ranked.pool);
                ranked.servers.retain(|server| {
                    pool.is_some_and(|pool| pool.servers.iter().any(|s| s.name == server.server))
                });
            });
            published.pools.retain(|ranked| !ranked.servers.is_empty());
        }
        let ranking = self.ranking(service, name, &active);
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let ttl = state
            .memory
            .published
            .ttl
            .clamp(service.ttl.min, service.ttl.max);
        let because = state.memory.because.clone();
        state.memory.published = Publication { ranking, ttl };
        self.announce(name, &because);
    }

    /// An operation whose pools were taken out of the configuration while the daemon was down.
    fn end_if_pools_are_gone(&mut self, name: &ServiceName) {
        let pools = &self.policy.pools;
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        if let Some(operation) = &mut state.memory.operation {
            let gone = [&operation.from, &operation.to]
                .into_iter()
                .find(|p| !pools.contains_key(*p));
            if let Some(gone) = gone {
                let question =
                    format!("pool {gone} is no longer configured; what was left undone?");
                operation.phase = Phase::NeedsHuman(question);
            }
        }
    }

    /// Whether a new policy can be taken: it must keep the pools that are active or in an
    /// operation.
    ///
    /// # Errors
    /// [`PolicyRefusal`] names the first pool that is missing.
    pub fn admit(&self, policy: &Policy) -> Result<(), PolicyRefusal> {
        for (name, state) in &self.services {
            let keeps = |pool: &PoolName| {
                policy
                    .services
                    .get(name)
                    .is_some_and(|service| service.pools.contains(pool))
            };
            if let Some(operation) = &state.memory.operation {
                for pool in [&operation.from, &operation.to] {
                    if !keeps(pool) {
                        return Err(PolicyRefusal::InOperation {
                            pool: pool.clone(),
                            service: name.clone(),
                            operation: operation.id,
                        });
                    }
                }
            }
            let (pool, service) = (state.active(), name.clone());
            if policy.services.contains_key(name) && !keeps(&pool) {
                return Err(PolicyRefusal::ActivePoolRemoved { pool, service });
            }
        }
        Ok(())
    }

    /// Takes an admitted policy.
    pub(super) fn adopt(&mut self, now: Now, policy: Policy) {
        if policy.references != self.policy.references {
            self.uplinks = uplinks(&policy);
        }
        self.policy = policy;
        self.lay_out_watches();
        let known = std::mem::take(&mut self.services);
        let services: Vec<_> = self
            .policy
            .services
            .iter()
            .map(|(n, s)| (n.clone(), s.clone()))
            .collect();
        let mut known = known;
        for (name, service) in services {
            match known.remove(&name) {
                Some(state) => {
                    self.services.insert(name.clone(), state);
                    if !self.ranking_fits(&name, &service) {
                        self.adopt_ranking(&name, &service, now);
                    }
                }
                None => {
                    let memory = self.first_memory(&service, now);
                    self.services
                        .insert(name.clone(), ServiceState::new(memory));
                    self.adopt_ranking(&name, &service, now);
                }
            }
        }
        self.changes
            .extend(known.into_keys().map(Change::ServiceGone));
        self.stir();
    }

    /// Takes an operator's order.
    ///
    /// # Errors
    /// [`OrderRefusal`] says what stands in the way; nothing has changed then.
    pub fn handle_order(&mut self, now: Now, order: Order) -> Result<(), OrderRefusal> {
        match order {
            Order::Set { said, force } => self.set_override(now, said, force)?,
            Order::Clear(subject) => {
                let known = self
                    .overrides
                    .0
                    .iter()
                    .find(|said| said.subject == subject)
                    .cloned();
                let said = known.ok_or(OrderRefusal::NoOverride)?;
                self.overrides.clear(&subject);
                self.changes.push(Change::Overrides(self.overrides.clone()));
                self.tell(Event::Override {
                    said,
                    what: "taken back".to_owned(),
                });
            }
            Order::Failover {
                service,
                to,
                author,
            } => {
                self.order_move(now, &service, &to, author, true)?;
            }
            Order::Failback { service, author } => self.order_failback(now, &service, author)?,
            Order::Reinstate { service, pool } => {
                let state = self
                    .services
                    .get_mut(&service)
                    .ok_or(OrderRefusal::NoService(service.clone()))?;
                if !state.memory.ineligible.remove(&pool) {
                    return Err(OrderRefusal::NoPool { service, pool });
                }
                state.memory.halted = None;
                self.remember(&service);
            }
        }
        self.settle(now);
        Ok(())
    }

    fn set_override(&mut self, now: Now, said: Override, force: bool) -> Result<(), OrderRefusal> {
        match &said.subject {
            Subject::Freeze(service) => self.known_service(service).map(|_| ())?,
            Subject::Pin(service) => {
                let pool = said.pool.clone().unwrap_or_else(|| "".into());
                if !self.known_service(service)?.pools.contains(&pool) {
                    return Err(OrderRefusal::NoPool {
                        service: service.clone(),
                        pool,
                    });
                }
                self.admit_again(service, &pool);
            }
            Subject::DrainServer(server) => self.known_server(server)?,
            Subject::DrainPool(pool) => {
                if !self.policy.pools.contains_key(pool) {
                    return Err(OrderRefusal::NothingToDrain(pool.to_string()));
                }
                self.refresh_beliefs(now);
                if !force && let Some(service) = self.left_without(pool) {
                    return Err(OrderRefusal::NoCandidateLeft {
                        pool: pool.clone(),
                        service,
                    });
                }
            }
        }
        self.overrides.set(said.clone());
        self.changes.push(Change::Overrides(self.overrides.clone()));
        self.tell(Event::Override {
            said,
            what: "said".to_owned(),
        });
        Ok(())
    }

    /// An operator who names a pool as the target has dealt with a runbook that halted on it.
    fn admit_again(&mut self, service: &ServiceName, pool: &PoolName) {
        let Some(state) = self.services.get_mut(service) else {
            return;
        };
        if state.halted_target() == Some(pool) {
            state.memory.halted = None;
        }
        if state.memory.ineligible.remove(pool) {
            self.remember(service);
        }
    }

    fn known_service(&self, name: &ServiceName) -> Result<&Service, OrderRefusal> {
        self.policy
            .services
            .get(name)
            .ok_or_else(|| OrderRefusal::NoService(name.clone()))
    }

    fn known_server(&self, server: &ServerName) -> Result<(), OrderRefusal> {
        let mut servers = self.policy.pools.values().flat_map(|pool| &pool.servers);
        if servers.any(|known| known.name == *server) {
            return Ok(());
        }
        Err(OrderRefusal::NothingToDrain(server.to_string()))
    }

    /// The first service that could go nowhere if `pool` were drained.
    fn left_without(&self, pool: &PoolName) -> Option<ServiceName> {
        let could_serve = |other: &PoolName| {
            other != pool
                && !self.overrides.is_pool_drained(other)
                && self
                    .pools
                    .get(other)
                    .is_some_and(|state| state.serving_since.is_some())
        };
        let stuck = |service: &Service| {
            service.pools.contains(pool) && !service.pools.iter().any(could_serve)
        };
        self.policy
            .services
            .iter()
            .find(|(_, service)| stuck(service))
            .map(|(n, _)| n.clone())
    }

    fn order_move(
        &mut self,
        now: Now,
        name: &ServiceName,
        to: &PoolName,
        author: String,
        suspend: bool,
    ) -> Result<(), OrderRefusal> {
        let service = self.known_service(name)?.clone();
        let Some(state) = self.services.get_mut(name) else {
            return Err(OrderRefusal::NoService(name.clone()));
        };
        let (service_name, pool) = (name.clone(), to.clone());
        if !service.pools.contains(to) {
            return Err(OrderRefusal::NoPool {
                service: service_name,
                pool,
            });
        }
        if state.memory.operation.is_some() {
            return Err(OrderRefusal::Busy(service_name));
        }
        if state.active() == *to {
            return Err(OrderRefusal::AlreadyActive {
                service: service_name,
                pool,
            });
        }
        let blocked = if self.overrides.is_frozen(name) {
            Some(Because::Frozen)
        } else {
            self.obstacle(name, &service, to)
        };
        if let Some(because) = blocked {
            return Err(OrderRefusal::Obstacle {
                service: service_name,
                because,
            });
        }
        self.admit_again(name, to);
        if let Some(state) = self.services.get_mut(name) {
            state.memory.failback_suspended = suspend;
        }
        self.begin_operation(now, name, &service, to, Because::Ordered { author });
        Ok(())
    }

    fn order_failback(
        &mut self,
        now: Now,
        name: &ServiceName,
        author: String,
    ) -> Result<(), OrderRefusal> {
        let service = self.known_service(name)?.clone();
        self.refresh_beliefs(now);
        let fit = |pool: &&PoolName| {
            let state = self.pools.get(*pool);
            state.is_some_and(|state| state.fit_since.is_some())
                && !self.overrides.is_pool_drained(pool)
        };
        let Some(to) = service.pools.iter().find(fit).cloned() else {
            let because = Because::NoBetterPool {
                health: PoolHealth::Down,
            };
            return Err(OrderRefusal::Obstacle {
                service: name.clone(),
                because,
            });
        };
        self.order_move(now, name, &to, author, false)
    }

    /// Overrides end by themselves; one that an operation under way depends on ends with it.
    pub(super) fn expire_overrides(&mut self, now: Now) {
        let mut kept = BTreeSet::new();
        for (name, state) in &self.services {
            if let Some(operation) = &state.memory.operation {
                kept.insert(Subject::Pin(name.clone()));
                kept.insert(Subject::DrainPool(operation.from.clone()));
                kept.insert(Subject::DrainPool(operation.to.clone()));
            }
        }
        let expired = self.overrides.expire(now.wall, &kept);
        if !expired.is_empty() {
            self.changes.push(Change::Overrides(self.overrides.clone()));
        }
        for said in expired {
            self.tell(Event::Override {
                said,
                what: "expired".to_owned(),
            });
        }
        let next = self.overrides.next_expiry().filter(|at| *at > now.wall);
        if let Some(at) = next {
            self.wake_at(now.mono + at.since(now.wall));
        }
    }
}

/// What ran when the process ended: nobody knows what came of it.
fn lose_runs(operation: &mut Operation, now: Now) {
    for task in &mut operation.tasks {
        if matches!(
            task.status,
            TaskStatus::Started { .. } | TaskStatus::Undoing { .. }
        ) {
            // Allowed for both by the table of `TaskStatus::next`.
            let _ = task.handle_event(now.wall, TaskEvent::Lose);
        }
    }
}
