//! A world of edge pools, hooks and a disk around one engine; the test owns its time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use switchback::failover::{
    Action, Because, Change, Engine, Event, HookCall, HookEnd, HookOutcome, Input, Memory, Mode,
    Order, Policy, Publication, ReferenceLook, Which,
};
use switchback::health::{Observation, Verdict};
use switchback::ids::{Endpoint, OperationId, PoolName, ProbeIndex, ServiceName};
use switchback::runbook;
use switchback::time::{Mono, Now, Wall};

use crate::at_work::AtWork;
use crate::caches::Caches;
use crate::records::{ended_as_it_says, runs_beside_its_like};
use crate::serials::Serials;

pub(crate) use crate::given::{ann, clear, failback, failover, policy, pool, secs, service};

pub(crate) const ROUND: Duration = Duration::from_secs(1);
const START: Wall = Wall(1_795_000_000_000);

/// A run of a hook: operation, task, whether the undo.
pub(crate) type RunId = (OperationId, usize, bool);

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    /// What the disk holds.
    pub(crate) disk: Memory,
    /// What DNS answers.
    pub(crate) dns: BTreeMap<ServiceName, Publication>,
    /// What a look at each pool sees, and at single addresses that differ from their pool.
    pub(crate) sight: BTreeMap<PoolName, Verdict>,
    pub(crate) spots: BTreeMap<IpAddr, Verdict>,
    /// Hooks that run now, with the time when they end and how.
    pub(crate) hooks: VecDeque<(Mono, HookCall, HookOutcome)>,
    /// How the next hooks end, and after how long; empty: well, after a second.
    pub(crate) outcomes: VecDeque<HookOutcome>,
    pub(crate) delays: VecDeque<Duration>,
    pub(crate) runs: Vec<HookCall>,
    pub(crate) done: BTreeSet<RunId>,
    /// How the operations ended that are in the history.
    pub(crate) ended: BTreeMap<OperationId, runbook::Phase>,
    pub(crate) events: Vec<Event>,
    /// How often anything was published.
    pub(crate) publications: usize,
    serials: Serials,
    /// What caches hold of what was published.
    caches: Caches,
    /// The latest arrival of each service: at which pool, and when.
    arrived: BTreeMap<ServiceName, (PoolName, Mono)>,
    /// The operations whose plan has hooks.
    with_hooks: BTreeSet<OperationId>,
    /// Where hooks are at work.
    at_work: AtWork,
    /// Whether the secondaries serve what is published.
    pub(crate) secondaries: bool,
    /// Whether the reference targets answer.
    pub(crate) uplink: bool,
    /// The process dies when it has carried out this many more actions.
    pub(crate) dies_in: Option<u32>,
    /// Whether the store works. While it does not, what is to be durable waits in `pending`,
    /// and dies with the process.
    store_works: bool,
    pending: Vec<Change>,
    /// The operations whose beginning is recorded.
    pub(crate) begun: BTreeSet<OperationId>,
    /// The proposals that a person approved.
    approved: BTreeSet<OperationId>,
}

impl World {
    pub(crate) fn new(policy: Policy) -> World {
        let now = Now {
            mono: Mono(secs(1000)),
            wall: START,
        };
        World::resume(policy, Memory::default(), now)
    }

    fn resume(policy: Policy, disk: Memory, now: Now) -> World {
        let sight = policy
            .pools
            .keys()
            .map(|name| (name.clone(), Verdict::Good))
            .collect();
        let mut world = World {
            at_work: AtWork::of(&disk),
            engine: Engine::new(policy.clone(), disk.clone(), now),
            policy,
            now,
            dns: disk
                .services
                .iter()
                .map(|(n, s)| (n.clone(), s.published.clone()))
                .collect(),
            disk,
            sight,
            spots: BTreeMap::new(),
            hooks: VecDeque::new(),
            outcomes: VecDeque::new(),
            delays: VecDeque::new(),
            runs: Vec::new(),
            done: BTreeSet::new(),
            ended: BTreeMap::new(),
            events: Vec::new(),
            publications: 0,
            serials: Serials::begin(now.wall),
            caches: Caches::default(),
            with_hooks: BTreeSet::new(),
            arrived: BTreeMap::new(),
            secondaries: true,
            uplink: true,
            dies_in: None,
            store_works: true,
            pending: Vec::new(),
            begun: BTreeSet::new(),
            approved: BTreeSet::new(),
        };
        world.act();
        world
    }

