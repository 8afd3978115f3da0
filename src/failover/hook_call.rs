//! One run of one hook, and how it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::runbook::Work;

/// One program to run or one call to make, with all that it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    /// The operation.
    pub operation: OperationId,
    /// Which task of the operation; unique within it.
    pub task: usize,
    /// The attempt, from 1. `(operation, task, undo, attempt)` names this run and no other.
    pub attempt: u32,
    /// Whether it takes the task back.
    pub undo: bool,
    /// A number that grows with every operation; a far end that remembers the greatest it has
    /// seen can refuse a caller that lost its right to act.
    pub fence: u64,
    /// The service.
    pub service: ServiceName,
    /// The step's name.
    pub step: String,
    /// The pool that federation leaves.
    pub from_pool: PoolName,
    /// The pool that it moves to.
    pub to_pool: PoolName,
    /// The pool that the step acts on: the new one, but for a fence.
    pub pool: PoolName,
    /// The servers of that pool.
    pub servers: Vec<ServerName>,
    /// The server that this run is for, if the step runs once per server.
    pub server: Option<ServerName>,
    /// Free words: that pool's, then the server's.
    pub vars: BTreeMap<String, String>,
    /// The program, or the call.
    pub work: Work,
    /// How long it may take.
    pub timeout: Duration,
}

/// How one run of a hook ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookEnd {
    /// What came of it.
    pub outcome: HookOutcome,
    /// What it printed, both streams as they came, bounded.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookOutcome {
    /// It ended with exit code 0.
    Done,
    /// It ended with another exit code.
    Exit(i32),
    /// A signal ended it.
    Signal(i32),
    /// Its time was over; its process group was killed.
    TimedOut,
    /// A call was made and did not bring what means done. The text says what it brought.
    Refused(String),
    /// It never started. The text says why.
    NotStarted(String),
    /// Nobody knows: the runner ended under it. Its process group is gone.
    Lost(String),
}

impl fmt::Display for HookOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookOutcome::Done => f.write_str("done"),
            HookOutcome::Exit(code) => write!(f, "exit code {code}"),
            HookOutcome::Signal(signal) => write!(f, "ended by signal {signal}"),
            HookOutcome::TimedOut => f.write_str("timed out; its process group was killed"),
            HookOutcome::Refused(why) => write!(f, "refused: {why}"),
            HookOutcome::NotStarted(why) => write!(f, "not started: {why}"),
            HookOutcome::Lost(why) => write!(f, "nobody knows how it ended: {why}"),
        }
    }
}

/// The process group of a run that has started, enough to tell it from a later one that got
/// the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessGroup {
    /// The group's number, which is its leader's process id.
    pub pgid: i32,
    /// The leader's start time in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub started_ticks: u64,
    /// The boot it belongs to (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}
