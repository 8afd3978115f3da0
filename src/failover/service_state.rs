//! What the engine holds of one service: its durable memory, and what it may forget.

use std::collections::BTreeMap;
use std::time::Duration;

use super::verification::Verification;
use super::waiting::Waiting;
use super::{Because, Move, Publication, Ranking, Service, ServiceMemory};
use crate::health::{Observation, PoolHealth};
use crate::ids::PoolName;
use crate::runbook::{LONGEST_PAUSE, Operation, Phase, TaskStatus};
use crate::time::{Mono, Now, Wall};

/// One service.
#[derive(Clone, Debug)]
pub(super) struct ServiceState {
    pub(super) memory: ServiceMemory,
    /// Why it stands as it stands now.
    pub(super) because: Because,
    /// Since when the active pool has been in trouble without a break.
    pub(super) trouble_since: Option<Mono>,
    /// Whether all pools were down and the active one has not been up since.
    pub(super) blackout: bool,
    /// When the last reason for a short TTL ended. `None`: there was none since the start.
    pub(super) tense_until: Option<Mono>,
    /// The verify step under way.
    pub(super) verification: Option<Verification>,
    /// The wait step under way.
    pub(super) waiting: Option<Waiting>,
    /// Since when the tasks under way run. The calendar, which their journal keeps, may be set.
    pub(super) running_since: BTreeMap<usize, Mono>,
    /// When the runs under way are given up, by task.
    pub(super) give_up_at: BTreeMap<usize, Mono>,
    /// When the pauses before another run are over, by task.
    pub(super) pauses: BTreeMap<usize, Mono>,
    /// When no cache holds an answer with a longer TTL than what is published any more.
    pub(super) drained_at: Option<Mono>,
    /// When no cache holds an answer from before the latest change any more. The calendar, in
    /// which the memory keeps it, may be set.
    pub(super) cached_until: Option<Mono>,
    /// When people are reminded of the move that waits for their word.
    pub(super) remind_at: Option<Mono>,
}

impl ServiceState {
    pub(super) fn new(memory: ServiceMemory) -> ServiceState {
        ServiceState {
            because: memory.because.clone(),
            memory,
            trouble_since: None,
            blackout: false,
            tense_until: None,
            verification: None,
            waiting: None,
            running_since: BTreeMap::new(),
            give_up_at: BTreeMap::new(),
            pauses: BTreeMap::new(),
            drained_at: None,
            cached_until: None,
            remind_at: None,
        }
    }

    /// Takes up the pauses that the process was in when it ended. The calendar may have jumped:
    /// none lasts longer than any could.
    pub(super) fn recall_pauses(&mut self, now: Now) {
        let operation = self.memory.operation.iter();
        for (index, task) in operation.flat_map(|operation| operation.tasks.iter().enumerate()) {
            if let TaskStatus::Retrying { at, .. } = &task.status {
                let left = at.since(now.wall).min(LONGEST_PAUSE);
                self.pauses.insert(index, now.mono + left);
            }
        }
    }

    pub(super) fn pause_is_over(&self, task: usize, now: Mono) -> bool {
        self.pauses.get(&task).is_none_or(|at| *at <= now)
    }

    /// An operation has ended, and with it what was under way.
    pub(super) fn forget_tasks(&mut self) {
        self.verification = None;
        self.waiting = None;
        self.running_since.clear();
        self.give_up_at.clear();
        self.pauses.clear();
    }

    /// How much can happen to it without any further input: bounds the engine's rounds.
    pub(super) fn size(&self) -> usize {
        self.memory.published.ranking.pools.len()
            + self
                .memory
                .operation
                .as_ref()
                .map_or(0, |operation| 3 * operation.tasks.len())
    }

    pub(super) fn active(&self) -> PoolName {
        self.memory
            .published
            .ranking
            .active()
            .cloned()
            .unwrap_or_else(|| "".into())
    }

    /// When the mask of the operation under way expires at the latest, if it masks this pool: from
    /// before its first hook to its end, or to the expiry.
    pub(super) fn masked_until(&self, pool: &PoolName, now: Wall) -> Option<Wall> {
        let operation = self.operation_with_hooks()?;
        (operation.to == *pool && now < operation.mask_until).then_some(operation.mask_until)
    }

    /// The operation with hooks under way.
    pub(super) fn operation_with_hooks(&self) -> Option<&Operation> {
        self.memory
            .operation
            .as_ref()
            .filter(|operation| operation.plan.has_hooks())
    }

    pub(super) fn handle_observation(&mut self, look: &Observation, stirred: &mut bool) {
        let Some(verification) = &mut self.verification else {
            return;
        };
        verification.handle_observation(look);
        *stirred = true;
    }

