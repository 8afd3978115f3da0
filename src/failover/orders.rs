//! Carrying out an operator's orders: each is refused with nothing changed, or taken whole.

use std::collections::BTreeSet;

use super::engine::Engine;
use super::rank::strength;
use super::service_state::ServiceState;
use super::{
    Because, By, Change, Event, Order, OrderRefusal, OrderedMove, Override, Service, Standby,
    Subject, Which, Word,
};
use crate::health::PoolHealth;
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::time::Now;

impl Engine {
    /// Takes an operator's order.
    ///
    /// # Errors
    /// [`OrderRefusal`] says what stands in the way; nothing has changed then.
    pub fn handle_order(&mut self, now: Now, order: Order) -> Result<(), OrderRefusal> {
        match order {
            Order::Set { said, force } => self.set_override(now, said, force)?,
            Order::Clear { subject, by } => self.clear_override(&subject, by)?,
            Order::Failover {
                service,
                to,
                by,
                force,
                now: hurry,
            } => {
                self.refresh_beliefs(now);
                let to = match to {
                    Some(to) => to,
                    None => self.best_other(&service)?,
                };
                let ordered = OrderedMove {
                    to,
                    by,
                    since: now.wall,
                    suspends_failback: true,
                    force,
                    now: hurry,
                };
                self.order_move(&service, ordered)?;
            }
            Order::Failback {
                service,
                by,
                force,
                now: hurry,
            } => {
                self.refresh_beliefs(now);
                let to = self.failback_target(&service, force)?;
                let active = self.services.get(&service).map(ServiceState::active);
                if active.as_ref() == Some(&to) && self.resume_failback(&service) {
                    return Ok(());
                }
                let ordered = OrderedMove {
                    to,
                    by,
                    since: now.wall,
                    suspends_failback: false,
                    force,
                    now: hurry,
                };
                self.order_move(&service, ordered)?;
            }
            Order::Approve { which, by } => self.answer(&which, by, true)?,
            Order::Reject { which, by } => self.answer(&which, by, false)?,
            Order::Handle { service, how, by } => {
                self.handle_operation(now, &service, &how, &by)?;
            }
            Order::Readmit { service, pool, by } => self.readmit(service, pool, by)?,
        }
        self.settle(now);
        Ok(())
    }

    fn clear_override(&mut self, subject: &Subject, by: By) -> Result<(), OrderRefusal> {
        let known = self.overrides.get(subject).cloned();
        let said = known.ok_or(OrderRefusal::NoOverride)?;
        self.overrides.clear(subject);
        self.changes.push(Change::Overrides(self.overrides.clone()));
        self.tell(Event::Override {
            said,
            what: "taken back".to_owned(),
            by: Some(by),
        });
        Ok(())
    }

