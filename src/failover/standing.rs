//! What a person may do with an operation: take one that stands further or back, or turn one
//! back that is under way.
//!
//! | | `retry` | `skip` | `abort` | `resume` |
//! | --- | --- | --- | --- | --- |
//! | under way, forward | refused | refused | turns back | refused |
//! | on its way back | refused | refused | refused | refused |
//! | stands before a task that failed or that nobody knows of | runs it again, goes on | takes it as done, goes on | turns back | closed as it is |
//! | stands with an undo that failed or that nobody knows of | runs the undo again | takes it as taken back | refused | closed as it is |
//! | taken back whole | refused | refused | refused | closed |
//! | none | refused | refused | refused | pools that are kept out are targets again |
//!
//! A task that is recorded as done is not among those that can be asked about, so nothing here
//! runs it again.

use super::engine::{Action, Engine};
use super::operations::mask_end;
use super::{Because, By, Event, Handling, OrderRefusal};
use crate::ids::ServiceName;
use crate::runbook::{Act, Operation, Phase, TaskEvent, TaskStatus};
use crate::time::Now;

impl Engine {
    /// Does what a person says of an operation.
    pub(super) fn handle_operation(
        &mut self,
        now: Now,
        name: &ServiceName,
        how: &Handling,
        by: &By,
    ) -> Result<(), OrderRefusal> {
        let state = self.services.get(name);
        let state = state.ok_or_else(|| OrderRefusal::NoService(name.clone()))?;
        match (&state.memory.operation, how) {
            (Some(operation), Handling::Abort) if operation.phase == Phase::Forward => {
                let id = operation.id;
                self.turn_back(now, name, by);
                self.tell_handling(name, id, how, by);
                return Ok(());
            }
            (Some(operation), _) => {
                return Err(OrderRefusal::Busy {
                    service: name.clone(),
                    operation: operation.id,
                    to: operation.to.clone(),
                });
            }
            (None, Handling::Resume) => return self.close(name, by),
            (None, _) => {}
        }
        let nothing = || OrderRefusal::NothingStands(name.clone());
        let standing = state.memory.halted.as_ref().ok_or_else(nothing)?;
        let asked = standing.in_question();
        let taken = match how {
            Handling::Skip { step, server } => {
                let is_meant = |task: &&usize| {
                    let named = standing
                        .step(**task)
                        .is_some_and(|known| known.name == *step);
                    let of = standing.tasks[**task].server.as_ref();
                    named && server.as_ref().is_none_or(|server| of == Some(server))
                };
                asked.iter().filter(is_meant).copied().collect()
            }
            Handling::Retry | Handling::Abort | Handling::Resume => asked.clone(),
        };
        self.may_be_taken_up(name, standing, &asked, &taken, how)?;
        self.take_up(now, name, &taken, how, by);
        Ok(())
    }

    /// Whether an operation that stands can be taken further, or back.
    fn may_be_taken_up(
        &self,
        name: &ServiceName,
        standing: &Operation,
        asked: &[usize],
        taken: &[usize],
        how: &Handling,
    ) -> Result<(), OrderRefusal> {
        let (service, operation) = (name.clone(), standing.id);
        let goes_back = standing.turned_back.is_some();
        if asked.is_empty() || goes_back && *how == Handling::Abort {
            let to = standing.to.clone();
            return Err(OrderRefusal::TakenBack {
                service,
                operation,
                to,
            });
        }
        if taken.is_empty() {
            let names: Vec<String> = asked.iter().map(|task| standing.name_of(*task)).collect();
            return Err(OrderRefusal::NotInQuestion {
                service,
                asked: names.join(", "),
            });
        }
        let known = self.policy.services.get(name);
        let known = known.ok_or_else(|| OrderRefusal::NoService(name.clone()))?;
        for pool in [&standing.from, &standing.to] {
            if !known.pools.contains(pool) {
                let pool = pool.clone();
                return Err(OrderRefusal::NoPool { service, pool });
            }
        }
        let stands_at = if standing.has_published() {
            &standing.to
        } else {
            &standing.from
        };
        let active = self.services.get(name).map(|state| state.active());
        if let Some(active) = active.filter(|active| active != stands_at) {
            return Err(OrderRefusal::Overtaken {
                service,
                operation,
                active,
            });
        }
        let because = if self.overrides.is_frozen(name) {
            Some(Because::Frozen)
        } else if self.is_isolated() {
            Some(Because::Isolated)
        } else {
            let with_hooks = standing.plan.has_hooks();
            self.obstacle_to(with_hooks, &standing.to)
        };
        match because {
            None => Ok(()),
            Some(because) => Err(OrderRefusal::Obstacle { service, because }),
        }
    }

