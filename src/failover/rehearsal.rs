//! What an order would do, if every step succeeded.
//!
//! A rehearsal is a run of a copy of the engine: what decides, lays out and publishes the real move
//! does so here, in a time of its own. Hooks end well at once, looks at the servers of the new pool
//! find them well, and all others see what they saw last. So a plan cannot say anything that the
//! move would not do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::engine::{Action, Engine};
use super::{
    Because, By, Change, Event, HookCall, HookEnd, HookOutcome, Input, Memory, Order, OrderRefusal,
    Policy, Publication, ReferenceLook, Subject, Which,
};
use crate::health::{Observation, Verdict};
use crate::ids::{Endpoint, OperationId, PoolName, ProbeIndex, ServiceName};
use crate::runbook::{Act, Operation, Pause, Step, TaskStatus};
use crate::time::{Mono, Now, Wall};

/// A rehearsal takes no more turns than this: each starts or ends a step, or lets time pass.
const TURNS_MAX: usize = 10_000;

/// What an order would do.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The services that it can move or change.
    pub services: BTreeSet<ServiceName>,
    /// The operations of these that begin, as they end, in order.
    pub operations: Vec<Operation>,
    /// What happens, in order: to other services as well, while it waits for them.
    pub happenings: Vec<Happening>,
    /// Why moves that were ordered never begin.
    pub void: BTreeMap<ServiceName, String>,
    /// The engine when all is over.
    pub after: Box<Engine>,
    /// When that is, in its own time.
    pub then: Now,
}

/// One thing that would happen to one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// The service.
    pub service: ServiceName,
    /// So long after the order, not counting how long hooks and verifications take.
    pub after: Duration,
    /// Whether the order brings it about: else it was under way before.
    pub follows: bool,
    /// What.
    pub part: Part,
}

/// What would happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The service's records change to this.
    Publish(Publication),
    /// A task of the runbook begins.
    Task {
        /// The step's name, and its server.
        task: String,
        /// How long it can take, with all its runs and the pauses between them.
        at_most: Duration,
    },
    /// A program runs, or a call is made.
    Run(Box<HookCall>),
}

struct Rehearsing {
    copy: Engine,
    began: Now,
    now: Now,
    /// The services whose operation had begun before the order.
    busy_before: BTreeSet<ServiceName>,
    /// Every operation, as it was last written down.
    known: BTreeMap<OperationId, Operation>,
    begun: Vec<OperationId>,
    services: BTreeSet<ServiceName>,
    happenings: Vec<Happening>,
    void: BTreeMap<ServiceName, String>,
}

impl Rehearsal {
    /// What a move of this service would do in a world where all servers are well, nobody has said
    /// anything, and no other service moves. `None`: it has no such pools.
    #[must_use]
    pub fn in_quiet_times(
        policy: &Policy,
        service: &ServiceName,
        from: &PoolName,
        to: &PoolName,
    ) -> Option<Rehearsal> {
        let mut alone = policy.services.get(service)?.clone();
        alone.pools = vec![from.clone(), to.clone()];
        let policy = Policy {
            pools: policy.pools.clone(),
            services: BTreeMap::from([(service.clone(), alone)]),
            references: Vec::new(),
        };
        let now = Now {
            mono: Mono::default(),
            wall: Wall(0),
        };
        let mut engine = Engine::new(policy, Memory::default(), now);
        let watched: Vec<_> = engine.watches.keys().cloned().collect();
        for (endpoint, probe) in watched {
            let times = engine.limits_of(&endpoint, probe);
            for _ in 0..times.map_or(0, |(_, limits)| limits.thresholds.rise) {
                engine.see_well(now, &endpoint, probe);
            }
        }
        let order = Order::Failover {
            service: service.clone(),
            to: Some(to.clone()),
            by: By::default(),
            force: true,
            now: true,
        };
        engine.rehearse(now, order).ok()
    }

    /// The operation of a service that the order begins.
    #[must_use]
    pub fn operation_of(&self, service: &ServiceName) -> Option<&Operation> {
        self.operations.iter().find(|it| it.service == *service)
    }
}

impl Engine {
    /// What an order would do, until nothing that follows from it is under way or waits for anything
    /// but a person.
    ///
    /// # Errors
    /// [`OrderRefusal`], as for the order itself.
    pub fn rehearse(&self, now: Now, order: Order) -> Result<Rehearsal, OrderRefusal> {
        let mut copy = self.clone();
        while copy.poll_action().is_some() {}
        let services = copy.concerned(&order);
        let busy_before = copy.operations().map(|it| it.service.clone()).collect();
        copy.handle_order(now, order)?;
        let mut rehearsing = Rehearsing {
            copy,
            began: now,
            now,
            busy_before,
            known: BTreeMap::new(),
            begun: Vec::new(),
            services,
            happenings: Vec::new(),
            void: BTreeMap::new(),
        };
        rehearsing.end_what_runs();
        for _ in 0..TURNS_MAX {
            rehearsing.carry_out();
            if !rehearsing.goes_on() || !rehearsing.pass_time() {
                break;
            }
        }
        Ok(rehearsing.finish())
    }

