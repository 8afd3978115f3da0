//! Why the order is as it is: one enum, from the decision to the log, the status page and
//! `switchback explain`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::health::PoolHealth;
use crate::ids::{OperationId, PoolName, ServiceName};

/// Why the active pool is the active one, or why it moves, or why it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Because {
    /// It is the most preferred pool and it serves.
    Preferred,
    /// It serves; a more preferred pool does not, or has not for long enough.
    Serves {
        /// The more preferred pool.
        instead_of: PoolName,
    },
    /// It serves; the more preferred pool could too, but an operator drained it.
    ServesForDrained {
        /// The more preferred pool.
        pool: PoolName,
    },
    /// It is up again after a failover, and failback waits.
    FailbackWaits {
        /// The more preferred pool that is back.
        pool: PoolName,
        /// How long until failback, if nothing happens.
        remaining: Duration,
    },
    /// Failback is the operator's to say.
    FailbackIsManual {
        /// The more preferred pool that is back.
        pool: PoolName,
    },
    /// The cap per hour holds the move back.
    Capped {
        /// The pool that it would move to.
        pool: PoolName,
        /// The health of the active pool.
        #[serde(default)]
        health: PoolHealth,
    },
    /// The active pool is in trouble, for less than `failover.after`.
    TroubleTooShort {
        /// Its health.
        health: PoolHealth,
        /// How long until the failover.
        remaining: Duration,
    },
    /// The active pool is in trouble and no other pool would be better.
    NoBetterPool {
        /// Its health.
        health: PoolHealth,
    },
    /// The active pool is in trouble, and the only pools that would be better are drained.
    BetterIsDrained {
        /// Its health.
        health: PoolHealth,
        /// The best of them.
        pool: PoolName,
    },
    /// An operator drained the active pool, and no other pool could take over.
    DrainedInVain,
    /// All pools are down: the last ranking stands.
    AllDown,
    /// A pool is back after all were down, and has to hold for `settle`.
    Settling {
        /// The pool.
        pool: PoolName,
        /// How long until it becomes the target.
        remaining: Duration,
    },
    /// Nothing is known of the active pool: no decision.
    Unknown,
    /// The active pool's health made it move.
    Trouble {
        /// The pool that it leaves.
        from: PoolName,
        /// That pool's health.
        health: PoolHealth,
    },
    /// The more preferred pool is back for long enough.
    FailedBack,
    /// An operator pinned it.
    Pinned,
    /// An operator drained the pool that was active.
    Drained {
        /// The drained pool.
        from: PoolName,
    },
    /// An operator said so.
    Ordered {
        /// Who.
        author: String,
        /// Why; empty if nobody said.
        #[serde(default)]
        reason: String,
    },
    /// An operator froze the service.
    Frozen,
    /// Our own uplink is down: nothing is decided from here.
    Isolated,
    /// An operation is under way.
    Operation {
        /// Which.
        id: OperationId,
        /// Its target.
        to: PoolName,
    },
    /// An operation is under way and waits before its next step.
    Paused {
        /// Which.
        id: OperationId,
        /// Its target.
        to: PoolName,
        /// What it waits for: [`Because::Frozen`] or [`Because::Isolated`].
        by: Box<Because>,
    },
    /// Another operation with hooks has to end first.
    WaitsForOperation {
        /// The service of that operation.
        service: ServiceName,
        /// The pool it would move to.
        to: PoolName,
    },
    /// The pool is active for another service, and hooks would run against it: a person has to
    /// approve.
    NeedsApproval {
        /// The pool.
        to: PoolName,
        /// The service that it is active for.
        active_for: ServiceName,
    },
    /// It would move, and a person has to approve.
    AwaitsApproval {
        /// The pool.
        to: PoolName,
        /// Why it would move.
        why: Box<Because>,
    },
    /// It would move, and a person rejected that.
    Rejected {
        /// The pool.
        to: PoolName,
        /// Who.
        author: String,
        /// Why it would move.
        why: Box<Because>,
    },
    /// It would move, but the service is only observed.
    Observed {
        /// The pool.
        to: PoolName,
        /// Why it would move.
        why: Box<Because>,
    },
    /// It moves when the old answer has left the caches.
    TtlDrains {
        /// The pool.
        to: PoolName,
        /// How long until then.
        remaining: Duration,
        /// Why it moves.
        why: Box<Because>,
    },
    /// The state cannot be recorded: no hook runs.
    StoreFailed {
        /// The pool it would move to.
        to: PoolName,
    },
    /// A runbook halted, and it waits for an operator.
    Halted {
        /// The pool that could not be reached.
        to: PoolName,
    },
}

