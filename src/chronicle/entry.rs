//! One thing that happened, as it is kept and as people read it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::runs::{Run, Saw};
use crate::failover::{Event, HookOutcome, Order, Overrides, Policy, ServiceMemory};
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::time::Wall;

/// An entry with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it happened.
    pub at: Wall,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

/// One thing that happened: what the engine was told, or what it told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub enum Entry {
    /// The daemon started.
    Started {
        /// Its release.
        version: String,
    },
    /// It ended in order.
    Ended,
    /// The configuration was read again.
    Reloaded {
        /// Why it was refused, if it was: nothing has changed then.
        #[serde(default)]
        refused: Option<String>,
    },
    /// How everything stood, so that what follows can be replayed.
    Checkpoint(Box<Checkpoint>),
    /// A look saw something else than the one before.
    Saw(Saw),
    /// A reference target answers, or is silent, unlike before.
    Reference {
        /// The target.
        target: SocketAddr,
        /// Whether it answers.
        reachable: bool,
    },
    /// An operator ordered something.
    Ordered {
        /// What, with who said it and why.
        order: Order,
        /// Why it was refused, if it was.
        #[serde(default)]
        refused: Option<String>,
    },
    /// A run of a hook ended.
    Hook(HookRun),
    /// The state can be written again, or cannot.
    Store {
        /// Whether it can.
        works: bool,
    },
    /// What the engine told.
    Told(Event),
    /// So many entries were not kept: they came faster than the disk took them, or it failed.
    Lost {
        /// How many.
        entries: u64,
    },
}

/// How everything stood at one moment, with no operation under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What was configured.
    pub policy: Policy,
    /// How often each probe of each pool looks.
    pub paces: BTreeMap<PoolName, Vec<Pace>>,
    /// What was published of each service, and why.
    pub services: BTreeMap<ServiceName, ServiceMemory>,
    /// The overrides in force.
    pub overrides: Overrides,
    /// What the looks saw.
    pub runs: Vec<Run>,
}

/// How often a probe looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// From look to look.
    pub interval: Duration,
    /// From one look that goes to the full depth to the next, if not all do.
    #[serde(default)]
    pub deep: Option<Duration>,
}

/// One run of a hook, ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// The operation.
    pub operation: OperationId,
    /// The service.
    pub service: ServiceName,
    /// The step's name.
    pub step: String,
    /// The server that it ran for, if the step runs once per server.
    #[serde(default)]
    pub server: Option<ServerName>,
    /// Whether it took the step back.
    #[serde(default)]
    pub undo: bool,
    /// The attempt, from 1.
    pub attempt: u32,
    /// What came of it.
    pub outcome: HookOutcome,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The end of what it printed.
    #[serde(default)]
    pub output: String,
}

impl Entry {
    /// The service that it is about, if it is about one alone.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Entry::Hook(run) => Some(&run.service),
            Entry::Told(event) => event.service(),
            Entry::Ordered { order, .. } => order.service(),
            Entry::Started { .. }
            | Entry::Ended
            | Entry::Reloaded { .. }
            | Entry::Checkpoint(_)
            | Entry::Saw(_)
            | Entry::Reference { .. }
            | Entry::Store { .. }
            | Entry::Lost { .. } => None,
        }
    }

    /// The operation that it is about.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        match self {
            Entry::Hook(run) => Some(run.operation),
            Entry::Told(event) => event.operation(),
            Entry::Ordered { .. }
            | Entry::Started { .. }
            | Entry::Ended
            | Entry::Reloaded { .. }
            | Entry::Checkpoint(_)
            | Entry::Saw(_)
            | Entry::Reference { .. }
            | Entry::Store { .. }
            | Entry::Lost { .. } => None,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Started { version } => write!(f, "switchback {version} started"),
            Entry::Ended => f.write_str("switchback ended"),
            Entry::Reloaded { refused: None } => f.write_str("the configuration was reloaded"),
            Entry::Reloaded { refused: Some(why) } => write!(f, "reload refused: {why}"),
            Entry::Checkpoint(_) => f.write_str("how everything stands was written down"),
            Entry::Saw(saw) => saw.fmt(f),
            Entry::Reference { target, reachable } => {
                let how = if *reachable { "answers" } else { "is silent" };
                write!(f, "reference target {target} {how}")
            }
            Entry::Ordered { order, refused } => match refused {
                Some(why) => write!(f, "{order}: refused: {why}"),
                None => order.fmt(f),
            },
            Entry::Hook(run) => run.fmt(f),
            Entry::Store { works: true } => f.write_str("the state can be written again"),
            Entry::Store { works: false } => f.write_str("the state cannot be written"),
            Entry::Told(event) => event.fmt(f),
            Entry::Lost { entries } => write!(
                f,
                "{entries} entries were not kept: the disk did not take them in time"
            ),
        }
    }
}

impl fmt::Display for Saw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.watched.endpoint, self.verdict)?;
        match &self.ended {
            Some(run) if run.looks == 1 => write!(f, ", after 1 look that saw {}", run.verdict),
            Some(run) => write!(f, ", after {} looks that saw {}", run.looks, run.verdict),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HookRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.service, self.operation)?;
        if self.undo {
            f.write_str("undo of ")?;
        }
        f.write_str(&self.step)?;
        if let Some(server) = &self.server {
            write!(f, " on {server}")?;
        }
        if self.attempt > 1 {
            write!(f, ", attempt {}", self.attempt)?;
        }
        write!(f, ": {} in {} ms", self.outcome, self.took_ms)
    }
}
