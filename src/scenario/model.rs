//! What a scenario says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::chronicle::Pace;
use crate::failover::{Failback, HookOutcome, Move, Order, Policy};
use crate::health::{Layer, Verdict};
use crate::ids::{Endpoint, PoolName, ServerName, ServiceName};
use crate::time::Wall;

/// When a scenario begins that does not say so: 2026-11-18T11:06:40Z.
pub(super) const START: Wall = Wall(1_795_000_000_000);

/// A whole scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it is about.
    pub title: String,
    /// What is configured.
    pub policy: Policy,
    /// How often each probe of each pool looks.
    pub paces: BTreeMap<PoolName, Vec<Pace>>,
    /// When it begins.
    pub start: Wall,
    /// What is known from before. Empty: the first start ever.
    pub standing: BTreeMap<ServiceName, Standing>,
    /// How the runs of hooks end.
    pub hooks: Vec<HookLine>,
    /// What happens, in the order of time.
    pub lines: Vec<Timed>,
}

/// What is known of a service from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The pool that is first.
    pub active: PoolName,
    /// Whether an operator's failover suspends automatic failback.
    pub suspended: bool,
    /// Pools that a runbook halted on.
    pub out: BTreeSet<PoolName>,
    /// The moves of the last hour.
    pub moves: Vec<Move>,
}

/// How one run of a step's hook ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookLine {
    /// The step.
    pub step: String,
    /// The server, if only a run for it is meant.
    pub server: Option<ServerName>,
    /// Whether the undo is meant.
    pub undo: bool,
    /// How it ends.
    pub outcome: HookOutcome,
    /// After so long.
    pub after: Duration,
}

/// A line with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// After the start.
    pub at: Duration,
    /// The line of the text, from 1; 0 for a scenario that was not read.
    pub line: usize,
    /// What it says.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// From here on looks see this.
    See {
        /// Who looks different.
        place: Place,
        /// The one probe that sees it. `None`: all.
        probe: Option<u16>,
        /// The one depth of looks that see it. `None`: all.
        depth: Option<Layer>,
        /// What they see. `None`: nobody looks.
        verdict: Option<Verdict>,
        /// When the looks were taken. `None`: at the pace of the probe.
        looks: Option<Looks>,
    },
    /// Reference targets answer, or do not.
    Reference {
        /// Which.
        targets: Targets,
        /// Whether they answer.
        answer: bool,
    },
    /// The secondaries serve what is published, at once, or do not.
    Secondaries {
        /// Whether they do.
        follow: bool,
    },
    /// An operator orders something.
    Order(Order),
    /// The state can be written, or cannot.
    Store {
        /// Whether it can.
        works: bool,
    },
    /// The daemon ends, without a word.
    Stop,
    /// It starts again.
    Start,
    /// What must hold when everything of this time has happened.
    Expect(Expectation),
    /// Nothing: the time goes on until here.
    End,
}

/// What a line about looks is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// All servers of a pool.
    Pool(PoolName),
    /// All addresses of a server.
    Server(ServerName),
    /// One address of it.
    Endpoint(Endpoint),
}

/// When the looks of a run were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looks {
    /// How many.
    pub count: u64,
    /// The first of those after the first, after it.
    pub first: Vec<Duration>,
    /// The last, after the first.
    pub last: Duration,
}

/// Reference targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All.
    All,
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
    /// One.
    One(SocketAddr),
}

/// What is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The service's active pool.
    Active(ServiceName, PoolName),
    /// Its pools in the order published.
    Order(ServiceName, Vec<PoolName>),
    /// Its TTL.
    Ttl(ServiceName, Duration),
    /// Why it stands as it stands; a final `…` or `...` stands for any ending.
    Because(ServiceName, String),
    /// How often its active pool has changed since the start.
    Moves(ServiceName, usize),
    /// It moves to this pool, so long before or after the line's time at the most.
    Move(ServiceName, PoolName, Duration),
    /// The latest order was refused, in words that begin so.
    Refused(String),
    /// It was taken.
    Taken,
    /// The hooks that ran since the start, as `step@server`, an undo as `-step`.
    Hooks(Vec<String>),
}

/// Settings that stand in for those of the scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Good looks in a row.
    pub rise: Option<u32>,
    /// Bad looks in a row.
    pub fall: Option<u32>,
    /// Continuous trouble before a failover.
    pub failover_after: Option<Duration>,
    /// When to fail back.
    pub failback: Option<Failback>,
    /// How long the first pool back must hold.
    pub settle: Option<Duration>,
    /// Moves an hour.
    pub cap_per_hour: Option<u32>,
}

impl Settings {
    /// Whether they leave everything as it is.
    #[must_use]
    pub fn are_none(&self) -> bool {
        *self == Settings::default()
    }

    /// The policy with these settings.
    #[must_use]
    pub fn applied(&self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        let detections = policy
            .pools
            .values_mut()
            .flat_map(|pool| &mut pool.detection);
        for detection in detections {
            detection.rise = self.rise.unwrap_or(detection.rise);
            detection.fall = self.fall.unwrap_or(detection.fall);
        }
        for service in policy.services.values_mut() {
            service.failover_after = self.failover_after.unwrap_or(service.failover_after);
            service.failback = self.failback.unwrap_or(service.failback);
            service.settle = self.settle.unwrap_or(service.settle);
            service.cap_per_hour = self.cap_per_hour.unwrap_or(service.cap_per_hour);
        }
        policy
    }
}

impl Scenario {
    /// When it ends: with its last line.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.lines.last().map_or(Duration::ZERO, |line| line.at)
    }

    /// The endpoints that a line is about, with their pools.
    pub(super) fn endpoints<'a>(
        &'a self,
        place: &'a Place,
    ) -> impl Iterator<Item = (&'a PoolName, Endpoint)> + 'a {
        self.policy.pools.iter().flat_map(move |(name, pool)| {
            pool.endpoints()
                .filter(move |endpoint| match place {
                    Place::Pool(wanted) => wanted == name,
                    Place::Server(wanted) => *wanted == endpoint.server,
                    Place::Endpoint(wanted) => wanted == endpoint,
                })
                .map(move |endpoint| (name, endpoint))
        })
    }
}
