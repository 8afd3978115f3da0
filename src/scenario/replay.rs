//! What happens: the real engine, in virtual time, with looks, hooks and a disk around it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::check::Checks;
use super::model::{Happening, Scenario, Settings, Targets};
use super::sights::Sights;
use crate::failover::{
    Action, Because, Change, Engine, Event, HookCall, HookEnd, HookOutcome, Input, Memory, Order,
    Policy, Publication, RankedPool, RankedServer, Ranking, ReferenceLook, ServiceMemory,
};
use crate::ids::{PoolName, ServiceName};
use crate::runbook::{Act, Pause};
use crate::time::{Mono, Now, Wall};

/// So many steps of virtual time are taken at the most: some days of a hundred servers.
const STEPS_MAX: u64 = 50_000_000;
/// So many moves and refusals are told at the most.
const TOLD_MAX: usize = 100_000;

/// What would have happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// The changes of an active pool, in the order of time.
    pub moves: Vec<Moved>,
    /// How long the first pool of each service was one that looks saw not serving.
    pub misdirected: BTreeMap<ServiceName, Duration>,
    /// How many looks were taken.
    pub looks: u64,
    /// What the engine told, in the order of time.
    pub told: Vec<(Wall, Event)>,
    /// The expectations that do not hold.
    pub unmet: Vec<Unmet>,
}

/// A change of an active pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// When.
    pub at: Wall,
    /// The service.
    pub service: ServiceName,
    /// From which pool.
    pub from: PoolName,
    /// To which.
    pub to: PoolName,
    /// Whether it is back to a more preferred pool.
    pub back: bool,
    /// Why.
    pub because: Because,
}

/// An expectation that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The line of the scenario.
    pub line: usize,
    /// Its time.
    pub at: Wall,
    /// What was expected, and what is.
    pub message: String,
}

/// Why a scenario cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It does not come to its end.
    #[error(
        "the scenario takes more than {STEPS_MAX} steps: replay a shorter time, or fewer servers"
    )]
    TooLong,
}

/// Replays `scenario` with `settings` in the place of its own.
///
/// # Errors
/// When it would take too long.
pub fn replay(scenario: &Scenario, settings: &Settings) -> Result<Replay, ReplayError> {
    let policy = settings.applied(&scenario.policy);
    let now = Now {
        // Not zero: a time before the start can be told from none.
        mono: Mono(Duration::from_secs(400 * 86_400)),
        wall: scenario.start,
    };
    let memory = memory(scenario, &policy);
    let mut world = World {
        scenario,
        engine: Some(Engine::new(policy.clone(), memory.clone(), now)),
        policy,
        now,
        dns: published(&memory),
        disk: memory,
        store_works: true,
        pending: Vec::new(),
        sights: Sights::new(scenario, now.mono),
        silent: BTreeSet::new(),
        follow: true,
        hooks: Vec::new(),
        outcomes: vec![false; scenario.hooks.len()],
        ran: Vec::new(),
        refused: None,
        replay: Replay::default(),
    };
    world.act();
    world.run()?;
    Ok(world.replay)
}

/// What an engine starts from that knows what the scenario says is known.
fn memory(scenario: &Scenario, policy: &Policy) -> Memory {
    let mut memory = Memory::default();
    for (name, standing) in &scenario.standing {
        let Some(service) = policy.services.get(name) else {
            continue;
        };
        let others = service
            .pools
            .iter()
            .filter(|pool| **pool != standing.active);
        let ranked = std::iter::once(&standing.active).chain(others);
        let ranked = ranked.filter_map(|pool| Some((pool, policy.pools.get(pool)?)));
        let pools = ranked.map(|(pool, configured)| RankedPool {
            pool: pool.clone(),
            servers: configured
                .servers
                .iter()
                .map(|server| RankedServer {
                    server: server.name.clone(),
                    addresses: server.addresses.clone(),
                    weight: server.weight,
                })
                .collect(),
        });
        let published = Publication {
            ranking: Ranking {
                pools: pools.collect(),
            },
            ttl: service.ttl.max,
        };
        let service_memory = ServiceMemory {
            published,
            active_since: scenario.start,
            because: Because::Unknown,
            operation: None,
            halted: None,
            ineligible: standing.out.clone(),
            moves: standing.moves.clone(),
            failback_suspended: standing.suspended,
            cached_until: None,
            proposal: None,
            ordered: None,
            lowered: None,
        };
        memory.services.insert(name.clone(), service_memory);
    }
    memory
}

