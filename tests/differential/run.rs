//! Worlds at all servers, and what each says to each question.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use switchback::answer::{Asker, Transport, respond};
use switchback::snapshot::Snapshot;
use switchback::time::Wall;

use super::differences::{Case, ENDLESS, explain};
use super::generate::generate;
use super::message::{Response, read};
use super::peers::{KNOT, NAMED, NSD, Peer, Running, ZoneSource};
use super::questions::{Question, questions};
use super::shrink::shrink;
use super::view::View;
use super::world::World;

/// So many worlds share one start of the servers.
const WORLDS_AT_ONCE: usize = 100;
/// One batch of so many has the root.
const BATCHES_PER_ROOT: u64 = 4;
const ANY: u16 = 255;
/// So many differences are shrunk and printed, and so many of one kind.
const MOST_SHOWN: usize = 24;
const MOST_SHOWN_OF_A_KIND: usize = 2;

/// How much to compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Comparisons of one answer of ours with one of a peer.
    pub(crate) comparisons: usize,
    pub(crate) questions_per_world: usize,
    /// So many batches of worlds at a time: a server that answers waits for us, and we for it.
    pub(crate) workers: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Comparisons by peer.
    pub(crate) compared: BTreeMap<&'static str, usize>,
    /// Differences by peer and the rule that explains them.
    pub(crate) explained: BTreeMap<(&'static str, &'static str), usize>,
    /// Differences that nothing explains, by kind.
    pub(crate) unexplained: BTreeMap<String, usize>,
    /// Some of them, each with its smallest world.
    pub(crate) shown: Vec<String>,
    pub(crate) left_out: Vec<&'static str>,
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        for (peer, count) in other.compared {
            *self.compared.entry(peer).or_default() += count;
        }
        for (rule, count) in other.explained {
            *self.explained.entry(rule).or_default() += count;
        }
        for (kind, count) in other.unexplained {
            *self.unexplained.entry(kind).or_default() += count;
        }
        self.shown.extend(other.shown);
        self.left_out.extend(other.left_out);
        self.left_out.sort_unstable();
        self.left_out.dedup();
    }
}

/// One answer of ours beside one of a peer.
pub(crate) enum Verdict {
    Same,
    Explained(&'static str),
    /// In what they differ.
    Unexplained(String),
}

/// A peer that runs with some zones.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) running: Running,
}

pub(crate) const PEERS: [&Peer; 3] = [&NSD, &KNOT, &NAMED];

/// Starts a peer with all worlds that it takes; `None` if it is not installed.
pub(crate) fn start(peer: &Peer, worlds: &[World]) -> Option<Server> {
    let sources: Vec<ZoneSource> = worlds
        .iter()
        .filter(|world| takes(peer.name, world))
        .flat_map(World::sources)
        .collect();
    let running = peer.start(&sources)?;
    Some(Server {
        name: peer.name,
        running,
    })
}

/// Whether a peer takes the zones of a world.
pub(crate) fn takes(peer: &str, world: &World) -> bool {
    let hides_names = world.has_names_below_dname();
    match peer {
        "nsd" => !hides_names && !world.mixes_names_of_zones(),
        "knot" => !hides_names,
        _ => true,
    }
}

/// Our response.
pub(crate) fn ours(snapshot: &Snapshot, packet: &[u8], stream: bool) -> Response {
    let transport = if stream {
        Transport::Stream
    } else {
        Transport::Udp
    };
    let asker = Asker {
        transport,
        client: [127, 0, 0, 1].into(),
        now: Wall(0),
        idle: None,
    };
    let mut out = Vec::new();
    assert!(respond(snapshot, packet, &asker, &mut out), "a response");
    read(&out).unwrap_or_else(|| panic!("not a message: {out:02x?}"))
}

/// A peer's response.
pub(crate) fn theirs(server: &Server, packet: &[u8], stream: bool) -> Response {
    let response = server.running.ask(packet, stream);
    let response = response.unwrap_or_else(|| panic!("{}: no answer: {packet:02x?}", server.name));
    read(&response).unwrap_or_else(|| panic!("{}: not a message: {response:02x?}", server.name))
}

/// Compares one answer.
pub(crate) fn compare(
    world: &World,
    snapshot: &Snapshot,
    question: &Question,
    server: &Server,
    id: u16,
) -> Verdict {
    let packet = question.packet(id);
    let mine = ours(snapshot, &packet, question.stream());
    let other = theirs(server, &packet, question.stream());
    assert!(mine.size <= question.limit(), "no more than asked for");
    if mine.tc || other.tc {
        return truncated(world, snapshot, question, server, [&mine, &other]);
    }
    let said = mine.answer.last().map(|record| record.rtype);
    if let (ANY, Some(rtype)) = (question.rtype, said) {
        return any(world, snapshot, question, server, (&mine, rtype));
    }
    let case = Case {
        world,
        question,
        peer: server.name,
        ours: View::of(&mine, world),
        theirs: View::of(&other, world),
    };
    if case.ours == case.theirs {
        return Verdict::Same;
    }
    if let Some(rule) = case.lacks_some()
        && !question.holds(theirs(server, &question.whole().packet(7), true).size)
    {
        return Verdict::Explained(rule);
    }
    match explain(&case) {
        Some(rule) => Verdict::Explained(rule),
        None => Verdict::Unexplained(kind(&case)),
    }
}

