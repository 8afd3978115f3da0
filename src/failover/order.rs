//! What an operator can order, and why an order is refused.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Because, Override, Subject};
use crate::health::PoolHealth;
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};

/// Who ordered something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// Who.
    pub author: String,
    /// Why. Empty if nobody said.
    #[serde(default)]
    pub reason: String,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.author)?;
        if self.reason.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.reason)
    }
}

/// An operator's order to the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Says an override. `force` lets a drain leave no candidate, or a pool of too few servers.
    Set {
        /// What is said.
        said: Override,
        /// Whether a drain that leaves too little is wanted.
        force: bool,
    },
    /// Takes an override back.
    Clear {
        /// Which.
        subject: Subject,
        /// Who takes it back.
        by: By,
    },
    /// Moves the service; automatic failback waits until [`Order::Failback`].
    Failover {
        /// The service.
        service: ServiceName,
        /// The new pool. `None`: the best of the others.
        to: Option<PoolName>,
        /// Who said it.
        by: By,
        /// Whether to go to a pool of which nothing is known, or that hooks would disturb while it
        /// is active for another service.
        force: bool,
        /// Whether not to wait until the old answer has left the caches.
        #[serde(default)]
        now: bool,
    },
    /// Moves the service to its most preferred pool that can serve, and lets failback be
    /// automatic again.
    Failback {
        /// The service.
        service: ServiceName,
        /// Who said it.
        by: By,
        /// As for [`Order::Failover`].
        force: bool,
        /// As for [`Order::Failover`].
        #[serde(default)]
        now: bool,
    },
    /// Lets a move begin that waits: a proposal, or an ordered move that waits for caches.
    Approve {
        /// Which.
        which: Which,
        /// Who said it.
        by: By,
    },
    /// Takes such a move back.
    Reject {
        /// Which.
        which: Which,
        /// Who said it.
        by: By,
    },
    /// Takes an operation that stands further or back, or turns one back that is under way.
    Handle {
        /// The service.
        service: ServiceName,
        /// What to do.
        how: Handling,
        /// Who said it.
        by: By,
    },
    /// Makes a pool a target again after a runbook towards it has halted.
    Readmit {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
        /// Who said it.
        by: By,
    },
}

/// What a person may say of an operation. The table of when stands in `standing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handling {
    /// Run again what failed or what nobody knows of, and go on.
    Retry,
    /// Take it as done, and go on.
    Skip {
        /// The step that the operation stands at: who names another one is mistaken.
        step: String,
        /// The server, if the step has several that are asked about.
        server: Option<ServerName>,
    },
    /// Take back what was done.
    Abort,
    /// Close it as it is: a person has dealt with what is left.
    Resume,
}

impl fmt::Display for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Handling::Retry => f.write_str("retry"),
            Handling::Skip { step, server: None } => write!(f, "skip \"{step}\""),
            Handling::Skip {
                step,
                server: Some(server),
            } => write!(f, "skip \"{step}\" on {server}"),
            Handling::Abort => f.write_str("abort"),
            Handling::Resume => f.write_str("resume"),
        }
    }
}

impl Order {
    /// The service that it is about, if it is about one alone.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        let subject = match self {
            Order::Set { said, .. } => &said.subject,
            Order::Clear { subject, .. } => subject,
            Order::Failover { service, .. }
            | Order::Failback { service, .. }
            | Order::Handle { service, .. }
            | Order::Readmit { service, .. } => return Some(service),
            Order::Approve { which, .. } | Order::Reject { which, .. } => match which {
                Which::Service(service) => return Some(service),
                Which::Operation(_) => return None,
            },
        };
        match subject {
            Subject::Pin(service) | Subject::Freeze(service) => Some(service),
            Subject::DrainPool(_) | Subject::DrainServer(_) => None,
        }
    }
}

impl fmt::Display for Order {
    /// `order: failover xmpp-federation to edgepool2, by ann (new disks)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("order: ")?;
        let (by, force) = match self {
            Order::Set { said, force } => {
                said.fmt(f)?;
                return f.write_str(if *force { ", forced" } else { "" });
            }
            Order::Clear { subject, by } => {
                match subject {
                    Subject::DrainPool(pool) => write!(f, "undrain pool {pool}")?,
                    Subject::DrainServer(server) => write!(f, "undrain server {server}")?,
                    Subject::Pin(service) => write!(f, "unpin {service}")?,
                    Subject::Freeze(service) => write!(f, "thaw {service}")?,
                }
                (by, false)
            }
            Order::Failover {
                service,
                to,
                by,
                force,
                now,
            } => {
                write!(f, "failover {service}")?;
                if let Some(to) = to {
                    write!(f, " to {to}")?;
                }
                f.write_str(if *now { " now" } else { "" })?;
                (by, *force)
            }
            Order::Failback {
                service,
                by,
                force,
                now,
            } => {
                write!(f, "failback {service}")?;
                f.write_str(if *now { " now" } else { "" })?;
                (by, *force)
            }
            Order::Approve { which, by } => {
                write!(f, "approve {which}")?;
                (by, false)
            }
            Order::Reject { which, by } => {
                write!(f, "reject {which}")?;
                (by, false)
            }
            Order::Handle { service, how, by } => {
                write!(f, "{how} {service}")?;
                (by, false)
            }
            Order::Readmit { service, pool, by } => {
                write!(f, "readmit {pool} to {service}")?;
                (by, false)
            }
        };
        write!(f, ", by {by}")?;
        f.write_str(if force { ", forced" } else { "" })
    }
}

