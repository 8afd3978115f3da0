//! **Pure.** What people are told outside of `status` and the log: which news, how much of it, and
//! when again.
//!
//! | file | what |
//! | --- | --- |
//! | `news` | what happened, as an [`Alert`] or as nothing that anybody needs to be woken for |
//! | `ledger` | what waits for one receiver: a bounded queue, a rate, a digest, retries |
//!
//! Invariants: what is not told is counted, and the count is told; nothing here ever waits.

mod ledger;
mod news;

pub use ledger::{Change, Ledger, Message, Next, PER_HOUR, State};
pub use news::{certificate, event, secondary, store};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{OperationId, PoolName, ServiceName};
use crate::time::Wall;

/// What an alert is about: the words of `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// An edge went down, is flawed, or is back.
    Health,
    /// A failover or failback began, or is done.
    Failover,
    /// A runbook halted, or needs a human.
    Halted,
    /// A move waits for somebody's word.
    Approval,
    /// A certificate ends soon: of an edge, or our own.
    Certificate,
    /// Our own uplink is down, or back.
    Isolated,
    /// A secondary does not follow, or follows again.
    Secondary,
    /// The state cannot be recorded, or can again.
    Store,
    /// What was left out: always told, never chosen.
    Digest,
}

impl Topic {
    /// Those that can be chosen.
    pub const CHOOSABLE: [Topic; 8] = [
        Topic::Health,
        Topic::Failover,
        Topic::Halted,
        Topic::Approval,
        Topic::Certificate,
        Topic::Isolated,
        Topic::Secondary,
        Topic::Store,
    ];

    /// The one word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Topic::Health => "health",
            Topic::Failover => "failover",
            Topic::Halted => "halted",
            Topic::Approval => "approval",
            Topic::Certificate => "certificate",
            Topic::Isolated => "isolated",
            Topic::Secondary => "secondary",
            Topic::Store => "store",
            Topic::Digest => "digest",
        }
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// What was wrong is well again.
    Resolved,
    /// Somebody may want to know.
    Notice,
    /// Somebody has to do something.
    Alarm,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Resolved => "resolved",
            Severity::Notice => "notice",
            Severity::Alarm => "alarm",
        })
    }
}

/// One thing that people are told. It is written as JSON: fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about.
    pub topic: Topic,
    /// How much it matters.
    pub severity: Severity,
    /// When it happened: milliseconds since 1970 in UTC.
    pub at: Wall,
    /// The service, if it is about one.
    pub service: Option<ServiceName>,
    /// The pool, if it is about one.
    pub pool: Option<PoolName>,
    /// The operation, if it is about one.
    pub operation: Option<OperationId>,
    /// It, in a sentence.
    pub text: String,
    /// How many days a certificate has left; 0 if it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<u64>,
}

impl Alert {
    fn new(topic: Topic, severity: Severity, at: Wall, text: String) -> Alert {
        Alert {
            topic,
            severity,
            at,
            service: None,
            pool: None,
            operation: None,
            text,
            days_left: None,
        }
    }
}