    /// Takes note of the trouble of the active pool.
    pub(super) fn note_trouble(&mut self, health: PoolHealth, now: Mono) {
        match health {
            PoolHealth::Up => {
                self.trouble_since = None;
                self.blackout = false;
            }
            // Not knowing is a break: trouble has to be seen all the time.
            PoolHealth::Unknown => self.trouble_since = None,
            PoolHealth::Degraded | PoolHealth::PartlyUp | PoolHealth::Down => {
                self.trouble_since.get_or_insert(now);
            }
        }
    }

    /// The TTL at `now`: short while there is a reason for it and for as long as `max` after,
    /// so that a flapping suspicion does not make the serial flap.
    pub(super) fn ttl(
        &mut self,
        service: &Service,
        tense: bool,
        now: Mono,
    ) -> (Duration, Option<Mono>) {
        if tense {
            self.tense_until = Some(now);
            return (service.ttl.min, None);
        }
        let calm_at = self.tense_until.map(|until| until + service.ttl.max);
        match calm_at {
            Some(at) if at > now => (service.ttl.min, Some(at)),
            _ => (service.ttl.max, None),
        }
    }

    /// Replaces what is published. A change of the active pool is a move, and is remembered.
    pub(super) fn publish(&mut self, ranking: Ranking, ttl: Duration, because: &Because, now: Now) {
        self.outdate(now);
        let (from, to) = (self.active(), ranking.active().cloned());
        if let Some(to) = to.filter(|to| *to != from) {
            let hour_ago = |past: &Move| now.wall.since(past.at) < super::decide::CAP_PERIOD;
            self.memory.moves.retain(hour_ago);
            let left_lately = self.memory.moves.iter().any(|past| past.from == to);
            let returning = left_lately || *because == Because::FailedBack;
            self.memory.moves.push(Move {
                at: now.wall,
                from,
                to,
                returning,
            });
            self.memory.active_since = now.wall;
            self.memory.because = because.clone();
        }
        self.note_ttl(ttl, now);
        self.memory.published = Publication { ranking, ttl };
    }

    /// Takes note that answers change now: what was answered until now may stay in caches for its
    /// own lifetime.
    pub(super) fn outdate(&mut self, now: Now) {
        let until = self
            .cached_until
            .max(Some(now.mono + self.memory.published.ttl));
        self.cached_until = until;
        self.memory.cached_until = until.map(|until| now.wall + until.since(now.mono));
    }

    /// Takes up until when caches hold what is no longer answered. What the process before this
    /// one answered last is not known for sure: its disk may have failed, its ports may have been
    /// others. So it is taken for outdated, and for as long-lived as it can have been.
    pub(super) fn resume_caches(&mut self, service: &Service, now: Now) {
        let known = self.memory.cached_until.map(|until| until.since(now.wall));
        let longest = service.ttl.max.max(self.memory.published.ttl);
        self.cached_until = Some(now.mono + longest.max(known.unwrap_or_default()));
    }

    /// How long caches may still hold an answer from before the latest change. Zero if nothing
    /// has changed since the service began.
    pub(super) fn cache_drain(&self, now: Mono) -> Duration {
        self.cached_until
            .map_or(Duration::ZERO, |until| until.since(now))
    }

    /// Takes note of the TTL that is published next.
    pub(super) fn note_ttl(&mut self, ttl: Duration, now: Now) {
        let before = self.memory.published.ttl;
        if ttl == before {
            return;
        }
        self.memory.lowered = (ttl < before).then_some(now.wall);
        self.drained_at = self.drained_at.max(Some(now.mono + before));
    }

    /// Takes up when the TTL was lowered. The wall clock may have been set since: it counts for no
    /// more than a whole TTL.
    pub(super) fn resume_ttl(&mut self, service: &Service, now: Now) {
        if self.memory.published.ttl != service.ttl.min || service.ttl.min == service.ttl.max {
            return;
        }
        let lowered = *self.memory.lowered.get_or_insert(now.wall);
        let rest = service.ttl.max.saturating_sub(now.wall.since(lowered));
        self.drained_at = Some(now.mono + rest);
    }

    /// How long an answer with the long TTL may still be in a cache, if the TTL is short from now
    /// on. Zero if the TTL has only one value: waiting would gain nothing.
    pub(super) fn ttl_drain(&self, service: &Service, now: Mono) -> Duration {
        if service.ttl.min == service.ttl.max {
            return Duration::ZERO;
        }
        let ttl = Some(self.memory.published.ttl).filter(|ttl| *ttl > service.ttl.min);
        let before = self.drained_at.map(|at| at.since(now));
        ttl.max(before).unwrap_or_default()
    }

    /// The target of a halted operation that nobody has dealt with.
    pub(super) fn halted_target(&self) -> Option<&PoolName> {
        let halted = self.memory.halted.as_ref()?;
        debug_assert!(matches!(
            halted.phase,
            Phase::Halted(_) | Phase::NeedsHuman(_)
        ));
        Some(&halted.to)
    }
}