/// A move that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// That of this service, whichever it is.
    Service(ServiceName),
    /// That which would become this operation, and no other.
    Operation(OperationId),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Service(service) => service.fmt(f),
            Which::Operation(id) => id.fmt(f),
        }
    }
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
    #[error(
        "{0} is neither a pool nor a server of the configuration; `switchback status` lists them"
    )]
    NothingToDrain(String),
    /// Nothing would be left.
    #[error(
        "draining {pool} leaves no pool that could serve {service}; bring another pool up first, \
         or force it (--force)"
    )]
    NoCandidateLeft {
        /// The pool that would be drained.
        pool: PoolName,
        /// The service.
        service: ServiceName,
    },
    /// A pool that serves would be in trouble.
    #[error(
        "without {server}, pool {pool} has fewer servers than it needs (min_healthy = {needs}), and \
         it is active for {service}; drain the pool instead (switchback drain {pool}), bring \
         another server up first, or force it (--force)"
    )]
    ShortWhileActive {
        /// The server that would be drained.
        server: ServerName,
        /// Its pool.
        pool: PoolName,
        /// How many servers the pool needs.
        needs: usize,
        /// A service that the pool is active for.
        service: ServiceName,
    },
    /// The last pool that could serve would be in trouble.
    #[error(
        "without {server}, pool {pool} has fewer servers than it needs (min_healthy = {needs}), and \
         no other pool could serve {service}; bring another server or pool up first, or force it \
         (--force)"
    )]
    ShortWhileLast {
        /// The server that would be drained.
        server: ServerName,
        /// Its pool.
        pool: PoolName,
        /// How many servers the pool needs.
        needs: usize,
        /// The service.
        service: ServiceName,
    },
    /// There is no such override.
    #[error("there is no such override to take back; `switchback overrides` lists them")]
    NoOverride,
    /// The pool is a target as it is.
    #[error("pool {pool} is not kept out of service {service}: no runbook towards it halted")]
    NotKeptOut {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
    },
    /// No operation waits for a person.
    #[error("no operation of service {0} stands; `switchback status` shows what is under way")]
    NothingStands(ServiceName),
    /// There is nothing left of it.
    #[error(
        "{operation} of service {service} has been taken back, there is nothing in it to go on with; \
         order another one (switchback failover {service} --to {to}), or close it (switchback resume \
         {service})"
    )]
    TakenBack {
        /// The service.
        service: ServiceName,
        /// The operation.
        operation: OperationId,
        /// Its target.
        to: PoolName,
    },
    /// Another step was named.
    #[error("that is not what service {service} stands at; it is asked about: {asked}")]
    NotInQuestion {
        /// The service.
        service: ServiceName,
        /// What it stands at.
        asked: String,
    },
    /// The world has gone on.
    #[error(
        "since {operation} stopped, service {service} has moved to {active}; put right by hand what \
         is left of it, then close it (switchback resume {service})"
    )]
    Overtaken {
        /// The service.
        service: ServiceName,
        /// The operation.
        operation: OperationId,
        /// The active pool.
        active: PoolName,
    },
    /// The service is moving.
    #[error("service {service} is moving: {operation} to {to} is under way; wait for its end")]
    Busy {
        /// The service.
        service: ServiceName,
        /// The operation.
        operation: OperationId,
        /// Its target.
        to: PoolName,
    },
    /// It is about to move.
    #[error(
        "service {service} moves to {to} when the old answer has left the caches, {by} ordered it; \
         take that back first (switchback reject {service}), or let it go now (switchback approve \
         {service})"
    )]
    Planned {
        /// The service.
        service: ServiceName,
        /// The pool it moves to.
        to: PoolName,
        /// Who ordered that.
        by: By,
    },
    /// No move waits.
    #[error("no move of service {service} waits for a word: {because}")]
    NothingWaits {
        /// The service.
        service: ServiceName,
        /// How it stands.
        because: Because,
    },
    /// The proposal is not, or no longer, what waits.
    #[error(
        "{id} does not wait for a word: it has begun, or is void because the situation has \
         changed; `switchback status` shows what waits now"
    )]
    NoProposal {
        /// The number.
        id: OperationId,
    },
    /// It is there already.
    #[error("pool {pool} is the active pool of {service} already")]
    AlreadyActive {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
    },
    /// A pin would move it back at once.
    #[error(
        "service {service} is pinned to {pool}; take the pin back (switchback unpin {service}), or \
         pin it to the other pool"
    )]
    Pinned {
        /// The service.
        service: ServiceName,
        /// The pool of the pin.
        pool: PoolName,
    },
    /// A drain would move it away again at once.
    #[error("pool {0} is drained; take the drain back first (switchback undrain {0})")]
    TargetDrained(PoolName),
    /// It serves nobody.
    #[error(
        "pool {pool} is {health}: nothing says that it would serve {service}; bring it up first, \
         or force it (--force)"
    )]
    TargetNotServing {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
        /// What is believed of it.
        health: PoolHealth,
    },
    /// Its health would move the service away again.
    #[error(
        "pool {pool} is {health}: {service} would leave it again for {better}; put it right first, \
         or pin the service to it (switchback pin {service} {pool})"
    )]
    WouldNotStay {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
        /// What is believed of it.
        health: PoolHealth,
        /// The pool that is better.
        better: PoolName,
    },
    /// No other pool could take over.
    #[error(
        "no other pool of {0} could take over: each is down, unknown, drained, or kept out by a \
         halted runbook; name one with --to"
    )]
    NoTarget(ServiceName),
    /// Something stands in the way.
    #[error("service {service} cannot move now: {because}")]
    Obstacle {
        /// The service.
        service: ServiceName,
        /// What.
        because: Because,
    },
}
