//! One failover or failback under way: its plan, its tasks, and which of them is next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Act, Each, OnFailure, PARALLEL, Plan, Side, Step, Task, TaskStatus};
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::time::Wall;

/// A move of the active pool, with its journal. The plan is a copy: a reload does not change
/// an operation under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OperationId,
    /// The service that moves.
    pub service: ServiceName,
    /// The pool that federation leaves.
    pub from: PoolName,
    /// The pool that it moves to.
    pub to: PoolName,
    /// Why.
    pub reason: String,
    /// What it runs.
    pub plan: Plan,
    /// The plan, laid out task by task.
    pub tasks: Vec<Task>,
    /// How far it is.
    pub phase: Phase,
    /// When it began.
    pub began: Wall,
    /// When the mask on the target pool ends at the latest.
    pub mask_until: Wall,
    /// Why it turned back, once it has.
    #[serde(default)]
    pub turned_back: Option<String>,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It goes through its tasks in order.
    Forward,
    /// A task failed, for this reason: it goes back through what was done.
    Backward(String),
    /// It arrived.
    Completed,
    /// It failed, and what was done was taken back. The text says what failed.
    Halted(String),
    /// It cannot go on without a person. The text is the question.
    NeedsHuman(String),
}

/// What an operation does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextTask {
    /// Nothing now: a run is under way, or the pause before another.
    Wait,
    /// Start this task.
    Start(usize),
    /// What became of this task is not known: decide by its step's `after_crash`.
    Resolve(usize),
    /// This task has failed for good, and nothing runs beside it: decide by `on_failure`.
    Fail(usize),
    /// Take this task back.
    Undo(usize),
    /// Nothing: it has ended, or ends now.
    End,
}

