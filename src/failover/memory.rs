//! What must outlive the process, and what happened.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Because, By, OrderedMove, Override, Overrides, Proposal, Publication, Subject};
use crate::health::Health;
use crate::ids::{Endpoint, OperationId, PoolName, ServiceName};
use crate::runbook::{Operation, Phase};
use crate::time::Wall;

/// The durable state of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceMemory {
    /// What is published.
    pub published: Publication,
    /// Since when the active pool is the active one.
    pub active_since: Wall,
    /// Why it became so.
    pub because: Because,
    /// The operation under way, with its journal.
    pub operation: Option<Operation>,
    /// The latest operation that halted or needs a human, until one succeeds.
    pub halted: Option<Operation>,
    /// Pools that a runbook halted on: no targets until someone says otherwise.
    pub ineligible: BTreeSet<PoolName>,
    /// The moves of the last hour, the oldest first.
    pub moves: Vec<Move>,
    /// Whether an operator's own failover suspends automatic failback.
    pub failback_suspended: bool,
    /// Until when caches may hold answers from before the latest change.
    #[serde(default)]
    pub cached_until: Option<Wall>,
    /// The move that waits for a person's word.
    #[serde(default)]
    pub proposal: Option<Proposal>,
    /// The move that an operator ordered and that has not begun.
    #[serde(default)]
    pub ordered: Option<OrderedMove>,
    /// When the TTL was last lowered; `None` while it is long.
    #[serde(default)]
    pub lowered: Option<Wall>,
}

/// One move that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// When.
    pub at: Wall,
    /// From which pool.
    pub from: PoolName,
    /// To which.
    pub to: PoolName,
    /// Whether the cap per hour counts it: a failback, or a return to a pool left within the
    /// hour.
    pub returning: bool,
}

/// What an engine starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The services that were known. Empty at the first start ever.
    pub services: std::collections::BTreeMap<ServiceName, ServiceMemory>,
    /// The overrides in force.
    pub overrides: Overrides,
    /// The number of the next operation.
    pub next_operation: OperationId,
}

/// One thing to make durable. A list of changes is one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The state of this service.
    Service(ServiceName, Box<ServiceMemory>),
    /// This service is no longer configured.
    ServiceGone(ServiceName),
    /// The overrides in force.
    Overrides(Overrides),
    /// The number of the next operation.
    NextOperation(OperationId),
    /// An operation that ended, for the history.
    Operation(Box<Operation>),
}

/// What happened, once per transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// An endpoint's health changed.
    HealthChanged {
        /// The pool.
        pool: PoolName,
        /// The endpoint.
        endpoint: Endpoint,
        /// Before.
        from: Health,
        /// After.
        to: Health,
        /// What the look saw that changed it.
        saw: String,
    },
    /// A service's records changed.
    Published {
        /// The service.
        service: ServiceName,
        /// The pools in order.
        order: Vec<PoolName>,
        /// The TTL in seconds.
        ttl_s: u64,
        /// Why.
        because: Because,
    },
    /// An operation began.
    OperationBegan {
        /// Which.
        id: OperationId,
        /// The service.
        service: ServiceName,
        /// From which pool.
        from: PoolName,
        /// To which.
        to: PoolName,
        /// Why.
        because: Because,
    },
    /// A task of an operation changed its status.
    Task {
        /// The operation.
        id: OperationId,
        /// The service.
        service: ServiceName,
        /// The step's name, and its server.
        task: String,
        /// `started`, `done`, `failed: …`, `taking back` …
        status: String,
    },
    /// An operation ended, halted, or needs a human.
    OperationEnded {
        /// Which.
        id: OperationId,
        /// The service.
        service: ServiceName,
        /// Its target.
        to: PoolName,
        /// How.
        phase: Phase,
    },
    /// Why a service does not move, or moves, changed.
    Reasoning {
        /// The service.
        service: ServiceName,
        /// The reason now.
        because: Because,
    },
    /// Our own uplink went down for a family (`IPv4`, `IPv6`), or came back.
    Uplink {
        /// The family.
        family: String,
        /// Whether it is there.
        up: bool,
    },
    /// An override was said, taken back, or expired.
    Override {
        /// Which.
        said: Override,
        /// `said`, `taken back` or `expired`.
        what: String,
        /// Who took it back, and why.
        #[serde(default)]
        by: Option<By>,
    },
    /// A move waits for a person's word: now, or still.
    ApprovalWanted {
        /// The operation that it would become.
        id: OperationId,
        /// The service.
        service: ServiceName,
        /// From which pool.
        from: PoolName,
        /// To which.
        to: PoolName,
        /// Why it would move.
        because: Because,
        /// Since when it waits.
        since: Wall,
        /// Whether it was told before.
        reminder: bool,
    },
    /// A person approved or rejected a move that waits.
    Answered {
        /// The operation that it would become.
        id: OperationId,
        /// The service.
        service: ServiceName,
        /// Its target.
        to: PoolName,
        /// Whether it may begin.
        approved: bool,
        /// Who said it, and why.
        by: By,
    },
    /// A move that waited is no longer wanted, as it was.
    Withdrawn {
        /// The operation that it would have become.
        id: OperationId,
        /// The service.
        service: ServiceName,
        /// Its target.
        to: PoolName,
        /// Who had approved it: that is void.
        approved: Option<By>,
        /// What holds now.
        because: Because,
    },
    /// A move that an operator had ordered will not begin.
    OrderVoid {
        /// The service.
        service: ServiceName,
        /// Its target.
        to: PoolName,
        /// Who had ordered it.
        by: By,
        /// Why not.
        why: String,
    },
    /// An operator took an operation further or back, or closed it.
    Handled {
        /// The service.
        service: ServiceName,
        /// The operation.
        id: OperationId,
        /// `retry`, `skip "route"`, `abort`, `resume`.
        how: String,
        /// Who, and why.
        by: By,
    },
    /// An operator made a pool a target again, on which a runbook had halted.
    Readmitted {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
        /// Who, and why.
        by: By,
    },
}

