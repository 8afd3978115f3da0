//! Secondaries that do not follow: who has not acknowledged a change, or has not fetched it, for
//! too long. One alarm for each secondary, however many zones it has, and one line when it is
//! over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::core::Core;
use crate::alert;
use crate::ids::Serial;
use crate::notify::Notifier;
use crate::server::Serving;
use crate::telemetry;
use crate::time::{Mono, Now};
use crate::zone::Name;

/// Between two looks at all of them passes no more than this, and no less.
const LOOKS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// What is known of one secondary of one zone.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) origin: Name,
    pub(super) address: SocketAddr,
    /// What we serve.
    pub(super) serial: Serial,
    /// The latest serial of which it acknowledged the NOTIFY.
    pub(super) acknowledged: Option<Serial>,
    /// The latest serial that it was given in answer to any question.
    pub(super) asked: Option<Serial>,
    /// The latest serial that it was given in a transfer.
    pub(super) taken: Option<Serial>,
}

/// The oldest change that a secondary of a zone has not followed yet, or the newest.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// The serial when the secondary was first heard of: it may have had it before.
    first: Serial,
    wanted: Serial,
    since: Mono,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// An alarm, which stands until it is over.
    Silent(String),
    /// This secondary follows again.
    Over(SocketAddr),
}

/// All secondaries of all zones.
#[derive(Debug, Default)]
pub(super) struct Silence {
    standings: BTreeMap<(Name, SocketAddr), Standing>,
    alarms: BTreeMap<SocketAddr, String>,
    due: Option<Mono>,
}

impl Silence {
    /// Begins to look, if it does not already: there may be somebody to follow.
    pub(super) fn begin(&mut self, now: Mono) {
        self.due.get_or_insert(now);
    }

    /// When the next look is due; `None` while nobody follows.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.due
    }

    /// The alarms that stand.
    pub(super) fn alarms(&self) -> impl Iterator<Item = &String> {
        self.alarms.values()
    }

    /// Looks at all secondaries. Who has not followed for as long as `patience` is silent.
    pub(super) fn look(&mut self, now: Mono, patience: Duration, all: &[Known]) -> Vec<Change> {
        let before = std::mem::take(&mut self.standings);
        let mut silent: BTreeMap<SocketAddr, (usize, &Known, Standing)> = BTreeMap::new();
        for known in all {
            let key = (known.origin.clone(), known.address);
            let mut standing = before.get(&key).copied().unwrap_or(Standing {
                first: known.serial,
                wanted: known.serial,
                since: now,
            });
            if fault(known, &standing).is_none() {
                standing.wanted = known.serial;
                standing.since = now;
            } else if standing.since + patience <= now {
                let entry = silent.entry(known.address);
                entry.or_insert((0, known, standing)).0 += 1;
            }
            self.standings.insert(key, standing);
        }
        let (least, most) = LOOKS;
        self.due = (!all.is_empty()).then(|| now + (patience / 4).clamp(least, most));
        let raised: BTreeMap<SocketAddr, String> = silent
            .into_iter()
            .map(|(address, (zones, known, standing))| (address, text(zones, known, &standing)))
            .collect();
        let is_over = |address: &&SocketAddr| !raised.contains_key(*address);
        let mut changes: Vec<Change> = self
            .alarms
            .keys()
            .filter(is_over)
            .map(|address| Change::Over(*address))
            .collect();
        for (address, text) in &raised {
            if !self.alarms.contains_key(address) {
                changes.push(Change::Silent(text.clone()));
            }
        }
        self.alarms = raised;
        changes
    }
}

impl Core {
    /// Looks for secondaries that do not follow, when that is due.
    pub(super) fn look_for_silence(&mut self, now: Now) {
        if self.silence.poll_timeout().is_none_or(|due| due > now.mono) {
            return;
        }
        let states = self.notifier.as_ref().map(Notifier::states);
        let seen = self.serving.as_ref().map(Serving::seen).unwrap_or_default();
        let served = self.publisher.snapshots().load_full();
        let known = states.unwrap_or_default().into_iter().filter_map(|state| {
            let zone = served.zone(&state.origin)?;
            let asked = seen.get(&(state.origin.clone(), state.address.ip()));
            Some(Known {
                serial: zone.serial(),
                acknowledged: state.acknowledged.map(|(serial, _)| serial),
                asked: asked.map(|sighting| sighting.serial),
                taken: asked.and_then(|sighting| sighting.taken),
                origin: state.origin,
                address: state.address,
            })
        });
        let known: Vec<Known> = known.collect();
        let patience = self.config.following.alarm_after;
        for change in self.silence.look(now.mono, patience, &known) {
            match change {
                Change::Silent(text) => {
                    telemetry::alarm(&text);
                    self.tell_people(Some(alert::secondary(now.wall, text, false)));
                }
                Change::Over(address) => {
                    telemetry::secondary_follows(address);
                    let text = format!("secondary {address} follows again");
                    self.tell_people(Some(alert::secondary(now.wall, text, true)));
                }
            }
        }
    }
}