impl Operation {
    /// Lays out the tasks of `plan` for the servers of the new and of the old pool.
    #[must_use]
    pub fn lay_out(plan: &Plan, to: &[ServerName], from: &[ServerName], now: Wall) -> Vec<Task> {
        let task = |step, server| Task {
            step,
            server,
            status: TaskStatus::Waiting,
            attempts: 0,
            output: String::new(),
            since: now,
            deadline: None,
            took_ms: None,
            failures: 0,
        };
        let mut tasks = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            match &step.act {
                Act::Run {
                    each: Each::Server | Each::ServerInParallel,
                    side,
                    ..
                } => {
                    let servers = match side {
                        Side::To => to,
                        Side::From => from,
                    };
                    tasks.extend(
                        servers
                            .iter()
                            .map(|server| task(index, Some(server.clone()))),
                    );
                }
                Act::Run {
                    each: Each::Operation,
                    ..
                }
                | Act::Publish
                | Act::Verify(_)
                | Act::Wait(_) => {
                    tasks.push(task(index, None));
                }
            }
        }
        tasks
    }

    /// The step of a task.
    #[must_use]
    pub fn step(&self, task: usize) -> Option<&Step> {
        self.plan.steps.get(self.tasks.get(task)?.step)
    }

    /// How long it can take on its way forward, if every task takes all its time: tasks of a step
    /// that runs on all servers at once share it.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let of_step = |(index, step): (usize, &Step)| {
            let tasks = self.tasks.iter().filter(|task| task.step == index).count();
            let at_once = match step.act {
                Act::Run {
                    each: Each::ServerInParallel,
                    ..
                } => PARALLEL,
                Act::Run { .. } | Act::Publish | Act::Verify(_) | Act::Wait(_) => 1,
            };
            let rounds = u32::try_from(tasks.div_ceil(at_once)).unwrap_or(u32::MAX);
            step.longest().saturating_mul(rounds)
        };
        let steps = self.plan.steps.iter().enumerate();
        steps
            .map(of_step)
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// A task for people: its step, and its server.
    #[must_use]
    pub fn name_of(&self, task: usize) -> String {
        let step = self.step(task).map_or("?", |step| step.name.as_str());
        match self.tasks.get(task).and_then(|task| task.server.as_ref()) {
            Some(server) => format!("{step} on {server}"),
            None => step.to_owned(),
        }
    }

    /// What is next. Forward: the first task that is not done, or the tasks of its step if they
    /// run at once. Backward: the last task that was done, or failed after it had begun, and
    /// that can be taken back. `is_due` says whether the pause before another run is over.
    #[must_use]
    pub fn next_task(&self, is_due: impl Fn(usize) -> bool) -> NextTask {
        match &self.phase {
            Phase::Forward => self.next_forward(is_due),
            Phase::Backward(_) => self.next_backward(is_due),
            Phase::Completed | Phase::Halted(_) | Phase::NeedsHuman(_) => NextTask::End,
        }
    }

    fn next_forward(&self, is_due: impl Fn(usize) -> bool) -> NextTask {
        let mut ahead = (0..self.tasks.len()).filter(|task| !self.is_behind(*task));
        let Some(first) = ahead.next() else {
            return NextTask::End;
        };
        let step = self.tasks[first].step;
        let side_by_side = ahead.filter(|task| self.tasks[*task].step == step);
        let mut group = vec![first];
        group.extend(side_by_side.filter(|_| self.runs_in_parallel(step)));
        let (mut running, mut pausing) = (0, false);
        let (mut ready, mut unknown, mut failed) = (None, None, None);
        for task in group {
            match &self.tasks[task].status {
                TaskStatus::Started { .. } => running += 1,
                TaskStatus::Waiting => ready = ready.or(Some(task)),
                TaskStatus::Retrying { undo: false, .. } if is_due(task) => {
                    ready = ready.or(Some(task));
                }
                TaskStatus::Retrying { undo: false, .. } => pausing = true,
                TaskStatus::Unknown => unknown = unknown.or(Some(task)),
                // All but the first do not belong to a way forward: the journal is damaged.
                TaskStatus::Failed(_)
                | TaskStatus::Done
                | TaskStatus::Retrying { undo: true, .. }
                | TaskStatus::Undoing { .. }
                | TaskStatus::Undone
                | TaskStatus::UndoFailed(_)
                | TaskStatus::UndoUnknown => failed = failed.or(Some(task)),
            }
        }
        match (failed, unknown, ready) {
            (Some(_), _, _) | (None, Some(_), _) if running > 0 => NextTask::Wait,
            (Some(task), _, _) => NextTask::Fail(task),
            (None, Some(task), _) => NextTask::Resolve(task),
            (None, None, Some(task)) if running < PARALLEL => NextTask::Start(task),
            (None, None, _) if running > 0 || pausing => NextTask::Wait,
            (None, None, _) => NextTask::End,
        }
    }

    /// Whether a task is over, so that the next one may begin.
    fn is_behind(&self, task: usize) -> bool {
        match &self.tasks[task].status {
            TaskStatus::Done => true,
            TaskStatus::Failed(_) => self
                .step(task)
                .is_some_and(|step| step.on_failure == OnFailure::Continue),
            TaskStatus::Waiting
            | TaskStatus::Started { .. }
            | TaskStatus::Retrying { .. }
            | TaskStatus::Unknown
            | TaskStatus::Undoing { .. }
            | TaskStatus::Undone
            | TaskStatus::UndoFailed(_)
            | TaskStatus::UndoUnknown => false,
        }
    }

    fn runs_in_parallel(&self, step: usize) -> bool {
        self.plan.steps.get(step).is_some_and(|step| {
            matches!(
                step.act,
                Act::Run {
                    each: Each::ServerInParallel,
                    ..
                }
            )
        })
    }

    /// Nothing is taken back while anything still runs forward. The tasks of a step that ran at
    /// once are taken back at once, and all of them before the step before is.
    fn next_backward(&self, is_due: impl Fn(usize) -> bool) -> NextTask {
        let forward = |task: &Task| matches!(task.status, TaskStatus::Started { .. });
        if self.tasks.iter().any(forward) {
            return NextTask::Wait;
        }
        let mut last_step = None;
        let (mut running, mut pausing) = (0, false);
        for (index, task) in self.tasks.iter().enumerate().rev() {
            let beside = last_step == Some(task.step) && self.runs_in_parallel(task.step);
            if !beside && (running > 0 || pausing) {
                return NextTask::Wait;
            }
            last_step = Some(task.step);
            let has_room = running < PARALLEL;
            match &task.status {
                TaskStatus::Undoing { .. } => running += 1,
                TaskStatus::UndoUnknown if running > 0 => return NextTask::Wait,
                TaskStatus::UndoUnknown => return NextTask::Resolve(index),
                TaskStatus::Retrying { undo: true, .. } if !is_due(index) => pausing = true,
                TaskStatus::Retrying { undo: true, .. } if has_room => {
                    return NextTask::Undo(index);
                }
                TaskStatus::Done
                | TaskStatus::Failed(_)
                | TaskStatus::Unknown
                | TaskStatus::Retrying { .. }
                    if has_room && self.can_be_undone(index) =>
                {
                    return NextTask::Undo(index);
                }
                TaskStatus::Waiting
                | TaskStatus::Started { .. }
                | TaskStatus::Done
                | TaskStatus::Retrying { .. }
                | TaskStatus::Failed(_)
                | TaskStatus::Unknown
                | TaskStatus::Undone
                | TaskStatus::UndoFailed(_) => {}
            }
        }
        if running > 0 || pausing {
            NextTask::Wait
        } else {
            NextTask::End
        }
    }

    /// What failed, or is not known, may have acted by half: it is taken back like what was done.
    fn can_be_undone(&self, task: usize) -> bool {
        let began = match &self.tasks[task].status {
            TaskStatus::Done
            | TaskStatus::Failed(_)
            | TaskStatus::Unknown
            | TaskStatus::Retrying { undo: false, .. } => true,
            TaskStatus::Waiting
            | TaskStatus::Started { .. }
            | TaskStatus::Retrying { undo: true, .. }
            | TaskStatus::Undoing { .. }
            | TaskStatus::Undone
            | TaskStatus::UndoFailed(_)
            | TaskStatus::UndoUnknown => false,
        };
        began
            && self.step(task).is_some_and(|step| match step.act {
                Act::Publish => self.tasks[task].status == TaskStatus::Done,
                Act::Run { .. } => step.undo.is_some(),
                Act::Verify(_) | Act::Wait(_) => false,
            })
    }

    /// Whether its publish step was done and not taken back.
    #[must_use]
    pub fn has_published(&self) -> bool {
        self.tasks.iter().enumerate().any(|(index, task)| {
            task.status == TaskStatus::Done
                && self
                    .step(index)
                    .is_some_and(|step| step.act == Act::Publish)
        })
    }

    /// The tasks that a person is asked about: what failed or is not known, on the way that it
    /// went when it stopped.
    #[must_use]
    pub fn in_question(&self) -> Vec<usize> {
        let all = || self.tasks.iter().enumerate();
        let of = |(index, _): (usize, &Task)| index;
        let backward = all().filter(|(_, task)| {
            matches!(
                task.status,
                TaskStatus::UndoFailed(_) | TaskStatus::UndoUnknown
            )
        });
        let backward: Vec<usize> = backward.map(of).collect();
        if self.turned_back.is_some() || !backward.is_empty() {
            return backward;
        }
        let forward = all().filter(|(index, task)| {
            matches!(task.status, TaskStatus::Failed(_) | TaskStatus::Unknown)
                && !self.is_behind(*index)
        });
        forward.map(of).collect()
    }

    /// What going back would take back, in that order, and what it would leave as it is because
    /// its step has no undo.
    #[must_use]
    pub fn way_back(&self) -> (Vec<usize>, Vec<usize>) {
        let acted = |task: &usize| {
            let status = &self.tasks[*task].status;
            let run = self.step(*task).is_some_and(|step| {
                matches!(step.act, Act::Run { side: Side::To, .. } | Act::Publish)
            });
            run && !matches!(status, TaskStatus::Waiting | TaskStatus::Undone)
        };
        let all = (0..self.tasks.len()).rev().filter(acted);
        all.partition(|task| {
            let running = matches!(self.tasks[*task].status, TaskStatus::Started { .. });
            let has_undo = self.step(*task).is_some_and(|step| step.undo.is_some());
            self.can_be_undone(*task) || running && has_undo
        })
    }

    /// What failed and was passed over, if anything.
    #[must_use]
    pub fn passed_over(&self) -> Option<String> {
        let failed = self.tasks.iter().enumerate().filter_map(|(index, task)| {
            let TaskStatus::Failed(why) = &task.status else {
                return None;
            };
            Some(format!("{} failed: {why}", self.name_of(index)))
        });
        let failed: Vec<String> = failed.collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }

    /// What could not be taken back, if anything.
    #[must_use]
    pub fn left_undone(&self) -> Option<String> {
        let failed = self.tasks.iter().enumerate().filter_map(|(index, task)| {
            let TaskStatus::UndoFailed(why) = &task.status else {
                return None;
            };
            let name = self.name_of(index);
            Some(format!("{name} could not be taken back: {why}"))
        });
        let failed: Vec<String> = failed.collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }
}
