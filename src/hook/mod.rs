//! **IO.** Runs the programs of runbooks and makes their calls, through a process of its own.
//!
//! # Three processes
//!
//! ```text
//! daemon ──lines──▶ runner ──▶ launcher ═exec═▶ the hook
//!   │  [`Runner`]     │  [`runner`]   (own process group, waits for the word)
//!   └ state.redb      └ runner.lock, runner.groups
//! ```
//!
//! The **runner** is begun by the starter ([`crate::programs`]), as the user of hooks, and is told
//! by it which programs and calls the configuration named when the daemon started: it does nothing
//! else, whatever the daemon says. For each call the runner starts a **launcher** in a new process group, notes the group in
//! `runner.groups`, tells the daemon, and only then gives the launcher the word to become the
//! hook. So no instruction of a hook runs before its process group is written down.
//!
//! # No run outlives its record
//!
//! - The daemon dies: the runner's standard input ends. It ends every group (SIGTERM, [`GRACE`],
//!   SIGKILL), waits until all are gone, and only then lets go of `runner.lock`.
//! - The runner dies: the daemon starts another. A runner, before it answers the handshake, takes
//!   the lock and ends every group that `runner.groups` names. Then, and not before, the calls
//!   that were under way are reported as [`HookOutcome::Lost`](crate::failover::HookOutcome).
//! - Both die: the next daemon's [`Runner::start`] does the same. When it returns, nothing of an
//!   earlier run is alive.
//! - The machine dies: nothing is alive; the groups name another boot.
//!
//! A program that leaves its process group (a service that becomes a daemon of its own) is not
//! part of the run: starting services is what hooks are for.
//!
//! A call over HTTP is made by the runner itself: it has no process group, and ends with its
//! deadline, with the runner, or when it is abandoned. So whatever acts on the outside is one
//! process, and the daemon needs no right to.
//!
//! # What a hook is told
//!
//! `contract` says it: environment variables and one JSON object on standard input. What it
//! prints is kept, bounded, both streams as they come.

mod call;
mod client;
mod contract;
mod group;
mod launch;
mod ledger;
mod lines;
mod link;
mod output;
mod protocol;
mod run;
pub mod runner;
mod shown;

pub use call::request;
pub use client::{HookError, Runner, RunnerEvent};
pub use group::{end_group, is_gone};
pub use protocol::RunKey;
pub use shown::{ShownCall, shown};

/// The environment that a hook gets beside the daemon's `PATH`, `HOME`, `LANG` and `TZ`.
#[must_use]
pub fn environment(call: &HookCall) -> BTreeMap<String, String> {
    contract::environment(call)
}

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::failover::HookCall;
use crate::runbook::Work;

/// What a runner is told first, a line: where it keeps its lock and its groups, and what it may do,
/// exactly so. `None`: whatever the daemon says.
///
/// # Errors
/// A path that is not UTF-8.
pub fn greeting(state_dir: &Path, works: Option<Vec<Work>>) -> std::io::Result<String> {
    let hello = protocol::First::Hello {
        protocol: protocol::PROTOCOL,
        state_dir: state_dir.to_owned(),
        works,
    };
    Ok(serde_json::to_string(&hello)? + "\n")
}

/// So long after SIGTERM a process group gets SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// So many calls may be under way at once.
pub const CALLS: usize = 16;
