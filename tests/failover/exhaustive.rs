//! Every sequence of looks: all of 8 rounds of {good, bad}, and all of 4 rounds of {good,
//! degraded, bad, no answer}, at three pools, with orders, restarts and jumps of the clocks
//! drawn from a seed, against an oracle that counts looks by itself.
//!
//! There are 16.7 million sequences of each kind. They are walked round by round, and lives that
//! have come to the same state go on as one; how many sequences each stands for is counted. What
//! counts as the same state is checked by single lives that are never merged.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use switchback::failover::{Failback, Order, Override, Policy, Publication, Subject};
use switchback::health::{Layer, Verdict};

use crate::dice::Dice;
use crate::oracle::{FAILBACK, FALL, Oracle, POOLS, RISE, SETTLE};
use crate::world::{World, clear, policy, secs};

const TWO_KINDS_ROUNDS: u32 = 8;
const FOUR_KINDS_ROUNDS: u32 = 4;

#[test]
fn all_sequences_of_good_and_bad_keep_the_invariants() {
    assert_eq!(Walk::two_kinds(None).run(), 8_u64.pow(TWO_KINDS_ROUNDS));
}

#[test]
fn all_sequences_of_good_and_bad_keep_them_with_orders_restarts_and_time_jumps() {
    for seed in seeds() {
        assert_eq!(
            Walk::two_kinds(Some(seed)).run(),
            8_u64.pow(TWO_KINDS_ROUNDS)
        );
    }
}

#[test]
fn all_sequences_of_four_kinds_of_looks_keep_them_too() {
    assert_eq!(Walk::four_kinds(None).run(), 64_u64.pow(FOUR_KINDS_ROUNDS));
}

#[test]
fn all_sequences_of_four_kinds_keep_them_with_orders_restarts_and_time_jumps() {
    for seed in seeds() {
        assert_eq!(
            Walk::four_kinds(Some(seed)).run(),
            64_u64.pow(FOUR_KINDS_ROUNDS)
        );
    }
}

/// `SWITCHBACK_EXHAUSTIVE_SEEDS=20` walks them with more orders than those of the first seed.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let count = std::env::var("SWITCHBACK_EXHAUSTIVE_SEEDS");
    1..=count.map_or(1, |text| text.parse().unwrap())
}

/// What happens before a round, to all lives alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incident {
    Nothing,
    Drain(usize),
    Pin(usize),
    Freeze,
    ClearAll,
    Restart,
    /// The machine was suspended: nobody looked for a while.
    Suspend,
    CalendarBack,
    CalendarForward,
}

struct Walk {
    policy: Policy,
    kinds: Vec<Verdict>,
    incidents: Vec<Incident>,
    seed: u64,
}

/// Lives that have come to the same state.
#[derive(Clone)]
struct Node {
    world: World,
    oracle: Oracle,
    ways: u64,
}

/// What a life showed after a round, and where it goes with each combination of looks.
struct Step {
    shown: Publication,
    next: Vec<usize>,
}

impl Walk {
    fn two_kinds(seed: Option<u64>) -> Walk {
        let mut walk = Walk::new(
            TWO_KINDS_ROUNDS,
            vec![Verdict::Good, Verdict::Refused],
            seed,
        );
        for pool in walk.policy.pools.values_mut() {
            pool.detection[0].depth = Layer::Port;
        }
        let failback = Failback::After(secs(FAILBACK.into()));
        for service in walk.policy.services.values_mut() {
            service.failback = failback;
        }
        walk
    }

    fn four_kinds(seed: Option<u64>) -> Walk {
        let kinds = vec![
            Verdict::Good,
            Verdict::CertificateExpired,
            Verdict::HostUnknown,
            Verdict::Filtered,
        ];
        let mut walk = Walk::new(FOUR_KINDS_ROUNDS, kinds, seed);
        for pool in walk.policy.pools.values_mut() {
            // A suspended machine makes all of it stale, a few rounds nothing.
            pool.detection[0].stale_after = secs(50);
            pool.detection[0].tls_stale_after = secs(50);
        }
        walk
    }

