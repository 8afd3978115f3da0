//! One failover or failback under way: its plan, its tasks, and which of them is next.

use serde::{Deserialize, Serialize};

use super::{Act, Each, Plan, Step, Task, TaskStatus};
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
    /// A run of this task is under way.
    Wait(usize),
    /// Start this task.
    Start(usize),
    /// What became of this task is not known: decide by its step's `after_crash`.
    Resolve(usize),
    /// Take this task back.
    Undo(usize),
    /// Nothing: it has ended, or ends now.
    End,
}

impl Operation {
    /// Lays out the tasks of `plan` for the servers of the new pool.
    #[must_use]
    pub fn lay_out(plan: &Plan, servers: &[ServerName], now: Wall) -> Vec<Task> {
        let task = |step, server| Task {
            step,
            server,
            status: TaskStatus::Waiting,
            attempts: 0,
            output: String::new(),
            since: now,
            deadline: None,
            took_ms: None,
        };
        let mut tasks = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            match &step.act {
                Act::Run {
                    each: Each::Server, ..
                } => {
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
                | Act::Verify(_) => {
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

    /// What is next. Forward: the first task that is not done. Backward: the last task that
    /// was done, or failed after it had begun, and that can be taken back.
    #[must_use]
    pub fn next_task(&self) -> NextTask {
        match &self.phase {
            Phase::Forward => self.next_forward(),
            Phase::Backward(_) => self.next_backward(),
            Phase::Completed | Phase::Halted(_) | Phase::NeedsHuman(_) => NextTask::End,
        }
    }

    fn next_forward(&self) -> NextTask {
        let next = self
            .tasks
            .iter()
            .position(|task| task.status != TaskStatus::Done);
        let Some(next) = next else {
            return NextTask::End;
        };
        match &self.tasks[next].status {
            TaskStatus::Waiting => NextTask::Start(next),
            TaskStatus::Unknown => NextTask::Resolve(next),
            TaskStatus::Started { .. } => NextTask::Wait(next),
            TaskStatus::Done
            | TaskStatus::Failed(_)
            | TaskStatus::Undoing { .. }
            | TaskStatus::Undone
            | TaskStatus::UndoFailed(_)
            | TaskStatus::UndoUnknown => NextTask::End,
        }
    }

    fn next_backward(&self) -> NextTask {
        for (index, task) in self.tasks.iter().enumerate().rev() {
            match &task.status {
                TaskStatus::Undoing { .. } | TaskStatus::Started { .. } => {
                    return NextTask::Wait(index);
                }
                TaskStatus::UndoUnknown => return NextTask::Resolve(index),
                TaskStatus::Done | TaskStatus::Failed(_) if self.can_be_undone(index) => {
                    return NextTask::Undo(index);
                }
                TaskStatus::Done
                | TaskStatus::Failed(_)
                | TaskStatus::Waiting
                | TaskStatus::Unknown
                | TaskStatus::Undone
                | TaskStatus::UndoFailed(_) => {}
            }
        }
        NextTask::End
    }

    /// A program that failed may have acted by half: it is taken back like one that was done.
    fn can_be_undone(&self, task: usize) -> bool {
        self.step(task).is_some_and(|step| match step.act {
            Act::Publish => self.tasks[task].status == TaskStatus::Done,
            Act::Run { .. } => step.undo.is_some(),
            Act::Verify(_) => false,
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

    /// What could not be taken back, if anything.
    #[must_use]
    pub fn left_undone(&self) -> Option<String> {
        let mut failed = self.tasks.iter().enumerate().filter_map(|(index, task)| {
            let TaskStatus::UndoFailed(why) = &task.status else {
                return None;
            };
            let step = self.step(index).map_or("?", |step| step.name.as_str());
            Some(match &task.server {
                Some(server) => format!("{step} on {server} could not be taken back: {why}"),
                None => format!("{step} could not be taken back: {why}"),
            })
        });
        let first = failed.next()?;
        Some(failed.fold(first, |text, next| text + "; " + &next))
    }
}
