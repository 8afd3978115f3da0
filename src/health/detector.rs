//! One layer's findings, counted into a state.

use super::{Finding, Health};
use crate::time::Mono;

/// Counts the findings of one layer at one endpoint: `fall` bad ones in a row make it down,
/// `rise` good ones in a row make it up, and a mixture of flawed and bad ones makes it
/// degraded.
///
/// | state | `rise` good | `rise` good or flawed | `fall` not good | `fall` bad |
/// | --- | --- | --- | --- | --- |
/// | unknown | up | – | degraded | down |
/// | up | – | – | degraded | down |
/// | degraded | up | – | – | down |
/// | down | up | degraded | – | – |
///
/// A look that says nothing of the layer is no finding: it neither counts nor breaks a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detector {
    state: Health,
    /// On the first start ever the first finding decides: there is no earlier state to protect.
    eager: bool,
    good: u32,
    not_bad: u32,
    not_good: u32,
    bad: u32,
    last: Option<Mono>,
}

/// How many findings in a row change the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Good ones, towards up.
    pub rise: u32,
    /// Bad ones, towards down.
    pub fall: u32,
}

impl Detector {
    /// A detector that knows nothing; `eager` lets its first finding decide.
    #[must_use]
    pub fn new(eager: bool) -> Detector {
        Detector {
            state: Health::Unknown,
            eager,
            good: 0,
            not_bad: 0,
            not_good: 0,
            bad: 0,
            last: None,
        }
    }

    /// Counts one finding, made at `at`.
    pub fn handle_finding(&mut self, at: Mono, finding: Finding, limits: Thresholds) {
        let (good, bad) = (finding == Finding::Good, finding == Finding::Bad);
        let row = |count: u32, goes_on: bool| if goes_on { count.saturating_add(1) } else { 0 };
        self.good = row(self.good, good);
        self.not_bad = row(self.not_bad, !bad);
        self.not_good = row(self.not_good, !good);
        self.bad = row(self.bad, bad);
        self.last = Some(at);
        let first = std::mem::take(&mut self.eager);
        let rise = if first { 1 } else { limits.rise };
        let fall = if first { 1 } else { limits.fall };
        self.state = if self.good >= rise {
            Health::Up
        } else if self.bad >= fall {
            Health::Down
        } else if self.not_good >= fall && self.state != Health::Down
            || self.not_bad >= rise && self.state == Health::Down
        {
            Health::Degraded
        } else {
            self.state
        };
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> Health {
        self.state
    }

    /// Whether the latest finding speaks against a state that is still held.
    #[must_use]
    pub fn is_under_suspicion(&self) -> bool {
        match self.state {
            Health::Up => self.not_good > 0,
            Health::Degraded => self.bad > 0,
            Health::Down | Health::Unknown => false,
        }
    }

    /// The latest findings in a row that were good, and that were not.
    #[must_use]
    pub fn rows(&self) -> (u32, u32) {
        (self.good, self.not_good)
    }

    /// When the latest finding was made.
    #[must_use]
    pub fn last(&self) -> Option<Mono> {
        self.last
    }

    /// Forgets the rows but not the state, which starts to age anew: what was seen while we
    /// were cut off counts for nothing.
    pub fn reset_rows(&mut self, now: Mono) {
        let last = self.last.map(|_| now);
        *self = Detector {
            state: self.state,
            last,
            ..Detector::new(false)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Finding::{Bad, Flawed, Good};

    fn after(start: Health, findings: &[Finding]) -> Health {
        let mut detector = Detector {
            state: start,
            ..Detector::new(false)
        };
        for &finding in findings {
            detector.handle_finding(Mono::default(), finding, Thresholds { rise: 2, fall: 2 });
        }
        detector.state()
    }

    #[test]
    fn the_table_of_transitions_holds() {
        assert_eq!(after(Health::Unknown, &[Good]), Health::Unknown);
        assert_eq!(after(Health::Unknown, &[Good, Good]), Health::Up);
        assert_eq!(after(Health::Unknown, &[Bad, Bad]), Health::Down);
        assert_eq!(after(Health::Up, &[Bad]), Health::Up);
        assert_eq!(after(Health::Up, &[Bad, Good, Bad]), Health::Up);
        assert_eq!(after(Health::Up, &[Bad, Flawed]), Health::Degraded);
        assert_eq!(after(Health::Up, &[Bad, Bad]), Health::Down);
        assert_eq!(after(Health::Down, &[Good, Bad, Good]), Health::Down);
        assert_eq!(after(Health::Down, &[Flawed, Good]), Health::Degraded);
        assert_eq!(after(Health::Degraded, &[Good, Good]), Health::Up);
    }

    #[test]
    fn the_first_finding_decides_only_when_eager() {
        let mut detector = Detector::new(true);
        let limits = Thresholds { rise: 3, fall: 3 };
        detector.handle_finding(Mono::default(), Bad, limits);
        assert_eq!(detector.state(), Health::Down);
        detector.handle_finding(Mono::default(), Good, limits);
        assert_eq!(detector.state(), Health::Down);
    }

    #[test]
    fn one_bad_look_is_a_suspicion() {
        let mut detector = Detector {
            state: Health::Up,
            ..Detector::new(false)
        };
        detector.handle_finding(Mono::default(), Bad, Thresholds { rise: 2, fall: 2 });
        assert!(detector.is_under_suspicion());
        detector.reset_rows(Mono::default());
        assert!(!detector.is_under_suspicion());
        assert_eq!(detector.state(), Health::Up);
    }
}
