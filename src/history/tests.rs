use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::ids::Serial;
use crate::zone::rdata::rtype;
use crate::zone::{Name, Record, Tree};

fn apex() -> Name {
    "z.".parse().unwrap()
}

/// The SOA of the apex with this serial.
fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x02ns\x01z\0\x01h\0".to_vec();
    rdata.extend_from_slice(&serial.to_be_bytes());
    rdata.extend_from_slice(&[0; 16]);
    wire("z.", rtype::SOA, 60, &rdata)
}

fn wire(owner: &str, rtype: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let owner: Name = owner.parse().unwrap();
    let mut octets = Vec::new();
    let owner = owner.wire();
    write_record(
        WireRecord {
            owner,
            rtype,
            ttl,
            rdata,
        },
        &mut octets,
    );
    octets
}

/// One state of a zone: which of a few records are static, which lie over them.
#[derive(Clone)]
struct State {
    serial: u32,
    fixed: Vec<(String, u32, u8)>,
    laid: Vec<(String, u32, u8)>,
}

impl State {
    fn tree(&self) -> Tree {
        let records: Vec<Record> = self
            .fixed
            .iter()
            .map(|(owner, ttl, last)| Record {
                owner: owner.parse().unwrap(),
                rtype: rtype::A,
                ttl: *ttl,
                rdata: vec![192, 0, 2, *last],
            })
            .collect();
        Tree::build(&apex(), &records).unwrap()
    }

    fn overlay(&self) -> Vec<u8> {
        let laid = self
            .laid
            .iter()
            .map(|(owner, ttl, last)| wire(owner, rtype::A, *ttl, &[192, 0, 2, *last]));
        [soa(self.serial)]
            .into_iter()
            .chain(laid)
            .flatten()
            .collect()
    }

    /// Every record that is served, without the SOA.
    fn served(&self) -> BTreeSet<Vec<u8>> {
        let hides = |owner: &str| self.laid.iter().any(|(laid, ..)| laid == owner);
        let fixed = self.fixed.iter().filter(|(owner, ..)| !hides(owner));
        fixed
            .chain(&self.laid)
            .map(|(owner, ttl, last)| wire(owner, rtype::A, *ttl, &[192, 0, 2, *last]))
            .collect()
    }
}

fn step(before: &State, after: &State) -> Difference {
    let (old, new) = (before.tree(), after.tree());
    let (below, above) = (before.overlay(), after.overlay());
    let before = Layers {
        fixed: &old,
        overlay: &below,
    };
    let after = Layers {
        fixed: &new,
        overlay: &above,
    };
    after.changes_since(before, &apex()).unwrap()
}

/// What a secondary makes of a difference. It is strict: what goes must have been there, what
/// comes must not.
fn apply(to: &mut BTreeSet<Vec<u8>>, difference: &Difference) {
    let octets = |record: WireRecord<'_>| {
        let mut octets = Vec::new();
        write_record(record, &mut octets);
        octets
    };
    for record in difference.removed() {
        assert!(to.remove(&octets(record)), "it was not there");
    }
    for record in difference.added() {
        assert!(to.insert(octets(record)), "it was there already");
    }
}

/// A row of states as a small generator makes them, each a few records away from the last.
fn states(seed: u32, count: u32) -> Vec<State> {
    let mut seed = seed;
    let mut roll = |sides: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % sides
    };
    let mut all: Vec<State> = Vec::new();
    for serial in 1..=count {
        let mut next = all.last().cloned().unwrap_or(State {
            serial: 0,
            fixed: Vec::new(),
            laid: Vec::new(),
        });
        next.serial = serial;
        for _ in 0..=roll(3) {
            // An RRset has one TTL, a name one source or two.
            let owner = format!("{}.z.", ["a", "b", "B", "x.c", "d.a"][roll(5) as usize]);
            let owner = owner.replace('B', "b");
            let ttl = [5, 60][roll(2) as usize];
            let records: Vec<_> = (0..roll(4))
                .map(|last| (owner.clone(), ttl, u8::try_from(last).unwrap()))
                .collect();
            let layer = if roll(2) == 0 {
                &mut next.fixed
            } else {
                &mut next.laid
            };
            layer.retain(|(there, ..)| *there != owner);
            layer.extend(records);
        }
        all.push(next);
    }
    all
}