    /// The services that an order can move, or whose records it can change.
    fn concerned(&self, order: &Order) -> BTreeSet<ServiceName> {
        let with_pool = |pool: &PoolName| {
            let services = self.policy.services.iter();
            let with = services.filter(|(_, service)| service.pools.contains(pool));
            with.map(|(name, _)| name.clone()).collect()
        };
        let subject = match order {
            Order::Set { said, .. } => &said.subject,
            Order::Clear { subject, .. } => subject,
            Order::Approve {
                which: Which::Operation(id),
                ..
            }
            | Order::Reject {
                which: Which::Operation(id),
                ..
            } => return self.proposed(*id).cloned().into_iter().collect(),
            Order::Approve { .. }
            | Order::Reject { .. }
            | Order::Failover { .. }
            | Order::Failback { .. }
            | Order::Handle { .. }
            | Order::Readmit { .. } => return order.service().cloned().into_iter().collect(),
        };
        match subject {
            Subject::Pin(service) | Subject::Freeze(service) => BTreeSet::from([service.clone()]),
            Subject::DrainPool(pool) => with_pool(pool),
            Subject::DrainServer(server) => {
                let mut pools = self.policy.pools.iter();
                let home = pools.find(|(_, pool)| pool.servers.iter().any(|it| it.name == *server));
                home.map(|(pool, _)| with_pool(pool)).unwrap_or_default()
            }
        }
    }

    /// Every endpoint is seen again as it was seen last, often enough to be believed. Nothing is
    /// decided between two looks: in truth they would not have come all at once.
    fn look_again(&mut self, now: Now) {
        let watched: Vec<_> = self.watches.keys().cloned().collect();
        for (endpoint, probe) in watched {
            let Some((pool, limits)) = self.limits_of(&endpoint, probe) else {
                continue;
            };
            let masked = self.pools.get(&pool).is_some_and(|state| state.masked);
            let Some(watch) = self.watches.get_mut(&(endpoint.clone(), probe)) else {
                continue;
            };
            let Some(latest) = watch.latest() else {
                continue;
            };
            let look = Observation {
                endpoint,
                probe,
                begun: now.mono,
                ended: now.mono,
                depth: limits.depth,
                verdict: latest.verdict.clone(),
            };
            if masked {
                watch.note(&look);
                continue;
            }
            for _ in 0..limits.thresholds.rise.max(limits.thresholds.fall) {
                watch.handle_observation(&look, &limits);
            }
        }
    }

    /// One good look. Says whether there is such a probe.
    fn see_well(&mut self, now: Now, endpoint: &Endpoint, probe: ProbeIndex) -> bool {
        let Some((_, limits)) = self.limits_of(endpoint, probe) else {
            return false;
        };
        let look = Observation {
            endpoint: endpoint.clone(),
            probe,
            begun: now.mono,
            ended: now.mono,
            depth: limits.depth,
            verdict: Verdict::Good,
        };
        self.handle(now, Input::Observed(look));
        true
    }
}

impl Rehearsing {
    fn finish(self) -> Rehearsal {
        let mut known = self.known;
        let operations = self.begun.iter().filter_map(|id| known.remove(id));
        Rehearsal {
            services: self.services,
            operations: operations.collect(),
            happenings: self.happenings,
            void: self.void,
            after: Box::new(self.copy),
            then: self.now,
        }
    }

    /// Whether a service is about to move, or moves, and needs no person for it.
    fn goes_on(&self) -> bool {
        self.services.iter().any(|name| {
            let Some(view) = self.copy.service(self.now, name) else {
                return false;
            };
            let waits = matches!(
                view.because,
                Because::TtlDrains { .. } | Because::WaitsForOperation { .. }
            );
            waits || view.memory.operation.is_some() || view.memory.ordered.is_some()
        })
    }

    /// What other operations run already ends well, too.
    fn end_what_runs(&mut self) {
        let operations = self.copy.operations();
        let running = operations.flat_map(|operation| {
            let tasks = operation.tasks.iter().enumerate();
            tasks.filter_map(|(index, task)| {
                let is_hook = matches!(operation.step(index)?.act, Act::Run { .. });
                let undo = matches!(task.status, TaskStatus::Undoing { .. });
                let id = (operation.id, index, undo, task.attempts);
                (is_hook && task.status.is_running()).then_some(id)
            })
        });
        let running: Vec<_> = running.collect();
        for (operation, task, undo, attempt) in running {
            self.end_well(operation, task, undo, attempt);
        }
    }

