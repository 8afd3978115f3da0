//! The ordered plan of one failover, as configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The steps of a service's failover, in order. Exactly one of them publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What operators call it: `stop services`.
    pub name: String,
    /// What it does.
    pub act: Act,
    /// How long each of its tasks may take.
    pub timeout: Duration,
    /// The program that takes it back when a later step fails: run once per task that was done.
    pub undo: Option<Command>,
    /// What to do when the daemon ended while it ran.
    pub after_crash: AfterCrash,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Runs a program.
    Run {
        /// The program and its arguments.
        command: Command,
        /// How often.
        each: Each,
    },
    /// Makes the new pool the first of the published ranking.
    Publish,
    /// Looks at every server of the new pool until the condition holds.
    Verify(Condition),
}

/// A program and its arguments, run without a shell. The first word is a path that is absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Command(pub Vec<String>);

/// How often a step's program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Each {
    /// Once for the operation.
    Operation,
    /// Once per server of the new pool, one after another.
    Server,
}

/// What a verify step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// The port answers, open or refused: the path is open. Filtered and unreachable fail.
    Path,
    /// As many servers as the pool's `min_healthy` pass all their probes.
    Healthy,
}

/// How a step that had started when the daemon ended is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterCrash {
    /// Run it again: it is idempotent.
    Retry,
    /// Take it as done if the new pool verifies as healthy, else run it again.
    Verify,
    /// Halt and ask an operator.
    Ask,
}

impl Plan {
    /// The plan of a service without steps: publish, and nothing else.
    #[must_use]
    pub fn publish_only() -> Plan {
        Plan {
            steps: vec![Step {
                name: "publish".to_owned(),
                act: Act::Publish,
                timeout: Duration::from_secs(10),
                undo: None,
                after_crash: AfterCrash::Retry,
            }],
        }
    }

    /// Whether any step runs a program.
    #[must_use]
    pub fn has_hooks(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step.act, Act::Run { .. }))
    }
}
