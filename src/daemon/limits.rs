//! Who gets more responses than the rate limit: in `status`, and in the log, a line a minute at
//! most, whatever strangers send.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::core::Core;
use crate::admin::limits::{ClassLimited, LimitStatus, NetworkLimited};
use crate::clock;
use crate::limit::Class;
use crate::server::{Counters, LimitCount, Limited, Limiter};
use crate::snapshot::Network;
use crate::telemetry;
use crate::time::{Mono, Now};

/// So often it is looked who is limited.
const LOOK: Duration = Duration::from_secs(2);
/// From a line to the next.
const PAUSE: Duration = Duration::from_secs(60);
/// So many are named in a line.
const NAMED: usize = 5;

/// Tells of it until it is aborted.
pub(super) fn tell(limiter: Arc<Limiter>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut teller = Teller::default();
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(line) = teller.line(clock::mono(), &limiter.limited()) {
                telemetry::warning(&line);
            }
        }
    })
}

impl Core {
    /// What `status` says of it.
    pub(super) fn limits(&self, now: Now) -> LimitStatus {
        let Some(serving) = &self.serving else {
            return LimitStatus::default();
        };
        let counters = serving.counters();
        let limited = serving.limiter().limited().into_iter();
        LimitStatus {
            classes: Class::ALL
                .iter()
                .filter_map(|class| class_limited(*class, &counters))
                .collect(),
            networks: limited
                .map(|it| NetworkLimited {
                    network: it.network.to_string(),
                    class: it.class.word().to_owned(),
                    since: self.wall_of(now, it.since),
                })
                .collect(),
        }
    }
}

fn class_limited(class: Class, counters: &Counters) -> Option<ClassLimited> {
    let LimitCount {
        limited,
        slipped,
        dropped,
    } = counters.limits_of(class);
    (limited > 0).then(|| ClassLimited {
        class: class.word().to_owned(),
        limited,
        slipped,
        dropped,
    })
}

/// What was told.
#[derive(Debug, Default)]
struct Teller {
    last: Option<Mono>,
    known: Vec<(Network, Class)>,
}

impl Teller {
    /// The line for who is limited now, if there is news and the last line is old enough.
    fn line(&mut self, now: Mono, limited: &[Limited]) -> Option<String> {
        let who = |it: &Limited| (it.network, it.class);
        let is_news = match limited {
            [] => !self.known.is_empty(),
            some => some.iter().any(|it| !self.known.contains(&who(it))),
        };
        let is_due = self.last.is_none_or(|last| now.since(last) >= PAUSE);
        if !is_news || !is_due {
            return None;
        }
        self.last = Some(now);
        self.known = limited.iter().map(who).collect();
        if limited.is_empty() {
            return Some("rate limit: nobody is over it any more".to_owned());
        }
        let named = limited.iter().take(NAMED);
        let named: Vec<String> = named
            .map(|it| format!("{} ({})", it.network, it.class.word()))
            .collect();
        let more = match limited.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "rate limit: over it are {}{more}; `switchback status` counts",
            named.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(last: u8) -> Limited {
        Limited {
            network: Network::around([192, 0, last, 1].into(), 24, 56),
            class: Class::Answer,
            since: Mono(Duration::ZERO),
        }
    }

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn there_is_a_line_for_news_and_one_a_minute_at_most() {
        let mut teller = Teller::default();
        assert_eq!(teller.line(at(1), &[]), None);
        let begun = teller.line(at(2), &[limited(1)]).unwrap();
        assert!(begun.contains("192.0.1.0/24 (answer);"), "{begun}");
        assert_eq!(teller.line(at(4), &[limited(1)]), None);
        // News, and too early: it is told when it is time, if it is still so.
        let all: Vec<Limited> = (1..=7).map(limited).collect();
        assert_eq!(teller.line(at(6), &all), None);
        let more = teller.line(at(62), &all).unwrap();
        assert!(more.contains("192.0.5.0/24 (answer) and 2 more"), "{more}");
        assert_eq!(teller.line(at(70), &[]), None);
        let over = teller.line(at(122), &[]).unwrap();
        assert!(over.contains("nobody"), "{over}");
        assert_eq!(teller.line(at(400), &[]), None);
    }

    #[test]
    fn a_flood_from_everywhere_makes_a_line_a_minute() {
        let mut teller = Teller::default();
        let lines = (0..3600u64).filter(|second| {
            let [.., low] = second.to_be_bytes();
            let now: &[Limited] = if second % 2 == 0 {
                &[limited(low)]
            } else {
                &[]
            };
            teller.line(at(*second), now).is_some()
        });
        assert_eq!(lines.count(), 60);
    }
}