    fn readmit(
        &mut self,
        service: ServiceName,
        pool: PoolName,
        by: By,
    ) -> Result<(), OrderRefusal> {
        let Some(state) = self.services.get_mut(&service) else {
            return Err(OrderRefusal::NoService(service));
        };
        if !state.memory.ineligible.remove(&pool) {
            return Err(OrderRefusal::NotKeptOut { service, pool });
        }
        if state.halted_target() == Some(&pool) {
            state.memory.halted = None;
        }
        self.remember(&service);
        self.tell(Event::Readmitted { service, pool, by });
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
            Subject::DrainServer(server) => {
                let pool = self.home_of(server)?;
                self.refresh_beliefs(now);
                if !force && let Some(refusal) = self.falls_short(&pool, server, &said) {
                    return Err(refusal);
                }
            }
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
            by: None,
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

    fn home_of(&self, server: &ServerName) -> Result<PoolName, OrderRefusal> {
        let home = self.policy.pools.iter().find(|(_, pool)| {
            let mut servers = pool.servers.iter();
            servers.any(|known| known.name == *server)
        });
        home.map(|(name, _)| name.clone())
            .ok_or_else(|| OrderRefusal::NothingToDrain(server.to_string()))
    }

    /// What speaks against the drain of one server of `pool`: it would make a pool of too few
    /// servers of one that a service needs. A pool that is short already is not made so.
    fn falls_short(
        &mut self,
        pool: &PoolName,
        server: &ServerName,
        said: &Override,
    ) -> Option<OrderRefusal> {
        let before = self.pools.get(pool)?.belief.clone();
        let mut drained = self.overrides.clone();
        drained.set(said.clone());
        let in_force = std::mem::replace(&mut self.overrides, drained);
        let after = self.believe(pool);
        self.overrides = in_force;
        let configured = self.policy.pools.get(pool)?;
        let is_short = !matches!(after.health, PoolHealth::Up | PoolHealth::Unknown)
            && after.health != before.health;
        let closes =
            configured.standby == Standby::Cold && before.path_is_open && !after.path_is_open;
        if !is_short && !closes {
            return None;
        }
        let (server, pool, needs) = (server.clone(), pool.clone(), configured.min_healthy);
        let is_active = |(_, state): &(&ServiceName, &ServiceState)| state.active() == pool;
        if let Some((service, _)) = self.services.iter().find(is_active) {
            let service = service.clone();
            return Some(OrderRefusal::ShortWhileActive {
                server,
                pool,
                needs,
                service,
            });
        }
        let counts = !self.overrides.is_pool_drained(&pool);
        let service = self.left_without(&pool).filter(|_| counts)?;
        Some(OrderRefusal::ShortWhileLast {
            server,
            pool,
            needs,
            service,
        })
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

    /// The pool that a service goes to when nobody names one: the best of the others, equals as
    /// configured.
    fn best_other(&self, name: &ServiceName) -> Result<PoolName, OrderRefusal> {
        let service = self.known_service(name)?;
        let state = self.services.get(name);
        let others = service.pools.iter().filter_map(|pool| {
            let state = state?;
            let kept_out = state.active() == *pool
                || state.memory.ineligible.contains(pool)
                || self.overrides.is_pool_drained(pool);
            let belief = &self.pools.get(pool)?.belief;
            let strength = strength(self.policy.pools.get(pool)?, belief, PoolHealth::Down);
            strength
                .filter(|_| !kept_out)
                .map(|strength| (strength, pool))
        });
        // Of equals `min_by_key` takes the first.
        let best = others.min_by_key(|(strength, _)| std::cmp::Reverse(*strength));
        best.map(|(_, pool)| pool.clone())
            .ok_or_else(|| OrderRefusal::NoTarget(name.clone()))
    }

    fn order_move(&mut self, name: &ServiceName, ordered: OrderedMove) -> Result<(), OrderRefusal> {
        let service = self.known_service(name)?.clone();
        let waiting = self
            .services
            .get(name)
            .and_then(|state| state.memory.ordered.as_ref());
        if let Some(waiting) = waiting {
            return Err(OrderRefusal::Planned {
                service: name.clone(),
                to: waiting.to.clone(),
                by: waiting.by.clone(),
            });
        }
        self.admit_move(name, &service, &ordered.to, ordered.force)?;
        self.admit_again(name, &ordered.to);
        if let Some(state) = self.services.get_mut(name) {
            state.memory.ordered = Some(ordered);
        }
        self.remember(name);
        Ok(())
    }

    /// A person's word on a move that waits.
    fn answer(&mut self, which: &Which, by: By, approved: bool) -> Result<(), OrderRefusal> {
        let waits = |id: OperationId| {
            let of = |state: &ServiceState| state.memory.proposal.as_ref().map(|asked| asked.id);
            let mut services = self.services.iter();
            let found = services.find(|(_, state)| of(state) == Some(id));
            found.map(|(name, _)| name.clone())
        };
        let name = match which {
            Which::Service(name) => name.clone(),
            Which::Operation(id) => waits(*id).ok_or(OrderRefusal::NoProposal { id: *id })?,
        };
        let Some(state) = self.services.get_mut(&name) else {
            return Err(OrderRefusal::NoService(name));
        };
        if let Some(proposal) = &mut state.memory.proposal {
            proposal.word = Some(if approved {
                Word::Approved(by.clone())
            } else {
                Word::Rejected(by.clone())
            });
            let event = Event::Answered {
                id: proposal.id,
                service: name.clone(),
                to: proposal.to.clone(),
                approved,
                by,
            };
            self.remember(&name);
            self.tell(event);
            return Ok(());
        }
        if let Some(ordered) = &mut state.memory.ordered {
            ordered.now = true;
            if approved {
                self.remember(&name);
            } else {
                self.void_order(&name, format!("taken back by {by}"));
            }
            return Ok(());
        }
        Err(OrderRefusal::NothingWaits {
            because: state.because.clone(),
            service: name,
        })
    }

    /// Whether an operator may move this service to this pool now.
    pub(super) fn admit_move(
        &self,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
        force: bool,
    ) -> Result<(), OrderRefusal> {
        let Some(state) = self.services.get(name) else {
            return Err(OrderRefusal::NoService(name.clone()));
        };
        let (name, pool) = (name.clone(), to.clone());
        if !service.pools.contains(to) {
            return Err(OrderRefusal::NoPool {
                service: name,
                pool,
            });
        }
        if let Some(operation) = &state.memory.operation {
            return Err(OrderRefusal::Busy {
                service: name,
                operation: operation.id,
                to: operation.to.clone(),
            });
        }
        if state.active() == *to {
            return Err(OrderRefusal::AlreadyActive {
                service: name,
                pool,
            });
        }
        if let Some(because) = self.standstill(&name) {
            return Err(OrderRefusal::Obstacle {
                service: name,
                because,
            });
        }
        if let Some(pin) = self.overrides.pin(&name).filter(|pin| *pin != to) {
            let pool = pin.clone();
            return Err(OrderRefusal::Pinned {
                service: name,
                pool,
            });
        }
        if self.overrides.is_pool_drained(to) && self.overrides.pin(&name).is_none() {
            return Err(OrderRefusal::TargetDrained(pool));
        }
        if let Some((health, better)) = self.better_than(&name, service, to) {
            return Err(OrderRefusal::WouldNotStay {
                service: name,
                pool,
                health,
                better,
            });
        }
        let target = self.pools.get(to);
        if !force && target.is_none_or(|target| target.serving_since.is_none()) {
            let health = target.map(|target| target.belief.health);
            return Err(OrderRefusal::TargetNotServing {
                service: name,
                pool,
                health: health.unwrap_or_default(),
            });
        }
        let disturbs = self.disturbs(&name, service, to).filter(|_| !force);
        match self.obstacle(service, to).or(disturbs) {
            None => Ok(()),
            Some(because) => Err(OrderRefusal::Obstacle {
                service: name,
                because,
            }),
        }
    }

    /// The pool that the service would leave `to` for as soon as it is there, and the health of
    /// `to` that makes it do so. A pin keeps it there.
    fn better_than(
        &self,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
    ) -> Option<(PoolHealth, PoolName)> {
        let target = &self.pools.get(to)?.belief;
        let cold = self.policy.pools.get(to)?.standby == Standby::Cold && target.path_is_open;
        let settled = matches!(target.health, PoolHealth::Up | PoolHealth::Unknown);
        if settled || cold || self.overrides.pin(name).is_some() {
            return None;
        }
        let kept_out = &self.services.get(name)?.memory.ineligible;
        let better = service.pools.iter().find(|other| {
            let strength = |pool| strength(pool, &self.pools.get(*other)?.belief, target.health);
            let strength = self.policy.pools.get(*other).and_then(strength);
            *other != to
                && !kept_out.contains(*other)
                && !self.overrides.is_pool_drained(other)
                && strength.is_some_and(|strength| strength > target.health)
        });
        better.map(|better| (target.health, better.clone()))
    }

    /// What keeps every step of this service from beginning.
    fn standstill(&self, name: &ServiceName) -> Option<Because> {
        if self.overrides.is_frozen(name) {
            return Some(Because::Frozen);
        }
        self.is_isolated().then_some(Because::Isolated)
    }

    /// The most preferred pool that is fit, or with `force` that is not drained.
    fn failback_target(&self, name: &ServiceName, force: bool) -> Result<PoolName, OrderRefusal> {
        let fit = |pool: &&PoolName| {
            let state = self.pools.get(*pool);
            let is_fit = state.is_some_and(|state| state.fit_since.is_some());
            (is_fit || force) && !self.overrides.is_pool_drained(pool)
        };
        let service = self.known_service(name)?;
        let target = service.pools.iter().find(fit).cloned();
        target.ok_or_else(|| OrderRefusal::NoTarget(name.clone()))
    }

    /// Lets failback be automatic again for a service that need not move for it. Says whether
    /// it was not.
    fn resume_failback(&mut self, name: &ServiceName) -> bool {
        let Some(state) = self.services.get_mut(name) else {
            return false;
        };
        let was = std::mem::take(&mut state.memory.failback_suspended);
        if was {
            self.remember(name);
        }
        was
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
                by: None,
            });
        }
        let next = self.overrides.next_expiry().filter(|at| *at > now.wall);
        if let Some(at) = next {
            self.wake_at(now.mono + at.since(now.wall));
        }
    }
}
