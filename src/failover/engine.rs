//! The engine: all decisions of one node, without async, lock, clock or random number.
//!
//! # How it is driven
//! - [`Engine::handle`] takes an input and the time; [`Engine::handle_order`] an operator's
//!   word, which may be refused.
//! - Then [`Engine::poll_action`] until it is `None`. The actions are carried out in order:
//!   a [`Action::Persist`] is durable before the action behind it is begun.
//! - [`Engine::poll_timeout`] says when to call `handle` with [`Input::TimePassed`] at the
//!   latest.
//!
//! # Invariants
//! - A published ranking is never empty and lists every pool of its service.
//! - The active pool changes only in the publish step of an operation, or in its undo.
//! - At most one operation per service, at most one with hooks in all.
//! - A task recorded as done is never started again.
//! - While frozen or isolated no step begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::rank::{PoolBelief, ServerBelief};
use super::service_state::ServiceState;
use super::uplink::{ReferenceLook, Uplink, UplinkNews};
use super::{Change, Detection, Event, HookCall, HookEnd, Memory, Overrides, Policy, Publication};
use crate::health::{
    Health, Layer, Observation, Thresholds, Watch, WatchLimits, pool_health, server_health,
};
use crate::ids::{Endpoint, OperationId, PoolName, ProbeIndex, ServerName, ServiceName};
use crate::time::{Mono, Now};

/// What the engine is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A look at an endpoint has ended.
    Observed(Observation),
    /// A look at a reference target has ended.
    Reference(ReferenceLook),
    /// A run of a hook has ended.
    HookEnded {
        /// The operation.
        operation: OperationId,
        /// The task.
        task: usize,
        /// Whether it was the undo.
        undo: bool,
        /// The attempt.
        attempt: u32,
        /// How it ended.
        end: HookEnd,
    },
    /// The secondaries of a service have been asked, after an [`Action::LookAtSecondaries`].
    Secondaries {
        /// The service.
        service: ServiceName,
        /// When they were asked.
        asked: Mono,
        /// Each of them, and whether it serves what is published.
        seen: Vec<(String, bool)>,
    },
    /// A new policy, that [`Engine::admit`] has admitted.
    Policy {
        /// The policy.
        policy: Box<Policy>,
        /// The services whose records change in what no policy says: their owners, their ports.
        changed: BTreeSet<ServiceName>,
    },
    /// The store works, or fails.
    Store {
        /// Whether it works.
        works: bool,
    },
    /// Nothing but time.
    TimePassed,
}

/// What the engine wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make these durable, in one transaction, before anything that follows.
    Persist(Vec<Change>),
    /// Publish this of this service.
    Publish(ServiceName, Publication),
    /// Run this hook.
    RunHook(Box<HookCall>),
    /// Give up on the runs of this operation: nobody has heard of them past their time.
    AbandonHooks(OperationId),
    /// Look at these endpoints now.
    Look(Vec<Endpoint>),
    /// Ask the secondaries of this service's zones whether they serve what is published by now.
    LookAtSecondaries(ServiceName),
    /// Look at these reference targets now.
    LookAtReferences(Vec<SocketAddr>),
    /// Tell people.
    Tell(Event),
}

/// The engine. See the module's text.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) policy: Policy,
    pub(super) watches: BTreeMap<(Endpoint, ProbeIndex), Watch>,
    /// The pool that each server stands in.
    home: BTreeMap<ServerName, PoolName>,
    pub(super) pools: BTreeMap<PoolName, PoolState>,
    pub(super) services: BTreeMap<ServiceName, ServiceState>,
    pub(super) overrides: Overrides,
    pub(super) next_operation: OperationId,
    pub(super) uplinks: [Uplink; 2],
    pub(super) store_works: bool,
    /// Watches of a new endpoint decide at once: at the first start ever, and only then.
    eager: bool,
    pub(super) changes: Vec<Change>,
    pub(super) effects: VecDeque<Action>,
    actions: VecDeque<Action>,
    wake: Option<Mono>,
    stirred: bool,
}

/// What is believed of a pool, and since when.
#[derive(Clone, Debug)]
pub(super) struct PoolState {
    pub(super) belief: PoolBelief,
    pub(super) serving_since: Option<Mono>,
    pub(super) fit_since: Option<Mono>,
    pub(super) masked: bool,
}