    fn new(rounds: u32, kinds: Vec<Verdict>, seed: Option<u64>) -> Walk {
        let mut policy = policy(POOLS);
        for service in policy.services.values_mut() {
            // The TTL is not what is tested: it stands.
            service.ttl.min = service.ttl.max;
            service.settle = secs(SETTLE.into());
            service.cap_per_hour = 100;
        }
        let mut dice = Dice(seed.unwrap_or_default());
        let mut incident = |_| {
            let pool = usize::from(dice.chance(50)) + usize::from(dice.chance(50));
            let may = [
                Incident::Nothing,
                Incident::Nothing,
                Incident::Drain(pool),
                Incident::Pin(pool),
                Incident::Freeze,
                Incident::ClearAll,
                Incident::ClearAll,
                Incident::Restart,
                Incident::Suspend,
                Incident::CalendarBack,
                Incident::CalendarForward,
            ];
            match seed {
                Some(_) => dice.pick(&may),
                None => Incident::Nothing,
            }
        };
        Walk {
            incidents: (0..rounds).map(&mut incident).collect(),
            policy,
            kinds,
            seed: seed.unwrap_or_default(),
        }
    }

    /// Walks all sequences and says how many there were.
    fn run(&self) -> u64 {
        let mut world = World::new(self.policy.clone());
        world.rounds(4);
        let oracle = Oracle::new();
        let root = Node {
            world,
            oracle,
            ways: 1,
        };
        let mut nodes = vec![root.clone()];
        let mut book: Vec<Vec<Step>> = Vec::new();
        let Some((last, before)) = self.incidents.split_last() else {
            return 0;
        };
        for incident in before {
            let (next, steps) = self.round(nodes, *incident);
            nodes = next;
            book.push(steps);
        }
        book.push(nodes.iter().map(|node| node.step()).collect());
        self.single_lives_agree(&root, &book);
        self.last_round(nodes, *last)
    }

    /// Nothing follows, so nothing needs to be merged: to have been judged is all.
    fn last_round(&self, nodes: Vec<Node>, incident: Incident) -> u64 {
        let mut sequences = 0;
        for mut node in nodes {
            node.happen(incident);
            self.each_child(&node, |child| sequences += child.ways);
        }
        sequences
    }

    /// Hands over what becomes of `node` with each combination of looks, in their order. Children
    /// whose first pools look alike share what follows from that.
    fn each_child(&self, node: &Node, mut take: impl FnMut(Node)) {
        let mut life = node.clone();
        life.begin_round();
        for first in &self.kinds {
            let mut life = life.clone();
            life.see(0, first);
            for second in &self.kinds {
                let mut life = life.clone();
                life.see(1, second);
                for third in &self.kinds {
                    let mut life = life.clone();
                    life.see(2, third);
                    life.end_round();
                    take(life);
                }
            }
        }
    }

    fn round(&self, nodes: Vec<Node>, incident: Incident) -> (Vec<Node>, Vec<Step>) {
        let mut next: Vec<Node> = Vec::new();
        let mut known: HashMap<u128, usize> = HashMap::new();
        let mut steps = Vec::new();
        for (index, mut node) in nodes.into_iter().enumerate() {
            let mut step = node.step();
            node.happen(incident);
            self.each_child(&node, |child| {
                let choice = step.next.len();
                if (index + choice).is_multiple_of(32) {
                    let mut twin = node.clone();
                    twin.round(&self.combination(choice));
                    assert_eq!(twin.text(), child.text(), "equal inputs, equal decisions");
                }
                let place = *known.entry(child.key()).or_insert(next.len());
                step.next.push(place);
                match next.get_mut(place) {
                    Some(same) => same.ways += child.ways,
                    None => next.push(child),
                }
            });
            steps.push(step);
        }
        (next, steps)
    }

