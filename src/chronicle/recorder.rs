//! The engine's inputs to entries.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::entry::{Entry, HookRun};
use super::runs::{Run, Runs};
use crate::failover::{HookEnd, Input};
use crate::health::Observation;
use crate::ids::Endpoint;
use crate::runbook::Operation;
use crate::time::Now;

/// Of what a hook printed the last so many octets are kept in its entry; the operation itself
/// keeps more.
const OUTPUT_MAX: usize = 1024;

/// Sees what the engine sees, and says which of it is to be kept.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    runs: Runs,
    references: BTreeMap<SocketAddr, bool>,
}

impl Recorder {
    /// What is to be kept of this input. A hook's end is told apart, with its operation
    /// ([`Recorder::hook`]); a new policy makes a checkpoint.
    pub fn input(&mut self, now: Now, input: &Input) -> Option<Entry> {
        match input {
            Input::Observed(look) => self.look(now, look),
            Input::Reference(look) => {
                let known = self.references.insert(look.target, look.reachable);
                (known != Some(look.reachable)).then_some(Entry::Reference {
                    target: look.target,
                    reachable: look.reachable,
                })
            }
            Input::Store { works } => Some(Entry::Store { works: *works }),
            // Whether secondaries follow stands in the task that waits for them.
            Input::Secondaries { .. }
            | Input::HookEnded { .. }
            | Input::Policy { .. }
            | Input::TimePassed => None,
        }
    }

    fn look(&mut self, now: Now, look: &Observation) -> Option<Entry> {
        self.runs.count(now, look).map(Entry::Saw)
    }

    /// The entry of a run of a hook of `operation`.
    #[must_use]
    pub fn hook(
        operation: &Operation,
        task: usize,
        undo: bool,
        attempt: u32,
        end: &HookEnd,
    ) -> Option<Entry> {
        let step = operation.step(task)?;
        Some(Entry::Hook(HookRun {
            operation: operation.id,
            service: operation.service.clone(),
            step: step.name.clone(),
            server: operation.tasks.get(task)?.server.clone(),
            undo,
            attempt,
            outcome: end.outcome.clone(),
            took_ms: u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX),
            output: tail(&end.output),
        }))
    }

    /// Forgets endpoints that are no longer looked at.
    pub fn retain(&mut self, keep: impl Fn(&Endpoint) -> bool) {
        self.runs.retain(keep);
    }

    /// The runs of looks that go on.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        self.runs.iter().collect()
    }
}

/// The last [`OUTPUT_MAX`] octets of `text`, from a whole character on.
fn tail(text: &str) -> String {
    let mut from = text.len().saturating_sub(OUTPUT_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_begins_with_a_whole_character() {
        let text = "ä".repeat(OUTPUT_MAX);
        assert_eq!(tail(&text).chars().count(), OUTPUT_MAX / 2);
        let text = format!("{}x", "ä".repeat(OUTPUT_MAX));
        assert_eq!(tail(&text).len(), OUTPUT_MAX - 1);
        assert_eq!(tail("short"), "short");
    }
}