impl Because {
    /// Whether it is the same reason, whatever time remains.
    #[must_use]
    pub fn is_like(&self, other: &Because) -> bool {
        self.without_time() == other.without_time()
    }

    /// Whether an operator said so: it needs nobody's approval.
    #[must_use]
    pub fn is_an_operators(&self) -> bool {
        matches!(
            self,
            Because::Pinned | Because::Drained { .. } | Because::Ordered { .. }
        )
    }

    /// How long until the active pool moves, if nothing happens.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        self.clone().remaining_mut().copied()
    }

    fn without_time(&self) -> Because {
        let mut reason = self.clone();
        if let Because::AwaitsApproval { why, .. } | Because::Observed { why, .. } = &mut reason {
            **why = why.without_time();
        }
        if let Some(remaining) = reason.remaining_mut() {
            *remaining = Duration::ZERO;
        }
        reason
    }

    fn remaining_mut(&mut self) -> Option<&mut Duration> {
        match self {
            Because::FailbackWaits { remaining, .. }
            | Because::TroubleTooShort { remaining, .. }
            | Because::TtlDrains { remaining, .. }
            | Because::Settling { remaining, .. } => Some(remaining),
            Because::Preferred
            | Because::Serves { .. }
            | Because::ServesForDrained { .. }
            | Because::FailbackIsManual { .. }
            | Because::Capped { .. }
            | Because::NoBetterPool { .. }
            | Because::BetterIsDrained { .. }
            | Because::DrainedInVain
            | Because::AllDown
            | Because::Unknown
            | Because::Trouble { .. }
            | Because::FailedBack
            | Because::Pinned
            | Because::Drained { .. }
            | Because::Ordered { .. }
            | Because::Frozen
            | Because::Isolated
            | Because::Operation { .. }
            | Because::Paused { .. }
            | Because::WaitsForOperation { .. }
            | Because::NeedsApproval { .. }
            | Because::AwaitsApproval { .. }
            | Because::Rejected { .. }
            | Because::Observed { .. }
            | Because::StoreFailed { .. }
            | Because::Halted { .. } => None,
        }
    }
}

fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, 0) if !duration.is_zero() => "less than a second".to_owned(),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

fn ordered(author: &str, reason: &str) -> String {
    if reason.is_empty() {
        format!("{author} ordered it")
    } else {
        format!("{author} ordered it: {reason}")
    }
}