    fn end_well(&mut self, operation: OperationId, task: usize, undo: bool, attempt: u32) {
        let ended = Input::HookEnded {
            operation,
            task,
            undo,
            attempt,
            end: HookEnd {
                outcome: HookOutcome::Done,
                output: String::new(),
                took: Duration::ZERO,
            },
        };
        self.copy.handle(self.now, ended);
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.copy.poll_action() {
            match action {
                Action::Persist(changes) => changes.into_iter().for_each(|it| self.know(it)),
                Action::Publish(service, publication) => {
                    self.happen(service, Part::Publish(publication));
                }
                Action::RunHook(call) => {
                    let (operation, task) = (call.operation, call.task);
                    let (undo, attempt) = (call.undo, call.attempt);
                    self.happen(call.service.clone(), Part::Run(call));
                    self.end_well(operation, task, undo, attempt);
                }
                Action::Look(endpoints) => self.find_well(&endpoints),
                Action::LookAtSecondaries(service) => self.find_current(service),
                Action::LookAtReferences(targets) => {
                    for target in targets {
                        let begun = self.now.mono;
                        let look = ReferenceLook {
                            target,
                            begun,
                            reachable: true,
                        };
                        self.copy.handle(self.now, Input::Reference(look));
                    }
                }
                Action::Tell(event) => self.hear(event),
                Action::AbandonHooks(_) => {}
            }
        }
    }

    fn happen(&mut self, service: ServiceName, part: Part) {
        self.happenings.push(Happening {
            after: self.now.mono.since(self.began.mono),
            follows: self.services.contains(&service) && !self.busy_before.contains(&service),
            service,
            part,
        });
    }

    fn know(&mut self, change: Change) {
        let operation = match change {
            Change::Service(_, memory) => memory.operation,
            Change::Operation(operation) => Some(*operation),
            Change::ServiceGone(_) | Change::Overrides(_) | Change::NextOperation(_) => None,
        };
        if let Some(operation) = operation {
            self.known.insert(operation.id, operation);
        }
    }

    fn find_well(&mut self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            let mut probes = (0..).map(ProbeIndex);
            while probes
                .next()
                .is_some_and(|probe| self.copy.see_well(self.now, endpoint, probe))
            {}
        }
    }

    /// As many secondaries as any step asks for.
    fn find_current(&mut self, service: ServiceName) {
        let runbook = self
            .copy
            .policy
            .services
            .get(&service)
            .map(|it| &it.runbook);
        let steps = runbook.map(|plan| &plan.steps[..]).unwrap_or_default();
        let needed = steps.iter().filter_map(|step| match step.act {
            Act::Wait(Pause::Secondaries { at_least }) => at_least,
            Act::Wait(_) | Act::Run { .. } | Act::Publish | Act::Verify(_) => None,
        });
        let needed = needed.max().unwrap_or(1).max(1);
        let seen = (0..needed).map(|number| (number.to_string(), true));
        let input = Input::Secondaries {
            service,
            asked: self.now.mono,
            seen: seen.collect(),
        };
        self.copy.handle(self.now, input);
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::OperationBegan { id, service, .. } if self.services.contains(&service) => {
                self.begun.push(id);
            }
            Event::Task {
                id,
                service,
                task,
                status,
            } if status.starts_with("started") => {
                let at_most = self.longest(id, &task);
                self.happen(service, Part::Task { task, at_most });
            }
            Event::OperationEnded { service, .. } => {
                self.busy_before.remove(&service);
            }
            Event::OrderVoid { service, why, .. } => {
                self.void.insert(service, why);
            }
            Event::HealthChanged { .. }
            | Event::Published { .. }
            | Event::OperationBegan { .. }
            | Event::Task { .. }
            | Event::Reasoning { .. }
            | Event::Uplink { .. }
            | Event::Override { .. }
            | Event::ApprovalWanted { .. }
            | Event::Answered { .. }
            | Event::Withdrawn { .. }
            | Event::Handled { .. }
            | Event::Readmitted { .. } => {}
        }
    }

    fn longest(&self, id: OperationId, task: &str) -> Duration {
        let step = self.known.get(&id).and_then(|operation| {
            let mut tasks = 0..operation.tasks.len();
            operation.step(tasks.find(|index| operation.name_of(*index) == task)?)
        });
        step.map_or(Duration::ZERO, Step::longest)
    }

    /// Lets time pass until something happens by itself. Says whether anything can.
    fn pass_time(&mut self) -> bool {
        let drains = self.services.iter().filter_map(|name| {
            let because = self.copy.because(self.now, name)?;
            let Because::TtlDrains { remaining, .. } = because else {
                return None;
            };
            Some(self.now.mono + remaining)
        });
        // While nothing but caches is waited for, all before they are empty repeats itself.
        let moves = self.copy.operations().next().is_some();
        let caches = drains.min().filter(|_| !moves);
        let Some(at) = caches.or_else(|| self.copy.poll_timeout()) else {
            return false;
        };
        let by = at.since(self.now.mono).max(Duration::from_millis(1));
        self.now.mono = self.now.mono + by;
        self.now.wall = self.now.wall + by;
        self.copy.look_again(self.now);
        self.copy.handle(self.now, Input::TimePassed);
        true
    }
}
