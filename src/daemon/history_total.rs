//! The histories of all zones together have a bound. Where they exceed it, the zone that has not
//! changed for the longest loses its history first: its secondaries have had the most time to
//! follow, and one that comes later gets the whole zone, as RFC 1995 section 4 has it.

use std::collections::BTreeMap;

use crate::history::History;
use crate::ids::Serial;
use crate::snapshot::{Replication, Snapshot};
use crate::zone::Name;

/// In which order the histories grew.
#[derive(Default)]
pub(super) struct Grown {
    latest: u64,
    /// The serial that each ends at, and its place in the order.
    zones: BTreeMap<Name, (Serial, u64)>,
}

impl Grown {
    /// Takes histories away from `next` until those that are left have `most` octets at most, and
    /// returns the zones that have lost theirs. The one that grew last keeps its own.
    pub(super) fn keep_within(&mut self, most: usize, next: &mut Snapshot) -> Vec<Name> {
        let mut total = 0;
        let mut zones = BTreeMap::new();
        for (zone, replication) in next.replicated() {
            let history = &replication.history;
            let Some(newest) = history.newest() else {
                continue;
            };
            let known = self.zones.remove(zone.origin());
            let entry = known.filter(|(end, _)| *end == newest).unwrap_or_else(|| {
                self.latest += 1;
                (newest, self.latest)
            });
            zones.insert(zone.origin().clone(), entry);
            total += history.size();
        }
        self.zones = zones;
        let mut lost = Vec::new();
        if total <= most {
            return lost;
        }
        let mut oldest: Vec<(u64, Name)> = self
            .zones
            .iter()
            .map(|(origin, (_, place))| (*place, origin.clone()))
            .collect();
        oldest.sort();
        oldest.pop();
        for (_, origin) in oldest {
            if total <= most {
                break;
            }
            self.zones.remove(&origin);
            if let Some(zone) = next.zone(&origin) {
                let before = zone.replication();
                total -= before.history.size();
                let without = Replication {
                    history: History::default(),
                    ..before.clone()
                };
                next.replicate(&origin, without);
            }
            lost.push(origin);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::history::Difference;
    use crate::ids::Generation;
    use crate::snapshot::SnapshotSpec;

    const ORIGINS: [&str; 3] = ["a.", "b.", "c."];
    const TEXT: &str = "@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n";

    /// Three zones, each with its serial and the number of its differences, of 100 octets each.
    fn snapshot(zones: [(u32, u32); 3]) -> Snapshot {
        let zone = |(origin, (serial, _)): (&str, (u32, u32))| {
            let mut none = |_: &str| Err(String::new());
            let read = crate::zone::parse("z", TEXT.as_bytes(), &name(origin), &mut none);
            (read.unwrap().zone, Serial(serial))
        };
        let mut snapshot = Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            zones: ORIGINS.into_iter().zip(zones).map(zone).collect(),
            services: Vec::new(),
            servers: Vec::new(),
            settings: Arc::default(),
        })
        .unwrap();
        for (origin, (serial, count)) in ORIGINS.into_iter().zip(zones) {
            let differences = (serial - count..serial).map(|from| {
                Arc::new(Difference {
                    from: Serial(from),
                    to: Serial(from + 1),
                    removed: [0; 100].into(),
                    added: [].into(),
                })
            });
            let replication = Replication {
                history: History::of(differences),
                ..Replication::default()
            };
            snapshot.replicate(&name(origin), replication);
        }
        snapshot
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn who_has_not_changed_for_the_longest_loses_its_history_first() {
        let mut grown = Grown::default();
        for (zones, kept, lost) in [
            ([(1, 1), (1, 1), (1, 1)], [1, 1, 1], vec![]),
            ([(1, 1), (1, 1), (2, 2)], [1, 1, 2], vec![]),
            ([(2, 2), (1, 1), (2, 2)], [2, 0, 2], vec![name("b.")]),
            ([(3, 3), (1, 0), (2, 2)], [3, 0, 0], vec![name("c.")]),
            // The zone that grew last is not taken from, however much it has.
            ([(9, 5), (1, 0), (2, 0)], [5, 0, 0], vec![]),
        ] {
            let mut next = snapshot(zones);
            assert_eq!(grown.keep_within(400, &mut next), lost, "{zones:?}");
            let left = ORIGINS.map(|origin| {
                let zone = next.zone(&name(origin)).unwrap();
                zone.replication().history.len()
            });
            assert_eq!(left, kept, "{zones:?}");
        }
    }
}
