//! How long each step took when it was last taken.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::look::Phase;

/// The steps that there are, in their order.
pub const PHASES: [&str; 5] = ["connect", "features", "starttls", "handshake", "program"];

/// Microseconds of the latest of each step, and one more; 0 before the first.
#[derive(Debug, Default)]
pub(super) struct PhaseTimes([AtomicU64; PHASES.len()]);

impl PhaseTimes {
    /// Notes the steps of a look.
    pub(super) fn note(&self, phases: &[Phase]) {
        for phase in phases {
            let named = PHASES.iter().position(|name| *name == phase.name);
            if let Some(time) = named.and_then(|at| self.0.get(at)) {
                let us = u64::try_from(phase.took.as_micros()).unwrap_or(u64::MAX);
                time.store(us.saturating_add(1), Relaxed);
            }
        }
    }

    /// The steps that have been taken.
    pub(super) fn latest(&self) -> Vec<(&'static str, Duration)> {
        let times = self.0.iter().map(|time| time.load(Relaxed));
        let taken = PHASES.into_iter().zip(times).filter(|(_, us)| *us > 0);
        taken
            .map(|(name, us)| (name, Duration::from_micros(us - 1)))
            .collect()
    }
}
