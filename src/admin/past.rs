//! What happened, as it leaves the process.

use serde::{Deserialize, Serialize};

use crate::chronicle::Record;
use crate::ids::OperationId;
use crate::runbook::Operation;
use crate::time::Wall;

/// So many entries are in one answer at the most.
pub const ENTRIES_MAX: usize = 20_000;

/// The answer to [`super::Request::History`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// When this was written.
    pub now: Wall,
    /// What happened, the latest last.
    pub entries: Vec<Record>,
    /// Whether there is more, earlier.
    pub more: bool,
    /// Entries that a later release wrote, or that the disk damaged.
    pub unreadable: usize,
}

/// The answer to [`super::Request::Show`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// When this was written.
    pub now: Wall,
    /// The operation with its plan and its tasks, as it is recorded.
    pub operation: Operation,
    /// What is known of how it went, the latest last: orders that led to it, tasks, and the ends
    /// of its hooks with their output.
    pub entries: Vec<Record>,
}

impl Shown {
    /// The operation's number.
    #[must_use]
    pub fn id(&self) -> OperationId {
        self.operation.id
    }
}
