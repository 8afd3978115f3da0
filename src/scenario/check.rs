//! Whether what happens is what was expected.

use std::time::Duration;

use super::model::{Expectation, Timed};
use super::replay::{Unmet, World};
use super::words::show_span;
use crate::ids::{PoolName, ServiceName};
use crate::time::Wall;

/// The moves that are expected: whether they came is known at the end.
#[derive(Default)]
pub(super) struct Checks {
    moves: Vec<(usize, Wall, ServiceName, PoolName, Duration)>,
}

impl Checks {
    /// Looks whether an expectation holds now.
    pub(super) fn check(&mut self, world: &mut World<'_>, line: &Timed, expected: &Expectation) {
        let message = match expected {
            Expectation::Move(service, to, within) => {
                let at = world.now.wall;
                self.moves
                    .push((line.line, at, service.clone(), to.clone(), *within));
                None
            }
            Expectation::Refused(why) => refused(world, Some(why)),
            Expectation::Taken => refused(world, None),
            Expectation::Hooks(wanted) => (world.ran != *wanted).then(|| {
                format!(
                    "the hooks that ran are {:?}, expected {wanted:?}",
                    world.ran
                )
            }),
            Expectation::Active(service, wanted) => {
                let active = order(world, service).first().cloned().unwrap_or_default();
                unlike(service, "is at", &active, wanted.as_str())
            }
            Expectation::Order(service, wanted) => {
                let wanted: Vec<&str> = wanted.iter().map(PoolName::as_str).collect();
                let order = order(world, service).join(" ");
                unlike(service, "has the order", &order, &wanted.join(" "))
            }
            Expectation::Ttl(service, wanted) => {
                let published = world.dns.get(service);
                let ttl = published.map_or(Duration::ZERO, |published| published.ttl);
                unlike(service, "has the TTL", &show_span(ttl), &show_span(*wanted))
            }
            Expectation::Because(service, wanted) => {
                let because = world.because(service);
                let open = wanted
                    .strip_suffix("...")
                    .or_else(|| wanted.strip_suffix('…'));
                let holds = match open {
                    Some(beginning) => because.starts_with(beginning),
                    None => because == *wanted,
                };
                if holds {
                    None
                } else {
                    unlike(service, "says", &because, wanted)
                }
            }
            Expectation::Moves(service, wanted) => {
                let moves = world.replay.moves.iter();
                let count = moves.filter(|moved| moved.service == *service).count();
                unlike(service, "moved", &times(count), &times(*wanted))
            }
        };
        if let Some(message) = message {
            world.replay.unmet.push(Unmet {
                line: line.line,
                at: world.now.wall,
                message,
            });
        }
    }

    /// Looks whether the expected moves came, each of them once.
    pub(super) fn finish(self, world: &mut World<'_>) {
        let mut used = vec![false; world.replay.moves.len()];
        for (line, at, service, to, within) in self.moves {
            let moves = world.replay.moves.iter().zip(&mut used);
            let came = moves.into_iter().find(|(moved, used)| {
                let apart = moved.at.since(at).max(at.since(moved.at));
                !**used && moved.service == service && moved.to == to && apart <= within
            });
            if let Some((_, used)) = came {
                *used = true;
                continue;
            }
            let message = format!(
                "{service} did not move to {to} within {} of it",
                show_span(within)
            );
            world.replay.unmet.push(Unmet { line, at, message });
        }
        world.replay.unmet.sort_by_key(|unmet| unmet.line);
    }
}

fn order(world: &World<'_>, service: &ServiceName) -> Vec<String> {
    let published = world.dns.get(service);
    let pools = published.map(|published| &published.ranking.pools);
    let names = pools.into_iter().flatten();
    names.map(|ranked| ranked.pool.to_string()).collect()
}

fn refused(world: &World<'_>, wanted: Option<&String>) -> Option<String> {
    match (&world.refused, wanted) {
        (None, _) => Some("there was no order".to_owned()),
        (Some(Ok(())), None) => None,
        (Some(Ok(())), Some(_)) => Some("the order was taken, not refused".to_owned()),
        (Some(Err(why)), None) => Some(format!("the order was refused: {why}")),
        (Some(Err(why)), Some(wanted)) if why.starts_with(wanted.as_str()) => None,
        (Some(Err(why)), Some(wanted)) => Some(format!(
            "the order was refused so: {why}; expected: {wanted}"
        )),
    }
}

fn unlike(service: &ServiceName, verb: &str, is: &str, wanted: &str) -> Option<String> {
    (is != wanted).then(|| format!("{service} {verb} {is}, expected {wanted}"))
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        many => format!("{many} times"),
    }
}
