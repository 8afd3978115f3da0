//! Who has been told what, and when they are told again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::ids::Serial;
use crate::snapshot::Snapshot;
use crate::time::{Mono, Now, Wall};
use crate::zone::Name;

/// The wait after the first attempt; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts (RFC 1996 section 3.6 recommends it as the only one).
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// So many attempts are made for one serial: about ten minutes. Then the secondary is left to the
/// timers of its SOA, until the next change.
const ATTEMPTS: u32 = 15;

/// A zone and somebody who is told of its changes.
pub(super) type Entry = (Name, SocketAddr);

/// What is known of one secondary of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetState {
    /// The zone.
    pub origin: Name,
    /// The secondary.
    pub address: SocketAddr,
    /// The serial that it was told last, how often, and when.
    pub told: Option<(Serial, u32, Wall)>,
    /// The serial that it acknowledged last, and when.
    pub acknowledged: Option<(Serial, Wall)>,
    /// Why the last attempt was none, until one succeeds.
    pub problem: Option<String>,
}

#[derive(Debug)]
struct Standing {
    state: TargetState,
    key: Option<Name>,
    wanted: Serial,
    attempts: u32,
    /// When it is told again; it stands in the schedule then.
    next: Option<Mono>,
}

/// All secondaries of all zones.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    standings: BTreeMap<Entry, Standing>,
    schedule: BTreeSet<(Mono, Entry)>,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) entry: Entry,
    pub(super) serial: Serial,
    pub(super) key: Option<Name>,
}

impl Ledger {
    /// Takes the zones, targets and serials of a snapshot: who does not know its serial is told
    /// at once; who is no target any more is forgotten.
    pub(super) fn follow(&mut self, now: Mono, snapshot: &Snapshot) {
        let mut gone: BTreeSet<Entry> = self.standings.keys().cloned().collect();
        for (zone, replication) in snapshot.replicated() {
            for target in replication.targets.iter() {
                let entry = (zone.origin().clone(), target.address);
                gone.remove(&entry);
                let serial = zone.serial();
                let standing = self.standings.get(&entry);
                let is_told = standing.is_some_and(|known| known.wanted == serial);
                let is_same = standing.is_some_and(|known| known.key == target.key);
                if !is_told || !is_same {
                    self.want(now, entry, serial, target.key.clone());
                }
            }
        }
        for entry in gone {
            self.unschedule(&entry);
            self.standings.remove(&entry);
        }
    }

    fn want(&mut self, now: Mono, entry: Entry, serial: Serial, key: Option<Name>) {
        self.unschedule(&entry);
        let standing = self.standings.entry(entry.clone()).or_insert(Standing {
            state: TargetState {
                origin: entry.0.clone(),
                address: entry.1,
                told: None,
                acknowledged: None,
                problem: None,
            },
            key: None,
            wanted: serial,
            attempts: 0,
            next: None,
        });
        standing.wanted = serial;
        standing.key = key;
        standing.attempts = 0;
        standing.next = Some(now);
        self.schedule.insert((now, entry));
    }

    fn unschedule(&mut self, entry: &Entry) {
        if let Some(standing) = self.standings.get_mut(entry)
            && let Some(at) = standing.next.take()
        {
            self.schedule.remove(&(at, entry.clone()));
        }
    }

    /// Takes out up to `most` messages that are due, and plans their next attempts.
    pub(super) fn take_due(&mut self, now: Now, most: usize) -> Vec<Due> {
        let mut due = Vec::new();
        while due.len() < most
            && let Some((at, entry)) = self.schedule.first().cloned()
            && at <= now.mono
        {
            self.schedule.pop_first();
            let Some(standing) = self.standings.get_mut(&entry) else {
                continue;
            };
            standing.attempts += 1;
            let wait = FIRST_WAIT.saturating_mul(1 << (standing.attempts - 1).min(6));
            standing.next =
                (standing.attempts < ATTEMPTS).then(|| now.mono + wait.min(LONGEST_WAIT));
            standing.state.told = Some((standing.wanted, standing.attempts, now.wall));
            if let Some(next) = standing.next {
                self.schedule.insert((next, entry.clone()));
            }
            due.push(Due {
                serial: standing.wanted,
                key: standing.key.clone(),
                entry,
            });
        }
        due
    }

    /// When the next message is due.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// A secondary acknowledged `serial`.
    pub(super) fn acknowledged(&mut self, now: Wall, entry: &Entry, serial: Serial) {
        let Some(standing) = self.standings.get_mut(entry) else {
            return;
        };
        standing.state.acknowledged = Some((serial, now));
        standing.state.problem = None;
        if standing.wanted == serial {
            self.unschedule(entry);
        }
    }

    /// An attempt came to nothing; the next one stands.
    pub(super) fn failed(&mut self, entry: &Entry, problem: String) {
        if let Some(standing) = self.standings.get_mut(entry) {
            standing.state.problem = Some(problem);
        }
    }