impl Because {
    /// What keeps a move that is decided, or under way.
    fn write_waiting(&self, f: &mut fmt::Formatter<'_>, left: &str) -> fmt::Result {
        match self {
            Because::Operation { id, to } => write!(f, "{id} to {to} is under way"),
            Because::Paused { id, to, by } => {
                write!(f, "{id} to {to} waits before its next step: {by}")
            }
            Because::WaitsForOperation { service, to } => {
                write!(f, "a move to {to} waits for the operation of {service}")
            }
            Because::NeedsApproval { to, active_for } => write!(
                f,
                "a move to {to} needs approval: hooks would run against it while it is active for {active_for}"
            ),
            Because::AwaitsApproval { to, why } => {
                write!(f, "a move to {to} waits for approval: {why}")
            }
            Because::Rejected { to, author, why } => {
                write!(f, "{author} rejected a move to {to}: {why}")
            }
            Because::Observed { to, why } => {
                write!(f, "it would move to {to}, but is only observed: {why}")
            }
            Because::TtlDrains { to, why, .. } => write!(
                f,
                "it moves to {to} in {left}, when the old answer has left the caches: {why}"
            ),
            Because::StoreFailed { to } => {
                write!(
                    f,
                    "a move to {to} waits: the state cannot be recorded, so no hook runs"
                )
            }
            Because::Halted { to } => {
                write!(
                    f,
                    "the runbook towards {to} halted; it waits for an operator"
                )
            }
            Because::Preferred
            | Because::Serves { .. }
            | Because::ServesForDrained { .. }
            | Because::FailbackWaits { .. }
            | Because::FailbackIsManual { .. }
            | Because::Capped { .. }
            | Because::TroubleTooShort { .. }
            | Because::NoBetterPool { .. }
            | Because::BetterIsDrained { .. }
            | Because::DrainedInVain
            | Because::AllDown
            | Because::Settling { .. }
            | Because::Unknown
            | Because::Trouble { .. }
            | Because::FailedBack
            | Because::Pinned
            | Because::Drained { .. }
            | Because::Ordered { .. }
            | Because::Frozen
            | Because::Isolated => Ok(()),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.next_change().map(seconds).unwrap_or_default();
        match self {
            Because::Preferred => f.write_str("it is the most preferred pool and it serves"),
            Because::Serves { instead_of } => write!(f, "it serves; {instead_of} does not"),
            Because::ServesForDrained { pool } => {
                write!(f, "it serves; an operator drained {pool}")
            }
            Because::FailbackWaits { pool, .. } => {
                write!(f, "{pool} is back; failback in {left}")
            }
            Because::FailbackIsManual { pool } => {
                write!(f, "{pool} is back; failback is manual")
            }
            Because::Capped { pool, health } => {
                if *health != PoolHealth::Up {
                    write!(f, "it is {health}; ")?;
                }
                write!(
                    f,
                    "a move to {pool} is held back by the cap per hour, until it is over or approved"
                )
            }
            Because::TroubleTooShort { health, .. } => {
                write!(f, "it is {health}; failover in {left} if it stays so")
            }
            Because::NoBetterPool { health } => {
                write!(f, "it is {health}, and no other pool would be better")
            }
            Because::BetterIsDrained { health, pool } => write!(
                f,
                "it is {health}; {pool} would be better, but an operator drained it"
            ),
            Because::DrainedInVain => {
                f.write_str("an operator drained it, and no other pool could take over")
            }
            Because::AllDown => f.write_str("all pools are down; the last ranking stands"),
            Because::Settling { pool, .. } => {
                write!(f, "{pool} is back first; it becomes active in {left}")
            }
            Because::Unknown => f.write_str("its health is unknown; nothing is decided"),
            Because::Trouble { from, health } => write!(f, "{from} is {health}"),
            Because::FailedBack => f.write_str("the more preferred pool is back"),
            Because::Pinned => f.write_str("an operator pinned it"),
            Because::Drained { from } => write!(f, "an operator drained {from}"),
            Because::Ordered { author, reason } => f.write_str(&ordered(author, reason)),
            Because::Frozen => f.write_str("an operator froze the service"),
            Because::Isolated => f.write_str("our own uplink is down; nothing is decided"),
            Because::Operation { .. }
            | Because::Paused { .. }
            | Because::WaitsForOperation { .. }
            | Because::NeedsApproval { .. }
            | Because::AwaitsApproval { .. }
            | Because::Rejected { .. }
            | Because::Observed { .. }
            | Because::TtlDrains { .. }
            | Because::StoreFailed { .. }
            | Because::Halted { .. } => self.write_waiting(f, &left),
        }
    }
}