    /// Kills the process and starts it again from what the disk holds.
    pub(crate) fn restart(&mut self) {
        self.restart_dying_in(None);
    }

    /// The same, and lets it die again when it has carried out so many actions.
    pub(crate) fn restart_dying_in(&mut self, actions: Option<u32>) {
        self.dies_in = actions;
        self.hooks.clear();
        self.pending.clear();
        self.store_works = true;
        let then = std::mem::replace(&mut self.now.mono, Mono(secs(1000)));
        let known = &self.disk.services;
        self.caches.restart(then, self.now, known, &self.policy);
        self.serials.restart(self.now.wall);
        self.arrived.clear();
        self.at_work = AtWork::of(&self.disk);
        self.dns = self
            .disk
            .services
            .iter()
            .map(|(n, s)| (n.clone(), s.published.clone()))
            .collect();
        self.forget_services();
        self.engine = Engine::new(self.policy.clone(), self.disk.clone(), self.now);
        self.act();
    }

    /// What is in no policy any more is not answered.
    fn forget_services(&mut self) {
        let known = &self.policy.services;
        self.dns.retain(|name, _| known.contains_key(name));
        self.caches.keep(&self.policy);
    }

    /// One second: every pool is looked at, hooks end, time passes.
    pub(crate) fn round(&mut self) {
        self.tick();
        let pools: Vec<PoolName> = self.policy.pools.keys().cloned().collect();
        for pool in pools {
            self.look(&pool);
        }
        self.pass_time();
    }

    /// A second goes by, and hooks end.
    pub(crate) fn tick(&mut self) {
        self.now.mono = self.now.mono + ROUND;
        self.now.wall = self.now.wall + ROUND;
        self.end_hooks();
    }

    pub(crate) fn rounds(&mut self, count: usize) {
        (0..count).for_each(|_| self.round());
    }

    pub(crate) fn pass_time(&mut self) {
        self.engine.handle(self.now, Input::TimePassed);
        self.act();
    }

    pub(crate) fn look(&mut self, pool: &PoolName) {
        let endpoints: Vec<Endpoint> = self.policy.pools[pool].endpoints().collect();
        for endpoint in endpoints {
            self.look_at(pool, endpoint);
        }
    }

    fn look_at(&mut self, pool: &PoolName, endpoint: Endpoint) {
        let verdict = self.spots.get(&endpoint.address);
        let look = Observation {
            probe: ProbeIndex(0),
            begun: self.now.mono,
            ended: self.now.mono,
            verdict: verdict.unwrap_or(&self.sight[pool]).clone(),
            endpoint,
            depth: self.policy.pools[pool].detection[0].depth,
        };
        self.engine.handle(self.now, Input::Observed(look));
        self.act();
    }

    pub(crate) fn see(&mut self, pool: &str, verdict: Verdict) {
        self.sight.insert(pool.into(), verdict);
    }

    pub(crate) fn order(&mut self, order: Order) -> Result<(), switchback::failover::OrderRefusal> {
        let asked = match &order {
            Order::Approve { which, .. } | Order::Reject { which, .. } => self.asked(which),
            Order::Set { .. }
            | Order::Clear { .. }
            | Order::Failover { .. }
            | Order::Failback { .. }
            | Order::Handle { .. }
            | Order::Readmit { .. } => None,
        };
        let approves = matches!(order, Order::Approve { .. });
        if let Some(id) = asked {
            if approves {
                self.approved.insert(id);
            } else {
                self.approved.remove(&id);
            }
        }
        let result = self.engine.handle_order(self.now, order);
        self.act();
        result
    }

