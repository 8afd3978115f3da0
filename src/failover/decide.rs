//! Whether the active pool moves, and why. Each row of the truth table is one branch here, in
//! the order of precedence: operation, freeze, isolation, pin, drain, health.

use std::time::Duration;

use super::rank::{Beliefs, PoolBelief, strength};
use super::{Because, By, Failback, Move, OnHalt, OrderedMove, Overrides, Pool, Service, Standby};
use crate::health::PoolHealth;
use crate::ids::{OperationId, PoolName, ServiceName};
use crate::time::{Mono, Now};

/// A move back counts for the cap so long.
pub(super) const CAP_PERIOD: Duration = Duration::from_secs(3600);

/// What a service stands at, besides health: the inputs of [`decide`] that have a memory.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The active pool.
    pub active: &'a PoolName,
    /// The operation under way, and its target.
    pub operation: Option<(OperationId, &'a PoolName)>,
    /// Whether all our uplinks are down.
    pub isolated: bool,
    /// Since when the active pool has been in trouble without a break.
    pub trouble_since: Option<Mono>,
    /// Whether all pools were down and the active one has not been up since.
    pub blackout: bool,
    /// For every pool of the service: since when it has been serving, and since when it has
    /// been fit to fail back to.
    pub since: &'a [(Option<Mono>, Option<Mono>)],
    /// The target of a halted operation that nobody has dealt with.
    pub halted: Option<&'a PoolName>,
    /// Pools that a runbook halted on.
    pub ineligible: &'a std::collections::BTreeSet<PoolName>,
    /// The moves of the last hour.
    pub moves: &'a [Move],
    /// Whether an operator's own failover suspends failback.
    pub failback_suspended: bool,
    /// The move that an operator ordered.
    pub ordered: Option<&'a OrderedMove>,
    /// The pool at which another service's hooks are at work, and that service. What is believed of
    /// it is from before.
    pub masked: Option<(&'a PoolName, &'a ServiceName)>,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why the active pool is, or moves, or does not move.
    pub because: Because,
    /// Where the active pool is to move, if it is to.
    pub target: Option<PoolName>,
    /// When to decide anew, if nothing happens until then.
    pub wake: Option<Mono>,
    /// Whether every pool is down.
    pub blackout: bool,
    /// The move that the cap per hour holds back, and why it is wanted.
    pub held: Option<(PoolName, Because)>,
}

impl Decision {
    fn stay(because: Because) -> Decision {
        Decision {
            because,
            target: None,
            wake: None,
            blackout: false,
            held: None,
        }
    }
    fn go(target: &PoolName, because: Because) -> Decision {
        Decision {
            because,
            target: Some(target.clone()),
            wake: None,
            blackout: false,
            held: None,
        }
    }
    fn wait(until: Mono, because: Because) -> Decision {
        Decision {
            because,
            target: None,
            wake: Some(until),
            blackout: false,
            held: None,
        }
    }
}

/// One pool as a target.
struct Candidate<'a> {
    place: usize,
    name: &'a PoolName,
    strength: PoolHealth,
}

struct Case<'a> {
    service: &'a Service,
    standing: &'a Standing<'a>,
    beliefs: &'a Beliefs<'a>,
    overrides: &'a Overrides,
    now: Now,
}

/// Decides whether the active pool of `service` moves. Equal inputs give an equal decision.
#[must_use]
pub fn decide(
    name: &ServiceName,
    service: &Service,
    standing: &Standing<'_>,
    beliefs: &Beliefs<'_>,
    overrides: &Overrides,
    now: Now,
) -> Decision {
    let case = Case {
        service,
        standing,
        beliefs,
        overrides,
        now,
    };
    let halts = if overrides.is_frozen(name) {
        Some(Because::Frozen)
    } else {
        standing.isolated.then_some(Because::Isolated)
    };
    match (standing.operation, halts) {
        (Some((id, to)), None) => Decision::stay(Because::Operation { id, to: to.clone() }),
        (Some((id, to)), Some(by)) => Decision::stay(Because::Paused {
            id,
            to: to.clone(),
            by: Box::new(by),
        }),
        (None, Some(because)) => Decision::stay(because),
        (None, None) => match overrides.pin(name) {
            Some(pin) => case.by_pin(pin),
            None => case.by_order().unwrap_or_else(|| case.by_health()),
        },
    }
}

