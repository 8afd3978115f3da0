//! **Pure.** What daemon, runner and launcher say to each other: JSON, one object per line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failover::{HookCall, HookEnd, ProcessGroup};
use crate::ids::OperationId;
use crate::runbook::{Command, Work};

/// Grows with every change of the lines below: the daemon of one release does not talk to the
/// runner of another.
pub(super) const PROTOCOL: u32 = 3;

/// A longer line is an error. (An [`HookEnd`] has 16 KiB of output; escaped, six times that.)
pub(super) const LINE_BYTES: usize = 1 << 20;

/// Which run of a hook: no two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// The operation.
    pub operation: OperationId,
    /// Which task of it.
    pub task: usize,
    /// Whether it takes the task back.
    pub undo: bool,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl RunKey {
    /// The key of `call`.
    #[must_use]
    pub fn of(call: &HookCall) -> RunKey {
        RunKey {
            operation: call.operation,
            task: call.task,
            undo: call.undo,
            attempt: call.attempt,
        }
    }
}

/// The first line that `hook-runner` reads: what it is to be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum First {
    /// The runner. From whoever begins it, not from the daemon.
    Hello {
        /// [`PROTOCOL`] of the daemon.
        protocol: u32,
        /// Where the lock and the groups are kept.
        state_dir: PathBuf,
        /// What it may do, exactly so; `None`: whatever the daemon says.
        works: Option<Vec<Work>>,
    },
    /// A launcher: become this program. From the runner.
    Launch(Command),
}

/// From the daemon to the runner, after [`First::Hello`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ToRunner {
    /// Run this.
    Run(Box<HookCall>),
    /// End what runs for this operation.
    Abandon(OperationId),
}

/// From the runner to the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromRunner {
    /// It holds the lock, and nothing of an earlier run is alive.
    Ready {
        /// [`PROTOCOL`] of the runner.
        protocol: u32,
    },
    /// It cannot serve, and says why.
    Refused(String),
    /// A run has a process group. The hook begins after this line.
    Started {
        /// Which run.
        key: RunKey,
        /// Its group.
        group: ProcessGroup,
    },
    /// A run is over.
    Ended {
        /// Which run.
        key: RunKey,
        /// How.
        end: HookEnd,
    },
}