    /// The number of the proposal that an answer is to.
    fn asked(&self, which: &Which) -> Option<OperationId> {
        match which {
            Which::Operation(id) => Some(*id),
            Which::Service(name) => {
                let memory = self.engine.service(self.now, name)?.memory;
                memory.proposal.as_ref().map(|asked| asked.id)
            }
        }
    }

    /// No move that health decides begins without the word that its service's mode asks for.
    fn has_the_word(&self, id: OperationId, service: &ServiceName, because: &Because) -> bool {
        match self.policy.services[service].mode {
            Mode::Automatic => true,
            Mode::Approve => because.is_an_operators() || self.approved.contains(&id),
            Mode::Observe => because.is_an_operators(),
        }
    }

    /// The store fails, or works again and takes what has waited.
    pub(crate) fn set_store(&mut self, works: bool) {
        self.store_works = works;
        if works {
            let pending = std::mem::take(&mut self.pending);
            self.record(pending, false);
        }
        self.engine.handle(self.now, Input::Store { works });
        self.act();
    }

    /// A reload, if the engine admits it. A restart takes the new policy as well.
    pub(crate) fn reload(&mut self, policy: Policy) -> bool {
        self.reload_with(policy, BTreeSet::new())
    }

    /// The same with records of these services that are other ones, in what no policy says.
    pub(crate) fn reload_with(&mut self, policy: Policy, changed: BTreeSet<ServiceName>) -> bool {
        if self.engine.admit(&policy).is_err() {
            return false;
        }
        self.policy = policy.clone();
        self.forget_services();
        let policy = Box::new(policy);
        let input = Input::Policy { policy, changed };
        self.engine.handle(self.now, input);
        self.act();
        true
    }

    /// Whether all that was published is durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether the process is dead: it carries out nothing more.
    pub(crate) fn is_dead(&self) -> bool {
        self.dies_in == Some(0)
    }

    /// Carries out what the engine wants, in order, like the daemon does.
    pub(crate) fn act(&mut self) {
        while !self.is_dead() {
            let Some(action) = self.engine.poll_action() else {
                return;
            };
            match action {
                Action::Persist(changes) => self.write(changes),
                Action::Publish(service, publication) => self.publish(service, publication),
                Action::RunHook(call) => self.run_hook(*call),
                Action::AbandonHooks(id) => self.abandon(id),
                Action::Look(endpoints) => {
                    for endpoint in endpoints {
                        let home = self.policy.pools.iter().find(|(_, pool)| {
                            pool.servers
                                .iter()
                                .any(|server| server.name == endpoint.server)
                        });
                        let home = home.map(|(name, _)| name.clone()).unwrap();
                        self.look_at(&home, endpoint);
                    }
                }
                Action::LookAtSecondaries(service) => {
                    let seen = |number| (format!("192.0.2.{number}:53"), self.secondaries);
                    let input = Input::Secondaries {
                        service,
                        asked: self.now.mono,
                        seen: vec![seen(1), seen(2)],
                    };
                    self.engine.handle(self.now, input);
                }
                Action::LookAtReferences(targets) => {
                    for target in targets {
                        let (begun, reachable) = (self.now.mono, self.uplink);
                        let look = ReferenceLook {
                            target,
                            begun,
                            reachable,
                        };
                        self.engine.handle(self.now, Input::Reference(look));
                    }
                }
                Action::Tell(event) => self.hear(event),
            }
            if let Some(left) = &mut self.dies_in {
                *left = left.saturating_sub(1);
            }
        }
    }

