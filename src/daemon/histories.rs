//! The histories of zones that secondaries follow: carried on with each swap, and durable before it.
//!
//! With the last difference of a zone a checkpoint is stored: what lay over the static data, and a
//! digest of the static data itself. If that is still the same after a restart, the chain goes
//! on from there; if not, nobody knows what changed, and the chain begins anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{LoadedZone, Secondaries};
use crate::history::{Difference, Digest, FixedChanges, History, Layers, digest};
use crate::snapshot::{Replication, ServedZone, Snapshot};
use crate::store::{HistoryWrite, StoredHistory, Write};
use crate::zone::{Name, Zone};

/// The digests of static data, each computed once.
#[derive(Default)]
pub(super) struct Digests(BTreeMap<Name, (Arc<Zone>, Digest)>);

impl Digests {
    fn learn(&mut self, prepared: &Prepared) {
        for zone in &prepared.0 {
            let known = (Arc::clone(&zone.after), zone.digest);
            self.0.insert(zone.after.origin().clone(), known);
        }
    }

    fn of(&mut self, zone: ServedZone<'_>) -> Digest {
        let fresh = || (Arc::clone(zone.zone()), digest(zone.zone().tree()));
        let known = self.0.entry(zone.origin().clone()).or_insert_with(fresh);
        if !Arc::ptr_eq(&known.0, zone.zone()) {
            *known = fresh();
        }
        known.1
    }
}

/// What a reload changes in the static data of zones that secondaries follow. Large zones take a
/// while to compare, so it is made apart from the core, before the core takes the configuration.
#[derive(Default)]
pub(super) struct Prepared(Vec<PreparedZone>);

struct PreparedZone {
    before: Arc<Zone>,
    after: Arc<Zone>,
    changes: FixedChanges,
    digest: Digest,
}

impl Prepared {
    /// Compares the zones of a configuration with those that are served. A zone whose data is the
    /// same keeps its object, so that nothing of it is compared or held twice.
    pub(super) fn compare(served: &Snapshot, zones: &mut [LoadedZone]) -> Prepared {
        let mut prepared = Prepared::default();
        // A transferred zone has its data from elsewhere.
        let is_compared = |zone: &&mut LoadedZone| {
            !zone.secondaries.permits.is_empty() && zone.primaries().is_none()
        };
        for loaded in zones.iter_mut().filter(is_compared) {
            let Some(known) = served.zone(loaded.zone.origin()) else {
                continue;
            };
            let (before, after) = (Arc::clone(known.zone()), Arc::clone(&loaded.zone));
            let changes = FixedChanges::between(before.tree(), after.tree());
            if changes.is_empty() {
                loaded.zone = before;
                continue;
            }
            prepared.0.push(PreparedZone {
                digest: digest(after.tree()),
                before,
                after,
                changes,
            });
        }
        prepared
    }

    /// Compares two versions of a transferred zone, apart from the core.
    pub(super) fn between(before: &Arc<Zone>, after: &Arc<Zone>) -> Prepared {
        Prepared(vec![PreparedZone {
            changes: FixedChanges::between(before.tree(), after.tree()),
            digest: digest(after.tree()),
            before: Arc::clone(before),
            after: Arc::clone(after),
        }])
    }

    fn of(&self, before: ServedZone<'_>, after: ServedZone<'_>) -> Option<&FixedChanges> {
        let is_it = |zone: &&PreparedZone| {
            Arc::ptr_eq(&zone.before, before.zone()) && Arc::ptr_eq(&zone.after, after.zone())
        };
        self.0.iter().find(is_it).map(|zone| &zone.changes)
    }
}

/// Gives each zone of `next` its secondaries, and its history as it goes on from the generation
/// `before`. Returns what has to be durable.
pub(super) fn carry_on(
    before: &Snapshot,
    next: &mut Snapshot,
    secondaries: &BTreeMap<Name, Secondaries>,
    prepared: &Prepared,
    digests: &mut Digests,
) -> Vec<Write> {
    let mut writes = Vec::new();
    digests.learn(prepared);
    let known = |old: ServedZone<'_>| old.replication().history.clone();
    for (origin, who) in secondaries {
        let Some(zone) = next.zone(origin) else {
            continue;
        };
        let history = match before.zone(origin) {
            _ if who.permits.is_empty() => History::default(),
            Some(old) if old.serial() == zone.serial() => known(old),
            old => {
                let step = old.and_then(|old| match prepared.of(old, zone) {
                    Some(changes) => zone.changes_with(changes, old),
                    None => zone.changes_since(old),
                });
                let known = old.map(known).unwrap_or_default();
                append(zone, &known, step, digests, &mut writes)
            }
        };
        next.replicate(origin, replication(who, history));
    }
    for (old, replication) in before.replicated() {
        let follows = |who: &Secondaries| !who.permits.is_empty();
        let goes_on = secondaries.get(old.origin()).is_some_and(follows);
        if !replication.permits.is_empty() && !goes_on {
            writes.push(write(old.origin(), HistoryWrite::Forget));
        }
    }
    writes
}

