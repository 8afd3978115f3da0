//! The engine's operations: beginning one, driving it task by task, ending it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::{Action, Engine, RUNNER_GRACE};
use super::verification::{LOOK_AGAIN, Verification};
use super::{Because, Change, Event, HookCall, HookEnd, HookOutcome, Service};
use crate::ids::{OperationId, PoolName, ServiceName};
use crate::runbook::{
    Act, AfterCrash, Condition, NextTask, Operation, Phase, Step, Task, TaskEvent, TaskStatus,
};
use crate::time::{Mono, Now, Wall};

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
        let Some(pool) = self.policy.pools.get(to) else {
            return;
        };
        let id = self.next_operation;
        self.next_operation = OperationId(id.0.saturating_add(1));
        let tasks = Operation::lay_out(&service.runbook, &pool.server_names(), now.wall);
        // Every task may run forward and back.
        let time = tasks
            .iter()
            .filter_map(|task| service.runbook.steps.get(task.step));
        let time: Duration = time.map(|step| step.timeout.saturating_mul(2)).sum();
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let from = state.active();
        state.memory.operation = Some(Operation {
            id,
            service: name.clone(),
            from: from.clone(),
            to: to.clone(),
            reason: because.to_string(),
            plan: service.runbook.clone(),
            tasks,
            phase: Phase::Forward,
            began: now.wall,
            mask_until: now.wall + time + MASK_GRACE,
        });
        state.memory.because = because.clone();
        self.changes
            .push(Change::NextOperation(self.next_operation));
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
        match operation.next_task() {
            NextTask::Wait(task) => self.watch_over(now, name, task),
            NextTask::End => {
                self.end_operation(now, name);
                true
            }
            NextTask::Start(_) | NextTask::Resolve(_) | NextTask::Undo(_)
                if self.overrides.is_frozen(name) || self.is_isolated() =>
            {
                false
            }
            NextTask::Start(task) => self.start_task(now, name, task, false),
            NextTask::Undo(task) => self.start_task(now, name, task, true),
            NextTask::Resolve(task) => self.resolve(now, name, task),
        }
    }

    fn start_task(&mut self, now: Now, name: &ServiceName, task: usize, undo: bool) -> bool {
        let Some((_, step)) = self.operation_step(name, task) else {
            return false;
        };
        let is_hook = matches!(step.act, Act::Run { .. });
        if is_hook && !self.store_works {
            return false;
        }
        let deadline = self.deadline_of(now, name, task, &step);
        let event = if undo {
            TaskEvent::Undo { deadline }
        } else {
            TaskEvent::Start { deadline }
        };
        self.move_task(now, name, task, event);
        let time_is_over = now.mono + deadline.since(now.wall);
        match &step.act {
            Act::Run { .. } => self.run_hook(name, task, undo, time_is_over),
            Act::Publish => self.publish_step(now, name, task, undo),
            Act::Verify(condition) => {
                self.verify(now, name, task, *condition, time_is_over);
            }
        }
        true
    }

    /// When a task that starts now has to end. A new run of a hook has its whole time; a
    /// verification goes on with what is left of it.
    fn deadline_of(&self, now: Now, name: &ServiceName, task: usize, step: &Step) -> Wall {
        let whole = now.wall + step.timeout;
        let begun = self
            .operation_step(name, task)
            .and_then(|(op, _)| op.tasks[task].deadline);
        match (&step.act, begun) {
            (Act::Verify(_), Some(begun)) => begun.min(whole),
            (Act::Verify(_) | Act::Run { .. } | Act::Publish, _) => whole,
        }
    }

    fn run_hook(&mut self, name: &ServiceName, task: usize, undo: bool, time_is_over: Mono) {
        if let Some(call) = self.hook_call(name, task, undo) {
            self.effects.push_back(Action::RunHook(Box::new(call)));
        }
        if let Some(state) = self.services.get_mut(name) {
            state.give_up_at = Some(time_is_over + RUNNER_GRACE);
        }
    }

    fn hook_call(&self, name: &ServiceName, task: usize, undo: bool) -> Option<HookCall> {
        let (operation, step) = self.operation_step(name, task)?;
        let pool = self.policy.pools.get(&operation.to)?;
        let server = operation.tasks[task].server.clone();
        let mut vars: BTreeMap<String, String> = pool.vars.clone();
        let own = pool
            .servers
            .iter()
            .find(|known| Some(&known.name) == server.as_ref());
        vars.extend(own.iter().flat_map(|own| own.vars.clone()));
        let command = match (&step.act, &step.undo) {
            (_, Some(command)) if undo => command.clone(),
            (Act::Run { command, .. }, _) => command.clone(),
            (Act::Publish | Act::Verify(_), _) => return None,
        };
        Some(HookCall {
            operation: operation.id,
            task,
            attempt: operation.tasks[task].attempts,
            undo,
            fence: operation.id.0,
            service: name.clone(),
            step: step.name.clone(),
            from_pool: operation.from.clone(),
            to_pool: operation.to.clone(),
            servers: pool.server_names(),
            server,
            vars,
            command,
            timeout: step.timeout,
        })
    }

    /// The publish step, or its undo: durable and visible in one go, so it is never unknown.
    fn publish_step(&mut self, now: Now, name: &ServiceName, task: usize, undo: bool) {
        let Some(service) = self.policy.services.get(name).cloned() else {
            return;
        };
        let Some((operation, _)) = self.operation_step(name, task) else {
            return;
        };
        let first = if undo {
            operation.from.clone()
        } else {
            operation.to.clone()
        };
        let ranking = self.ranking(&service, name, &first);
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let because = state.memory.because.clone();
        let (ttl, _) = state.ttl(&service, true, now.mono);
        state.publish(ranking, ttl, &because, now);
        if undo {
            // The way there and the way back cancel out: neither counts for the cap.
            let kept = state.memory.moves.len().saturating_sub(2);
            state.memory.moves.truncate(kept);
        }
        self.move_task(now, name, task, TaskEvent::Succeed);
        self.announce(name, &because);
    }

    fn verify(&mut self, now: Now, name: &ServiceName, task: usize, what: Condition, until: Mono) {
        if let Some(state) = self.services.get_mut(name) {
            state.verification = Some(Verification::new(task, what, now.mono, until));
        }
        self.watch_over(now, name, task);
    }

    /// Watches over a task under way: a verification that is met or over, a hook whose runner
    /// says nothing. Says whether the task ended.
    fn watch_over(&mut self, now: Now, name: &ServiceName, task: usize) -> bool {
        let isolated = self.is_isolated();
        let Some(state) = self.services.get_mut(name) else {
            return false;
        };
        let verification = state.verification.as_mut();
        if verification.is_some_and(|verification| verification.stands_still(now.mono, isolated)) {
            return false;
        }
        let Some(operation) = &state.memory.operation else {
            return false;
        };
        let (id, to) = (operation.id, operation.to.clone());
        if let Some(verification) = &mut state.verification {
            let Some(pool) = self.policy.pools.get(&to) else {
                return false;
            };
            if verification.is_met(pool) {
                return self.end_verification(now, name, task, None);
            }
            if verification.deadline <= now.mono {
                let why = format!("not {} in time", condition_text(verification.condition));
                return self.end_verification(now, name, task, Some(why));
            }
            let mut wake = verification.next_look.min(verification.deadline);
            if verification.next_look <= now.mono {
                verification.next_look = now.mono + LOOK_AGAIN;
                wake = verification.next_look.min(verification.deadline);
                self.effects
                    .push_back(Action::Look(pool.endpoints().collect()));
            }
            self.wake_at(wake);
            return false;
        }
        match state.give_up_at {
            Some(at) if at <= now.mono => {
                state.give_up_at = None;
                self.effects.push_back(Action::AbandonHooks(id));
                let why = "its runner said nothing, long after its time was over".to_owned();
                self.move_task(now, name, task, TaskEvent::Fail(why));
                self.go_back_if_failed(name, task);
                true
            }
            Some(at) => {
                self.wake_at(at);
                false
            }
            None => false,
        }
    }

    fn end_verification(
        &mut self,
        now: Now,
        name: &ServiceName,
        task: usize,
        failed: Option<String>,
    ) -> bool {
        let Some(state) = self.services.get_mut(name) else {
            return false;
        };
        let Some(verification) = state.verification.take() else {
            return false;
        };
        let summary = verification.summary();
        if let Some(operation) = &mut state.memory.operation {
            operation.tasks[task].output.clone_from(&summary);
        }
        let unknown = self
            .operation_step(name, task)
            .is_some_and(|(op, _)| op.tasks[task].status == TaskStatus::Unknown);
        match failed {
            None => self.move_task(now, name, task, TaskEvent::Succeed),
            // The health of the pool was asked only to learn whether the step was done.
            Some(_) if unknown => self.move_task(now, name, task, TaskEvent::Retry),
            Some(why) => {
                self.move_task(
                    now,
                    name,
                    task,
                    TaskEvent::Fail(format!("{why}: {summary}")),
                );
            }
        }
        self.go_back_if_failed(name, task);
        true
    }

    /// Takes the end of a hook's run. A run that nobody waits for, an old attempt or one that
    /// was given up, changes nothing.
    pub(super) fn hook_ended(
        &mut self,
        now: Now,
        id: OperationId,
        task: usize,
        undo: bool,
        attempt: u32,
        end: HookEnd,
    ) {
        let waiting = self.services.iter_mut().find_map(|(name, state)| {
            let operation = state.memory.operation.as_mut().filter(|op| op.id == id)?;
            let known = operation.tasks.get_mut(task)?;
            let undoing = matches!(known.status, TaskStatus::Undoing { .. });
            let ours = known.status.is_running() && known.attempts == attempt && undoing == undo;
            ours.then_some((name.clone(), state))
        });
        let Some((name, state)) = waiting else { return };
        state.give_up_at = None;
        if let Some(operation) = &mut state.memory.operation {
            operation.tasks[task].output = end.output;
        }
        let event = match end.outcome {
            HookOutcome::Done => TaskEvent::Succeed,
            HookOutcome::Exit(code) => TaskEvent::Fail(format!("exit code {code}")),
            HookOutcome::Signal(signal) => TaskEvent::Fail(format!("ended by signal {signal}")),
            HookOutcome::TimedOut => {
                TaskEvent::Fail("timed out; its process group was killed".into())
            }
            HookOutcome::NotStarted(why) => TaskEvent::Fail(format!("not started: {why}")),
            HookOutcome::Lost(_) => TaskEvent::Lose,
        };
        self.move_task(now, &name, task, event);
        self.go_back_if_failed(&name, task);
        self.stir();
    }

    /// What becomes of a task whose outcome nobody knows. Its process group is gone: the daemon
    /// confirms that before it starts an engine, and the runner before it calls a run lost.
    fn resolve(&mut self, now: Now, name: &ServiceName, task: usize) -> bool {
        let Some((operation, step)) = self.operation_step(name, task) else {
            return false;
        };
        let undoing = operation.tasks[task].status == TaskStatus::UndoUnknown;
        let rule = if matches!(step.act, Act::Run { .. }) {
            step.after_crash
        } else {
            AfterCrash::Retry
        };
        let (question, timeout) = (
            question(&step, &operation.tasks[task], undoing),
            step.timeout,
        );
        match (rule, undoing) {
            (AfterCrash::Retry, true) => self.start_task(now, name, task, true),
            (AfterCrash::Verify | AfterCrash::Ask, true) => {
                self.move_task(now, name, task, TaskEvent::Fail(question));
                true
            }
            (AfterCrash::Retry, false) => {
                self.move_task(now, name, task, TaskEvent::Retry);
                true
            }
            (AfterCrash::Verify, false) => {
                let waits = self
                    .services
                    .get(name)
                    .is_some_and(|s| s.verification.is_some());
                if waits {
                    return self.watch_over(now, name, task);
                }
                self.verify(now, name, task, Condition::Healthy, now.mono + timeout);
                false
            }
            (AfterCrash::Ask, false) => {
                self.set_phase(name, Phase::NeedsHuman(question));
                true
            }
        }
    }

    fn set_phase(&mut self, name: &ServiceName, phase: Phase) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        if let Some(operation) = &mut state.memory.operation {
            operation.phase = phase;
            self.remember(name);
        }
    }

    /// A failed task turns the operation back.
    fn go_back_if_failed(&mut self, name: &ServiceName, task: usize) {
        let Some((operation, step)) = self.operation_step(name, task) else {
            return;
        };
        let failed = &operation.tasks[task];
        if let (Phase::Forward, TaskStatus::Failed(why)) = (&operation.phase, &failed.status) {
            let why = match &failed.server {
                Some(server) => format!("{} on {server} failed: {why}", step.name),
                None => format!("{} failed: {why}", step.name),
            };
            self.set_phase(name, Phase::Backward(why));
        }
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
        state.verification = None;
        state.give_up_at = None;
        let left = operation.left_undone();
        operation.phase = match operation.phase {
            Phase::Forward | Phase::Completed => Phase::Completed,
            Phase::Backward(why) | Phase::Halted(why) => match left {
                Some(left) => Phase::NeedsHuman(format!("{why}; {left}")),
                None => Phase::Halted(why),
            },
            Phase::NeedsHuman(question) => Phase::NeedsHuman(question),
        };
        let arrived = operation.phase == Phase::Completed && operation.plan.has_hooks();
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

    fn move_task(&mut self, now: Now, name: &ServiceName, task: usize, event: TaskEvent) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let Some(operation) = &mut state.memory.operation else {
            return;
        };
        let Some(step) = operation.step(task).map(|step| step.name.clone()) else {
            return;
        };
        let known = &mut operation.tasks[task];
        if known.handle_event(now.wall, event).is_err() {
            // The journal contradicts the plan: nothing may be run on its word.
            let question = format!("{step}: its journal is damaged; what was done?");
            operation.phase = Phase::NeedsHuman(question);
        }
        let status = status_text(&operation.tasks[task].status, now.wall);
        let text = match &operation.tasks[task].server {
            Some(server) => format!("{step} on {server}"),
            None => step,
        };
        let id = operation.id;
        self.remember(name);
        self.tell(Event::Task {
            id,
            service: name.clone(),
            task: text,
            status,
        });
    }

    fn operation_step(&self, name: &ServiceName, task: usize) -> Option<(&Operation, Step)> {
        let operation = self.services.get(name)?.memory.operation.as_ref()?;
        let step = operation.step(task)?.clone();
        Some((operation, step))
    }
}