fn published(memory: &Memory) -> BTreeMap<ServiceName, Publication> {
    let services = memory.services.iter();
    services
        .map(|(name, service)| (name.clone(), service.published.clone()))
        .collect()
}

pub(super) struct World<'s> {
    pub(super) scenario: &'s Scenario,
    /// `None` while the daemon does not run.
    pub(super) engine: Option<Engine>,
    policy: Policy,
    pub(super) now: Now,
    /// What is answered.
    pub(super) dns: BTreeMap<ServiceName, Publication>,
    disk: Memory,
    store_works: bool,
    pending: Vec<Change>,
    sights: Sights,
    silent: BTreeSet<SocketAddr>,
    /// Whether the secondaries follow.
    follow: bool,
    hooks: Vec<(Mono, HookCall, HookOutcome)>,
    /// Which of the scenario's lines about hooks have been used.
    outcomes: Vec<bool>,
    /// The hooks that ran, as `step@server`, an undo as `-step`.
    pub(super) ran: Vec<String>,
    /// What became of the latest order.
    pub(super) refused: Option<Result<(), String>>,
    pub(super) replay: Replay,
}

impl World<'_> {
    fn run(&mut self) -> Result<(), ReplayError> {
        let begun = self.now;
        let end = begun.mono + self.scenario.end();
        let mut lines = self.scenario.lines.iter().peekable();
        let mut checks = Checks::default();
        let mut steps = 0_u64;
        loop {
            let line = lines.peek().map(|line| begun.mono + line.at);
            let looks = self.sights.next();
            let hooks = self.hooks.iter().map(|(at, ..)| *at).min();
            let wake = self.engine.as_ref().and_then(Engine::poll_timeout);
            // Time goes on, even if the engine wants to be called at once.
            let wake = wake.map(|at| at.max(self.now.mono + Duration::from_millis(1)));
            let next = [line, looks, hooks, wake].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            steps += 1;
            if steps > STEPS_MAX {
                return Err(ReplayError::TooLong);
            }
            self.pass(next);
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| begun.mono + line.at <= next) {
                if let Happening::Expect(expectation) = &line.what {
                    expected.push((line, expectation));
                } else {
                    self.happen(&line.what);
                }
            }
            self.end_hooks();
            self.take_looks(&mut steps);
            self.tell(Input::TimePassed);
            for (line, expectation) in expected {
                checks.check(self, line, expectation);
            }
        }
        checks.finish(self);
        Ok(())
    }

    /// Time goes on, with the active pools as they are.
    fn pass(&mut self, to: Mono) {
        let passed = to.since(self.now.mono);
        if !passed.is_zero() {
            for (service, publication) in &self.dns {
                let active = publication.ranking.active();
                if active.is_some_and(|active| !self.sights.serves(self.scenario, active)) {
                    *self.replay.misdirected.entry(service.clone()).or_default() += passed;
                }
            }
        }
        self.now = Now {
            mono: to,
            wall: self.now.wall + passed,
        };
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::See {
                place,
                probe,
                depth,
                verdict,
                looks,
            } => {
                let (now, layers) = (self.now.mono, (*probe, *depth));
                let (verdict, looks) = (verdict.as_ref(), looks.as_ref());
                let scenario = self.scenario;
                self.sights
                    .see(now, scenario, place, layers, verdict, looks);
            }
            Happening::Reference { targets, answer } => {
                let meant = |target: &&SocketAddr| match targets {
                    Targets::All => true,
                    Targets::V4 => target.is_ipv4(),
                    Targets::V6 => target.is_ipv6(),
                    Targets::One(one) => one == *target,
                };
                for target in self.scenario.policy.references.iter().filter(meant) {
                    if *answer {
                        self.silent.remove(target);
                    } else {
                        self.silent.insert(*target);
                    }
                }
            }
            Happening::Secondaries { follow } => self.follow = *follow,
            Happening::Order(order) => self.order(order.clone()),
            Happening::Store { works } => {
                self.store_works = *works;
                if *works {
                    let pending = std::mem::take(&mut self.pending);
                    self.write(pending);
                }
                self.tell(Input::Store { works: *works });
            }
            Happening::Stop => {
                self.engine = None;
                self.hooks.clear();
                self.pending.clear();
            }
            Happening::Start => {
                self.store_works = true;
                let (policy, disk) = (self.policy.clone(), self.disk.clone());
                self.engine = Some(Engine::new(policy, disk, self.now));
                self.act();
            }
            Happening::Expect(_) | Happening::End => {}
        }
    }

    fn order(&mut self, order: Order) {
        let Some(engine) = &mut self.engine else {
            self.refused = Some(Err("the daemon does not run".to_owned()));
            return;
        };
        let taken = engine.handle_order(self.now, order);
        self.refused = Some(taken.map_err(|refusal| refusal.to_string()));
        self.act();
    }

    fn tell(&mut self, input: Input) {
        if let Some(engine) = &mut self.engine {
            engine.handle(self.now, input);
        }
        self.act();
    }

    /// Takes the looks that are due. While nobody runs they are not made up for.
    fn take_looks(&mut self, steps: &mut u64) {
        while self.sights.next().is_some_and(|next| next <= self.now.mono) && *steps <= STEPS_MAX {
            *steps += 1;
            let look = self.sights.look(self.now.mono);
            if let Some(look) = look.filter(|_| self.engine.is_some()) {
                self.replay.looks += 1;
                self.tell(Input::Observed(look));
            }
        }
    }

    fn end_hooks(&mut self) {
        while let Some(index) = self.hooks.iter().position(|(at, ..)| *at <= self.now.mono) {
            let (_, call, outcome) = self.hooks.remove(index);
            let end = HookEnd {
                outcome,
                output: String::new(),
                took: Duration::ZERO,
            };
            self.tell(Input::HookEnded {
                operation: call.operation,
                task: call.task,
                undo: call.undo,
                attempt: call.attempt,
                end,
            });
        }
    }

    /// Carries out what the engine wants, in order, as the daemon does.
    fn act(&mut self) {
        while let Some(action) = self.engine.as_mut().and_then(Engine::poll_action) {
            match action {
                Action::Persist(changes) => self.write(changes),
                Action::Publish(service, publication) => self.publish(service, publication),
                Action::RunHook(call) => self.run_hook(*call),
                Action::AbandonHooks(id) => self.hooks.retain(|(_, call, _)| call.operation != id),
                Action::Look(endpoints) => {
                    for endpoint in endpoints {
                        for look in self.sights.look_now(&endpoint, self.now.mono) {
                            self.replay.looks += 1;
                            if let Some(engine) = &mut self.engine {
                                engine.handle(self.now, Input::Observed(look));
                            }
                        }
                    }
                }
                Action::LookAtReferences(targets) => {
                    for target in targets {
                        let look = ReferenceLook {
                            target,
                            begun: self.now.mono,
                            reachable: !self.silent.contains(&target),
                        };
                        if let Some(engine) = &mut self.engine {
                            engine.handle(self.now, Input::Reference(look));
                        }
                    }
                }
                Action::LookAtSecondaries(service) => self.look_at_secondaries(service),
                Action::Tell(event) => {
                    if self.replay.told.len() < TOLD_MAX {
                        self.replay.told.push((self.now.wall, event));
                    }
                }
            }
        }
    }

    /// The secondaries serve what is published at once, or not at all.
    fn look_at_secondaries(&mut self, service: ServiceName) {
        let steps = self
            .policy
            .services
            .get(&service)
            .map(|known| &known.runbook.steps);
        let needed = steps.into_iter().flatten().map(|step| match step.act {
            Act::Wait(Pause::Secondaries { at_least }) => at_least.unwrap_or(1),
            Act::Wait(_) | Act::Run { .. } | Act::Publish | Act::Verify(_) => 1,
        });
        let needed = needed.max().unwrap_or(1);
        let seen = (1..=needed).map(|number| (format!("secondary {number}"), self.follow));
        let input = Input::Secondaries {
            service,
            asked: self.now.mono,
            seen: seen.collect(),
        };
        if let Some(engine) = &mut self.engine {
            engine.handle(self.now, input);
        }
    }

    fn write(&mut self, changes: Vec<Change>) {
        if !self.store_works {
            self.pending.extend(changes);
            return;
        }
        for change in changes {
            match change {
                Change::Service(name, memory) => {
                    self.disk.services.insert(name, *memory);
                }
                Change::ServiceGone(name) => {
                    self.disk.services.remove(&name);
                }
                Change::Overrides(overrides) => self.disk.overrides = overrides,
                Change::NextOperation(id) => self.disk.next_operation = id,
                Change::Operation(_) => {}
            }
        }
    }

    fn publish(&mut self, name: ServiceName, publication: Publication) {
        let from = self
            .dns
            .get(&name)
            .and_then(|before| before.ranking.active());
        let moved = from
            .zip(publication.ranking.active())
            .filter(|(from, to)| from != to);
        if let Some((from, to)) = moved
            && self.replay.moves.len() < TOLD_MAX
        {
            let preference = self
                .policy
                .services
                .get(&name)
                .map(|service| &service.pools);
            let place = |pool| preference.and_then(|pools| pools.iter().position(|it| it == pool));
            let view = self
                .engine
                .as_ref()
                .and_then(|engine| engine.service(self.now, &name));
            let because = view.map_or(Because::Unknown, |view| view.memory.because.clone());
            self.replay.moves.push(Moved {
                at: self.now.wall,
                service: name.clone(),
                from: from.clone(),
                to: to.clone(),
                back: place(to) < place(from),
                because,
            });
        }
        self.dns.insert(name, publication);
    }

    /// A hook runs as the first line about its step says that is not used up; without one, it
    /// ends well after a second.
    fn run_hook(&mut self, call: HookCall) {
        let sign = if call.undo { "-" } else { "" };
        let server = call.server.as_ref().map(|server| format!("@{server}"));
        let ran = format!("{sign}{}{}", call.step, server.unwrap_or_default());
        if self.ran.len() < TOLD_MAX {
            self.ran.push(ran);
        }
        let lines = self.scenario.hooks.iter().zip(&mut self.outcomes);
        let line = lines.into_iter().find(|(line, used)| {
            !**used
                && line.step == call.step
                && line.undo == call.undo
                && (line.server.is_none() || line.server == call.server)
        });
        let (outcome, after) = match line {
            Some((line, used)) => {
                *used = true;
                (line.outcome.clone(), line.after)
            }
            None => (HookOutcome::Done, Duration::from_secs(1)),
        };
        self.hooks.push((self.now.mono + after, call, outcome));
    }

    /// The reason of a service, as `explain` says it.
    pub(super) fn because(&self, service: &ServiceName) -> String {
        let view = self
            .engine
            .as_ref()
            .and_then(|engine| engine.service(self.now, service));
        view.map_or_else(
            || "the daemon does not run".to_owned(),
            |view| view.because.to_string(),
        )
    }
}
