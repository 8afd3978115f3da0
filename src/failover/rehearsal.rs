//! What an order would do, if every step of it succeeded.
//!
//! A rehearsal is a run of a copy of the engine: what decides, lays out and publishes the real move
//! does so here, in a time of its own. Hooks end well at once, looks at the servers of the new pool
//! find them well, and all others see what they saw last. So a plan cannot say anything that the
//! move would not do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::{Action, Engine};
use super::{
    Because, By, Event, HookCall, HookEnd, HookOutcome, Input, Memory, Order, OrderRefusal, Policy,
    Publication, ReferenceLook,
};
use crate::health::{Observation, Verdict};
use crate::ids::{Endpoint, OperationId, PoolName, ProbeIndex, ServiceName};
use crate::runbook::{Act, Pause, Phase};
use crate::time::{Mono, Now, Wall};

/// A rehearsal takes no more turns than this: each starts or ends a step, or lets time pass.
const TURNS_MAX: usize = 10_000;

/// What an order would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// The operation, the pool that it leaves, the pool that it goes to. `None`: nothing moves.
    pub operation: Option<(OperationId, PoolName, PoolName)>,
    /// What happens, in order.
    pub parts: Vec<Part>,
    /// How it ends. `None`: it comes to no end by itself.
    pub end: Option<Phase>,
}

/// One thing that would happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The service's records change to this, so long after the order.
    Publish {
        /// When, not counting how long hooks and verifications take.
        after: Duration,
        /// What is published.
        publication: Publication,
    },
    /// A task of the runbook begins.
    Task {
        /// The step's name, and its server.
        task: String,
    },
    /// A program runs.
    Run(Box<HookCall>),
}

struct Rehearsing {
    copy: Engine,
    service: ServiceName,
    began: Now,
    now: Now,
    rehearsal: Rehearsal,
    over: bool,
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
        engine.rehearse(now, service, order).ok()
    }
}

impl Engine {
    /// What an order of this service would do.
    ///
    /// # Errors
    /// [`OrderRefusal`], as for the order itself.
    pub fn rehearse(
        &self,
        now: Now,
        service: &ServiceName,
        order: Order,
    ) -> Result<Rehearsal, OrderRefusal> {
        let mut copy = self.clone();
        while copy.poll_action().is_some() {}
        copy.handle_order(now, order)?;
        let mut rehearsing = Rehearsing {
            copy,
            service: service.clone(),
            began: now,
            now,
            rehearsal: Rehearsal {
                operation: None,
                parts: Vec::new(),
                end: None,
            },
            over: false,
        };
        for _ in 0..TURNS_MAX {
            rehearsing.carry_out();
            if rehearsing.over || !rehearsing.pass_time() {
                break;
            }
        }
        Ok(rehearsing.rehearsal)
    }

    /// The looks at every endpoint that repeat what was seen last, often enough to be believed.
    fn seen_again(&self, now: Now) -> Vec<Observation> {
        let mut looks = Vec::new();
        for ((endpoint, probe), watch) in &self.watches {
            let (Some(latest), Some((_, limits))) =
                (watch.latest(), self.limits_of(endpoint, *probe))
            else {
                continue;
            };
            let thresholds = limits.thresholds;
            for _ in 0..thresholds.rise.max(thresholds.fall) {
                looks.push(Observation {
                    endpoint: endpoint.clone(),
                    probe: *probe,
                    begun: now.mono,
                    ended: now.mono,
                    depth: limits.depth,
                    verdict: latest.verdict.clone(),
                });
            }
        }
        looks
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
    fn carry_out(&mut self) {
        while let Some(action) = self.copy.poll_action() {
            match action {
                Action::Publish(service, publication) if service == self.service => {
                    let after = self.now.mono.since(self.began.mono);
                    self.rehearsal
                        .parts
                        .push(Part::Publish { after, publication });
                }
                Action::RunHook(call) => self.run(*call),
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
                Action::Publish(..) | Action::Persist(_) | Action::AbandonHooks(_) => {}
            }
            if self.over {
                return;
            }
        }
    }

    fn run(&mut self, call: HookCall) {
        let ended = Input::HookEnded {
            operation: call.operation,
            task: call.task,
            undo: call.undo,
            attempt: call.attempt,
            end: HookEnd {
                outcome: HookOutcome::Done,
                output: String::new(),
                took: Duration::ZERO,
            },
        };
        if call.service == self.service {
            self.rehearsal.parts.push(Part::Run(Box::new(call)));
        }
        self.copy.handle(self.now, ended);
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
            Event::OperationBegan {
                id,
                service,
                from,
                to,
                ..
            } if service == self.service => self.rehearsal.operation = Some((id, from, to)),
            Event::Task {
                service,
                task,
                status,
                ..
            } if service == self.service && status.starts_with("started") => {
                self.rehearsal.parts.push(Part::Task { task });
            }
            Event::OperationEnded { service, phase, .. } if service == self.service => {
                self.rehearsal.end = Some(phase);
                self.over = true;
            }
            Event::OrderVoid { service, .. } if service == self.service => self.over = true,
            Event::HealthChanged { .. }
            | Event::Published { .. }
            | Event::OperationBegan { .. }
            | Event::Task { .. }
            | Event::OperationEnded { .. }
            | Event::Reasoning { .. }
            | Event::Uplink { .. }
            | Event::Override { .. }
            | Event::ApprovalWanted { .. }
            | Event::Answered { .. }
            | Event::Withdrawn { .. }
            | Event::OrderVoid { .. }
            | Event::Handled { .. }
            | Event::Readmitted { .. } => {}
        }
    }

    /// Lets time pass until something happens by itself. Says whether anything can.
    fn pass_time(&mut self) -> bool {
        let because = self.copy.because(self.now, &self.service);
        let caches = match because {
            Some(Because::TtlDrains { remaining, .. }) => Some(self.now.mono + remaining),
            Some(_) | None => None,
        };
        let Some(at) = caches.or_else(|| self.copy.poll_timeout()) else {
            return false;
        };
        let by = at.since(self.now.mono).max(Duration::from_millis(1));
        self.now.mono = self.now.mono + by;
        self.now.wall = self.now.wall + by;
        for look in self.copy.seen_again(self.now) {
            self.copy.handle(self.now, Input::Observed(look));
        }
        self.copy.handle(self.now, Input::TimePassed);
        true
    }
}