fn condition_text(condition: Condition) -> &'static str {
    match condition {
        Condition::Path => "reachable",
        Condition::Healthy => "healthy",
    }
}

fn question(step: &Step, task: &Task, undoing: bool) -> String {
    let what = if undoing { "undo of " } else { "" };
    let place = task
        .server
        .as_ref()
        .map(|server| format!(" on {server}"))
        .unwrap_or_default();
    format!(
        "was the {what}step \"{}\"{place} done? the daemon ended while it ran",
        step.name
    )
}

fn status_text(status: &TaskStatus, now: Wall) -> String {
    match status {
        TaskStatus::Waiting => "waits to run again".to_owned(),
        TaskStatus::Started { deadline } => {
            format!("started, {} s at most", deadline.since(now).as_secs())
        }
        TaskStatus::Done => "done".to_owned(),
        TaskStatus::Failed(why) => format!("failed: {why}"),
        TaskStatus::Unknown => "nobody knows whether it was done".to_owned(),
        TaskStatus::Undoing { .. } => "is being taken back".to_owned(),
        TaskStatus::Undone => "was taken back".to_owned(),
        TaskStatus::UndoFailed(why) => format!("could not be taken back: {why}"),
        TaskStatus::UndoUnknown => "nobody knows whether it was taken back".to_owned(),
    }
}