impl Engine {
    /// An engine for `policy` that goes on from `memory`; an empty memory is the first start
    /// ever. Operations that were under way go on as their steps say.
    #[must_use]
    pub fn new(policy: Policy, memory: Memory, now: Now) -> Engine {
        let eager = memory.services.is_empty();
        let mut engine = Engine {
            uplinks: uplinks(&policy),
            policy,
            watches: BTreeMap::new(),
            home: BTreeMap::new(),
            pools: BTreeMap::new(),
            services: BTreeMap::new(),
            overrides: memory.overrides,
            next_operation: memory.next_operation,
            store_works: true,
            eager,
            changes: Vec::new(),
            effects: VecDeque::new(),
            actions: VecDeque::new(),
            wake: None,
            stirred: true,
        };
        engine.lay_out_watches();
        engine.resume_services(memory.services, now);
        engine.settle(now);
        engine
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Observed(look) => self.observe(now, look),
            Input::Reference(look) => {
                let family = usize::from(look.target.is_ipv6());
                let news = self.uplinks[family].handle_reference(now.mono, look);
                self.hear_of_uplink(now, family, news);
            }
            Input::HookEnded {
                operation,
                task,
                undo,
                attempt,
                end,
            } => {
                self.hook_ended(now, operation, task, undo, attempt, end);
            }
            Input::Secondaries {
                service,
                asked,
                seen,
            } => self.saw_secondaries(&service, asked, seen),
            Input::Policy { policy, changed } => self.adopt(now, *policy, &changed),
            Input::Store { works } => {
                self.store_works = works;
                self.stirred = true;
            }
            Input::TimePassed => {}
        }
        self.look_at_references(now);
        if self.stirred || self.wake.is_some_and(|wake| wake <= now.mono) {
            self.settle(now);
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// When to call [`Engine::handle`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let uplinks = self.uplinks.iter().filter_map(Uplink::poll_timeout);
        self.wake.into_iter().chain(uplinks).min()
    }

    /// Whether every endpoint has been looked at: the first round is over.
    #[must_use]
    pub fn has_seen_all(&self) -> bool {
        self.watches.values().all(|watch| watch.latest().is_some())
    }

    fn observe(&mut self, now: Now, look: Observation) {
        let key = (look.endpoint.clone(), look.probe);
        if !self.watches.contains_key(&key) {
            return;
        }
        for state in self.services.values_mut() {
            state.handle_observation(&look, &mut self.stirred);
        }
        let family = usize::from(look.endpoint.address.is_ipv6());
        if self.uplinks[family].is_isolated() {
            self.watches
                .entry(key)
                .and_modify(|watch| watch.note(&look));
            return;
        }
        if look.verdict.could_be_our_uplink() {
            if let Some(counts) = self.uplinks[family].hold(now.mono, look) {
                self.count(now, &counts);
            }
            return;
        }
        self.count(now, &look);
    }

    /// Counts a verdict that nothing speaks against.
    fn count(&mut self, now: Now, look: &Observation) {
        let Some((pool, limits)) = self.limits_of(&look.endpoint, look.probe) else {
            return;
        };
        let masked = self.pools.get(&pool).is_some_and(|state| state.masked);
        let key = (look.endpoint.clone(), look.probe);
        let Some(watch) = self.watches.get_mut(&key) else {
            return;
        };
        let outrun = watch
            .latest()
            .is_some_and(|latest| latest.ended > look.ended);
        if masked {
            watch.note(look);
            return;
        }
        if outrun && look.verdict.could_be_our_uplink() {
            return;
        }
        // A gap that nobody was awake for: what was believed before it is stale by now.
        watch.expire(now.mono, &limits);
        let stir = watch.handle_observation(look, &limits);
        self.stirred |= stir.stirred;
        if stir.health.0 != stir.health.1 {
            self.tell(Event::HealthChanged {
                pool,
                endpoint: look.endpoint.clone(),
                from: stir.health.0,
                to: stir.health.1,
                saw: look.verdict.to_string(),
            });
        }
    }

    fn hear_of_uplink(&mut self, now: Now, family: usize, news: UplinkNews) {
        for look in news.released {
            self.count(now, &look);
        }
        let Some(up) = news.changed else { return };
        if up {
            let v6 = family == 1;
            let ours = self
                .watches
                .iter_mut()
                .filter(|((at, _), _)| at.address.is_ipv6() == v6);
            ours.for_each(|(_, watch)| watch.reset_rows(now.mono));
        }
        let name = if family == 0 { "IPv4" } else { "IPv6" };
        self.tell(Event::Uplink {
            family: name.to_owned(),
            up,
        });
        self.stirred = true;
    }