/// In what two answers differ; shrinking keeps to it.
fn kind(case: &Case<'_>) -> String {
    let (ours, theirs) = (&case.ours, &case.theirs);
    let mut kind = format!("{}: rcode {} and {}", case.peer, ours.rcode, theirs.rcode);
    for (part, differs) in [
        ("aa", ours.aa != theirs.aa),
        ("answer", ours.answer != theirs.answer),
        ("authority", ours.authority != theirs.authority),
        ("glue", ours.glue != theirs.glue),
    ] {
        if differs {
            kind.push_str(", ");
            kind.push_str(part);
        }
    }
    kind
}

/// Where to cut is not quite the same everywhere, as compression and what is added beyond the
/// necessary are free: but who cuts has more to say than fits, and says it over TCP.
fn truncated(
    world: &World,
    snapshot: &Snapshot,
    question: &Question,
    server: &Server,
    [mine, other]: [&Response; 2],
) -> Verdict {
    let whole = question.whole();
    let packet = whole.packet(7);
    let pairs = [
        (mine, ours(snapshot, &packet, true)),
        (other, theirs(server, &packet, true)),
    ];
    let [(_, ours), _] = &pairs;
    let [needless, theirs_needless] = pairs
        .each_ref()
        .map(|(cut, whole)| cut.tc && question.holds(whole.size));
    let is_whole = mine.tc || View::of(mine, world) == View::of(ours, world);
    let verdict = compare(world, snapshot, &whole, server, 7);
    // What a peer's header says beside TC is not to be used (RFC 2181 section 9).
    if needless || !is_whole || mine.rcode != ours.rcode || mine.aa != ours.aa {
        return Verdict::Unexplained(format!("{}: truncation of ours", server.name));
    }
    // Where named gives up an endless chain over UDP, it says SERVFAIL and TC.
    let gives_up = server.name == "named"
        && other.rcode == 2
        && matches!(verdict, Verdict::Explained(ENDLESS));
    if theirs_needless && !gives_up {
        return Verdict::Unexplained(format!("{}: truncation", server.name));
    }
    verdict
}

/// To ANY, one RRset of those that are there is enough (RFC 8482 section 4.1), and which one is
/// free: it must be what the question for its type gets.
fn any(
    world: &World,
    snapshot: &Snapshot,
    question: &Question,
    server: &Server,
    (mine, rtype): (&Response, u16),
) -> Verdict {
    let one = Question {
        rtype,
        ..question.clone()
    };
    let plain = ours(snapshot, &one.packet(7), question.stream());
    if View::of(&plain, world) != View::of(mine, world) {
        return Verdict::Unexplained(format!("{}: ANY", server.name));
    }
    compare(world, snapshot, &one, server, 7)
}

/// Compares as the plan says.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let (total, next) = (AtomicUsize::new(0), AtomicU64::new(0));
    let work = || {
        let mut outcome = Outcome::default();
        while total.load(Relaxed) < plan.comparisons {
            let batch = next.fetch_add(1, Relaxed);
            run_batch(plan, &worlds(plan.seed, batch), &mut outcome, batch, &total);
            if outcome.compared.is_empty() {
                break;
            }
        }
        outcome
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..plan.workers).map(|_| scope.spawn(work)).collect();
        let mut outcome = work();
        for other in others {
            outcome.add(other.join().unwrap());
        }
        outcome
    })
}

fn worlds(seed: u64, batch: u64) -> Vec<World> {
    if batch % BATCHES_PER_ROOT == BATCHES_PER_ROOT - 1 {
        return vec![generate(seed ^ batch << 32, ".")];
    }
    (0..WORLDS_AT_ONCE)
        .map(|at| {
            let number = batch << 16 | u64::try_from(at).unwrap();
            generate(seed ^ number << 20, &format!("w{at:05}."))
        })
        .collect()
}

fn run_batch(
    plan: &Plan,
    worlds: &[World],
    outcome: &mut Outcome,
    batch: u64,
    total: &AtomicUsize,
) {
    let mut servers = Vec::new();
    for peer in PEERS {
        match start(peer, worlds) {
            Some(server) => servers.push(server),
            None if outcome.left_out.contains(&peer.name) => {}
            None => outcome.left_out.push(peer.name),
        }
    }
    if servers.is_empty() {
        return;
    }
    let mut id = 0u16;
    for (at, world) in worlds.iter().enumerate() {
        let snapshot = match world.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => panic!("we do not load what we made: {error}"),
        };
        let seed = plan.seed ^ batch << 24 ^ u64::try_from(at).unwrap();
        for question in questions(world, seed, plan.questions_per_world) {
            for server in servers.iter().filter(|server| takes(server.name, world)) {
                if total.fetch_add(1, Relaxed) >= plan.comparisons {
                    return;
                }
                id = id.wrapping_add(1);
                *outcome.compared.entry(server.name).or_default() += 1;
                match compare(world, &snapshot, &question, server, id) {
                    Verdict::Same => {}
                    Verdict::Explained(rule) => {
                        *outcome.explained.entry((server.name, rule)).or_default() += 1;
                    }
                    Verdict::Unexplained(kind) => {
                        let count = outcome.unexplained.entry(kind.clone()).or_default();
                        *count += 1;
                        if *count <= MOST_SHOWN_OF_A_KIND && outcome.shown.len() < MOST_SHOWN {
                            let shown = shrink(world, &question, server.name, &kind);
                            outcome.shown.push(shown);
                        }
                    }
                }
            }
        }
    }
}
