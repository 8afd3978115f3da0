//! Starting from memory, and reloads.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::engine::{Engine, uplinks};
use super::service_state::ServiceState;
use super::{Because, Change, Event, Policy, Publication, Ranking, Service, ServiceMemory};
use crate::ids::{PoolName, ServiceName};
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
            state.resume_ttl(&service, now);
            if !fresh {
                state.resume_caches(&service, now);
            }
            if let Some(operation) = &mut state.memory.operation {
                lose_runs(operation, now);
            }
            state.recall_pauses(now);
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
            cached_until: None,
            proposal: None,
            ordered: None,
            lowered: None,
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
            if !state.memory.published.ranking.pools.is_empty() {
                state.outdate(now);
            }
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
        state.note_ttl(ttl, now);
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

    /// Takes an admitted policy. The records of the services in `changed` change with it, though
    /// the policy does not say how.
    pub(super) fn adopt(&mut self, now: Now, policy: Policy, changed: &BTreeSet<ServiceName>) {
        if policy.references != self.policy.references {
            self.uplinks = uplinks(&policy);
        }
        self.policy = policy;
        self.lay_out_watches();
        let mut known = std::mem::take(&mut self.services);
        let services: Vec<_> = self
            .policy
            .services
            .iter()
            .map(|(n, s)| (n.clone(), s.clone()))
            .collect();
        for (name, service) in services {
            match known.remove(&name) {
                Some(mut state) => {
                    let changes = changed.contains(&name);
                    if changes {
                        state.outdate(now);
                    }
                    self.services.insert(name.clone(), state);
                    if changes {
                        self.remember(&name);
                    }
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