    fn look_at_references(&mut self, now: Now) {
        for family in 0..self.uplinks.len() {
            for look in self.uplinks[family].handle_timeout(now.mono) {
                self.count(now, &look);
            }
            if let Some(targets) = self.uplinks[family].poll_look(now.mono) {
                self.actions
                    .push_back(Action::LookAtReferences(targets.to_vec()));
            }
        }
    }

    /// Brings everything to rest after an input: beliefs, operations, decisions, publications.
    pub(super) fn settle(&mut self, now: Now) {
        self.stirred = false;
        self.wake = None;
        self.expire_overrides(now);
        // Each round starts or ends an operation, or is the last: their number is bounded by
        // the pools that are eligible.
        let rounds = 4 + 4 * self
            .services
            .values()
            .map(ServiceState::size)
            .sum::<usize>();
        for _ in 0..rounds {
            self.refresh_beliefs(now);
            let names: Vec<ServiceName> = self.services.keys().cloned().collect();
            let mut moved = false;
            for name in &names {
                if self.drive_operation(now, name) {
                    moved = true;
                    // An operation that ended took its mask along: what was believed under it
                    // decides nothing any more.
                    self.refresh_beliefs(now);
                }
                if self.decide_for(now, name) {
                    moved = true;
                    self.refresh_beliefs(now);
                }
            }
            if !moved {
                break;
            }
        }
        self.flush();
    }

    /// What is to be durable goes before what is to be visible.
    fn flush(&mut self) {
        if !self.changes.is_empty() {
            self.actions
                .push_back(Action::Persist(std::mem::take(&mut self.changes)));
        }
        self.actions.append(&mut self.effects);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.effects.push_back(Action::Tell(event));
    }

    pub(super) fn stir(&mut self) {
        self.stirred = true;
    }

    pub(super) fn wake_at(&mut self, at: Mono) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    pub(super) fn lay_out_watches(&mut self) {
        let mut wanted = BTreeMap::new();
        self.home.clear();
        for (name, pool) in &self.policy.pools {
            for server in &pool.servers {
                self.home.insert(server.name.clone(), name.clone());
                for address in &server.addresses {
                    let endpoint = Endpoint {
                        server: server.name.clone(),
                        address: *address,
                    };
                    for (index, _) in (0u16..).zip(&pool.detection) {
                        let key = (endpoint.clone(), ProbeIndex(index));
                        let known = self.watches.remove(&key);
                        wanted.insert(key, known.unwrap_or_else(|| Watch::new(self.eager)));
                    }
                }
            }
        }
        self.watches = wanted;
        self.eager = false;
    }

    pub(super) fn limits_of(
        &self,
        endpoint: &Endpoint,
        probe: ProbeIndex,
    ) -> Option<(PoolName, WatchLimits)> {
        let name = self.home.get(&endpoint.server)?;
        let detection = self
            .policy
            .pools
            .get(name)?
            .detection
            .get(usize::from(probe.0))?;
        Some((name.clone(), limits(detection)))
    }

    /// Recomputes what is believed of every pool, and when it goes stale.
    pub(super) fn refresh_beliefs(&mut self, now: Now) {
        let isolated = [self.uplinks[0].is_isolated(), self.uplinks[1].is_isolated()];
        let names: Vec<PoolName> = self.policy.pools.keys().cloned().collect();
        for name in names {
            let mask_ends = self
                .services
                .values()
                .filter_map(|state| state.masked_until(&name, now.wall))
                .max();
            let masked = mask_ends.is_some();
            if let Some(at) = mask_ends {
                self.wake_at(now.mono + at.since(now.wall));
            }
            if !masked && self.pools.get(&name).is_some_and(|state| state.masked) {
                self.forget_pool(&name);
            }
            if !masked {
                self.expire_watches(now, &name, isolated);
            }
            let belief = self.believe(&name);
            let pool = &self.policy.pools[&name];
            let fit = super::decide::is_fit(pool, &belief);
            let serving = super::decide::is_serving(pool, &belief);
            let before = self.pools.get(&name);
            let since = |holds: bool, since: Option<Mono>| holds.then(|| since.unwrap_or(now.mono));
            let state = PoolState {
                serving_since: since(serving, before.and_then(|state| state.serving_since)),
                fit_since: since(fit, before.and_then(|state| state.fit_since)),
                belief,
                masked,
            };
            self.pools.insert(name, state);
        }
        self.pools
            .retain(|name, _| self.policy.pools.contains_key(name));
    }

