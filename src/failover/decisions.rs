//! The engine's decisions: what [`decide`] says of each service, carried into a publication or
//! an operation.

use super::decide::{Decision, Standing, decide};
use super::engine::{Action, Engine};
use super::rank::{PoolBelief, rank};
use super::service_state::ServiceState;
use super::{Because, Change, Event, Pool, Publication, Ranking, Service};
use crate::health::PoolHealth;
use crate::ids::{PoolName, ServiceName};
use crate::time::{Mono, Now};

impl Engine {
    /// Decides for one service: publishes a changed order, or begins an operation. Says
    /// whether an operation began.
    pub(super) fn decide_for(&mut self, now: Now, name: &ServiceName) -> bool {
        let Some(service) = self.policy.services.get(name).cloned() else {
            return false;
        };
        self.review_order(name, &service);
        let health = self.active_health(name);
        if let Some(state) = self.services.get_mut(name) {
            state.note_trouble(health, now.mono);
        }
        let Some(decision) = self.decision(now, name, &service) else {
            return false;
        };
        if let Some(at) = decision.wake {
            self.wake_at(at);
        }
        if decision.blackout
            && let Some(state) = self.services.get_mut(name)
        {
            state.blackout = true;
        }
        let weighed = self.weigh(now, name, &service, decision);
        if let Some(at) = weighed.wake {
            self.wake_at(at);
        }
        self.keep_proposal(now, name, &service, &weighed);
        self.reason(name, &weighed.because);
        if let Some(to) = weighed.target {
            self.begin_operation(now, name, &service, &to, weighed.because);
            return true;
        }
        self.publish_order(now, name, &service, &weighed.because);
        false
    }

    /// Why a service stands as it stands, or moves.
    pub(super) fn because(&self, now: Now, name: &ServiceName) -> Option<Because> {
        let service = self.policy.services.get(name)?;
        let decision = self.decision(now, name, service)?;
        Some(self.weigh(now, name, service, decision).because)
    }

    /// The health of the active pool, for how long it lasts. Under a mask nobody looks: what was
    /// believed before does not last on.
    fn active_health(&self, name: &ServiceName) -> PoolHealth {
        let active = self.services.get(name).map(ServiceState::active);
        let state = active.and_then(|active| self.pools.get(&active));
        state
            .filter(|state| !state.masked)
            .map_or(PoolHealth::Unknown, |state| state.belief.health)
    }

