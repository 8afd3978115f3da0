//! The engine's operations: beginning one, driving it task by task, ending it. What a task does
//! stands in `tasks`, what a person may do with one that stands in `standing`.

use std::time::Duration;

use super::engine::Engine;
use super::{Because, Change, Event, Service};
use crate::ids::{PoolName, ServiceName};
use crate::runbook::{NextTask, OnFailure, Operation, Phase, Step, TaskEvent, TaskStatus};
use crate::time::{Now, Wall};

/// The mask on a target pool outlasts the runbook's own deadlines by this much.
const MASK_GRACE: Duration = Duration::from_secs(60);

impl Engine {
    /// Begins an operation, and drives it as far as it goes by itself.
    pub(super) fn begin_operation(
        &mut self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
        because: Because,
    ) {
        let Some(from) = self.services.get(name).map(|state| state.active()) else {
            return;
        };
        let servers = |pool: &PoolName| {
            let pool = self.policy.pools.get(pool);
            pool.map(|pool| pool.server_names())
        };
        let (Some(new), Some(old)) = (servers(to), servers(&from)) else {
            return;
        };
        let id = self.number_for(name, service, to, &because);
        let mut operation = Operation {
            id,
            service: name.clone(),
            from: from.clone(),
            to: to.clone(),
            reason: because.to_string(),
            plan: service.runbook.clone(),
            tasks: Operation::lay_out(&service.runbook, &new, &old, now.wall),
            phase: Phase::Forward,
            began: now.wall,
            mask_until: now.wall,
            turned_back: None,
        };
        operation.mask_until = mask_end(&operation, now);
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        state.memory.operation = Some(operation);
        state.memory.because = because.clone();
        self.remember(name);
        let (service, to) = (name.clone(), to.clone());
        self.tell(Event::OperationBegan {
            id,
            service,
            from,
            to,
            because,
        });
        while self.drive_operation(now, name) {}
    }

    /// Takes the operation of a service one step further. Says whether it went.
    pub(super) fn drive_operation(&mut self, now: Now, name: &ServiceName) -> bool {
        let Some(state) = self.services.get(name) else {
            return false;
        };
        let Some(operation) = &state.memory.operation else {
            return false;
        };
        let halts = self.overrides.is_frozen(name) || self.is_isolated();
        match operation.next_task(|task| state.pause_is_over(task, now.mono)) {
            NextTask::Wait => self.watch_over(now, name),
            NextTask::End => {
                self.end_operation(now, name);
                true
            }
            NextTask::Fail(task) => {
                self.turn(name, task);
                true
            }
            // What runs beside the task that may not begin is watched over all the same.
            NextTask::Start(_) | NextTask::Resolve(_) | NextTask::Undo(_) if halts => {
                self.watch_over(now, name)
            }
            NextTask::Start(task) => {
                self.start_task(now, name, task, false) || self.watch_over(now, name)
            }
            NextTask::Undo(task) => {
                self.start_task(now, name, task, true) || self.watch_over(now, name)
            }
            NextTask::Resolve(task) => self.resolve(now, name, task),
        }
    }

