//! Looks that saw the same, one after another, are one run. Only its first look makes an entry;
//! how many followed, and when, is told with the change that ended it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::health::{Layer, Observation, Verdict};
use crate::ids::{Endpoint, ProbeIndex};
use crate::time::{Now, Wall};

/// So many looks of a run are known to the millisecond: as many as may decide about health.
const EXACT: usize = 8;

/// What is looked at, by which probe, and how deep. Looks of another depth are another run: a
/// look that does not ask for the certificate cannot contradict one that found it expired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Watched {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The probe of its pool.
    pub probe: ProbeIndex,
    /// How deep the look was to go.
    pub depth: Layer,
}

/// A look that saw something else than the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saw {
    /// What was looked at.
    #[serde(flatten)]
    pub watched: Watched,
    /// What it saw.
    pub verdict: Verdict,
    /// The run of looks that it ended. `None`: the first look since the start.
    #[serde(default)]
    pub ended: Option<EndedRun>,
}

/// A run of looks that saw the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRun {
    /// What they saw.
    pub verdict: Verdict,
    /// How many they were.
    pub looks: u64,
    /// The first of those after the first, in milliseconds after it.
    pub first_ms: Vec<u64>,
    /// The last, in milliseconds after the first.
    pub last_ms: u64,
}

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What is looked at.
    #[serde(flatten)]
    pub watched: Watched,
    /// Since when.
    pub since: Wall,
    /// How it stands.
    pub so_far: EndedRun,
}

/// The runs that go on, one for each thing watched.
#[derive(Clone, Debug, Default)]
pub struct Runs(BTreeMap<Watched, (Now, EndedRun)>);

impl Runs {
    /// Counts a look. Says so if it saw something else than the one before.
    pub fn count(&mut self, now: Now, look: &Observation) -> Option<Saw> {
        let watched = Watched {
            endpoint: look.endpoint.clone(),
            probe: look.probe,
            depth: look.depth,
        };
        if let Some((since, run)) = self.0.get_mut(&watched)
            && run.verdict == look.verdict
        {
            let after = whole_ms(now.mono.since(since.mono));
            run.looks = run.looks.saturating_add(1);
            run.last_ms = after;
            if run.first_ms.len() < EXACT {
                run.first_ms.push(after);
            }
            return None;
        }
        let begun = EndedRun {
            verdict: look.verdict.clone(),
            looks: 1,
            first_ms: Vec::new(),
            last_ms: 0,
        };
        let ended = self.0.insert(watched.clone(), (now, begun));
        Some(Saw {
            watched,
            verdict: look.verdict.clone(),
            ended: ended.map(|(_, run)| run),
        })
    }

    /// Forgets what is no longer looked at.
    pub fn retain(&mut self, keep: impl Fn(&Endpoint) -> bool) {
        self.0.retain(|watched, _| keep(&watched.endpoint));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.0.iter().map(|(watched, (since, run))| Run {
            watched: watched.clone(),
            since: since.wall,
            so_far: run.clone(),
        })
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Mono;

    fn look(verdict: Verdict, depth: Layer) -> Observation {
        Observation {
            endpoint: Endpoint {
                server: "edge1.test.".into(),
                address: [127, 0, 0, 1].into(),
            },
            probe: ProbeIndex(0),
            begun: Mono::default(),
            ended: Mono::default(),
            verdict,
            depth,
        }
    }

    fn at(ms: u64) -> Now {
        Now {
            mono: Mono(Duration::from_millis(ms)),
            wall: Wall(1_000_000 + ms),
        }
    }

    #[test]
    fn a_run_is_told_by_the_look_that_ends_it() {
        let mut runs = Runs::default();
        let first = runs.count(at(0), &look(Verdict::Good, Layer::Tls)).unwrap();
        assert_eq!((first.verdict, first.ended), (Verdict::Good, None));
        for ms in [1000, 2003, 3001] {
            assert_eq!(runs.count(at(ms), &look(Verdict::Good, Layer::Tls)), None);
        }
        let changed = runs.count(at(3500), &look(Verdict::Refused, Layer::Tls));
        let ended = changed.unwrap().ended.unwrap();
        assert_eq!((ended.looks, ended.last_ms), (4, 3001));
        assert_eq!(ended.first_ms, [1000, 2003, 3001]);
    }

    #[test]
    fn looks_of_another_depth_are_another_run() {
        let mut runs = Runs::default();
        let expired = look(Verdict::CertificateExpired, Layer::Tls);
        assert!(runs.count(at(0), &expired).is_some());
        assert!(
            runs.count(at(1), &look(Verdict::Good, Layer::Speech))
                .is_some()
        );
        assert_eq!(runs.count(at(2), &expired), None);
        assert_eq!(runs.iter().count(), 2);
    }

    #[test]
    fn what_is_kept_of_a_run_does_not_grow_with_it() {
        let mut runs = Runs::default();
        for ms in 0..10_000 {
            let _ = runs.count(at(ms), &look(Verdict::Hung, Layer::Tls));
        }
        let run = runs.iter().next().unwrap().so_far;
        assert_eq!(
            (run.looks, run.first_ms.len(), run.last_ms),
            (10_000, EXACT, 9_999)
        );
    }
}
