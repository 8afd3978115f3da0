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
    /// What takes it back when a later step fails: once per task that was done.
    pub undo: Option<Work>,
    /// What to do when the daemon ended while it ran.
    pub after_crash: AfterCrash,
    /// How often a task that failed is run again.
    #[serde(default)]
    pub retries: Retries,
    /// What becomes of the operation when a task has failed for good.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// How often a run that failed is run again, and after which pause. It holds for the undo, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// So many runs follow the first one, if each of them fails.
    pub count: u32,
    /// The pause before the first of them. It doubles with each, up to [`LONGEST_PAUSE`].
    pub pause: Duration,
}

/// No pause between two runs of a task is longer.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            count: 0,
            pause: Duration::from_secs(1),
        }
    }
}

impl Retries {
    /// The pause after so many failures, or nothing if there is no further run.
    #[must_use]
    pub fn pause_after(&self, failures: u32) -> Option<Duration> {
        let doublings = failures.saturating_sub(1).min(16);
        (failures <= self.count)
            .then(|| self.pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE))
    }

    /// All pauses together.
    #[must_use]
    pub fn pauses(&self) -> Duration {
        (1..=self.count)
            .filter_map(|failures| self.pause_after(failures))
            .sum()
    }
}

/// What becomes of the operation when a task has failed and is not run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// What was done is taken back, the last first, and the operation halts. A move that is
    /// half done serves nobody, and at night nobody is there to decide.
    #[default]
    Undo,
    /// The operation stands where it is, nothing is taken back, and a person is asked.
    Halt,
    /// The failure is recorded, and the next task begins.
    Continue,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Acts on the outside: runs a program, or makes a call.
    Run {
        /// The program or the call.
        #[serde(rename = "command")]
        work: Work,
        /// How often.
        each: Each,
        /// On which pool.
        #[serde(default)]
        side: Side,
    },
    /// Makes the new pool the first of the published ranking.
    Publish,
    /// Looks at every server of the new pool until the condition holds.
    Verify(Condition),
    /// Waits.
    Wait(Pause),
}

/// What acts on the outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Work {
    /// A program.
    Run(Command),
    /// A call over HTTP.
    Call(Box<Call>),
}

/// A call over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// An absolute http or https address.
    pub url: String,
    /// Fields of the header.
    pub headers: Vec<(String, Word)>,
    /// The file of the secret that it is signed with. What is in it stands in no journal.
    pub secret_file: Option<String>,
    /// The file of the certificates that may vouch for the far end, instead of the system's.
    pub ca_file: Option<String>,
    /// The statuses that mean done; none means all of 200 to 299.
    pub expect: Vec<u16>,
}

/// A value that stands in the configuration, or in a file of its own because it is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// The value.
    Text(String),
    /// The file that it stands in.
    File(String),
}

/// The pool that a step acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The new pool.
    #[default]
    To,
    /// The old pool: a fence cuts the streams that DNS cannot move.
    From,
}

/// What a wait step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    /// So long.
    For(Duration),
    /// Until no cache holds an answer that was given before the latest change.
    Ttl,
    /// Until so many secondaries serve what is published; none given means all.
    Secondaries {
        /// How many.
        at_least: Option<usize>,
    },
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
    /// Once per server of the pool, one after another.
    Server,
    /// Once per server of the pool, at once: [`PARALLEL`] at most run at a time.
    ServerInParallel,
}

/// So many tasks of one step run at a time.
pub const PARALLEL: usize = 8;

/// What a verify step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// The port answers, open or refused: the path is open. Filtered and unreachable fail.
    Path,
    /// The port accepts connections, on as many servers as the pool's `min_healthy`.
    Open,
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

impl Step {
    /// How long one of its tasks can take, with all its runs and the pauses between them. What only
    /// publishes takes no time that anybody waits for.
    #[must_use]
    pub fn longest(&self) -> Duration {
        if self.act == Act::Publish {
            return Duration::ZERO;
        }
        let runs = self.retries.count.saturating_add(1);
        self.timeout
            .saturating_mul(runs)
            .saturating_add(self.retries.pauses())
    }
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
                retries: Retries::default(),
                on_failure: OnFailure::Undo,
            }],
        }
    }

    /// Whether any step acts on the outside.
    #[must_use]
    pub fn has_hooks(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step.act, Act::Run { .. }))
    }
}
