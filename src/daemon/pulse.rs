//! The core's word to the service manager: that it went round, and how things stand.
//!
//! Nothing but the core speaks here, at the end of each of its rounds. A core that hangs says
//! nothing more, whatever else of the process still lives, and the service manager ends it.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::supervisor::Supervisor;
use crate::time::Mono;

/// When the next sign of life is due.
#[derive(Debug)]
struct Beats {
    every: Duration,
    due: Mono,
}

impl Beats {
    /// Twice in the time that the service manager waits, as sd_watchdog_enabled(3) advises.
    fn new(watchdog: Duration, now: Mono) -> Beats {
        let every = watchdog / 2;
        Beats { every, due: now }
    }

    /// A round has ended: gives a sign of life, if one is due. One that is not taken is given again
    /// soon, for there are a few tries before the time is over.
    fn round(&mut self, now: Mono, give: impl FnOnce() -> bool) {
        if now >= self.due {
            let after = if give() { self.every } else { self.every / 8 };
            self.due = now + after.max(Duration::from_millis(1));
        }
    }
}

/// How things stand, in one line for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    generation: u64,
    services: usize,
    stand: usize,
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line {
            generation,
            services,
            stand,
        } = self;
        write!(f, "generation {generation}, services: {services}")?;
        match stand {
            0 => Ok(()),
            _ => write!(f, ", operations that wait for you: {stand}"),
        }
    }
}

/// What the service manager hears of the core.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    supervisor: Option<Arc<Supervisor>>,
    beats: Option<Beats>,
    told: Option<Line>,
}

impl Pulse {
    pub(super) fn new(supervisor: Option<Arc<Supervisor>>) -> Pulse {
        Pulse {
            supervisor,
            ..Pulse::default()
        }
    }

    /// Answers are given, and rounds count from here on.
    pub(super) async fn begin(&mut self, now: Mono) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.ready().await;
            let watchdog = supervisor.watchdog();
            self.beats = watchdog.map(|watchdog| Beats::new(watchdog, now));
        }
    }

    /// Everything ends from here on.
    pub(super) async fn end(&self) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.stopping().await;
        }
    }

    /// When the core has to go round, if nothing else happens.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.beats.as_ref().map(|beats| beats.due)
    }
}

impl Core {
    /// A round has ended.
    pub(super) fn beat(&mut self, now: Mono) {
        let Some(supervisor) = self.pulse.supervisor.clone() else {
            return;
        };
        if let Some(beats) = &mut self.pulse.beats {
            beats.round(now, || supervisor.try_say("WATCHDOG=1"));
        }
        let line = self.line();
        if self.pulse.told != Some(line) && supervisor.try_say(&format!("STATUS={line}")) {
            self.pulse.told = Some(line);
        }
    }

    fn line(&self) -> Line {
        Line {
            generation: self.publisher.generation().0,
            services: self.engine.policy().services.len(),
            stand: self.engine.halted(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    #[test]
    fn only_a_round_gives_a_sign_of_life_and_only_when_one_is_due() {
        let mut beats = Beats::new(Duration::from_secs(10), at(0));
        let mut given = Vec::new();
        for millis in [0, 10, 4_999, 5_000, 5_001, 30_000, 34_999, 35_000] {
            beats.round(at(millis), || {
                given.push(millis);
                true
            });
        }
        // Between 5 s and 30 s nobody went round, and nothing was made up for it.
        assert_eq!(given, [0, 5_000, 30_000, 35_000]);
        assert_eq!(beats.due, at(40_000));
    }

    #[test]
    fn a_sign_that_was_not_taken_is_given_again_in_time() {
        let mut beats = Beats::new(Duration::from_secs(8), at(0));
        beats.round(at(0), || false);
        assert_eq!(beats.due, at(500));
        beats.round(at(500), || true);
        assert_eq!(beats.due, at(4_500));
    }

    #[test]
    fn the_shortest_watchdog_leaves_time_between_rounds() {
        let mut beats = Beats::new(Duration::from_micros(1), at(7));
        beats.round(at(7), || false);
        assert_eq!(beats.due, at(8));
    }

    #[test]
    fn the_line_tells_of_operations_that_stand() {
        let line = |stand| {
            let (generation, services) = (7, 2);
            let line = Line {
                generation,
                services,
                stand,
            };
            line.to_string()
        };
        assert_eq!(line(0), "generation 7, services: 2");
        assert_eq!(
            line(1),
            "generation 7, services: 2, operations that wait for you: 1"
        );
    }
}