/// What the secondary has not done about the change that is waited for.
fn fault(known: &Known, standing: &Standing) -> Option<&'static str> {
    let Standing { first, wanted, .. } = *standing;
    let reaches = |serial: Option<Serial>| serial.is_some_and(|has| !wanted.is_newer_than(has));
    if !reaches(known.acknowledged) {
        return Some("does not acknowledge NOTIFY (RFC 1996)");
    }
    // What was there before we began, it may have had before.
    let has_fetched = reaches(known.taken) || wanted == first && reaches(known.asked);
    (!has_fetched).then_some("acknowledges NOTIFY and does not fetch the zone")
}

fn text(zones: usize, known: &Known, standing: &Standing) -> String {
    let Known {
        origin, address, ..
    } = known;
    let what = fault(known, standing).unwrap_or_default();
    let others = match zones {
        0 | 1 => String::new(),
        2 => ", and one zone more".to_owned(),
        more => format!(", and {} zones more", more - 1),
    };
    format!(
        "secondary {address} {what}: zone {origin}, serial {}{others}; see that it runs, that both \
         reach each other over UDP and TCP, and that it asks from the address that 'notify' names",
        standing.wanted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn known(serial: u32, [acknowledged, asked, taken]: [u32; 3]) -> Known {
        let serial_of = |number: u32| (number > 0).then_some(Serial(number));
        Known {
            origin: "z.".parse().unwrap(),
            address: "192.0.2.5:53".parse().unwrap(),
            serial: Serial(serial),
            acknowledged: serial_of(acknowledged),
            asked: serial_of(asked),
            taken: serial_of(taken),
        }
    }

    /// What changes at each look: `+` and the fault, or `-`.
    fn looks(looks: &[(u64, u32, [u32; 3])]) -> Vec<String> {
        let mut silence = Silence::default();
        let mut seen = Vec::new();
        for (seconds, serial, has) in looks {
            for change in silence.look(at(*seconds), PATIENCE, &[known(*serial, *has)]) {
                seen.push(match change {
                    Change::Silent(text) if text.contains("does not acknowledge") => {
                        format!("{seconds} unacknowledged")
                    }
                    Change::Silent(text) => {
                        assert!(text.contains("does not fetch"), "{text}");
                        format!("{seconds} unfetched")
                    }
                    Change::Over(_) => format!("{seconds} over"),
                });
            }
        }
        seen
    }

    #[test]
    fn who_acknowledges_and_fetches_is_never_silent() {
        // What it had before it need not fetch; a change it must.
        let well = [
            (0, 7, [0, 0, 0]),
            (30, 7, [7, 7, 0]),
            (500, 8, [7, 7, 0]),
            (530, 8, [8, 8, 8]),
            (900, 8, [8, 8, 8]),
        ];
        assert!(looks(&well).is_empty());
    }

    #[test]
    fn a_zone_that_changes_all_the_time_is_followed_with_some_delay() {
        let busy: Vec<_> = (1..100u32)
            .map(|serial| (u64::from(serial) * 30, serial + 1, [serial; 3]))
            .collect();
        assert!(looks(&busy).is_empty());
    }

    #[test]
    fn an_alarm_is_raised_once_and_ends() {
        let dead = [
            (0, 7, [0, 0, 0]),
            (119, 7, [0, 0, 0]),
            (120, 7, [0, 0, 0]),
            (150, 9, [0, 0, 0]),
            (500, 9, [9, 9, 9]),
            // It asks and cannot fetch; the wait counts from the look that was all right.
            (600, 9, [9, 9, 9]),
            (600, 10, [9, 9, 9]),
            (630, 10, [10, 10, 9]),
            (719, 10, [10, 10, 9]),
            (720, 11, [10, 10, 9]),
            (750, 11, [10, 10, 10]),
        ];
        let expected = [
            "120 unacknowledged",
            "500 over",
            "720 unfetched",
            "750 over",
        ];
        assert_eq!(looks(&dead), expected);
    }

    #[test]
    fn a_dead_secondary_of_many_zones_is_one_alarm_and_goes_with_its_zones() {
        let many: Vec<Known> = (0..1000)
            .map(|number| Known {
                origin: format!("z{number}.").parse().unwrap(),
                ..known(7, [0, 0, 0])
            })
            .collect();
        let mut silence = Silence::default();
        silence.begin(at(0));
        assert_eq!(silence.poll_timeout(), Some(at(0)));
        assert!(silence.look(at(0), PATIENCE, &many).is_empty());
        assert_eq!(silence.poll_timeout(), Some(at(30)));
        let raised = silence.look(at(120), PATIENCE, &many);
        let [Change::Silent(text)] = &raised[..] else {
            panic!("{raised:?}");
        };
        assert!(text.contains("and 999 zones more"), "{text}");
        assert_eq!(silence.alarms().count(), 1);
        let address = "192.0.2.5:53".parse().unwrap();
        assert_eq!(
            silence.look(at(150), PATIENCE, &[]),
            [Change::Over(address)]
        );
        assert_eq!(
            (silence.alarms().count(), silence.poll_timeout()),
            (0, None)
        );
    }
}