impl<'a> Case<'a> {
    fn active(&self) -> Option<(usize, &'a PoolBelief)> {
        let place = self
            .beliefs
            .iter()
            .position(|(name, ..)| *name == self.standing.active)?;
        Some((place, self.beliefs[place].2))
    }

    /// A pool that a runbook halted on is no target, pinned or not: it would be tried for ever.
    fn by_pin(&self, pin: &PoolName) -> Decision {
        if pin == self.standing.active {
            Decision::stay(Because::Pinned)
        } else if self.standing.ineligible.contains(pin) {
            Decision::stay(Because::Halted { to: pin.clone() })
        } else {
            Decision::go(pin, Because::Pinned)
        }
    }

    fn by_order(&self) -> Option<Decision> {
        let ordered = self.standing.ordered?;
        // After a start nothing is known yet: health decides until something is.
        let known = self
            .beliefs
            .iter()
            .any(|(name, _, belief)| **name == ordered.to && belief.health != PoolHealth::Unknown);
        if !known && !ordered.force {
            return None;
        }
        let By { author, reason } = ordered.by.clone();
        Some(Decision::go(
            &ordered.to,
            Because::Ordered { author, reason },
        ))
    }

    fn by_health(&self) -> Decision {
        let Some((place, active)) = self.active() else {
            return Decision::stay(Because::Unknown);
        };
        if self.overrides.is_pool_drained(self.standing.active) {
            return self.leave_drained();
        }
        match active.health {
            PoolHealth::Up => self.maybe_fail_back(place),
            PoolHealth::Unknown => Decision::stay(Because::Unknown),
            health @ (PoolHealth::Degraded | PoolHealth::PartlyUp | PoolHealth::Down) => {
                self.leave_troubled(health)
            }
        }
    }