#[test]
fn whoever_applies_the_changes_has_what_is_served() {
    for seed in 0..300 {
        let states = states(seed, 12);
        let mut secondary = states[0].served();
        let mut history = History::default();
        for pair in states.windows(2) {
            let difference = step(&pair[0], &pair[1]);
            apply(&mut secondary, &difference);
            assert_eq!(secondary, pair[1].served(), "seed {seed}");
            history = history.with(Arc::new(difference));
        }
        let last = &states[states.len() - 1];
        for old in &states[..states.len() - 1] {
            let condensed = history.since(Serial(old.serial)).unwrap();
            assert_eq!(
                (condensed.from.0, condensed.to.0),
                (old.serial, last.serial)
            );
            let mut secondary = old.served();
            apply(&mut secondary, &condensed);
            assert_eq!(secondary, last.served(), "seed {seed} from {}", old.serial);
        }
    }
}

#[test]
fn a_move_there_and_back_leaves_nothing_but_the_serial() {
    let state = |serial, last| State {
        serial,
        fixed: vec![("ns.z.".to_owned(), 60, 1)],
        laid: vec![("edge.z.".to_owned(), 5, last)],
    };
    let moves: Vec<_> = (1..=21)
        .map(|serial| state(serial, u8::from(serial % 2 == 1)))
        .collect();
    let steps = moves
        .windows(2)
        .map(|pair| Arc::new(step(&pair[0], &pair[1])));
    let history = History::of(steps);
    let condensed = history.since(Serial(1)).unwrap();
    assert_eq!(condensed.removed().count() + condensed.added().count(), 0);
    assert_eq!(*condensed.removed, *soa(1));
    assert_eq!(*condensed.added, *soa(21));
    let once = history.since(Serial(20)).unwrap();
    assert_eq!((once.removed().count(), once.added().count()), (1, 1));
}

fn link(from: u32, to: u32, padding: usize) -> Arc<Difference> {
    let padding = wire("p.z.", 65280, 0, &vec![0; padding]);
    Arc::new(Difference {
        from: Serial(from),
        to: Serial(to),
        removed: soa(from).into(),
        added: [soa(to), padding].concat().into(),
    })
}

#[test]
fn a_history_has_bounds_and_no_gaps() {
    let long = History::of((0..1000).map(|serial| link(serial, serial + 1, 0)));
    assert_eq!(long.len(), MOST_DIFFERENCES);
    assert_eq!(long.newest(), Some(Serial(1000)));
    assert_eq!(long.oldest(), Some(Serial(1000 - 256)));
    assert!(long.since(Serial(743)).is_none() && long.since(Serial(744)).is_some());
    assert!(
        long.since(Serial(1000)).is_none(),
        "nothing follows the newest"
    );

    let large = History::of((0..40).map(|serial| link(serial, serial + 1, 60_000)));
    assert!(large.size_since(large.oldest().unwrap()).unwrap() <= MOST_OCTETS);
    assert_eq!(large.len(), MOST_OCTETS / 60_000);

    let gap = History::of([link(1, 2, 0), link(3, 4, 0), link(4, 9, 0)]);
    assert_eq!(
        (gap.oldest(), gap.newest()),
        (Some(Serial(3)), Some(Serial(9)))
    );
    let jumped = gap.with(link(20, 21, 0));
    assert_eq!((jumped.oldest(), jumped.len()), (Some(Serial(20)), 1));
}

#[test]
fn differences_are_read_as_they_were_written_and_nothing_else_is() {
    let difference = link(7, 8, 3);
    let octets = difference.to_octets();
    assert_eq!(
        Difference::from_octets(&octets).as_ref(),
        Some(&*difference)
    );
    for at in 0..octets.len() {
        let cut = Difference::from_octets(&octets[..at]);
        assert_eq!(cut, None, "cut at {at}");
    }
}

#[test]
fn the_digest_is_that_of_the_data_not_of_the_soa() {
    let with = |serial: u32, last: u8| {
        let mut rdata = b"\0\0".to_vec();
        rdata.extend_from_slice(&serial.to_be_bytes());
        rdata.extend_from_slice(&[0; 16]);
        let record = |owner: &str, rtype, rdata: &[u8]| Record {
            owner: owner.parse().unwrap(),
            rtype,
            ttl: 60,
            rdata: rdata.to_vec(),
        };
        let address = record("a.z.", rtype::A, &[192, 0, 2, last]);
        digest(&Tree::build(&apex(), &[record("z.", rtype::SOA, &rdata), address]).unwrap())
    };
    assert_eq!(with(1, 1), with(2, 1));
    assert_ne!(with(1, 1), with(1, 2));
}
