//! A verify step under way: what its own looks have seen since it began. The mask on the pool
//! does not touch it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Pool;
use crate::health::{Layer, Observation, Verdict};
use crate::ids::{Endpoint, ProbeIndex};
use crate::runbook::Condition;
use crate::time::Mono;

/// A verify step looks again so often.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What was seen since the step began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verification {
    /// The task that it is for.
    pub(super) task: usize,
    /// What it waits for.
    pub(super) condition: Condition,
    /// Looks that began earlier do not count.
    pub(super) since: Mono,
    /// When it has failed.
    pub(super) deadline: Mono,
    /// When to look again.
    pub(super) next_look: Mono,
    /// Since when its time stands still.
    paused: Option<Mono>,
    seen: BTreeMap<(Endpoint, ProbeIndex), Seen>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The path is open: the latest look was answered, if only by a refusal.
    path: bool,
    /// The port is open: the latest look was accepted.
    open: bool,
    /// The deepest layer that was good, with no fault since.
    good_to: Option<Layer>,
    /// The latest fault.
    fault: Option<Verdict>,
}

impl Verification {
    /// A verification that has seen nothing.
    pub(super) fn new(
        task: usize,
        condition: Condition,
        since: Mono,
        deadline: Mono,
    ) -> Verification {
        let seen = BTreeMap::new();
        Verification {
            task,
            condition,
            since,
            deadline,
            next_look: since,
            paused: None,
            seen,
        }
    }

    /// While we are isolated its time stands still: a fault of our own uplink is none of the
    /// pool's. Says whether it does.
    pub(super) fn stands_still(&mut self, now: Mono, isolated: bool) -> bool {
        match (isolated, self.paused) {
            (true, None) => self.paused = Some(now),
            (false, Some(since)) => {
                let pause = now.since(since);
                self.deadline = self.deadline + pause;
                self.next_look = now;
                self.paused = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
        isolated
    }

    /// Takes a look at a server of the pool.
    pub(super) fn handle_observation(&mut self, look: &Observation) {
        if look.begun < self.since || !look.verdict.is_about_the_server() {
            return;
        }
        let seen = self
            .seen
            .entry((look.endpoint.clone(), look.probe))
            .or_default();
        let good = |layer| look.finding(layer) == Some(crate::health::Finding::Good);
        (seen.path, seen.open) = (good(Layer::Path), good(Layer::Port));
        if look.verdict == Verdict::Good {
            seen.good_to = seen.good_to.max(Some(look.depth));
        } else {
            seen.good_to = None;
            seen.fault = Some(look.verdict.clone());
        }
    }

    /// Whether so many servers of the pool as it needs meet the condition, each at one address
    /// at least.
    pub(super) fn is_met(&self, pool: &Pool) -> bool {
        let servers = pool.servers.iter().filter(|server| {
            server.addresses.iter().any(|address| {
                let endpoint = Endpoint {
                    server: server.name.clone(),
                    address: *address,
                };
                self.endpoint_meets(pool, &endpoint)
            })
        });
        servers.count() >= pool.min_healthy
    }

    fn endpoint_meets(&self, pool: &Pool, endpoint: &Endpoint) -> bool {
        let mut probes = (0u16..).zip(&pool.detection).map(|(index, detection)| {
            let seen = self.seen.get(&(endpoint.clone(), ProbeIndex(index)));
            seen.is_some_and(|seen| match self.condition {
                Condition::Path => seen.path,
                Condition::Open => seen.open,
                Condition::Healthy => seen.good_to >= Some(detection.depth),
            })
        });
        match self.condition {
            Condition::Path | Condition::Open => probes.any(|met| met),
            Condition::Healthy => probes.all(|met| met),
        }
    }

    /// What was seen, for people: `edge2.contoso.test. (10.77.0.12): refused`.
    pub(super) fn summary(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for ((endpoint, _), seen) in &self.seen {
            let word = match (&seen.good_to, &seen.fault) {
                (None, Some(fault)) => fault.to_string(),
                (Some(_), _) => "good".to_owned(),
                (None, None) => "nothing".to_owned(),
            };
            lines.push(format!("{endpoint}: {word}"));
        }
        if lines.is_empty() {
            "no look was made".to_owned()
        } else {
            lines.join("; ")
        }
    }
}
