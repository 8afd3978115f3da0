//! From a difference to the smallest world and question that have it, as a script.

use super::peers::Peer;
use super::questions::{Mode, Question};
use super::run::{PEERS, Server, Verdict, compare, ours, start, takes, theirs};
use super::world::{World, Zone};

/// So many smaller worlds are tried at one start of the server.
const TRIED_AT_ONCE: usize = 150;

/// The smallest world that we found to have the difference, ready to be pasted into
/// `tests/answers`.
pub(crate) fn shrink(world: &World, question: &Question, peer: &str, kind: &str) -> String {
    let peer = PEERS.into_iter().find(|one| one.name == peer).unwrap();
    let (mut world, mut question) = (world.clone(), question.clone());
    while let Some((smaller, asked)) = smaller(&world, &question, peer, kind) {
        (world, question) = (smaller, asked);
    }
    show(&world, &question, kind)
}

/// A smaller case that still differs.
fn smaller(
    world: &World,
    question: &Question,
    peer: &Peer,
    kind: &str,
) -> Option<(World, Question)> {
    let mut cases: Vec<(World, Question)> = Vec::new();
    // The plainest way to ask comes first.
    for mode in [Mode::Plain, Mode::Stream] {
        if mode != question.mode && question.mode != Mode::Plain {
            let asked = Question {
                mode,
                ..question.clone()
            };
            cases.push((world.clone(), asked));
        }
    }
    cases.extend(
        reductions(world)
            .into_iter()
            .map(|less| (less, question.clone())),
    );
    cases.retain(|(less, _)| takes(peer.name, less) && less.snapshot().is_ok());
    if world.base == "." {
        // The root cannot be moved aside: one world at a time.
        return cases.into_iter().find(|(less, asked)| {
            let server = start(peer, std::slice::from_ref(less)).unwrap();
            differs(less, asked, &server, kind)
        });
    }
    for some in cases.chunks(TRIED_AT_ONCE) {
        let moved: Vec<(World, Question)> = some
            .iter()
            .enumerate()
            .map(|(at, (less, asked))| {
                let base = format!("w{at:05}.");
                (less.moved(&base), asked.moved(&less.base, &base))
            })
            .collect();
        let worlds: Vec<World> = moved.iter().map(|(less, _)| less.clone()).collect();
        let server = start(peer, &worlds).unwrap();
        let found = moved
            .into_iter()
            .find(|(less, asked)| differs(less, asked, &server, kind));
        if found.is_some() {
            return found;
        }
    }
    None
}

fn differs(world: &World, question: &Question, server: &Server, kind: &str) -> bool {
    let snapshot = world.snapshot().unwrap();
    let verdict = compare(world, &snapshot, question, server, 1);
    matches!(verdict, Verdict::Unexplained(found) if found == kind)
}

/// The world without one zone; without half, a quarter … of a zone's records; without one.
fn reductions(world: &World) -> Vec<World> {
    let mut less = Vec::new();
    if world.zones.len() > 1 {
        for at in 0..world.zones.len() {
            let mut one = world.clone();
            one.zones.remove(at);
            less.push(one);
        }
    }
    for (at, zone) in world.zones.iter().enumerate() {
        let mut size = zone.records.len().div_ceil(2);
        loop {
            for first in (0..zone.records.len()).step_by(size.max(1)) {
                let mut one = world.clone();
                let kept = zone.records.iter().enumerate();
                let kept = kept.filter(|(number, _)| {
                    // SOA, NS and the address of its server make the zone.
                    *number < 3 || !(first..first + size).contains(number)
                });
                one.zones[at] = Zone {
                    origin: zone.origin.clone(),
                    records: kept.map(|(_, record)| record.clone()).collect(),
                };
                if one.zones[at].records.len() < zone.records.len() {
                    less.push(one);
                }
            }
            if size <= 1 {
                break;
            }
            size /= 2;
        }
    }
    less
}

/// The case as zone files and a script.
fn show(world: &World, question: &Question, kind: &str) -> String {
    let mut text = format!("{kind}: nothing explains it\n");
    for (number, zone) in world.zones.iter().enumerate() {
        text.push_str(&format!(
            "; tests/answers/shrunk{number}.zone\n{}",
            zone.text()
        ));
    }
    text.push_str("# tests/answers/shrunk.script\n");
    for (number, zone) in world.zones.iter().enumerate() {
        text.push_str(&format!("zone {} shrunk{number}.zone\n", zone.origin));
    }
    let packet = question.packet(1);
    let mine = ours(&world.snapshot().unwrap(), &packet, question.stream());
    text.push_str(&format!("{}\n# ours:\n{}", question.line(), mine.show()));
    for one in PEERS.into_iter().filter(|one| takes(one.name, world)) {
        if let Some(server) = start(one, std::slice::from_ref(world)) {
            let answer = theirs(&server, &packet, question.stream());
            text.push_str(&format!("# {}:\n{}", one.name, answer.show()));
        }
    }
    text
}
