//! Moves that were decided or ordered and have not begun: what waits for a person's word, and what
//! waits until the old answer has left the caches.

use serde::{Deserialize, Serialize};

use super::{Because, By};
use crate::ids::{OperationId, PoolName, ServerName};
use crate::runbook::Plan;
use crate::time::Wall;

/// A move that the engine would make, and that a person has to approve. What is approved is this,
/// and nothing else: another target, another plan or another pool to leave is another proposal,
/// with another number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The number of the operation that it becomes.
    pub id: OperationId,
    /// The pool that federation would leave.
    pub from: PoolName,
    /// The pool that it would move to.
    pub to: PoolName,
    /// Why it would move.
    pub because: Because,
    /// What it would run.
    pub plan: Plan,
    /// The servers of the new pool, that it would run for.
    pub servers: Vec<ServerName>,
    /// Since when it waits.
    pub since: Wall,
    /// What a person said to it.
    pub word: Option<Word>,
}

/// What a person said to a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It may begin.
    Approved(By),
    /// It may not; nor is it proposed again while the situation is the same.
    Rejected(By),
}

impl Proposal {
    /// Whether a move between these pools, with this plan, is what was proposed.
    #[must_use]
    pub fn is_of(
        &self,
        from: &PoolName,
        to: &PoolName,
        plan: &Plan,
        servers: &[ServerName],
    ) -> bool {
        self.from == *from && self.to == *to && self.plan == *plan && self.servers == servers
    }

    /// Who approved it.
    #[must_use]
    pub fn approved(&self) -> Option<&By> {
        match &self.word {
            Some(Word::Approved(by)) => Some(by),
            Some(Word::Rejected(_)) | None => None,
        }
    }

    /// Who rejected it.
    #[must_use]
    pub fn rejected(&self) -> Option<&By> {
        match &self.word {
            Some(Word::Rejected(by)) => Some(by),
            Some(Word::Approved(_)) | None => None,
        }
    }
}

/// A move that an operator ordered and that has not begun: the old answer may still be in caches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedMove {
    /// The new pool.
    pub to: PoolName,
    /// Who ordered it, and why.
    pub by: By,
    /// When.
    pub since: Wall,
    /// Whether automatic failback waits afterwards: it is a failover, not a failback.
    pub suspends_failback: bool,
    /// Whether to go to a pool of which nothing is known, or that is active for another service.
    pub force: bool,
    /// Whether not to wait for caches.
    pub now: bool,
}