    fn take_up(&mut self, now: Now, name: &ServiceName, taken: &[usize], how: &Handling, by: &By) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let Some(mut operation) = state.memory.halted.take() else {
            return;
        };
        let id = operation.id;
        operation.mask_until = mask_end(&operation, now);
        operation.phase = match &operation.turned_back {
            Some(why) => Phase::Backward(why.clone()),
            None => Phase::Forward,
        };
        state.memory.operation = Some(operation);
        for task in taken {
            match how {
                Handling::Retry => self.move_task(now, name, *task, TaskEvent::Retry),
                Handling::Skip { .. } => {
                    self.note_output(name, *task, format!("{by} says that it was done"));
                    self.move_task(now, name, *task, TaskEvent::Succeed);
                }
                Handling::Abort | Handling::Resume => {}
            }
        }
        if *how == Handling::Abort {
            self.set_phase(name, Phase::Backward(format!("aborted by {by}")));
        }
        self.remember(name);
        self.tell_handling(name, id, how, by);
    }

    fn note_output(&mut self, name: &ServiceName, task: usize, output: String) {
        let state = self.services.get_mut(name);
        if let Some(operation) = state.and_then(|state| state.memory.operation.as_mut()) {
            operation.tasks[task].output = output;
        }
    }

    /// Turns an operation back that is under way. Runs are ended, and what they did is taken back
    /// when they have; looks and waits end at once.
    fn turn_back(&mut self, now: Now, name: &ServiceName, by: &By) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        (state.verification, state.waiting) = (None, None);
        let Some(operation) = &state.memory.operation else {
            return;
        };
        let id = operation.id;
        let why = format!("aborted by {by}");
        let running =
            |task: &usize| matches!(operation.tasks[*task].status, TaskStatus::Started { .. });
        let (hooks, others): (Vec<usize>, Vec<usize>) = (0..operation.tasks.len())
            .filter(running)
            .partition(|task| {
                let step = operation.step(*task);
                step.is_some_and(|step| matches!(step.act, Act::Run { .. }))
            });
        for task in others {
            self.move_task(now, name, task, TaskEvent::Fail(why.clone()));
        }
        if !hooks.is_empty() {
            self.effects.push_back(Action::AbandonHooks(id));
        }
        self.set_phase(name, Phase::Backward(why));
    }

    /// A person has dealt with all that is left: the operation stands no more, and the pools that
    /// it kept out are targets again.
    fn close(&mut self, name: &ServiceName, by: &By) -> Result<(), OrderRefusal> {
        let Some(state) = self.services.get_mut(name) else {
            return Err(OrderRefusal::NoService(name.clone()));
        };
        let standing = state.memory.halted.take();
        let kept_out = std::mem::take(&mut state.memory.ineligible);
        if standing.is_none() && kept_out.is_empty() {
            return Err(OrderRefusal::NothingStands(name.clone()));
        }
        self.remember(name);
        if let Some(operation) = standing {
            self.tell_handling(name, operation.id, &Handling::Resume, by);
        }
        for pool in kept_out {
            let (service, by) = (name.clone(), by.clone());
            self.tell(Event::Readmitted { service, pool, by });
        }
        Ok(())
    }

    fn tell_handling(
        &mut self,
        name: &ServiceName,
        id: crate::ids::OperationId,
        how: &Handling,
        by: &By,
    ) {
        self.tell(Event::Handled {
            service: name.clone(),
            id,
            how: how.to_string(),
            by: by.clone(),
        });
    }
}
