//! What the engine's operations have come to since the start.

use std::collections::BTreeMap;

use super::page::{Histogram, float};
use crate::failover::{Event, Publication, RankedPool};
use crate::ids::{OperationId, PoolName, ServiceName};
use crate::runbook::{Operation, Phase, TaskStatus};

/// The bounds of the durations of steps, seconds.
const BOUNDS: [f64; 11] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0,
];
/// So many steps are told apart. The configuration names them, but reloads may bring new ones for
/// ever.
const STEPS: usize = 2000;
/// The same of services and their pools.
const PAIRS: usize = 2000;

/// How often primaries were visited since the start, by what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visits {
    /// Nothing new.
    pub current: u64,
    /// A new version, which is served.
    pub taken: u64,
    /// Nothing, or nothing that can be served.
    pub failed: u64,
}

/// Counts of moves, operations and their steps; and of visits.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    /// To primaries.
    pub visits: Visits,
    active: BTreeMap<ServiceName, PoolName>,
    pub(super) moves: BTreeMap<(ServiceName, PoolName), u64>,
    pub(super) begun: BTreeMap<(ServiceName, PoolName), u64>,
    pub(super) ended: BTreeMap<(ServiceName, PoolName, &'static str), u64>,
    pub(super) steps: BTreeMap<(ServiceName, String, &'static str), u64>,
    pub(super) took: BTreeMap<(ServiceName, String), Histogram>,
    /// The last operation of each service whose steps were counted.
    counted: BTreeMap<ServiceName, OperationId>,
}

impl Moves {
    /// Nothing yet, and what is published.
    #[must_use]
    pub fn new<'a>(published: impl Iterator<Item = (&'a ServiceName, &'a Publication)>) -> Moves {
        let mut moves = Moves::default();
        published.for_each(|(service, publication)| moves.published(service, publication));
        moves
    }

    /// Takes up what is published of a service.
    pub fn published(&mut self, service: &ServiceName, publication: &Publication) {
        let Some(RankedPool { pool, .. }) = publication.ranking.pools.first() else {
            return;
        };
        let before = self.active.insert(service.clone(), pool.clone());
        if before.is_some_and(|before| before != *pool) {
            let key = (service.clone(), pool.clone());
            bump(&mut self.moves, key, PAIRS);
        }
    }

    /// Takes up what the engine tells.
    pub fn event(&mut self, event: &Event) {
        let Event::OperationBegan { service, to, .. } = event else {
            return;
        };
        bump(&mut self.begun, (service.clone(), to.clone()), PAIRS);
    }

    /// Takes up an operation that has ended. One that goes on and ends again counts once more as an
    /// operation; its steps do not.
    pub fn ended(&mut self, operation: &Operation) {
        let service = &operation.service;
        let result = match operation.phase {
            Phase::Completed => "completed",
            Phase::Halted(_) => "halted",
            Phase::NeedsHuman(_) => "needs-human",
            Phase::Forward | Phase::Backward(_) => return,
        };
        let key = (service.clone(), operation.to.clone(), result);
        bump(&mut self.ended, key, PAIRS);
        let before = self.counted.insert(service.clone(), operation.id);
        if before == Some(operation.id) {
            return;
        }
        for (at, task) in operation.tasks.iter().enumerate() {
            let Some(step) = operation.step(at) else {
                continue;
            };
            let key = (service.clone(), step.name.clone(), result_of(&task.status));
            bump(&mut self.steps, key, STEPS);
            if let Some(took_ms) = task.took_ms {
                self.note_duration((service.clone(), step.name.clone()), took_ms);
            }
        }
    }

    fn note_duration(&mut self, key: (ServiceName, String), took_ms: u64) {
        if self.took.len() >= STEPS && !self.took.contains_key(&key) {
            return;
        }
        let seconds = float(took_ms) / 1000.0;
        let histogram = self.took.entry(key).or_insert_with(|| Histogram {
            buckets: BOUNDS.map(|bound| (bound, 0)).to_vec(),
            ..Histogram::default()
        });
        histogram.sum += seconds;
        histogram.count += 1;
        let bucket = histogram.buckets.iter_mut();
        if let Some((_, count)) = bucket.into_iter().find(|(bound, _)| seconds <= *bound) {
            *count += 1;
        }
    }
}

fn result_of(status: &TaskStatus) -> &'static str {
    match status {
        TaskStatus::Done => "done",
        TaskStatus::Failed(_) | TaskStatus::Retrying { .. } | TaskStatus::UndoFailed(_) => "failed",
        TaskStatus::Undone => "undone",
        TaskStatus::Waiting => "not-run",
        TaskStatus::Started { .. }
        | TaskStatus::Undoing { .. }
        | TaskStatus::Unknown
        | TaskStatus::UndoUnknown => "unknown",
    }
}

fn bump<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, most: usize) {
    if counts.len() < most || counts.contains_key(&key) {
        *counts.entry(key).or_default() += 1;
    }
}
