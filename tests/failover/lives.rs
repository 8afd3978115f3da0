//! One of the lives that are walked: an engine in its world, the oracle that judges it, and what
//! happens to both.

use std::fmt::Write;

use switchback::failover::{Order, Override, Publication, Subject, Which};
use switchback::health::Verdict;

use crate::key::Key;
use crate::oracle::{Oracle, POOLS, Rules, TTL_MIN};
use crate::world::{World, ann, clear, secs};

/// What happens before a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incident {
    Nothing,
    Drain(usize),
    Pin(usize),
    Freeze,
    ClearAll,
    /// An operator's failover to this pool.
    Failover(usize),
    Approve,
    Reject,
    Restart,
    /// The machine was suspended: nobody looked for a while.
    Suspend,
    CalendarBack,
    CalendarForward,
}

/// Lives that have come to the same state.
#[derive(Clone)]
pub(crate) struct Node {
    world: World,
    oracle: Oracle,
    /// So many of the world's events the oracle has heard.
    heard: usize,
    pub(crate) ways: u64,
}

impl Node {
    pub(crate) fn new(world: World, rules: Rules) -> Node {
        let mut node = Node {
            heard: world.events.len(),
            world,
            oracle: Oracle::new(rules),
            ways: 1,
        };
        node.answers();
        node
    }

    pub(crate) fn shown(&self) -> Publication {
        self.world.dns[&"fed".into()].clone()
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
            now: !self.oracle.waits(),
        };
        let order = Order::Set { said, force: false };
        self.world.order(order).is_ok()
    }

    pub(crate) fn happen(&mut self, incident: Incident) {
        let before = self.active();
        let fed = || "fed".into();
        if incident == Incident::Nothing {
            return;
        }
        self.oracle.waited = 0;
        match incident {
            Incident::Nothing => {}
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
            Incident::ClearAll => self.clear_all(),
            Incident::Failover(pool) => self.order_a_failover(pool),
            Incident::Approve | Incident::Reject => self.answer(incident == Incident::Approve),
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
        self.listen();
    }

    fn clear_all(&mut self) {
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

    fn order_a_failover(&mut self, pool: usize) {
        let order = Order::Failover {
            service: "fed".into(),
            to: Some(name(pool).as_str().into()),
            by: ann(),
            force: false,
            now: !self.oracle.waits(),
        };
        if self.world.order(order).is_ok() {
            self.oracle.ordered = Some(pool);
            self.oracle.hurried = false;
        }
    }

    /// A word on what waits, if anything does.
    fn answer(&mut self, approves: bool) {
        let (which, by) = (Which::Service("fed".into()), ann());
        let order = if approves {
            Order::Approve { which, by }
        } else {
            Order::Reject { which, by }
        };
        let taken = self.world.order(order).is_ok();
        self.oracle.hurried |= taken && approves && self.oracle.ordered.is_some();
    }

    /// The oracle hears what people are told, and judges it.
    fn listen(&mut self) {
        for event in &self.world.events[self.heard..] {
            self.oracle.hear(event);
        }
        self.heard = self.world.events.len();
        assert_eq!(self.active(), self.oracle.active, "no move goes untold");
        self.answers();
    }

    fn answers(&mut self) {
        let ttl = self.world.ttl("fed");
        self.oracle.answers(ttl > u64::from(TTL_MIN));
    }

    /// One round in which the pools look like this.
    pub(crate) fn round(&mut self, looks: &[&Verdict]) {
        self.begin_round();
        for (pool, look) in looks.iter().enumerate() {
            self.see(pool, look);
        }
        self.end_round();
    }

    pub(crate) fn begin_round(&mut self) {
        self.world.events.clear();
        self.heard = 0;
        self.world.tick();
        self.oracle.tick();
        self.answers();
    }

    /// One look. After each a move must have its reason.
    pub(crate) fn see(&mut self, pool: usize, look: &Verdict) {
        self.world.see(&name(pool), look.clone());
        self.world.look(&name(pool).as_str().into());
        self.oracle.count(pool, look);
        self.listen();
    }

    pub(crate) fn end_round(&mut self) {
        self.world.pass_time();
        self.listen();
        self.oracle.insist();
    }

    pub(crate) fn text(&self) -> String {
        format!("{:?}{:?}", self.world.engine, self.world.events)
    }

    pub(crate) fn key(&self) -> u128 {
        let ttl = &self.world.policy.services[&"fed".into()].ttl;
        let mut key = Key::new(self.world.now, ttl.min == ttl.max);
        write!(key, "{:?}", self.world.engine).unwrap();
        if self.oracle.asks() {
            let view = self.world.engine.service(self.world.now, &"fed".into());
            key.proposes(view.and_then(|view| view.memory.proposal.as_ref()));
        }
        key.takes(&self.oracle);
        key.finish()
    }
}

fn name(pool: usize) -> String {
    format!("p{}", pool + 1)
}