    fn hear(&mut self, event: Event) {
        self.at_work
            .hear(&event, &self.policy, &self.engine, self.now);
        if let Event::OperationBegan {
            id,
            service,
            because,
            ..
        } = &event
        {
            assert!(self.has_the_word(*id, service, because), "{event}");
            // A reload while it is under way does not change its plan; and a number whose record
            // died with the process is given again.
            self.with_hooks.remove(id);
            if self.policy.services[service].runbook.has_hooks() {
                self.with_hooks.insert(*id);
            }
        }
        if let Event::OperationEnded {
            id, service, to, ..
        } = &event
            && self.with_hooks.contains(id)
        {
            let arrival = (to.clone(), self.now.mono);
            self.arrived.insert(service.clone(), arrival);
        }
        if let Event::OperationBegan {
            service,
            from,
            because: Because::Trouble { .. },
            ..
        } = &event
        {
            // A pool whose last server an operator drains is down at once.
            let ordered = !self.engine.overrides().0.is_empty();
            let arrived = self.arrived.get(service) == Some(&(from.clone(), self.now.mono));
            assert!(
                ordered || !arrived,
                "it leaves where it arrived just now: {event}"
            );
        }
        self.events.push(event);
    }

    fn write(&mut self, changes: Vec<Change>) {
        if !self.store_works {
            self.pending.extend(changes);
            return;
        }
        self.record(changes, true);
    }

    /// The disk takes changes, at once when they happen or not.
    fn record(&mut self, changes: Vec<Change>, at_once: bool) {
        self.caches
            .record(self.now.mono, &changes, &self.dns, at_once);
        for change in changes {
            match change {
                Change::Service(name, memory) => {
                    self.begun
                        .extend(memory.operation.as_ref().map(|begun| begun.id));
                    self.note_done(&memory);
                    self.disk.services.insert(name, *memory);
                }
                Change::ServiceGone(name) => {
                    self.disk.services.remove(&name);
                }
                Change::Overrides(overrides) => self.disk.overrides = overrides,
                Change::NextOperation(id) => {
                    assert!(id > self.disk.next_operation, "operation numbers only grow");
                    self.disk.next_operation = id;
                }
                Change::Operation(operation) => {
                    ended_as_it_says(&operation);
                    let before = self.ended.insert(operation.id, operation.phase);
                    let completed = before == Some(runbook::Phase::Completed);
                    assert!(!completed, "an operation that has arrived is over");
                }
            }
        }
    }

    fn note_done(&mut self, memory: &switchback::failover::ServiceMemory) {
        let operation = memory.operation.iter().chain(&memory.halted);
        for operation in operation {
            for (index, task) in operation.tasks.iter().enumerate() {
                match task.status {
                    runbook::TaskStatus::Done => {
                        self.done.insert((operation.id, index, false));
                    }
                    runbook::TaskStatus::Undone => {
                        self.done.insert((operation.id, index, true));
                    }
                    runbook::TaskStatus::Waiting
                    | runbook::TaskStatus::Started { .. }
                    | runbook::TaskStatus::Retrying { .. }
                    | runbook::TaskStatus::Failed(_)
                    | runbook::TaskStatus::Unknown
                    | runbook::TaskStatus::Undoing { .. }
                    | runbook::TaskStatus::UndoFailed(_)
                    | runbook::TaskStatus::UndoUnknown => {}
                }
            }
        }
    }

    fn publish(&mut self, name: ServiceName, publication: Publication) {
        let pools: BTreeSet<_> = publication
            .ranking
            .pools
            .iter()
            .map(|ranked| ranked.pool.clone())
            .collect();
        let wanted: BTreeSet<_> = self.policy.services[&name].pools.iter().cloned().collect();
        assert_eq!(pools, wanted, "every pool of the service is listed, once");
        assert_eq!(pools.len(), publication.ranking.pools.len());
        for ranked in &publication.ranking.pools {
            assert!(
                !ranked.servers.is_empty(),
                "no pool is listed without a server"
            );
            assert!(
                ranked
                    .servers
                    .iter()
                    .all(|server| !server.addresses.is_empty())
            );
        }
        if self.store_works {
            assert_eq!(
                self.disk.services[&name].published, publication,
                "what is published is durable before"
            );
        }
        let shown = self.dns.get(&name);
        self.caches.show(self.now.mono, &name, shown, &publication);
        self.publications += 1;
        self.serials.publish(self.store_works);
        self.dns.insert(name, publication);
    }

