//! One endpoint under one probe: a detector per layer, and the latest look.

use std::time::Duration;

use super::{Detector, Health, Layer, Observation, Thresholds, Verdict};
use crate::time::Mono;

/// How the findings of a probe become health; see [`crate::failover::Detection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// The rows that change a state.
    pub thresholds: Thresholds,
    /// The deepest layer that health needs.
    pub depth: Layer,
    /// After so long without a finding a layer is unknown.
    pub stale_after: Duration,
    /// The same for [`Layer::Tls`].
    pub tls_stale_after: Duration,
}

impl WatchLimits {
    fn stale_after(&self, layer: Layer) -> Duration {
        if layer == Layer::Tls {
            self.tls_stale_after
        } else {
            self.stale_after
        }
    }
}

/// A detector per layer. A shallower success never clears a deeper failure, because a look
/// that does not reach a layer is no finding there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    layers: [Detector; 4],
    latest: Option<LatestLook>,
}

/// The latest look, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestLook {
    /// What it saw.
    pub verdict: Verdict,
    /// When it ended.
    pub ended: Mono,
    /// How long it took.
    pub took: Duration,
}

/// What an observation changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stir {
    /// The health before and after.
    pub health: (Health, Health),
    /// Whether the suspicion or the state of any layer changed.
    pub stirred: bool,
}

impl Watch {
    /// A watch that knows nothing; `eager` lets the first finding of each layer decide.
    #[must_use]
    pub fn new(eager: bool) -> Watch {
        Watch {
            layers: std::array::from_fn(|_| Detector::new(eager)),
            latest: None,
        }
    }

    /// Counts one look.
    pub fn handle_observation(&mut self, look: &Observation, limits: &WatchLimits) -> Stir {
        let before = (self.health(limits.depth), self.signature());
        for layer in Layer::ALL {
            if let Some(finding) = look.finding(layer) {
                let detector = &mut self.layers[layer as usize];
                detector.handle_finding(look.ended, finding, limits.thresholds);
            }
        }
        self.note(look);
        let health = self.health(limits.depth);
        Stir {
            health: (before.0, health),
            stirred: before.1 != self.signature(),
        }
    }

    /// Remembers the look for people without counting it: under a mask, or while isolated.
    pub fn note(&mut self, look: &Observation) {
        self.latest = Some(LatestLook {
            verdict: look.verdict.clone(),
            ended: look.ended,
            took: look.took(),
        });
    }

    fn signature(&self) -> [(Health, bool); 4] {
        [0, 1, 2, 3].map(|i: usize| (self.layers[i].state(), self.layers[i].is_under_suspicion()))
    }

    /// The health of the layers down to `depth`: the worst of them.
    #[must_use]
    pub fn health(&self, depth: Layer) -> Health {
        let needed = Layer::ALL.iter().filter(|layer| **layer <= depth);
        needed
            .map(|layer| self.layers[*layer as usize].state())
            .min()
            .unwrap_or_default()
    }

    /// The health of one layer alone.
    #[must_use]
    pub fn layer(&self, layer: Layer) -> Health {
        self.layers[layer as usize].state()
    }

    /// Whether the latest looks speak against a state that is still held.
    #[must_use]
    pub fn is_under_suspicion(&self, depth: Layer) -> bool {
        Layer::ALL
            .iter()
            .filter(|layer| **layer <= depth)
            .any(|layer| self.layers[*layer as usize].is_under_suspicion())
    }

    /// The row of good looks of the weakest layer, and the row of looks that were not good of
    /// the layer that is worst off.
    #[must_use]
    pub fn rows(&self, depth: Layer) -> (u32, u32) {
        let rows = Layer::ALL
            .iter()
            .filter(|layer| **layer <= depth)
            .map(|layer| self.layers[*layer as usize].rows());
        rows.fold((u32::MAX, 0), |(good, bad), row| {
            (good.min(row.0), bad.max(row.1))
        })
    }

    /// The latest look.
    #[must_use]
    pub fn latest(&self) -> Option<&LatestLook> {
        self.latest.as_ref()
    }

    /// When the next layer goes stale, if nothing is found until then.
    #[must_use]
    pub fn stale_at(&self, limits: &WatchLimits) -> Option<Mono> {
        let needed = Layer::ALL.iter().filter(|layer| **layer <= limits.depth);
        needed
            .filter_map(|layer| {
                let detector = &self.layers[*layer as usize];
                let last = detector
                    .last()
                    .filter(|_| detector.state() != Health::Unknown)?;
                Some(last + limits.stale_after(*layer))
            })
            .min()
    }

    /// Makes every layer unknown that has had no finding for too long, one below a failed
    /// layer too: when the failure is over, it has to be seen again. Says whether anything
    /// changed.
    pub fn expire(&mut self, now: Mono, limits: &WatchLimits) -> bool {
        let mut changed = false;
        for layer in Layer::ALL {
            let detector = &mut self.layers[layer as usize];
            let stale = detector
                .last()
                .is_some_and(|last| last + limits.stale_after(layer) <= now);
            if stale && detector.state() != Health::Unknown {
                *detector = Detector::new(false);
                changed = true;
            }
        }
        changed
    }

    /// Forgets the rows but not the states, which start to age anew.
    pub fn reset_rows(&mut self, now: Mono) {
        self.layers
            .iter_mut()
            .for_each(|layer| layer.reset_rows(now));
    }

    /// Forgets all but the latest look.
    pub fn forget(&mut self) {
        self.layers = std::array::from_fn(|_| Detector::new(false));
    }
}
