//! Telling people: what happens goes to the courier, and the ends of certificates are looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use super::core::Core;
use crate::admin::status::AlertStatus;
use crate::alert::{self, Alert, State};
use crate::ids::Endpoint;
use crate::time::{Mono, Now, Wall};

/// The ends of certificates are looked at so often.
const LOOK: Duration = Duration::from_secs(10);
/// What is still so is said again after this.
const AGAIN: Duration = Duration::from_secs(24 * 3600);
/// Deliveries that have failed for so long are an alarm.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which ends of certificates were told, and when.
#[derive(Debug, Default)]
pub(super) struct Ends {
    told: BTreeMap<String, (Wall, Mono)>,
    due: Mono,
}

impl Ends {
    /// When to look next.
    pub(super) fn poll_timeout(&self) -> Mono {
        self.due
    }

    /// Of all certificates, by whose they are, those to be told of now: they end within `notice`,
    /// and that was not told for a day.
    fn look(&mut self, now: Now, notice: Duration, all: BTreeMap<String, Wall>) -> Vec<Alert> {
        self.due = now.mono + LOOK;
        self.told.retain(|whose, _| all.contains_key(whose));
        let mut alerts = Vec::new();
        for (whose, ends) in all {
            let is_told = self
                .told
                .get(&whose)
                .is_some_and(|(told, at)| *told == ends && now.mono.since(*at) < AGAIN);
            if ends.since(now.wall) < notice && !is_told {
                alerts.push(alert::certificate(now.wall, &whose, ends));
                self.told.insert(whose, (ends, now.mono));
            }
        }
        alerts
    }
}

impl Core {
    /// Takes news for whoever wants to be told. It waits for nobody.
    pub(super) fn tell_people(&self, news: Option<Alert>) {
        if let Some(alert) = news {
            self.courier.take(&alert);
        }
    }

    /// Looks at the ends of certificates, when that is due: those of the edges, as their probes were
    /// shown them, and our own.
    pub(super) fn look_at_certificates(&mut self, now: Now) {
        if self.ends.poll_timeout() > now.mono {
            return;
        }
        let days = self.courier.certificate_days().unwrap_or_default();
        let notice = Duration::from_secs(days.saturating_mul(24 * 3600));
        let mut all = BTreeMap::new();
        if let Some(certificate) = &self.certificate {
            let state = certificate.state();
            if let Some(end) = state.not_after {
                all.insert(format!("this server ({})", state.path.display()), end);
            }
        }
        for pool in self.engine.policy().pools.values() {
            let shown = pool.endpoints().filter_map(|endpoint: Endpoint| {
                let end = self.prober.certificate_ends(&endpoint)?;
                Some((endpoint.to_string(), end))
            });
            all.extend(shown);
        }
        for alert in self.ends.look(now, notice, all) {
            self.courier.take(&alert);
        }
    }

    /// How each receiver stands.
    pub(super) fn told_people(&self) -> Vec<AlertStatus> {
        let states = self.courier.states();
        let status = states.map(|(receiver, state)| {
            let State {
                waiting,
                delivered,
                left_out,
                last,
                failing,
            } = state;
            let (failing_since, problem) = failing.unzip();
            AlertStatus {
                name: receiver.name.clone(),
                to: receiver.place(),
                waiting: u64::try_from(waiting).unwrap_or(u64::MAX),
                delivered,
                left_out,
                last_delivered: last,
                failing_since,
                problem,
            }
        });
        status.collect()
    }

    /// Receivers that have not been reached for long, a sentence each.
    pub(super) fn deaf(&self, now: Now) -> Vec<String> {
        let states = self.courier.states();
        let deaf = states.filter_map(|(receiver, state)| {
            let (since, why) = state.failing?;
            let long = now.wall.since(since) >= PATIENCE;
            long.then(|| {
                format!(
                    "alert {} has not been delivered since {since}: {why}; {} wait",
                    receiver.name, state.waiting
                )
            })
        });
        deaf.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn at(days: u32) -> Now {
        Now {
            mono: Mono(DAY * days),
            wall: Wall(1_795_473_459_120) + DAY * days,
        }
    }

    #[test]
    fn an_end_is_told_once_a_day_until_the_certificate_is_renewed() {
        let mut ends = Ends::default();
        let end = at(20).wall;
        let mut look = |now, end| {
            let all = BTreeMap::from([("edge1".to_owned(), end)]);
            let alerts = ends.look(now, DAY * 14, all);
            alerts
                .iter()
                .map(|alert| alert.days_left)
                .collect::<Vec<_>>()
        };
        assert_eq!(look(at(0), end), []);
        assert_eq!(look(at(7), end), [Some(13)]);
        assert_eq!(look(at(7), end), []);
        assert_eq!(look(at(8), end), [Some(12)]);
        assert_eq!(look(at(21), end), [Some(0)]);
        assert_eq!(look(at(21), at(111).wall), []);
        // Renewed with one that is no better.
        assert_eq!(look(at(22), at(23).wall), [Some(1)]);
    }
}