    fn run_hook(&mut self, call: HookCall) {
        let id = (call.operation, call.task, call.undo);
        assert!(
            !self.done.contains(&id),
            "a task recorded as done is never run again: {call:?}"
        );
        let running = self
            .hooks
            .iter()
            .any(|(_, other, _)| other.operation != call.operation);
        assert!(!running, "operations with hooks exclude each other");
        runs_beside_its_like(self.hooks.iter().map(|(_, call, _)| call), &call);
        assert!(self.store_works, "no hook runs while the store fails");
        let frozen = self.engine.overrides().is_frozen(&call.service);
        assert!(!frozen, "no step begins while the service is frozen");
        self.runs.push(call.clone());
        let outcome = self.outcomes.pop_front().unwrap_or(HookOutcome::Done);
        let delay = self.delays.pop_front().unwrap_or(ROUND);
        self.hooks.push_back((self.now.mono + delay, call, outcome));
    }

    /// Runs that are given up are killed, and told of; a runner that is silent says nothing.
    fn abandon(&mut self, id: OperationId) {
        let silent = self.now.mono + secs(1000);
        self.hooks
            .retain(|(at, call, _)| call.operation != id || *at <= silent);
        let ours = self.hooks.iter_mut();
        for (at, _, outcome) in ours.filter(|(_, call, _)| call.operation == id) {
            (*at, *outcome) = (self.now.mono, HookOutcome::Signal(15));
        }
    }

    fn end_hooks(&mut self) {
        let now = self.now.mono;
        let due = |(at, ..): &(Mono, HookCall, HookOutcome)| *at <= now;
        while let Some(first) = self.hooks.iter().position(due) {
            let Some((_, call, outcome)) = self.hooks.remove(first) else {
                return;
            };
            let end = HookEnd {
                outcome,
                output: String::new(),
                took: ROUND,
            };
            let (operation, task) = (call.operation, call.task);
            let (undo, attempt) = (call.undo, call.attempt);
            let input = Input::HookEnded {
                operation,
                task,
                undo,
                attempt,
                end,
            };
            self.engine.handle(self.now, input);
            self.act();
        }
    }

    pub(crate) fn active(&self, service: &str) -> String {
        let published = &self.dns[&ServiceName::from(service)];
        published.ranking.active().unwrap().to_string()
    }

    pub(crate) fn order_of(&self, service: &str) -> String {
        let published = &self.dns[&ServiceName::from(service)];
        let names: Vec<_> = published
            .ranking
            .pools
            .iter()
            .map(|r| r.pool.as_str())
            .collect();
        names.join(" ")
    }

    pub(crate) fn ttl(&self, service: &str) -> u64 {
        self.dns[&ServiceName::from(service)].ttl.as_secs()
    }

    pub(crate) fn because(&self, service: &str) -> String {
        self.engine
            .service(self.now, &service.into())
            .unwrap()
            .because
            .to_string()
    }

    /// The hooks that ran, as `step@server`, undo as `-step`.
    pub(crate) fn hook_log(&self) -> Vec<String> {
        let name = |call: &HookCall| {
            let server = call.server.as_ref().map(|server| format!("@{server}"));
            let sign = if call.undo { "-" } else { "" };
            format!("{sign}{}{}", call.step, server.unwrap_or_default())
        };
        self.runs.iter().map(name).collect()
    }

    pub(crate) fn moves(&self) -> usize {
        self.disk
            .services
            .values()
            .map(|service| service.moves.len())
            .sum()
    }
}