    fn beliefs<'a>(
        &'a self,
        service: &'a Service,
    ) -> Vec<(&'a PoolName, &'a Pool, &'a PoolBelief)> {
        let belief = |name: &'a PoolName| {
            Some((
                name,
                self.policy.pools.get(name)?,
                &self.pools.get(name)?.belief,
            ))
        };
        service.pools.iter().filter_map(belief).collect()
    }

    fn decision(&self, now: Now, name: &ServiceName, service: &Service) -> Option<Decision> {
        let state = self.services.get(name)?;
        let active = state.active();
        let since: Vec<_> = service
            .pools
            .iter()
            .filter_map(|pool| self.pools.get(pool))
            .map(|pool| (pool.serving_since, pool.fit_since))
            .collect();
        let standing = Standing {
            active: &active,
            operation: state.memory.operation.as_ref().map(|op| (op.id, &op.to)),
            isolated: self.is_isolated(),
            trouble_since: state.trouble_since,
            blackout: state.blackout,
            since: &since,
            halted: state.halted_target(),
            ineligible: &state.memory.ineligible,
            moves: &state.memory.moves,
            failback_suspended: state.memory.failback_suspended,
            ordered: state.memory.ordered.as_ref(),
            masked: self.masked_for(now, name, service),
        };
        let beliefs = self.beliefs(service);
        Some(decide(
            name,
            service,
            &standing,
            &beliefs,
            &self.overrides,
            now,
        ))
    }

    /// The pool at which hooks of another service are at work: there is one such operation at most.
    /// A service with hooks waits for its end wherever it goes.
    fn masked_for(
        &self,
        now: Now,
        name: &ServiceName,
        service: &Service,
    ) -> Option<(&PoolName, &ServiceName)> {
        if service.runbook.has_hooks() {
            return None;
        }
        self.services.iter().find_map(|(other, state)| {
            let operation = state.operation_with_hooks().filter(|_| other != name)?;
            (now.wall < operation.mask_until).then_some((&operation.to, other))
        })
    }

    /// What keeps an operation with hooks from beginning. Others do not wait for the store, and for
    /// hooks only where these are at work.
    pub(super) fn obstacle(&self, service: &Service, to: &PoolName) -> Option<Because> {
        self.obstacle_to(service.runbook.has_hooks(), to)
    }

    /// The same for a plan with hooks or without.
    pub(super) fn obstacle_to(&self, with_hooks: bool, to: &PoolName) -> Option<Because> {
        if !with_hooks {
            return None;
        }
        let to = to.clone();
        if !self.store_works {
            return Some(Because::StoreFailed { to });
        }
        let busy = self
            .services
            .iter()
            .find(|(_, state)| state.operation_with_hooks().is_some());
        busy.map(|(service, _)| Because::WaitsForOperation {
            service: service.clone(),
            to,
        })
    }

    /// The service that hooks against this pool would disturb: a person has to approve.
    pub(super) fn disturbs(
        &self,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
    ) -> Option<Because> {
        if !service.runbook.has_hooks() {
            return None;
        }
        let active_for = self
            .services
            .iter()
            .find(|(other, state)| *other != name && state.active() == *to);
        active_for.map(|(other, _)| Because::NeedsApproval {
            to: to.clone(),
            active_for: other.clone(),
        })
    }

    /// Tells when the reason changes, not when only its remaining time does.
    fn reason(&mut self, name: &ServiceName, because: &Because) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let changed = !because.is_like(&state.because);
        state.because = because.clone();
        if changed {
            let event = Event::Reasoning {
                service: name.clone(),
                because: because.clone(),
            };
            self.tell(event);
        }
    }

    /// Publishes the order behind the active pool, the servers inside the pools and the TTL,
    /// if they changed.
    pub(super) fn publish_order(
        &mut self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        because: &Because,
    ) {
        let Some(active) = self.services.get(name).map(ServiceState::active) else {
            return;
        };
        if self.is_isolated() {
            return;
        }
        let ranking = self.ranking(service, name, &active);
        let (tense, tense_at) = self.tension(now, name, service, &active, because);
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let (ttl, wake) = match self.pools.get(&active).map(|pool| pool.belief.health) {
            // Just started: the TTL stands until something is known.
            Some(PoolHealth::Unknown) if !tense => (state.memory.published.ttl, None),
            _ => state.ttl(service, tense, now.mono),
        };
        let published = &state.memory.published;
        let changed = published.ranking != ranking || published.ttl != ttl;
        if changed {
            state.publish(ranking, ttl, because, now);
            self.announce(name, because);
        }
        for at in wake.into_iter().chain(tense_at.filter(|_| !tense)) {
            self.wake_at(at);
        }
    }

    /// Makes the service's publication durable, then visible.
    pub(super) fn announce(&mut self, name: &ServiceName, because: &Because) {
        self.remember(name);
        let Some(state) = self.services.get(name) else {
            return;
        };
        let published = state.memory.published.clone();
        let order = published
            .ranking
            .pools
            .iter()
            .map(|ranked| ranked.pool.clone())
            .collect();
        let ttl_s = published.ttl.as_secs();
        self.publish_soon(name, published);
        let (service, because) = (name.clone(), because.clone());
        self.tell(Event::Published {
            service,
            order,
            ttl_s,
            because,
        });
    }

    /// Of several publications of a service that follow from one input only the last is seen,
    /// in the place of the first: it alone is durable, and a hook that waits for the first must
    /// not go before it.
    fn publish_soon(&mut self, name: &ServiceName, publication: Publication) {
        let earlier = self.effects.iter_mut().find_map(|effect| match effect {
            Action::Publish(other, earlier) if other == name => Some(earlier),
            Action::Publish(..)
            | Action::Persist(_)
            | Action::RunHook(_)
            | Action::AbandonHooks(_)
            | Action::Look(_)
            | Action::LookAtSecondaries(_)
            | Action::LookAtReferences(_)
            | Action::Tell(_) => None,
        });
        match earlier {
            Some(earlier) => *earlier = publication,
            None => self
                .effects
                .push_back(Action::Publish(name.clone(), publication)),
        }
    }

    /// Makes the service's state durable with this input's other changes: only its latest state
    /// counts.
    pub(super) fn remember(&mut self, name: &ServiceName) {
        let Some(state) = self.services.get(name) else {
            return;
        };
        self.changes
            .retain(|change| !matches!(change, Change::Service(other, _) if other == name));
        self.changes.push(Change::Service(
            name.clone(),
            Box::new(state.memory.clone()),
        ));
    }

    pub(super) fn ranking(
        &self,
        service: &Service,
        name: &ServiceName,
        active: &PoolName,
    ) -> Ranking {
        let published = self
            .services
            .get(name)
            .map(|state| &state.memory.published.ranking);
        rank(
            service,
            active,
            &self.beliefs(service),
            &self.overrides,
            published,
        )
    }

    /// Whether the TTL is to be short, and if not, when it is to become so because of a change
    /// that is known now.
    fn tension(
        &self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        active: &PoolName,
        because: &Because,
    ) -> (bool, Option<Mono>) {
        let belief = self.pools.get(active).map(|pool| &pool.belief);
        let troubled = belief.is_some_and(|belief| {
            belief.suspicion || !matches!(belief.health, PoolHealth::Up | PoolHealth::Unknown)
        });
        let moving = self.services.get(name).is_some_and(|state| {
            let asked = state.memory.proposal.as_ref();
            let may_go = asked.is_some_and(|proposal| proposal.rejected().is_none());
            // An ordered move keeps it short even while nothing is known of its target.
            may_go || state.memory.ordered.is_some() || state.memory.operation.is_some()
        });
        let expiry = self.overrides.next_expiry_for(name, &service.pools);
        let known = [because.next_change(), expiry.map(|at| at.since(now.wall))];
        let Some(next) = known.into_iter().flatten().min() else {
            return (troubled || moving, None);
        };
        let max = service.ttl.max;
        (
            troubled || moving || next <= max,
            Some(now.mono + next.saturating_sub(max)),
        )
    }
}
