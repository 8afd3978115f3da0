//! The tasks of an operation: starting one, watching over those that run, and what becomes of
//! one that has ended or that nobody saw end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::{Action, Engine, RUNNER_GRACE};
use super::verification::{LOOK_AGAIN, Verification};
use super::waiting::Waiting;
use super::{HookCall, HookEnd, HookOutcome};
use crate::ids::{OperationId, ServiceName};
use crate::runbook::{
    Act, AfterCrash, Condition, Operation, Pause, Phase, Side, Step, TaskEvent, TaskStatus,
};
use crate::time::{Mono, Now, Wall};

impl Engine {
    pub(super) fn start_task(
        &mut self,
        now: Now,
        name: &ServiceName,
        task: usize,
        undo: bool,
    ) -> bool {
        let Some((_, step)) = self.operation_step(name, task) else {
            return false;
        };
        let is_hook = matches!(step.act, Act::Run { .. });
        if is_hook && !self.store_works {
            return false;
        }
        if step.act == Act::Wait(Pause::Ttl) {
            self.publish_before_waiting(now, name);
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
            Act::Verify(condition) => self.verify(now, name, task, *condition, time_is_over),
            Act::Wait(pause) => {
                if let Some(state) = self.services.get_mut(name) {
                    state.waiting = Some(Waiting::new(task, *pause, now.mono, time_is_over));
                }
            }
        }
        true
    }

    /// Publishes what is to be published at this instant, first of all the short TTL of an operation
    /// that has just begun: what caches hold of before is what is waited for.
    fn publish_before_waiting(&mut self, now: Now, name: &ServiceName) {
        let service = self.policy.services.get(name).cloned();
        let because = self.services.get(name).map(|state| state.because.clone());
        if let (Some(service), Some(because)) = (service, because) {
            self.publish_order(now, name, &service, &because);
        }
    }

    /// When a task that starts now has to end. A new run of a hook has its whole time; what only
    /// looks or waits goes on with what is left of it.
    fn deadline_of(&self, now: Now, name: &ServiceName, task: usize, step: &Step) -> Wall {
        let mut time = step.timeout;
        if step.act == Act::Wait(Pause::Ttl) {
            let state = self.services.get(name);
            time = time.min(state.map_or(Duration::ZERO, |state| state.cache_drain(now.mono)));
        }
        let whole = now.wall + time;
        let begun = self
            .operation_step(name, task)
            .and_then(|(op, _)| op.tasks[task].deadline);
        match (&step.act, begun) {
            (Act::Verify(_) | Act::Wait(_), Some(begun)) => begun.min(whole),
            (Act::Verify(_) | Act::Wait(_) | Act::Run { .. } | Act::Publish, _) => whole,
        }
    }

    fn run_hook(&mut self, name: &ServiceName, task: usize, undo: bool, time_is_over: Mono) {
        if let Some(call) = self.hook_call(name, task, undo) {
            self.effects.push_back(Action::RunHook(Box::new(call)));
        }
        if let Some(state) = self.services.get_mut(name) {
            state.give_up_at.insert(task, time_is_over + RUNNER_GRACE);
        }
    }

