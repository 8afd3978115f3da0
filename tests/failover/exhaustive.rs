//! Every sequence of looks: all of 8 rounds of {good, bad}, and all of 4 rounds of {good,
//! degraded, bad, no answer}, at three pools, with orders, restarts and jumps of the clocks
//! drawn from a seed, against an oracle that counts looks by itself. Then every sequence of good and
//! bad with every sequence of words of a person who is asked, with an operator's moves that wait for
//! caches, and in a service that is only observed.
//!
//! There are 16.7 million sequences of each of the first kinds. They are
//! walked round by round, and lives that have come to the same state go on as one; how many sequences
//! each stands for is counted. What counts as the same state is checked by single lives that are never
//! merged.

use std::collections::HashMap;

use switchback::failover::{Failback, Mode, Policy, Publication, Service};
use switchback::health::{Layer, Verdict};

use crate::dice::Dice;
use crate::lives::{Incident, Node};
use crate::oracle::{FAILBACK, POOLS, Rules, SETTLE, TTL_MAX, TTL_MIN};
use crate::world::{World, policy, secs};

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

#[test]
fn all_sequences_of_looks_and_words_keep_them_where_a_person_is_asked() {
    use Incident::{Approve, Nothing, Reject, Restart};
    let words = [Nothing, Approve, Reject];
    let rules = Rules {
        asks: true,
        ..Rules::default()
    };
    let walk = Walk::with_choices(
        rules,
        &[&[Nothing], &words, &words, &[Nothing, Restart], &words],
    );
    assert_eq!(walk.run(), 8_u64.pow(5) * 3_u64.pow(3) * 2);
}

#[test]
fn all_sequences_of_looks_keep_them_while_an_operators_move_waits_for_caches() {
    use Incident::{Approve, Drain, Failover, Nothing, Pin, Reject, Restart};
    let rules = Rules {
        waits: true,
        ..Rules::default()
    };
    let walk = Walk::with_choices(
        rules,
        &[
            &[Failover(1), Pin(1), Drain(0)],
            &[Nothing, Approve, Reject],
            &[Nothing, Restart],
            &[Nothing],
            &[Nothing],
        ],
    );
    assert_eq!(walk.run(), 8_u64.pow(5) * 3 * 3 * 2);
}

#[test]
fn all_sequences_of_looks_move_nothing_that_is_only_observed() {
    use Incident::{ClearAll, Drain, Failover, Nothing, Pin, Restart};
    let rules = Rules {
        observes: true,
        ..Rules::default()
    };
    let walk = Walk::with_choices(
        rules,
        &[
            &[Nothing],
            &[Nothing],
            &[Nothing, Failover(1), Pin(2), Drain(0)],
            &[Nothing, ClearAll, Restart],
            &[Nothing],
        ],
    );
    assert_eq!(walk.run(), 8_u64.pow(5) * 4 * 3);
}

/// `SWITCHBACK_EXHAUSTIVE_SEEDS=20` walks them with more orders than those of the first seed.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let count = std::env::var("SWITCHBACK_EXHAUSTIVE_SEEDS");
    1..=count.map_or(1, |text| text.parse().unwrap())
}

struct Walk {
    policy: Policy,
    rules: Rules,
    kinds: Vec<Verdict>,
    /// What may happen before each round: lives go on with each of it.
    incidents: Vec<Vec<Incident>>,
    seed: u64,
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
        walk.looks_at_ports();
        walk
    }

    /// Looks of two kinds, in a service with these rules, and everything that may be said in between.
    fn with_choices(rules: Rules, incidents: &[&[Incident]]) -> Walk {
        let mut walk = Walk::two_kinds(None);
        walk.rules = rules;
        walk.incidents = incidents.iter().map(|choice| choice.to_vec()).collect();
        let service = walk.service();
        if rules.asks {
            service.mode = Mode::Approve;
        }
        if rules.observes {
            service.mode = Mode::Observe;
        }
        if rules.waits {
            service.ttl.min = secs(TTL_MIN.into());
            service.ttl.max = secs(TTL_MAX.into());
        }
        walk
    }

    fn looks_at_ports(&mut self) {
        for pool in self.policy.pools.values_mut() {
            pool.detection[0].depth = Layer::Port;
        }
        self.service().failback = Failback::After(secs(FAILBACK.into()));
    }

    fn service(&mut self) -> &mut Service {
        self.policy.services.get_mut(&"fed".into()).unwrap()
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
        let mut incident = |_: u32| {
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
            incidents: (0..rounds).map(|round| vec![incident(round)]).collect(),
            rules: Rules::default(),
            policy,
            kinds,
            seed: seed.unwrap_or_default(),
        }
    }

    /// Walks all sequences and says how many there were.
    fn run(&self) -> u64 {
        let mut world = World::new(self.policy.clone());
        world.rounds(4);
        let root = Node::new(world, self.rules);
        let mut nodes = vec![root.clone()];
        let mut book: Vec<Vec<Step>> = Vec::new();
        let Some((last, before)) = self.incidents.split_last() else {
            return 0;
        };
        for incidents in before {
            let (next, steps) = self.round(nodes, incidents);
            nodes = next;
            book.push(steps);
        }
        book.push(nodes.iter().map(Step::of).collect());
        self.single_lives_agree(&root, &book);
        self.last_round(nodes, last)
    }

    /// Nothing follows, so nothing needs to be merged: to have been judged is all.
    fn last_round(&self, nodes: Vec<Node>, incidents: &[Incident]) -> u64 {
        let mut sequences = 0;
        for node in nodes {
            for incident in incidents {
                let mut node = node.clone();
                node.happen(*incident);
                self.each_child(&node, |child| sequences += child.ways);
            }
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

    fn round(&self, nodes: Vec<Node>, incidents: &[Incident]) -> (Vec<Node>, Vec<Step>) {
        let mut next: Vec<Node> = Vec::new();
        let mut known: HashMap<u128, usize> = HashMap::new();
        let mut steps = Vec::new();
        for (index, before) in nodes.into_iter().enumerate() {
            let mut step = Step::of(&before);
            for incident in incidents {
                let mut node = before.clone();
                node.happen(*incident);
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
            }
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
        let combinations = self.kinds.len().pow(3);
        for _ in 0..40 {
            let (mut life, mut place) = (root.clone(), 0);
            for (steps, incidents) in book.iter().zip(&self.incidents) {
                assert_eq!(life.shown(), steps[place].shown);
                let choices = incidents.len() * combinations;
                let choice = dice.below(u64::try_from(choices).unwrap());
                let choice = usize::try_from(choice).unwrap();
                life.happen(incidents[choice / combinations]);
                life.round(&self.combination(choice));
                if let Some(next) = steps[place].next.get(choice) {
                    place = *next;
                }
            }
        }
    }
}

impl Step {
    fn of(node: &Node) -> Step {
        Step {
            shown: node.shown(),
            next: Vec::new(),
        }
    }
}