    /// The looks that [`Walk::each_child`] comes to at this place.
    fn combination(&self, choice: usize) -> [&Verdict; POOLS] {
        let kinds = self.kinds.len();
        let place = |pool: u32| choice / kinds.pow(2 - pool) % kinds;
        [0, 1, 2].map(|pool| &self.kinds[place(pool)])
    }

    /// Lives that are never merged show what the walk says they show.
    fn single_lives_agree(&self, root: &Node, book: &[Vec<Step>]) {
        let mut dice = Dice(self.seed);
        let choices = u64::try_from(self.kinds.len().pow(3)).unwrap();
        for _ in 0..40 {
            let (mut life, mut place) = (root.clone(), 0);
            for (steps, incident) in book.iter().zip(&self.incidents) {
                assert_eq!(life.shown(), steps[place].shown);
                life.happen(*incident);
                let choice = usize::try_from(dice.below(choices)).unwrap();
                life.round(&self.combination(choice));
                if let Some(next) = steps[place].next.get(choice) {
                    place = *next;
                }
            }
        }
    }
}

impl Node {
    fn shown(&self) -> Publication {
        self.world.dns[&"fed".into()].clone()
    }

    fn step(&self) -> Step {
        Step {
            shown: self.shown(),
            next: Vec::new(),
        }
    }

    fn active(&self) -> usize {
        let name = self.world.active("fed");
        name[1..].parse::<usize>().unwrap() - 1
    }

    fn say(&mut self, subject: Subject, pool: Option<usize>) -> bool {
        let said = Override {
            subject,
            pool: pool.map(name).map(|name| name.as_str().into()),
            author: "ann".into(),
            reason: "a test".into(),
            since: self.world.now.wall,
            expires: None,
            now: true,
        };
        let order = Order::Set { said, force: false };
        self.world.order(order).is_ok()
    }

    fn happen(&mut self, incident: Incident) {
        let before = self.active();
        let fed = || "fed".into();
        match incident {
            Incident::Nothing => return,
            Incident::Drain(pool) => {
                let subject = Subject::DrainPool(name(pool).as_str().into());
                self.oracle.drained[pool] |= self.say(subject, None);
            }
            Incident::Pin(pool) => {
                assert!(self.say(Subject::Pin(fed()), Some(pool)));
                self.oracle.pinned = Some(pool);
            }
            Incident::Freeze => {
                assert!(self.say(Subject::Freeze(fed()), None));
                self.oracle.frozen = true;
            }
            Incident::ClearAll => {
                // The freeze last: until then nothing moves.
                let mut said = self.world.engine.overrides().clone().0;
                said.sort_by_key(|said| said.subject.clone());
                self.oracle.frozen = false;
                self.oracle.pinned = None;
                self.oracle.drained = [false; POOLS];
                for said in said {
                    self.world.order(clear(said.subject)).unwrap();
                }
            }
            Incident::Restart => {
                self.world.restart();
                self.oracle.forget();
                assert_eq!(self.active(), before, "a restart moves nothing");
            }
            Incident::Suspend => {
                self.world.now.mono = self.world.now.mono + secs(100);
                self.world.now.wall = self.world.now.wall + secs(100);
                self.oracle.forget();
            }
            Incident::CalendarBack => self.world.now.wall.0 -= 7_200_000,
            Incident::CalendarForward => self.world.now.wall.0 += 7_200_000,
        }
        self.oracle.judge(before, self.active());
    }

    /// One round in which the pools look like this.
    fn round(&mut self, looks: &[&Verdict]) {
        self.begin_round();
        for (pool, look) in looks.iter().enumerate() {
            self.see(pool, look);
        }
        self.end_round();
    }

    fn begin_round(&mut self) {
        self.world.events.clear();
        self.world.tick();
        self.oracle.tick();
    }

    /// One look. After each a move must have its reason.
    fn see(&mut self, pool: usize, look: &Verdict) {
        let before = self.active();
        self.world.see(&name(pool), look.clone());
        self.world.look(&name(pool).as_str().into());
        self.oracle.count(pool, look);
        self.oracle.judge(before, self.active());
    }