/// Gives each zone of the first snapshot its secondaries, and its history as it was stored if
/// that goes on. Returns what has to be durable.
pub(super) fn restore(
    mut stored: BTreeMap<String, StoredHistory>,
    next: &mut Snapshot,
    secondaries: &BTreeMap<Name, Secondaries>,
    digests: &mut Digests,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for (origin, who) in secondaries {
        let Some(zone) = next.zone(origin) else {
            continue;
        };
        let history = if who.permits.is_empty() {
            History::default()
        } else {
            let stored = stored.remove(&key(origin)).unwrap_or_default();
            let step = resumed(zone, stored.checkpoint.as_deref(), digests);
            let differences = stored.differences.iter();
            let differences = differences.filter_map(|octets| Difference::from_octets(octets));
            let known = History::of(differences.map(Arc::new));
            append(zone, &known, step, digests, &mut writes)
        };
        next.replicate(origin, replication(who, history));
    }
    for origin in stored.into_keys() {
        writes.push(Write::History {
            zone: origin,
            write: HistoryWrite::Forget,
        });
    }
    writes
}

/// The step from a checkpoint to the zone as it is now, if the static data is the same.
fn resumed(
    zone: ServedZone<'_>,
    checkpoint: Option<&[u8]>,
    digests: &mut Digests,
) -> Option<Difference> {
    let (then, overlay) = checkpoint?.split_first_chunk::<32>()?;
    if *then != digests.of(zone) {
        return None;
    }
    let now = zone.overlay_octets();
    let fixed = zone.zone().tree();
    let before = Layers { fixed, overlay };
    let after = Layers {
        fixed,
        overlay: &now,
    };
    after.changes_since(before, zone.origin())
}

/// The history with one more step; without one, it begins anew here.
fn append(
    zone: ServedZone<'_>,
    known: &History,
    step: Option<Difference>,
    digests: &mut Digests,
    writes: &mut Vec<Write>,
) -> History {
    let origin = zone.origin();
    let history = match step {
        Some(step) => {
            let difference = step.to_octets();
            let history = known.with(Arc::new(step));
            let keep = history.len();
            writes.push(write(origin, HistoryWrite::Append { difference, keep }));
            history
        }
        None => {
            writes.push(write(origin, HistoryWrite::Forget));
            History::default()
        }
    };
    let checkpoint = [&digests.of(zone)[..], &zone.overlay_octets()].concat();
    writes.push(write(origin, HistoryWrite::Checkpoint(checkpoint)));
    history
}

/// What has to be durable once the bound of all histories has taken those of these zones: they
/// begin anew where the zones stand in `next`.
pub(super) fn begin_anew(lost: &[Name], next: &Snapshot, digests: &mut Digests) -> Vec<Write> {
    let mut writes = Vec::new();
    for zone in lost.iter().filter_map(|origin| next.zone(origin)) {
        append(zone, &History::default(), None, digests, &mut writes);
    }
    writes
}

fn replication(who: &Secondaries, history: History) -> Replication {
    Replication {
        permits: Arc::clone(&who.permits),
        targets: Arc::clone(&who.targets),
        history,
    }
}

fn write(origin: &Name, write: HistoryWrite) -> Write {
    Write::History {
        zone: key(origin),
        write,
    }
}