    fn hook_call(&self, name: &ServiceName, task: usize, undo: bool) -> Option<HookCall> {
        let (operation, step) = self.operation_step(name, task)?;
        let Act::Run { work, side, .. } = &step.act else {
            return None;
        };
        let pool_name = match side {
            Side::To => &operation.to,
            Side::From => &operation.from,
        };
        let pool = self.policy.pools.get(pool_name)?;
        let server = operation.tasks[task].server.clone();
        let mut vars: BTreeMap<String, String> = pool.vars.clone();
        let own = pool
            .servers
            .iter()
            .find(|known| Some(&known.name) == server.as_ref());
        vars.extend(own.iter().flat_map(|own| own.vars.clone()));
        let work = match &step.undo {
            Some(back) if undo => back,
            Some(_) | None => work,
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
            pool: pool_name.clone(),
            servers: pool.server_names(),
            server,
            vars,
            work: work.clone(),
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
        self.watch_over_verification(now, name);
    }

    /// Watches over what is under way: a verification or a wait that is met or over, a pause,
    /// hooks whose runner says nothing. Says whether a task ended.
    pub(super) fn watch_over(&mut self, now: Now, name: &ServiceName) -> bool {
        if self.watch_over_verification(now, name) || self.watch_over_waiting(now, name) {
            return true;
        }
        let Some(state) = self.services.get_mut(name) else {
            return false;
        };
        let Some(operation) = &state.memory.operation else {
            return false;
        };
        let id = operation.id;
        let silent = state.give_up_at.iter().find(|(_, at)| **at <= now.mono);
        if let Some(task) = silent.map(|(task, _)| *task) {
            state.give_up_at.remove(&task);
            self.effects.push_back(Action::AbandonHooks(id));
            let why = "its runner said nothing, long after its time was over".to_owned();
            self.fail_task(now, name, task, why);
            return true;
        }
        let next = state.give_up_at.values().chain(state.pauses.values());
        // A pause that is over waits for something else: the store, a thaw, our uplink.
        if let Some(at) = next.filter(|at| **at > now.mono).min().copied() {
            self.wake_at(at);
        }
        false
    }

    fn watch_over_verification(&mut self, now: Now, name: &ServiceName) -> bool {
        let isolated = self.is_isolated();
        let Some(state) = self.services.get_mut(name) else {
            return false;
        };
        let (Some(verification), Some(operation)) =
            (&mut state.verification, &state.memory.operation)
        else {
            return false;
        };
        if verification.stands_still(now.mono, isolated) {
            return false;
        }
        let Some(pool) = self.policy.pools.get(&operation.to) else {
            return false;
        };
        if verification.is_met(pool) {
            return self.end_verification(now, name, None);
        }
        if verification.deadline <= now.mono {
            let why = format!("not {} in time", condition_text(verification.condition));
            return self.end_verification(now, name, Some(why));
        }
        let mut wake = verification.next_look.min(verification.deadline);
        if verification.next_look <= now.mono {
            verification.next_look = now.mono + LOOK_AGAIN;
            wake = verification.next_look.min(verification.deadline);
            self.effects
                .push_back(Action::Look(pool.endpoints().collect()));
        }
        self.wake_at(wake);
        false
    }

    fn end_verification(&mut self, now: Now, name: &ServiceName, failed: Option<String>) -> bool {
        let Some(state) = self.services.get_mut(name) else {
            return false;
        };
        let Some(verification) = state.verification.take() else {
            return false;
        };
        let task = verification.task;
        let summary = verification.summary();
        let unknown = state.memory.operation.as_mut().is_some_and(|operation| {
            operation.tasks[task].output.clone_from(&summary);
            operation.tasks[task].status == TaskStatus::Unknown
        });
        let event = match failed {
            None => TaskEvent::Succeed,
            // The health of the pool was asked only to learn whether the step was done.
            Some(_) if unknown => TaskEvent::Retry,
            Some(why) => TaskEvent::Fail(format!("{why}: {summary}")),
        };
        self.move_task(now, name, task, event);
        true
    }

    fn watch_over_waiting(&mut self, now: Now, name: &ServiceName) -> bool {
        let isolated = self.is_isolated();
        let Some(state) = self.services.get_mut(name) else {
            return false;
        };
        let Some(waiting) = &mut state.waiting else {
            return false;
        };
        if waiting.stands_still(now.mono, isolated) {
            return false;
        }
        if let Some((task, end)) = waiting.end(now.mono) {
            let seen = waiting.summary();
            state.waiting = None;
            if let Some(operation) = &mut state.memory.operation {
                operation.tasks[task].output.clone_from(&seen);
            }
            let event = match end {
                Ok(()) => TaskEvent::Succeed,
                Err(why) => TaskEvent::Fail(format!("{why}: {seen}")),
            };
            self.move_task(now, name, task, event);
            return true;
        }
        let asks = waiting.asks(now.mono);
        let wake = waiting.wake();
        if asks {
            let ask = Action::LookAtSecondaries(name.clone());
            self.effects.push_back(ask);
        }
        self.wake_at(wake);
        false
    }

    /// Takes what was seen of the secondaries of a service since it was last asked for.
    pub(super) fn saw_secondaries(
        &mut self,
        name: &ServiceName,
        asked: Mono,
        seen: Vec<(String, bool)>,
    ) {
        if let Some(state) = self.services.get_mut(name)
            && let Some(waiting) = &mut state.waiting
        {
            waiting.saw(asked, seen);
            self.stir();
        }
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
        state.give_up_at.remove(&task);
        if let Some(operation) = &mut state.memory.operation {
            operation.tasks[task].output = end.output;
        }
        match end.outcome {
            HookOutcome::Done => self.move_task(now, &name, task, TaskEvent::Succeed),
            HookOutcome::Lost(_) => self.move_task(now, &name, task, TaskEvent::Lose),
            HookOutcome::Exit(code) => {
                self.fail_task(now, &name, task, format!("exit code {code}"));
            }
            HookOutcome::Signal(signal) => {
                self.fail_task(now, &name, task, format!("ended by signal {signal}"));
            }
            HookOutcome::TimedOut => {
                let why = "timed out; its process group was killed";
                self.fail_task(now, &name, task, why.into());
            }
            HookOutcome::Refused(why) => self.fail_task(now, &name, task, why),
            HookOutcome::NotStarted(why) => {
                self.fail_task(now, &name, task, format!("not started: {why}"));
            }
        }
        self.stir();
    }

    /// A run has failed: another follows, if its step has one left and the operation still goes
    /// where the run went.
    fn fail_task(&mut self, now: Now, name: &ServiceName, task: usize, why: String) {
        let Some((operation, step)) = self.operation_step(name, task) else {
            return;
        };
        let known = &operation.tasks[task];
        let undoing = matches!(known.status, TaskStatus::Undoing { .. });
        let pause = step.retries.pause_after(known.failures.saturating_add(1));
        let event = match pause {
            Some(pause) if undoing || operation.phase == Phase::Forward => TaskEvent::FailForNow {
                at: now.wall + pause,
                why,
            },
            Some(_) | None => TaskEvent::Fail(why),
        };
        self.move_task(now, name, task, event);
    }

    /// What becomes of a task whose outcome nobody knows. Its process group is gone: the daemon
    /// confirms that before it starts an engine, and the runner before it calls a run lost.
    pub(super) fn resolve(&mut self, now: Now, name: &ServiceName, task: usize) -> bool {
        let Some((operation, step)) = self.operation_step(name, task) else {
            return false;
        };
        let undoing = operation.tasks[task].status == TaskStatus::UndoUnknown;
        let rule = if matches!(step.act, Act::Run { .. }) {
            step.after_crash
        } else {
            AfterCrash::Retry
        };
        let (question, timeout) = (question(operation, task), step.timeout);
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
                    return self.watch_over(now, name);
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
}

fn condition_text(condition: Condition) -> &'static str {
    match condition {
        Condition::Path => "reachable",
        Condition::Open => "open",
        Condition::Healthy => "healthy",
    }
}

/// What a person is asked of a task that nobody saw end, and of those of its step that are like
/// it.
fn question(operation: &Operation, task: usize) -> String {
    let asked = &operation.tasks[task];
    let what = if asked.status == TaskStatus::UndoUnknown {
        "undo of "
    } else {
        ""
    };
    let alike =
        |other: &&crate::runbook::Task| other.step == asked.step && other.status == asked.status;
    let servers = operation.tasks.iter().filter(alike);
    let servers: Vec<&str> = servers
        .filter_map(|task| Some(task.server.as_ref()?.as_str()))
        .collect();
    let place = match servers.as_slice() {
        [] => String::new(),
        some => format!(" on {}", some.join(", ")),
    };
    let step = operation.step(task).map_or("?", |step| step.name.as_str());
    format!("was the {what}step \"{step}\"{place} done? the daemon ended while it ran")
}
