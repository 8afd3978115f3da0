//! Where hooks are at work, as the events tell it: no move that could wait goes there.

use std::collections::BTreeMap;

use switchback::failover::{Because, Engine, Event, Memory, Policy};
use switchback::health::PoolHealth;
use switchback::ids::{OperationId, PoolName, ServiceName};
use switchback::time::Now;

/// The operations with hooks under way, by service.
#[derive(Clone, Default)]
pub(crate) struct AtWork(BTreeMap<ServiceName, (OperationId, PoolName)>);

impl AtWork {
    /// Those that a process finds on the disk when it starts.
    pub(crate) fn of(disk: &Memory) -> AtWork {
        let found = disk.services.iter().filter_map(|(name, memory)| {
            let operation = memory.operation.as_ref()?;
            let with_hooks = operation.plan.has_hooks();
            with_hooks.then(|| (name.clone(), (operation.id, operation.to.clone())))
        });
        AtWork(found.collect())
    }

    /// Takes note of an event, and judges a move that begins.
    pub(crate) fn hear(&mut self, event: &Event, policy: &Policy, engine: &Engine, now: Now) {
        if let Event::OperationEnded { service, .. } = event {
            self.0.remove(service);
        }
        let Event::OperationBegan {
            id,
            service,
            to,
            because,
            ..
        } = event
        else {
            return;
        };
        if policy.services[service].runbook.has_hooks() {
            self.0.insert(service.clone(), (*id, to.clone()));
            return;
        }
        let dead = matches!(
            because,
            Because::Trouble {
                health: PoolHealth::Down,
                ..
            }
        );
        let troubled = matches!(because, Because::Trouble { .. }) && !dead;
        let could_wait = troubled || *because == Because::FailedBack;
        let works_there = |(other, (id, pool)): (&ServiceName, &(OperationId, PoolName))| {
            let operation = engine.service(now, other)?.memory.operation.as_ref()?;
            // A mask that has expired keeps nobody away.
            (pool == to && operation.id == *id && now.wall < operation.mask_until).then_some(*id)
        };
        let meets = self.0.iter().find_map(works_there);
        assert!(!could_wait || meets.is_none(), "{event}: {meets:?} works");
    }
}