fn key(origin: &Name) -> String {
    origin.to_lower().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Generation, Serial};
    use crate::snapshot::{Permit, SnapshotSpec};

    const ZONE: &str = "@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n";

    fn zone(text: &str) -> Arc<Zone> {
        let origin: Name = "Z.".parse().unwrap();
        let mut none = |_: &str| Err(String::new());
        crate::zone::parse("z", text.as_bytes(), &origin, &mut none)
            .unwrap()
            .zone
    }

    fn snapshot(zone: &Arc<Zone>, serial: u32) -> Snapshot {
        Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            zones: vec![(Arc::clone(zone), Serial(serial))],
            services: Vec::new(),
            servers: Vec::new(),
            settings: Arc::default(),
        })
        .unwrap()
    }

    fn who(permits: usize) -> BTreeMap<Name, Secondaries> {
        let permit = Permit {
            network: "192.0.2.0/24".parse().ok(),
            key: None,
        };
        let secondaries = Secondaries {
            permits: vec![permit; permits].into(),
            ..Secondaries::default()
        };
        [("z.".parse().unwrap(), secondaries)].into()
    }

    /// What a store makes of writes.
    #[derive(Default)]
    struct Stored(BTreeMap<String, StoredHistory>);

    impl Stored {
        fn take(&mut self, writes: Vec<Write>) {
            for write in writes {
                let Write::History { zone, write } = write else {
                    panic!("{write:?}");
                };
                let entry = self.0.entry(zone).or_default();
                match write {
                    HistoryWrite::Append { difference, keep } => {
                        entry.differences.push(difference);
                        let surplus = entry.differences.len().saturating_sub(keep);
                        entry.differences.drain(..surplus);
                    }
                    HistoryWrite::Checkpoint(octets) => entry.checkpoint = Some(octets),
                    HistoryWrite::Forget => *entry = StoredHistory::default(),
                }
            }
        }
    }

    fn reach(snapshot: &Snapshot) -> (usize, Option<u32>) {
        let zone = snapshot.zone(&"z.".parse().unwrap()).unwrap();
        let history = &zone.replication().history;
        (history.len(), history.oldest().map(|serial| serial.0))
    }

    /// Serials 10, 11 and 12, then the process ends.
    fn three_serials() -> (Stored, Arc<Zone>) {
        let (mut stored, mut digests) = (Stored::default(), Digests::default());
        let (first, second) = (zone(ZONE), zone(&ZONE.replace("2.1", "2.2")));
        let mut before = snapshot(&first, 10);
        stored.take(restore(BTreeMap::new(), &mut before, &who(1), &mut digests));
        assert_eq!(reach(&before), (0, None));
        for (zone, serial) in [(&second, 11), (&second, 12)] {
            let mut next = snapshot(zone, serial);
            stored.take(carry_on(
                &before,
                &mut next,
                &who(1),
                &Prepared::default(),
                &mut digests,
            ));
            before = next;
        }
        assert_eq!(reach(&before), (2, Some(10)));
        // A swap that touches other zones leaves this one's history as it is.
        let mut next = snapshot(&second, 12);
        assert_eq!(
            carry_on(
                &before,
                &mut next,
                &who(1),
                &Prepared::default(),
                &mut digests
            ),
            []
        );
        assert_eq!(reach(&next), (2, Some(10)));
        (stored, second)
    }

    #[test]
    fn a_history_goes_on_after_a_restart() {
        let (mut stored, zone_now) = three_serials();
        let mut resumed = snapshot(&zone_now, 20);
        let writes = restore(
            stored.0.clone(),
            &mut resumed,
            &who(1),
            &mut Digests::default(),
        );
        assert_eq!(reach(&resumed), (3, Some(10)));
        stored.take(writes);
        assert_eq!(stored.0["z."].differences.len(), 3);
    }

    #[test]
    fn a_reload_prepares_what_changed_and_keeps_what_did_not() {
        let loaded = |zone: Arc<Zone>| LoadedZone {
            zone,
            group: None,
            source: crate::config::Source::File("z".into()),
            secondaries: who(1)[&"z.".parse::<Name>().unwrap()].clone(),
        };
        let (first, second) = (zone(ZONE), zone(&ZONE.replace("2.1", "2.2")));
        let mut before = snapshot(&first, 10);
        restore(
            BTreeMap::new(),
            &mut before,
            &who(1),
            &mut Digests::default(),
        );
        let mut zones = [loaded(zone(ZONE))];
        let prepared = Prepared::compare(&before, &mut zones);
        assert!(prepared.0.is_empty() && Arc::ptr_eq(&zones[0].zone, &first));
        let prepared = Prepared::compare(&before, &mut [loaded(Arc::clone(&second))]);
        let histories = [&prepared, &Prepared::default()].map(|prepared| {
            let mut next = snapshot(&second, 11);
            carry_on(
                &before,
                &mut next,
                &who(1),
                prepared,
                &mut Digests::default(),
            )
        });
        assert_eq!(histories[0], histories[1]);
        assert_eq!(prepared.0.len(), 1);
    }

    #[test]
    fn a_file_that_changed_meanwhile_begins_a_new_history() {
        let (mut stored, _) = three_serials();
        let mut changed = snapshot(&zone(&ZONE.replace("2.1", "2.3")), 20);
        let writes = restore(
            stored.0.clone(),
            &mut changed,
            &who(1),
            &mut Digests::default(),
        );
        assert_eq!(reach(&changed), (0, None));
        stored.take(writes);
        assert_eq!(stored.0["z."].differences.len(), 0);
    }

    #[test]
    fn what_the_disk_did_not_take_is_a_gap_that_nothing_bridges() {
        let (mut stored, zone_now) = three_serials();
        let (mut digests, before) = (Digests::default(), snapshot(&zone_now, 15));
        // The step to 15 was lost, the step to 16 is there.
        let mut next = snapshot(&zone_now, 16);
        let mut with_permits = before;
        with_permits.replicate(
            &"z.".parse().unwrap(),
            replication(&who(1)[&"z.".parse::<Name>().unwrap()], History::default()),
        );
        stored.take(carry_on(
            &with_permits,
            &mut next,
            &who(1),
            &Prepared::default(),
            &mut digests,
        ));
        let mut resumed = snapshot(&zone_now, 20);
        restore(stored.0, &mut resumed, &who(1), &mut digests);
        assert_eq!(reach(&resumed), (2, Some(15)));
    }

    #[test]
    fn a_zone_that_nobody_may_transfer_leaves_nothing_behind() {
        let (stored, zone_now) = three_serials();
        let mut without = snapshot(&zone_now, 20);
        let writes = restore(stored.0, &mut without, &who(0), &mut Digests::default());
        assert_eq!(reach(&without), (0, None));
        let forget = Write::History {
            zone: "z.".to_owned(),
            write: HistoryWrite::Forget,
        };
        assert_eq!(writes, [forget]);
    }
}