    /// The pools that are better than `than`, the best first; equals as configured. Never
    /// sideways.
    fn candidates(&self, than: PoolHealth) -> Vec<Candidate<'a>> {
        let better = self
            .beliefs
            .iter()
            .enumerate()
            .filter_map(|(place, (name, pool, belief))| {
                let excluded = *name == self.standing.active
                    || self.overrides.is_pool_drained(name)
                    || self.standing.ineligible.contains(*name);
                let strength = strength(pool, belief, than).filter(|s| *s > than && !excluded)?;
                Some(Candidate {
                    place,
                    name,
                    strength,
                })
            });
        let mut candidates: Vec<_> = better.collect();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.strength));
        candidates
    }

    /// The service whose hooks are at work at this pool, if it is another one.
    fn masked_by(&self, pool: &PoolName) -> Option<&'a ServiceName> {
        let (masked, service) = self.standing.masked?;
        (masked == pool).then_some(service)
    }

    fn waits_for_hooks(service: &ServiceName, to: &PoolName) -> Decision {
        Decision::stay(Because::WaitsForOperation {
            service: service.clone(),
            to: to.clone(),
        })
    }

    fn leave_drained(&self) -> Decision {
        let from = self.standing.active.clone();
        let candidates = self.candidates(PoolHealth::Down);
        let seen = candidates
            .iter()
            .find(|candidate| self.masked_by(candidate.name).is_none());
        match seen.or(candidates.first()) {
            Some(best) => Decision::go(best.name, Because::Drained { from }),
            None => Decision::stay(Because::DrainedInVain),
        }
    }

    fn leave_troubled(&self, health: PoolHealth) -> Decision {
        if let Some(to) = self.standing.halted {
            let holds = self.service.on_halt == OnHalt::Hold || health != PoolHealth::Down;
            if holds {
                return Decision::stay(Because::Halted { to: to.clone() });
            }
        }
        let mut candidates = self.candidates(health);
        // A pool behind a mask may be stopped just now: any other is better, and so is an active
        // pool that serves at all. From a dead one it is still the best there is.
        let is_seen = |candidate: &Candidate<'_>| self.masked_by(candidate.name).is_none();
        let only_masked = !candidates.iter().any(is_seen);
        if !only_masked {
            candidates.retain(is_seen);
        }
        let Some(best) = candidates.first() else {
            return self.no_candidate(health);
        };
        let hooks = self.masked_by(best.name);
        if let Some(service) = hooks.filter(|_| health != PoolHealth::Down) {
            return Self::waits_for_hooks(service, best.name);
        }
        let free = candidates
            .iter()
            .find(|candidate| !self.is_capped(candidate.name));
        if self.standing.blackout && free.is_some() {
            return self.settle(&candidates);
        }
        let since = self.standing.trouble_since.unwrap_or(self.now.mono);
        let due = since + self.service.failover_after;
        if due > self.now.mono {
            let remaining = due.since(self.now.mono);
            return Decision::wait(due, Because::TroubleTooShort { health, remaining });
        }
        let from = self.standing.active.clone();
        let why = Because::Trouble { from, health };
        match free {
            Some(free) => Decision::go(free.name, why),
            None => self.capped(best.name, health, why),
        }
    }

    fn no_candidate(&self, health: PoolHealth) -> Decision {
        // A pool that is merely under suspicion is not down: without it there is no blackout.
        let none_is_left = self.beliefs.iter().all(|(name, _, belief)| {
            let excluded =
                self.overrides.is_pool_drained(name) || self.standing.ineligible.contains(*name);
            belief.health == PoolHealth::Down || excluded && belief.health != PoolHealth::Unknown
        });
        let blackout = health == PoolHealth::Down && none_is_left;
        let because = match self.best_kept_out(health) {
            Some(pool) if self.overrides.is_pool_drained(pool) => Because::BetterIsDrained {
                health,
                pool: pool.clone(),
            },
            Some(pool) => Because::Halted { to: pool.clone() },
            None if blackout => Because::AllDown,
            None => Because::NoBetterPool { health },
        };
        Decision {
            blackout,
            ..Decision::stay(because)
        }
    }

    /// The best pool that would be a candidate, had a runbook not halted on it or an operator
    /// not drained it.
    fn best_kept_out(&self, than: PoolHealth) -> Option<&'a PoolName> {
        let others = self
            .beliefs
            .iter()
            .filter(|(name, ..)| *name != self.standing.active);
        let better = others.filter_map(|(name, pool, belief)| {
            let strength = strength(pool, belief, than).filter(|strength| *strength > than)?;
            Some((std::cmp::Reverse(strength), *name))
        });
        better
            .min_by_key(|(strength, _)| *strength)
            .map(|(_, name)| name)
    }

    /// All pools were down: the first one that is back becomes the target when it has held.
    fn settle(&self, candidates: &[Candidate<'a>]) -> Decision {
        let since = |candidate: &&Candidate<'a>| {
            let (serving, _) = self.standing.since[candidate.place];
            (serving.unwrap_or(self.now.mono), candidate.place)
        };
        let free = candidates
            .iter()
            .filter(|candidate| !self.is_capped(candidate.name));
        let Some(first) = free.min_by_key(since) else {
            return Decision::stay(Because::AllDown);
        };
        let due = since(&first).0 + self.service.settle;
        if due > self.now.mono {
            let (pool, remaining) = (first.name.clone(), due.since(self.now.mono));
            return Decision::wait(due, Because::Settling { pool, remaining });
        }
        let from = self.standing.active.clone();
        Decision::go(
            first.name,
            Because::Trouble {
                from,
                health: PoolHealth::Down,
            },
        )
    }

    fn maybe_fail_back(&self, active_place: usize) -> Decision {
        let fit = |place: &usize| self.standing.since[*place].1.is_some();
        let admitted = |place: &usize| {
            let name = self.beliefs[*place].0;
            !self.overrides.is_pool_drained(name) && !self.standing.ineligible.contains(name)
        };
        let Some(place) = (0..active_place).find(|place| fit(place) && admitted(place)) else {
            return Decision::stay(self.serves((0..active_place).find(fit)));
        };
        let pool = self.beliefs[place].0;
        let Failback::After(after) = self.service.failback else {
            return Decision::stay(Because::FailbackIsManual { pool: pool.clone() });
        };
        if self.standing.failback_suspended || self.standing.halted == Some(pool) {
            return Decision::stay(Because::FailbackIsManual { pool: pool.clone() });
        }
        // Its time begins anew when it is seen again: none is told.
        if let Some(service) = self.masked_by(pool) {
            return Self::waits_for_hooks(service, pool);
        }
        let due = self.standing.since[place].1.unwrap_or(self.now.mono) + after;
        if due > self.now.mono {
            let (pool, remaining) = (pool.clone(), due.since(self.now.mono));
            return Decision::wait(due, Because::FailbackWaits { pool, remaining });
        }
        let belief = self.beliefs[place].2;
        if belief.firm < belief.health {
            return Decision::stay(Because::Serves {
                instead_of: pool.clone(),
            });
        }
        if self.cap_is_used_up() {
            return self.capped(pool, PoolHealth::Up, Because::FailedBack);
        }
        Decision::go(pool, Because::FailedBack)
    }

    /// The active pool serves and nothing is to be failed back to; the pool at `kept_out` would
    /// be, were it admitted.
    fn serves(&self, kept_out: Option<usize>) -> Because {
        match kept_out.map(|place| self.beliefs[place].0.clone()) {
            Some(pool) if self.overrides.is_pool_drained(&pool) => {
                Because::ServesForDrained { pool }
            }
            Some(pool) => Because::FailbackIsManual { pool },
            None => match self.service.pools.first() {
                Some(first) if first != self.standing.active => Because::Serves {
                    instead_of: first.clone(),
                },
                _ => Because::Preferred,
            },
        }
    }

    /// Until the hour is over the move is as in a service that asks for approval.
    fn capped(&self, pool: &PoolName, health: PoolHealth, why: Because) -> Decision {
        let counted = self.recent_moves().filter(|past| past.returning);
        let oldest = counted.map(|past| past.at + CAP_PERIOD).min();
        let wait = oldest.map_or(CAP_PERIOD, |free| free.since(self.now.wall));
        let pool = pool.clone();
        Decision {
            held: Some((pool.clone(), why)),
            ..Decision::wait(self.now.mono + wait, Because::Capped { pool, health })
        }
    }

    fn recent_moves(&self) -> impl Iterator<Item = &'a Move> + use<'a> {
        let now = self.now.wall;
        self.standing
            .moves
            .iter()
            .filter(move |past| now.since(past.at) < CAP_PERIOD)
    }

    fn cap_is_used_up(&self) -> bool {
        let used = self.recent_moves().filter(|past| past.returning).count();
        used >= self.service.cap_per_hour as usize
    }

    fn is_capped(&self, to: &PoolName) -> bool {
        self.was_left_lately(to) && self.cap_is_used_up()
    }

    fn was_left_lately(&self, pool: &PoolName) -> bool {
        self.recent_moves().any(|past| past.from == *pool)
    }
}

/// Whether a pool is fit to fail back to: up, or a cold standby whose path is open.
#[must_use]
pub(super) fn is_fit(pool: &Pool, belief: &PoolBelief) -> bool {
    belief.health == PoolHealth::Up || pool.standby == Standby::Cold && belief.path_is_open
}

/// Whether a pool serves at all, or is a cold standby whose path is open.
#[must_use]
pub(super) fn is_serving(pool: &Pool, belief: &PoolBelief) -> bool {
    belief.health > PoolHealth::Unknown || pool.standby == Standby::Cold && belief.path_is_open
}
