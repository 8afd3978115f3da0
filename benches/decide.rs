//! What a decision costs, without the network and the disk: `cargo bench --bench decide [-- --rounds N]`.
//!
//! `rank` puts the pools of a service in order; a `look` is fed to the engine, which finds that
//! nothing has changed; a `failover` is the look after which the engine moves a service, up to the
//! last action that it wants. Each case is timed in turns with the others, and the median counts.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "../tests/failover/given.rs"]
#[allow(dead_code, reason = "not all that the tests begin with")]
mod given;

use std::hint::black_box;
use std::time::Duration;

use switchback::clock;
use switchback::failover::{
    Action, Engine, Input, Memory, Overrides, Policy, PoolBelief, ServerBelief, rank,
};
use switchback::health::{Health, Layer, Observation, PoolHealth, Verdict};
use switchback::ids::{Endpoint, PoolName, ProbeIndex};
use switchback::time::{Mono, Now, Wall};

use arguments::{is_bench, number};

/// So many pools, and servers in each.
const SIZES: [(usize, usize); 3] = [(2, 2), (8, 8), (100, 16)];

fn main() {
    let rounds = number("--rounds").unwrap_or(if is_bench() { 301 } else { 3 });
    println!("{:<28}{:>10}{:>10}{:>10}", "µs", "rank", "look", "failover");
    for (pools, servers) in SIZES {
        let policy = policy(pools, servers);
        let mut healthy = Night::new(policy.clone());
        healthy.looks(Verdict::Good, |_| true);
        healthy.looks(Verdict::Good, |_| true);
        let first: PoolName = "p1".into();
        // One look short of a verdict on all servers of the first pool.
        let mut falling = healthy.clone();
        falling.looks(Verdict::Refused, |at| {
            policy.pools[&first].endpoints().any(|it| it == *at)
        });
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            times[0].push(time_rank(&policy));
            times[1].push(healthy.clone().look(Verdict::Good));
            times[2].push(falling.clone().failover(&first));
        }
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2].as_secs_f64() * 1e6
        };
        let [ranks, looks, failovers] = times.each_mut().map(median);
        let name = format!("{pools} pools of {servers} servers");
        println!("{name:<28}{ranks:>10.2}{looks:>10.2}{failovers:>10.2}");
    }
}

fn policy(pools: usize, servers: usize) -> Policy {
    let mut policy = given::policy(pools);
    for number in 1..=pools {
        let name = format!("p{number}").as_str().into();
        policy.pools.insert(name, given::pool(number, servers));
    }
    policy
}

/// Every second pool is down, and one server of each.
fn time_rank(policy: &Policy) -> Duration {
    let service = &policy.services[&"fed".into()];
    let beliefs: Vec<PoolBelief> = service
        .pools
        .iter()
        .enumerate()
        .map(belief(policy))
        .collect();
    let pools = service.pools.iter().zip(&beliefs);
    let beliefs: Vec<_> = pools
        .map(|(name, belief)| (name, &policy.pools[name], belief))
        .collect();
    let overrides = Overrides::default();
    let active = &service.pools[0];
    let before = rank(service, active, &beliefs, &overrides, None);
    let begun = clock::mono();
    black_box(rank(
        service,
        active,
        black_box(&beliefs),
        &overrides,
        Some(&before),
    ));
    clock::mono().since(begun)
}

fn belief(policy: &Policy) -> impl Fn((usize, &PoolName)) -> PoolBelief {
    move |(at, name)| {
        let health = match at % 2 {
            0 => PoolHealth::Degraded,
            _ => PoolHealth::Down,
        };
        let servers = policy.pools[name].servers.iter().enumerate();
        let servers = servers.map(|(at, server)| ServerBelief {
            name: server.name.clone(),
            addresses: vec![(
                server.addresses[0],
                if at == 0 { Health::Down } else { Health::Up },
            )],
        });
        PoolBelief {
            servers: servers.collect(),
            health,
            firm: health,
            path_is_open: true,
            suspicion: false,
        }
    }
}

/// An engine and its time.
#[derive(Clone)]
struct Night {
    engine: Engine,
    now: Now,
}

impl Night {
    fn new(policy: Policy) -> Night {
        let now = Now {
            mono: Mono(Duration::from_secs(1000)),
            wall: Wall(1_800_000_000_000),
        };
        let engine = Engine::new(policy, Memory::default(), now);
        let mut night = Night { engine, now };
        night.drain();
        night
    }

    /// One look at every endpoint that is `meant`.
    fn looks(&mut self, verdict: Verdict, meant: impl Fn(&Endpoint) -> bool) {
        let policy = self.engine.policy();
        let endpoints = policy.pools.values().flat_map(|pool| pool.endpoints());
        let endpoints: Vec<Endpoint> = endpoints.filter(|at| meant(at)).collect();
        self.pass(Duration::from_millis(100));
        for endpoint in endpoints {
            let look = self.observation(endpoint, verdict.clone());
            self.engine.handle(self.now, look);
        }
        self.drain();
    }

    /// How long a look takes that is as all before.
    fn look(mut self, verdict: Verdict) -> Duration {
        self.pass(Duration::from_millis(100));
        let endpoint = self.engine.policy().pools.values().next().unwrap();
        let look = endpoint.endpoints().next().unwrap();
        let look = self.observation(look, verdict);
        let begun = clock::mono();
        self.engine.handle(self.now, look);
        let moved = self.drain();
        let took = clock::mono().since(begun);
        assert!(!moved, "nothing has changed");
        took
    }

    /// How long the last of the looks takes that bring a pool down.
    fn failover(mut self, pool: &PoolName) -> Duration {
        self.pass(Duration::from_millis(100));
        let mut endpoints: Vec<Endpoint> = self.engine.policy().pools[pool].endpoints().collect();
        let last = endpoints.pop().unwrap();
        for endpoint in endpoints {
            let look = self.observation(endpoint, Verdict::Refused);
            self.engine.handle(self.now, look);
        }
        self.drain();
        let look = self.observation(last, Verdict::Refused);
        let begun = clock::mono();
        self.engine.handle(self.now, look);
        let moved = self.drain();
        let took = clock::mono().since(begun);
        assert!(moved, "the pool is down");
        took
    }

    /// Takes all actions; whether one of them published anything.
    fn drain(&mut self) -> bool {
        let actions = std::iter::from_fn(|| self.engine.poll_action());
        actions.fold(false, |moved, action| {
            moved | matches!(action, Action::Publish(..))
        })
    }

    fn observation(&self, endpoint: Endpoint, verdict: Verdict) -> Input {
        Input::Observed(Observation {
            endpoint,
            probe: ProbeIndex(0),
            begun: self.now.mono,
            ended: self.now.mono,
            verdict,
            depth: Layer::Tls,
        })
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.now.wall = Wall(self.now.wall.0 + millis);
    }
}