    /// All secondaries, by zone.
    pub(super) fn states(&self) -> Vec<TargetState> {
        let all = self.standings.values();
        all.map(|standing| {
            let mut state = standing.state.clone();
            let silent = standing.attempts > 1
                && state
                    .acknowledged
                    .is_none_or(|(serial, _)| serial != standing.wanted);
            if silent && state.problem.is_none() {
                state.problem = Some("it does not answer".to_owned());
            }
            state
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ids::Generation;
    use crate::snapshot::{Replication, SnapshotSpec, Target};

    const ZONE: &str = "@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n";

    fn snapshot(serial: u32, targets: &[&str]) -> Snapshot {
        let origin: Name = "z.".parse().unwrap();
        let mut none = |_: &str| Err(String::new());
        let file = crate::zone::parse("z", ZONE.as_bytes(), &origin, &mut none).unwrap();
        let mut snapshot = Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            zones: vec![(file.zone, Serial(serial))],
            services: Vec::new(),
            servers: Vec::new(),
            settings: Arc::default(),
        })
        .unwrap();
        let targets = targets.iter().map(|address| Target {
            address: address.parse().unwrap(),
            key: None,
        });
        snapshot.replicate(
            &origin,
            Replication {
                targets: targets.collect(),
                ..Replication::default()
            },
        );
        snapshot
    }

    fn at(seconds: u64) -> Now {
        Now {
            mono: Mono(Duration::from_secs(seconds)),
            wall: Wall(seconds * 1000),
        }
    }

    fn due(ledger: &mut Ledger, seconds: u64) -> Vec<u32> {
        let due = ledger.take_due(at(seconds), 100);
        due.iter().map(|due| due.serial.0).collect()
    }

    #[test]
    fn a_change_is_told_until_it_is_acknowledged() {
        let mut ledger = Ledger::default();
        let entry: Entry = ("z.".parse().unwrap(), "192.0.2.5:53".parse().unwrap());
        ledger.follow(at(0).mono, &snapshot(7, &["192.0.2.5:53"]));
        assert_eq!(due(&mut ledger, 0), [7]);
        assert!(due(&mut ledger, 0).is_empty());
        assert_eq!(ledger.next_due(), Some(at(1).mono));
        assert_eq!(due(&mut ledger, 1), [7]);
        assert_eq!(ledger.next_due(), Some(at(3).mono));
        assert_eq!(
            ledger.states()[0].problem.as_deref(),
            Some("it does not answer")
        );
        ledger.acknowledged(Wall(2), &entry, Serial(7));
        assert_eq!(ledger.next_due(), None);
        assert_eq!(ledger.states()[0].acknowledged, Some((Serial(7), Wall(2))));
        assert_eq!(ledger.states()[0].problem, None);
        // The same serial again is no news.
        ledger.follow(at(4).mono, &snapshot(7, &["192.0.2.5:53"]));
        assert_eq!(ledger.next_due(), None);
    }

    #[test]
    fn many_changes_in_a_row_are_told_as_the_last_of_them() {
        let mut ledger = Ledger::default();
        let entry: Entry = ("z.".parse().unwrap(), "192.0.2.5:53".parse().unwrap());
        for serial in 1..50 {
            ledger.follow(at(0).mono, &snapshot(serial, &["192.0.2.5:53"]));
        }
        assert_eq!(due(&mut ledger, 0), [49]);
        ledger.follow(at(0).mono, &snapshot(50, &["192.0.2.5:53"]));
        // An answer to the message before changes nothing of it.
        ledger.acknowledged(Wall(0), &entry, Serial(49));
        assert_eq!(due(&mut ledger, 0), [50]);
    }

    #[test]
    fn attempts_grow_rare_and_end() {
        let mut ledger = Ledger::default();
        ledger.follow(at(0).mono, &snapshot(1, &["192.0.2.5:53"]));
        let mut times = Vec::new();
        while let Some(next) = ledger.next_due() {
            times.push(next.0.as_secs());
            assert_eq!(due(&mut ledger, next.0.as_secs()), [1]);
        }
        assert_eq!(times.len(), 15);
        assert_eq!(times[..8], [0, 1, 3, 7, 15, 31, 63, 123]);
        assert_eq!(times[14], 123 + 7 * 60);
        // The next change begins anew.
        ledger.follow(at(5000).mono, &snapshot(2, &["192.0.2.5:53"]));
        assert_eq!(due(&mut ledger, 5000), [2]);
    }

    #[test]
    fn who_is_no_target_any_more_is_forgotten() {
        let mut ledger = Ledger::default();
        ledger.follow(at(0).mono, &snapshot(1, &["192.0.2.5:53", "192.0.2.6:53"]));
        assert_eq!(due(&mut ledger, 0), [1, 1]);
        ledger.follow(at(0).mono, &snapshot(1, &["192.0.2.6:53"]));
        assert_eq!(due(&mut ledger, 1), [1]);
        assert_eq!(ledger.states().len(), 1);
    }
}
