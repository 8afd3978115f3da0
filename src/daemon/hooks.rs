//! Hook calls on their way to the runner: those that wait for the disk, and for the runner.

use std::collections::VecDeque;
use std::time::Duration;

use crate::failover::{HookCall, HookEnd, HookOutcome, Input};
use crate::hook::{HookError, Runner, RunnerEvent};
use crate::time::Mono;

/// A call waits so long for a runner that is being started again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The calls that are not under way yet.
pub(super) struct Hooks {
    runner: Option<Runner>,
    waiting: VecDeque<(Mono, HookCall)>,
}

impl Hooks {
    pub(super) fn new(runner: Option<Runner>) -> Hooks {
        Hooks {
            runner,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a call that is to run as soon as it is recorded.
    pub(super) fn push(&mut self, now: Mono, call: HookCall) {
        self.waiting.push_back((now, call));
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Hands over what waits. What cannot be run comes back as the engine's input.
    pub(super) async fn hand_over(&mut self, now: Mono) -> Vec<Input> {
        let mut ended = Vec::new();
        for _ in 0..self.waiting.len() {
            let Some((since, call)) = self.waiting.pop_front() else {
                break;
            };
            let refused = match &self.runner {
                Some(runner) => runner.run(call.clone()).await.err(),
                None => Some(HookError::NoRunner),
            };
            match refused {
                None => {}
                Some(HookError::NoRunner | HookError::Busy)
                    if self.runner.is_some() && now.since(since) < PATIENCE =>
                {
                    self.waiting.push_back((since, call));
                }
                Some(error) => ended.push(not_started(&call, &error)),
            }
        }
        ended
    }

    /// Ends what runs for an operation. What has not been handed over never begins, and comes
    /// back as the engine's input.
    pub(super) async fn abandon(&mut self, operation: crate::ids::OperationId) -> Vec<Input> {
        let (ours, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, call)| call.operation == operation);
        self.waiting = others;
        if let Some(runner) = &self.runner {
            runner.abandon(operation).await;
        }
        let ours: VecDeque<(Mono, HookCall)> = ours;
        let given_up = "its operation was given up";
        ours.iter()
            .map(|(_, call)| not_started(call, &given_up))
            .collect()
    }

    /// Ends the runner and all that it runs.
    pub(super) async fn stop(self) {
        if let Some(runner) = self.runner {
            runner.stop().await;
        }
    }
}

fn not_started(call: &HookCall, why: &impl ToString) -> Input {
    Input::HookEnded {
        operation: call.operation,
        task: call.task,
        undo: call.undo,
        attempt: call.attempt,
        end: HookEnd {
            outcome: HookOutcome::NotStarted(why.to_string()),
            output: String::new(),
            took: Duration::ZERO,
        },
    }
}

/// What a runner's event means to the engine.
pub(super) fn input_of(event: &RunnerEvent) -> Option<Input> {
    match event {
        RunnerEvent::Ended { key, end } => Some(Input::HookEnded {
            operation: key.operation,
            task: key.task,
            undo: key.undo,
            attempt: key.attempt,
            end: end.clone(),
        }),
        RunnerEvent::Started { .. } | RunnerEvent::RunnerLost { .. } => None,
    }
}