    pub(super) fn set_phase(&mut self, name: &ServiceName, phase: Phase) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        if let Some(operation) = &mut state.memory.operation {
            if let Phase::Backward(why) = &phase {
                operation.turned_back = Some(why.clone());
            }
            operation.phase = phase;
            self.remember(name);
        }
    }

    /// A task has failed for good: the operation turns back, or stands.
    fn turn(&mut self, name: &ServiceName, task: usize) {
        let Some((operation, step)) = self.operation_step(name, task) else {
            return;
        };
        let beside = operation.tasks.iter().enumerate();
        let failed = beside.filter_map(|(index, other)| {
            let TaskStatus::Failed(why) = &other.status else {
                return None;
            };
            let ours = other.step == operation.tasks[task].step;
            ours.then(|| format!("{} failed: {why}", operation.name_of(index)))
        });
        let failed: Vec<String> = failed.collect();
        let phase = match (failed.is_empty(), step.on_failure) {
            (true, _) => Phase::NeedsHuman(damaged(&step)),
            (false, OnFailure::Halt) => Phase::NeedsHuman(format!(
                "{}; nothing was taken back: is it to go on?",
                failed.join("; ")
            )),
            (false, OnFailure::Undo | OnFailure::Continue) => Phase::Backward(failed.join("; ")),
        };
        self.set_phase(name, phase);
    }

    /// The end: completed, halted, or in need of a human. The lock and the mask are released,
    /// and the service is never disarmed.
    fn end_operation(&mut self, now: Now, name: &ServiceName) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let Some(mut operation) = state.memory.operation.take() else {
            return;
        };
        state.forget_tasks();
        let left = operation.left_undone();
        operation.phase = match operation.phase {
            Phase::Forward | Phase::Completed => Phase::Completed,
            Phase::Backward(why) | Phase::Halted(why) => match left {
                Some(left) => Phase::NeedsHuman(format!("{why}; {left}")),
                None => Phase::Halted(why),
            },
            Phase::NeedsHuman(question) => Phase::NeedsHuman(question),
        };
        let arrived = operation.has_published() && operation.plan.has_hooks();
        if operation.phase == Phase::Completed {
            state.memory.halted = None;
            state.memory.ineligible.remove(&operation.to);
            state.blackout = false;
        } else {
            state.memory.ineligible.insert(operation.to.clone());
            state.memory.halted = Some(operation.clone());
        }
        state.tense_until = Some(now.mono);
        self.remember(name);
        self.changes
            .push(Change::Operation(Box::new(operation.clone())));
        let Operation {
            id,
            service,
            to,
            phase,
            ..
        } = operation;
        if arrived {
            // What was seen before its services ran, should the mask have expired, says nothing.
            self.forget_pool(&to);
        }
        self.tell(Event::OperationEnded {
            id,
            service,
            to,
            phase,
        });
        self.expire_overrides(now);
    }

    pub(super) fn move_task(
        &mut self,
        now: Now,
        name: &ServiceName,
        task: usize,
        event: TaskEvent,
    ) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        state.pauses.remove(&task);
        let Some(operation) = &mut state.memory.operation else {
            return;
        };
        let Some(step) = operation.step(task).cloned() else {
            return;
        };
        let known = &mut operation.tasks[task];
        if known.handle_event(now.wall, event).is_err() {
            // The journal contradicts the plan: nothing may be run on its word.
            operation.phase = Phase::NeedsHuman(damaged(&step));
        }
        if known.status.is_running() {
            state.running_since.insert(task, now.mono);
        } else if let Some(since) = state.running_since.remove(&task) {
            let took = now.mono.since(since).as_millis();
            known.took_ms = Some(u64::try_from(took).unwrap_or(u64::MAX));
        }
        if let TaskStatus::Retrying { at, .. } = &operation.tasks[task].status {
            let pause = at.since(now.wall).min(crate::runbook::LONGEST_PAUSE);
            state.pauses.insert(task, now.mono + pause);
        }
        let status = status_text(&operation.tasks[task].status, &step, now.wall);
        let (id, text) = (operation.id, operation.name_of(task));
        self.remember(name);
        self.tell(Event::Task {
            id,
            service: name.clone(),
            task: text,
            status,
        });
    }

    pub(super) fn operation_step(
        &self,
        name: &ServiceName,
        task: usize,
    ) -> Option<(&Operation, Step)> {
        let operation = self.services.get(name)?.memory.operation.as_ref()?;
        let step = operation.step(task)?.clone();
        Some((operation, step))
    }
}

/// When the mask on the target ends at the latest: every task may run forward and back, as often
/// as its step says.
pub(super) fn mask_end(operation: &Operation, now: Now) -> Wall {
    let steps = (0..operation.tasks.len()).filter_map(|task| operation.step(task));
    let time = steps.map(|step| step.longest().saturating_mul(2));
    let time = time.fold(MASK_GRACE, Duration::saturating_add);
    now.wall + time
}

fn damaged(step: &Step) -> String {
    format!("{}: its journal is damaged; what was done?", step.name)
}

fn status_text(status: &TaskStatus, step: &Step, now: Wall) -> String {
    match status {
        TaskStatus::Waiting => "waits to run again".to_owned(),
        TaskStatus::Started { deadline } => {
            format!("started, {} s at most", deadline.since(now).as_secs())
        }
        TaskStatus::Done => "done".to_owned(),
        TaskStatus::Retrying { at, why, .. } => {
            let pause = at.since(now).as_millis();
            format!("failed: {why}; once more in {pause} ms")
        }
        TaskStatus::Failed(why) if step.on_failure == OnFailure::Continue => {
            format!("failed: {why}; the operation goes on")
        }
        TaskStatus::Failed(why) => format!("failed: {why}"),
        TaskStatus::Unknown => "nobody knows whether it was done".to_owned(),
        TaskStatus::Undoing { .. } => "is being taken back".to_owned(),
        TaskStatus::Undone => "was taken back".to_owned(),
        TaskStatus::UndoFailed(why) => format!("could not be taken back: {why}"),
        TaskStatus::UndoUnknown => "nobody knows whether it was taken back".to_owned(),
    }
}