impl Event {
    /// The service that it is about.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Event::Published { service, .. }
            | Event::OperationBegan { service, .. }
            | Event::Task { service, .. }
            | Event::OperationEnded { service, .. }
            | Event::Reasoning { service, .. }
            | Event::ApprovalWanted { service, .. }
            | Event::Answered { service, .. }
            | Event::Withdrawn { service, .. }
            | Event::OrderVoid { service, .. }
            | Event::Handled { service, .. }
            | Event::Readmitted { service, .. } => Some(service),
            Event::Override { said, .. } => match &said.subject {
                Subject::Pin(service) | Subject::Freeze(service) => Some(service),
                Subject::DrainPool(_) | Subject::DrainServer(_) => None,
            },
            Event::HealthChanged { .. } | Event::Uplink { .. } => None,
        }
    }

    /// The operation that it is about.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        match self {
            Event::OperationBegan { id, .. }
            | Event::Task { id, .. }
            | Event::Handled { id, .. }
            | Event::OperationEnded { id, .. }
            | Event::ApprovalWanted { id, .. }
            | Event::Answered { id, .. }
            | Event::Withdrawn { id, .. } => Some(*id),
            Event::HealthChanged { .. }
            | Event::Published { .. }
            | Event::Reasoning { .. }
            | Event::Uplink { .. }
            | Event::Override { .. }
            | Event::OrderVoid { .. }
            | Event::Readmitted { .. } => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::HealthChanged {
                pool,
                endpoint,
                from,
                to,
                saw,
            } => {
                write!(f, "{pool}: {endpoint} was {from}, is {to}: {saw}")
            }
            Event::Published {
                service,
                order,
                ttl_s,
                because,
            } => {
                let order: Vec<&str> = order.iter().map(PoolName::as_str).collect();
                write!(
                    f,
                    "{service}: published {} (TTL {ttl_s} s): {because}",
                    order.join(" > ")
                )
            }
            Event::OperationBegan {
                id,
                service,
                from,
                to,
                because,
            } => {
                write!(f, "{service}: {id} begins, from {from} to {to}: {because}")
            }
            Event::Task {
                id,
                service,
                task,
                status,
            } => {
                write!(f, "{service}: {id}: {task}: {status}")
            }
            Event::OperationEnded {
                id,
                service,
                to,
                phase,
            } => match phase {
                Phase::Completed => write!(f, "{service}: {id} to {to} completed"),
                Phase::Halted(why) => write!(f, "{service}: {id} to {to} HALTED: {why}"),
                Phase::NeedsHuman(question) => {
                    write!(f, "{service}: {id} to {to} NEEDS A HUMAN: {question}")
                }
                Phase::Forward | Phase::Backward(_) => write!(f, "{service}: {id} goes on"),
            },
            Event::Reasoning { service, because } => write!(f, "{service}: {because}"),
            Event::Uplink { family, up: true } => write!(f, "{family}: our uplink is back"),
            Event::Uplink { family, up: false } => write!(
                f,
                "{family}: our own uplink is down (no reference target answers); nothing is decided until it is back"
            ),
            Event::Override { said, what, by } => match by {
                Some(by) => write!(f, "override {what} by {by}: {said}"),
                None => write!(f, "override {what}: {said}"),
            },
            Event::ApprovalWanted { .. }
            | Event::Answered { .. }
            | Event::Withdrawn { .. }
            | Event::OrderVoid { .. }
            | Event::Handled { .. }
            | Event::Readmitted { .. } => f.write_str(&self.of_a_word()),
        }
    }
}

impl Event {
    /// What is told of moves that wait for a person's word, and of words.
    fn of_a_word(&self) -> String {
        match self {
            Event::ApprovalWanted {
                id,
                service,
                from,
                to,
                because,
                reminder,
                ..
            } => {
                let still = if *reminder { "still " } else { "" };
                format!(
                    "{service}: {id} from {from} to {to} {still}WAITS FOR APPROVAL \
                     (switchback approve {id}): {because}"
                )
            }
            Event::Answered {
                id,
                service,
                to,
                approved,
                by,
            } => {
                let word = if *approved { "approved" } else { "rejected" };
                format!("{service}: {id} to {to} {word} by {by}")
            }
            Event::Withdrawn {
                id,
                service,
                to,
                approved,
                because,
            } => match approved {
                Some(by) => format!(
                    "{service}: {id} to {to} is void, and so is the approval by {by}: {because}"
                ),
                None => format!("{service}: {id} to {to} is no longer proposed: {because}"),
            },
            Event::OrderVoid {
                service,
                to,
                by,
                why,
            } => {
                format!("{service}: the move to {to} ordered by {by} is void: {why}")
            }
            Event::Handled {
                service,
                id,
                how,
                by,
            } => format!("{service}: {id}: {how}, by {by}"),
            Event::Readmitted { service, pool, by } => {
                format!("{service}: {pool} is a target again, by {by}")
            }
            Event::HealthChanged { .. }
            | Event::Published { .. }
            | Event::OperationBegan { .. }
            | Event::Task { .. }
            | Event::OperationEnded { .. }
            | Event::Reasoning { .. }
            | Event::Uplink { .. }
            | Event::Override { .. } => String::new(),
        }
    }
}
