//! What caches of others hold, and whether who waits for them waits long enough.

use std::collections::BTreeMap;
use std::time::Duration;

use switchback::failover::{Change, Policy, Publication, ServiceMemory};
use switchback::ids::{OperationId, ServiceName};
use switchback::runbook::{Act, Operation, Pause, TaskStatus};
use switchback::time::{Mono, Now};

/// A book of all answers that were given and are given no longer.
#[derive(Clone, Default)]
pub(crate) struct Caches {
    /// Until when a cache may hold such an answer of a service.
    outdated: BTreeMap<ServiceName, Mono>,
    /// The waits for caches that have begun, and when each may end at the earliest. `None` if
    /// nobody can say: a process that begins knows only the calendar of when it was to end.
    waits: BTreeMap<(OperationId, usize), Option<Mono>>,
}

impl Caches {
    /// Something is shown from now on, in place of what was.
    pub(crate) fn show(
        &mut self,
        now: Mono,
        name: &ServiceName,
        before: Option<&Publication>,
        after: &Publication,
    ) {
        if let Some(before) = before.filter(|before| *before != after) {
            let until = self.outdated.entry(name.clone()).or_default();
            *until = (*until).max(now + before.ttl);
        }
    }

    /// Takes note of what is written: of what is shown next, and of waits. What is not written at
    /// once when it happens has been shown, and its waits are not judged.
    pub(crate) fn record(
        &mut self,
        now: Mono,
        changes: &[Change],
        shown: &BTreeMap<ServiceName, Publication>,
        at_once: bool,
    ) {
        let operations = changes.iter().flat_map(operations);
        let operations: Vec<&Operation> = operations.collect();
        // Who waits before the publication of an operation does not wait for what it outdates.
        for operation in operations.iter().filter(|it| it.has_published()) {
            let steps = operation.plan.steps.iter();
            let before = steps.take_while(|step| step.act != Act::Publish).count();
            self.watch(now, operation, before, at_once);
        }
        for change in changes {
            if let (Change::Service(name, memory), true) = (change, at_once) {
                self.show(now, name, shown.get(name), &memory.published);
            }
        }
        for operation in operations {
            self.watch(now, operation, operation.plan.steps.len(), at_once);
        }
    }

    /// Judges the waits in the first so many steps.
    fn watch(&mut self, now: Mono, operation: &Operation, steps: usize, at_once: bool) {
        let outdated = self.outdated.get(&operation.service);
        let drain = outdated.map_or(Duration::ZERO, |until| until.since(now));
        for (index, task) in operation.tasks.iter().enumerate() {
            let step = operation.step(index).unwrap();
            if step.act != Act::Wait(Pause::Ttl) || task.step >= steps {
                continue;
            }
            let key = (operation.id, index);
            let due = at_once.then(|| now + drain.min(step.timeout));
            match task.status {
                TaskStatus::Started { .. } => {
                    self.waits.entry(key).or_insert(due);
                }
                TaskStatus::Done => {
                    let due = self.waits.entry(key).or_insert(due);
                    assert!(
                        due.is_none_or(|due| due <= now),
                        "caches hold what is no longer answered until {due:?}, and at {now:?} {} \
                         ends",
                        step.name
                    );
                }
                TaskStatus::Waiting if !self.waits.contains_key(&key) => {}
                TaskStatus::Waiting
                | TaskStatus::Retrying { .. }
                | TaskStatus::Failed(_)
                | TaskStatus::Unknown
                | TaskStatus::Undoing { .. }
                | TaskStatus::Undone
                | TaskStatus::UndoFailed(_)
                | TaskStatus::UndoUnknown => {
                    self.waits.insert(key, None);
                }
            }
        }
    }

    /// Services that are in no policy any more are forgotten: what comes back is another one.
    pub(crate) fn keep(&mut self, policy: &Policy) {
        self.outdated
            .retain(|name, _| policy.services.contains_key(name));
    }

    /// Another process begins, which knows what the disk holds and the policy. Its clock is at
    /// `now`, that of the one before stood at `then`.
    pub(crate) fn restart(
        &mut self,
        then: Mono,
        now: Now,
        disk: &BTreeMap<ServiceName, ServiceMemory>,
        policy: &Policy,
    ) {
        self.waits.values_mut().for_each(|due| *due = None);
        for (name, until) in &mut self.outdated {
            let known = disk.get(name).map(|memory| {
                let drains = memory.cached_until.map(|until| until.since(now.wall));
                drains.unwrap_or_default().max(memory.published.ttl)
            });
            let longest = policy.services.get(name).map(|service| service.ttl.max);
            let known = known.max(longest).unwrap_or_default();
            *until = now.mono + until.since(then).min(known);
        }
    }
}

/// The operations whose state a change holds.
fn operations(change: &Change) -> Vec<&Operation> {
    match change {
        Change::Service(_, memory) => memory.operation.iter().chain(&memory.halted).collect(),
        Change::Operation(operation) => vec![operation],
        Change::ServiceGone(_) | Change::Overrides(_) | Change::NextOperation(_) => Vec::new(),
    }
}