    fn end_round(&mut self) {
        let before = self.active();
        self.world.pass_time();
        self.oracle.judge(before, self.active());
        self.oracle.insist(self.active());
    }

    fn text(&self) -> String {
        format!("{:?}{:?}", self.world.engine, self.world.events)
    }

    fn key(&self) -> u128 {
        let mut key = Key::new(self.world.now.mono.0.as_secs());
        write!(key, "{:?}", self.world.engine).unwrap();
        for hash in &mut key.hashes {
            self.oracle.hash(hash);
        }
        key.finish()
    }
}

fn name(pool: usize) -> String {
    format!("p{}", pool + 1)
}

/// A hash of the debug text of a state, without what makes no difference: the policy, rows past
/// the thresholds, times further back than any limit reaches, the reasons told, the numbers of
/// operations, and past moves, which count for a cap that is never reached here.
struct Key {
    hashes: [DefaultHasher; 2],
    now: u64,
    named: &'static str,
    field: &'static str,
    /// How deep in a value that makes no difference.
    left_out: Option<usize>,
}

const REDUCED: [&str; 7] = [
    "good",
    "not_bad",
    "not_good",
    "bad",
    "fit_since",
    "serving_since",
    "trouble_since",
];

const LEFT_OUT: [&str; 14] = [
    "policy",
    "home",
    "uplinks",
    "servers",
    "endpoint",
    "moves",
    "because",
    "latest",
    "active_since",
    "cached_until",
    "tense_until",
    "next_operation",
    "wake",
    "last",
];

impl Key {
    fn new(now: u64) -> Key {
        let mut hashes = [DefaultHasher::new(), DefaultHasher::new()];
        hashes[1].write_u8(1);
        Key {
            hashes,
            now,
            named: "",
            field: "",
            left_out: None,
        }
    }

    fn finish(&self) -> u128 {
        let [high, low] = [0, 1].map(|half: usize| u128::from(self.hashes[half].finish()));
        high << 64 | low
    }

    /// The number of this field as far as it matters.
    fn reduce(&self, number: u64) -> u64 {
        let past = |limit: u8| number.max(self.now - u64::from(limit));
        match self.field {
            "good" | "not_bad" | "not_good" | "bad" => number.min(u64::from(RISE.max(FALL))),
            "fit_since" => past(FAILBACK),
            "serving_since" => past(SETTLE),
            "trouble_since" => past(0),
            _ => number,
        }
    }

    /// Whether this piece belongs to a value that is left out.
    fn leaves_out(&mut self, text: &str) -> bool {
        let Some(depth) = self.left_out else {
            return false;
        };
        let closes = text.ends_with(['}', ')', ']']);
        if depth == 0 && (closes || text == ", ") {
            self.left_out = None;
            return false;
        }
        let opens = text.trim_end().ends_with(['(', '[', '{']);
        self.left_out = Some(depth + usize::from(opens) - usize::from(closes));
        true
    }
}

impl Write for Key {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The derived text comes in pieces: the name of a field, ": ", its value.
        if self.leaves_out(text) {
            return Ok(());
        }
        if text == ": " {
            self.field = self.named;
            if LEFT_OUT.contains(&self.field) {
                self.left_out = Some(0);
            }
        } else if text == ", " || text.ends_with('}') {
            self.field = "";
        }
        let known = REDUCED.iter().chain(&LEFT_OUT);
        self.named = known.copied().find(|name| *name == text).unwrap_or("");
        let number = (!self.field.is_empty())
            .then(|| text.parse::<u64>().ok())
            .flatten();
        if let Some(number) = number {
            let reduced = self.reduce(number);
            self.hashes
                .iter_mut()
                .for_each(|hash| hash.write_u64(reduced));
        } else {
            let bytes = text.as_bytes();
            self.hashes.iter_mut().for_each(|hash| hash.write(bytes));
        }
        Ok(())
    }
}
