//! One task of an operation (a step, once or for one server), and the total function that
//! moves it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::ServerName;
use crate::time::Wall;

/// One task: a step of the plan, for one server if the step runs once per server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The index of its step in the plan.
    pub step: usize,
    /// Its server.
    pub server: Option<ServerName>,
    /// What is known of it.
    pub status: TaskStatus,
    /// How often it was started; the numbers of attempts go on through an undo.
    pub attempts: u32,
    /// What its latest run printed, or what a verification saw last. Bounded by the runner.
    pub output: String,
    /// When the status was entered.
    pub since: Wall,
    /// When the time of its latest run is over. A verification that a crash interrupts goes on
    /// with the time that is left: a deadline never grows.
    #[serde(default)]
    pub deadline: Option<Wall>,
    /// How long its latest run took by the monotonic clock, in milliseconds, once it has ended and
    /// somebody saw it begin and end.
    #[serde(default)]
    pub took_ms: Option<u64>,
    /// How often its run has failed, forward or on the way back: what `retries` counts.
    #[serde(default)]
    pub failures: u32,
}

/// What is known of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// Its turn has not come.
    Waiting,
    /// Recorded as started, before it acts. `deadline` never grows.
    Started {
        /// When its time is over.
        deadline: Wall,
    },
    /// It was done, for good.
    Done,
    /// It failed, and is run again.
    Retrying {
        /// When, at the latest.
        at: Wall,
        /// Why it failed.
        why: String,
        /// Whether it was being taken back.
        undo: bool,
    },
    /// It failed.
    Failed(String),
    /// The daemon ended while it ran: nobody knows.
    Unknown,
    /// It is being taken back.
    Undoing {
        /// When its time is over.
        deadline: Wall,
    },
    /// It was taken back.
    Undone,
    /// Taking it back failed.
    UndoFailed(String),
    /// The daemon ended while it was taken back: nobody knows.
    UndoUnknown,
}

/// What happens to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// It begins.
    Start {
        /// When its time is over.
        deadline: Wall,
    },
    /// It was done.
    Succeed,
    /// It failed.
    Fail(String),
    /// It failed, and is run again.
    FailForNow {
        /// When.
        at: Wall,
        /// Why it failed.
        why: String,
    },
    /// The daemon came back and does not know.
    Lose,
    /// It may be run again.
    Retry,
    /// It is to be taken back.
    Undo {
        /// When its time is over.
        deadline: Wall,
    },
}

/// An event that the status does not allow. `handle` of the engine never causes it; a journal
/// that was tampered with may.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a task that is {status:?} cannot take {event:?}; the journal does not follow the plan")]
pub struct Impossible {
    status: TaskStatus,
    event: TaskEvent,
}

impl TaskStatus {
    /// The status after `event`. A task that is done is never started again.
    ///
    /// # Errors
    /// [`Impossible`] for every pair that is not in the table below.
    pub fn next(&self, event: TaskEvent) -> Result<TaskStatus, Impossible> {
        use TaskEvent as E;
        use TaskStatus as S;
        match (self, event) {
            (S::Waiting | S::Retrying { undo: false, .. }, E::Start { deadline }) => {
                Ok(S::Started { deadline })
            }
            // What failed or is not known is done when a person says so.
            (S::Started { .. } | S::Unknown | S::Failed(_), E::Succeed) => Ok(S::Done),
            (S::Started { .. } | S::Unknown | S::Retrying { undo: false, .. }, E::Fail(why)) => {
                Ok(S::Failed(why))
            }
            (S::Started { .. }, E::FailForNow { at, why }) => Ok(S::Retrying {
                at,
                why,
                undo: false,
            }),
            (S::Started { .. }, E::Lose) => Ok(S::Unknown),
            (S::Unknown | S::Failed(_), E::Retry) => Ok(S::Waiting),
            (
                S::Done
                | S::Failed(_)
                | S::Unknown
                | S::UndoUnknown
                | S::UndoFailed(_)
                | S::Retrying { .. },
                E::Undo { deadline },
            ) => Ok(S::Undoing { deadline }),
            (S::Undoing { .. } | S::UndoUnknown | S::UndoFailed(_), E::Succeed) => Ok(S::Undone),
            (S::Undoing { .. } | S::UndoUnknown, E::Fail(why)) => Ok(S::UndoFailed(why)),
            (S::Undoing { .. }, E::FailForNow { at, why }) => Ok(S::Retrying {
                at,
                why,
                undo: true,
            }),
            (S::Undoing { .. }, E::Lose) => Ok(S::UndoUnknown),
            // A person wants the undo to be run again.
            (S::UndoFailed(why), E::Retry) => Ok(S::Retrying {
                at: Wall(0),
                why: why.clone(),
                undo: true,
            }),
            (status, event) => Err(Impossible {
                status: status.clone(),
                event,
            }),
        }
    }

    /// Whether a run of it is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(
            self,
            TaskStatus::Started { .. } | TaskStatus::Undoing { .. }
        )
    }
}

impl Task {
    /// Moves the task.
    ///
    /// # Errors
    /// As [`TaskStatus::next`]; the task is then as before.
    pub fn handle_event(&mut self, at: Wall, event: TaskEvent) -> Result<(), Impossible> {
        let next = self.status.next(event)?;
        match (&self.status, &next) {
            // A person wants it once more: with all its time, and all its attempts.
            (TaskStatus::Failed(_), TaskStatus::Waiting) => {
                self.deadline = None;
                self.failures = 0;
            }
            (TaskStatus::Retrying { undo: true, .. }, TaskStatus::Undoing { .. }) => {}
            (_, TaskStatus::Undoing { .. })
            | (TaskStatus::UndoFailed(_), TaskStatus::Retrying { .. }) => self.failures = 0,
            (
                _,
                TaskStatus::Retrying { .. } | TaskStatus::Failed(_) | TaskStatus::UndoFailed(_),
            ) => self.failures = self.failures.saturating_add(1),
            _ => {}
        }
        self.took_ms = None;
        if let TaskStatus::Started { deadline } | TaskStatus::Undoing { deadline } = next {
            self.deadline = Some(deadline);
        }
        self.status = next;
        self.since = at;
        if self.status.is_running() {
            self.attempts = self.attempts.saturating_add(1);
        }
        Ok(())
    }
}