    pub(super) fn forget_pool(&mut self, name: &PoolName) {
        let home = &self.home;
        let ours = self
            .watches
            .iter_mut()
            .filter(|((at, _), _)| home.get(&at.server) == Some(name));
        ours.for_each(|(_, watch)| watch.forget());
    }

    fn expire_watches(&mut self, now: Now, name: &PoolName, isolated: [bool; 2]) {
        let pool = &self.policy.pools[name];
        let mut wake: Option<Mono> = None;
        for endpoint in pool.endpoints() {
            if isolated[usize::from(endpoint.address.is_ipv6())] {
                continue;
            }
            for (index, detection) in (0u16..).zip(&pool.detection) {
                let limits = limits(detection);
                let key = (endpoint.clone(), ProbeIndex(index));
                if let Some(watch) = self.watches.get_mut(&key) {
                    watch.expire(now.mono, &limits);
                    wake = watch.stale_at(&limits).into_iter().chain(wake).min();
                }
            }
        }
        if let Some(at) = wake {
            self.wake_at(at);
        }
    }

    pub(super) fn believe(&self, name: &PoolName) -> PoolBelief {
        let pool = &self.policy.pools[name];
        let mut suspicion = false;
        let (mut reachable, mut counted, mut firm) = (0, Vec::new(), Vec::new());
        let mut servers = Vec::with_capacity(pool.servers.len());
        for server in &pool.servers {
            let mut addresses = Vec::with_capacity(server.addresses.len());
            let (mut path, mut firmest) = (Health::Down, Health::Down);
            for address in &server.addresses {
                let endpoint = Endpoint {
                    server: server.name.clone(),
                    address: *address,
                };
                let watched = self.watches_of(&endpoint, &pool.detection);
                let (mut health, mut doubted) = (Health::Up, false);
                for (watch, detection) in watched {
                    health = health.min(watch.health(detection.depth));
                    path = path.max(watch.layer(Layer::Path));
                    doubted |= watch.is_under_suspicion(detection.depth);
                }
                suspicion |= doubted;
                firmest = firmest.max(if doubted { Health::Down } else { health });
                addresses.push((*address, health));
            }
            if !self.overrides.is_server_drained(&server.name) {
                reachable += usize::from(path == Health::Up);
                counted.push(server_health(addresses.iter().map(|(_, health)| *health)));
                firm.push(firmest);
            }
            servers.push(ServerBelief {
                name: server.name.clone(),
                addresses,
            });
        }
        PoolBelief {
            servers,
            health: pool_health(counted, pool.min_healthy),
            firm: pool_health(firm, pool.min_healthy),
            path_is_open: reachable >= pool.min_healthy,
            suspicion,
        }
    }

    fn watches_of<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        detection: &'a [Detection],
    ) -> impl Iterator<Item = (&'a Watch, &'a Detection)> {
        (0u16..)
            .zip(detection)
            .filter_map(move |(index, detection)| {
                let watch = self.watches.get(&(endpoint.clone(), ProbeIndex(index)))?;
                Some((watch, detection))
            })
    }

    /// Whether every uplink that our endpoints need is down.
    pub(super) fn is_isolated(&self) -> bool {
        let mut used = [false; 2];
        for (endpoint, _) in self.watches.keys() {
            used[usize::from(endpoint.address.is_ipv6())] = true;
        }
        let mut needed = used
            .iter()
            .zip(&self.uplinks)
            .filter(|(used, _)| **used)
            .peekable();
        needed.peek().is_some() && needed.all(|(_, uplink)| uplink.is_isolated())
    }
}

pub(super) fn uplinks(policy: &Policy) -> [Uplink; 2] {
    let families = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    families.map(|like| Uplink::new(&policy.references, like))
}

/// The counting rules of one probe.
#[must_use]
pub(super) fn limits(detection: &Detection) -> WatchLimits {
    WatchLimits {
        thresholds: Thresholds {
            rise: detection.rise,
            fall: detection.fall,
        },
        depth: detection.depth,
        stale_after: detection.stale_after,
        tls_stale_after: detection.tls_stale_after,
    }
}

/// So long after its time a hook's run is given up, if its runner says nothing.
pub(super) const RUNNER_GRACE: Duration = Duration::from_secs(15);
