//! What was kept of a night to a scenario.
//!
//! Looks are replayed as they were taken: each run of looks that saw the same begins when it
//! began, has as many looks, the first of them at their own times and the others spread evenly
//! up to the last. What is not known exactly: looks of a run that no entry ended, because the
//! daemon was killed, are repeated at the pace of the probe until the next change; a look takes
//! no time; reference targets are as they were last seen.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{
    Expectation, Happening, HookLine, Looks, Place, Scenario, Standing, Targets, Timed,
};
use crate::chronicle::{Checkpoint, EndedRun, Entry, HookRun, Record, Run, Saw, Watched};
use crate::failover::{Event, Failback, Order, Subject, Which};
use crate::ids::{PoolName, ServerName, ServiceName};
use crate::time::Wall;

/// A move is expected within so much of the time at which it came.
const WITHIN: Duration = Duration::from_secs(5);
/// What was seen up to this long before is replayed, so that what lasts has lasted.
const LEAD_MAX: Duration = Duration::from_secs(3600);

/// The scenario of what happened from `since` to `now`, from `records` (the oldest first) and the
/// runs of looks that go on. It begins at the last checkpoint before `since`, and a little before
/// that. `None`: there is no checkpoint.
#[must_use]
pub fn export(records: &[Record], open: &[Run], since: Wall, now: Wall) -> Option<Scenario> {
    let checkpoint = |record: &Record| matches!(record.entry, Entry::Checkpoint(_));
    let before = records
        .iter()
        .rposition(|it| checkpoint(it) && it.at <= since);
    let begin = before.or_else(|| records.iter().position(checkpoint))?;
    let Entry::Checkpoint(stood) = &records[begin].entry else {
        return None;
    };
    let latest = records.iter().rfind(|record| checkpoint(record))?;
    let Entry::Checkpoint(latest) = &latest.entry else {
        return None;
    };
    let later = &records[begin + 1..];
    // While nothing happened, everything stood as at the checkpoint.
    let quiet = !later.iter().any(|it| it.at < since && !checkpoint(it));
    let from = if quiet {
        since.max(records[begin].at)
    } else {
        records[begin].at
    };
    let lead = latest
        .policy
        .services
        .values()
        .map(|service| match service.failback {
            Failback::After(after) => after,
            Failback::Manual => Duration::ZERO,
        });
    let lead = lead.max().unwrap_or_default().min(LEAD_MAX) + Duration::from_secs(30);
    let start = Wall(from.0.saturating_sub(ms(lead)));
    let mut night = Night {
        scenario: Scenario {
            title: format!("what happened from {from} to {now}"),
            policy: latest.policy.clone(),
            paces: latest.paces.clone(),
            start,
            standing: BTreeMap::new(),
            hooks: Vec::new(),
            lines: Vec::new(),
        },
        active: BTreeMap::new(),
        moves: BTreeMap::new(),
        at: start,
        ends: ends(later, open),
    };
    night.stand(stood);
    for record in later {
        night.record(record);
    }
    Some(night.end(now))
}

/// How each run ended, by what was watched, in the order of time.
fn ends(later: &[Record], open: &[Run]) -> BTreeMap<Watched, Vec<Option<EndedRun>>> {
    let mut ends: BTreeMap<Watched, Vec<Option<EndedRun>>> = BTreeMap::new();
    for record in later {
        if let Entry::Saw(Saw { watched, ended, .. }) = &record.entry {
            ends.entry(watched.clone()).or_default().push(ended.clone());
        }
    }
    for run in open {
        let so_far = Some(run.so_far.clone());
        ends.entry(run.watched.clone()).or_default().push(so_far);
    }
    ends.values_mut().for_each(|runs| runs.reverse());
    ends
}

struct Night {
    scenario: Scenario,
    active: BTreeMap<ServiceName, PoolName>,
    moves: BTreeMap<ServiceName, usize>,
    /// The time of the latest line: it goes only forward, whatever the calendar did.
    at: Wall,
    /// How the runs to come end, the next one last.
    ends: BTreeMap<Watched, Vec<Option<EndedRun>>>,
}

impl Night {
    fn line(&mut self, at: Wall, what: Happening) {
        self.at = self.at.max(at);
        self.scenario.lines.push(Timed {
            at: self.at.since(self.scenario.start),
            line: 0,
            what,
        });
    }

    /// How everything stood.
    fn stand(&mut self, stood: &Checkpoint) {
        let start = self.scenario.start;
        for (name, memory) in &stood.services {
            let known = self.scenario.policy.services.get(name);
            let active = memory.published.ranking.active();
            let Some((service, active)) = known.zip(active) else {
                continue;
            };
            if !service.pools.contains(active) {
                continue;
            }
            let kept = |pool: &PoolName| service.pools.contains(pool);
            let standing = Standing {
                active: active.clone(),
                suspended: memory.failback_suspended,
                out: memory
                    .ineligible
                    .iter()
                    .filter(|pool| kept(pool))
                    .cloned()
                    .collect(),
                moves: memory
                    .moves
                    .iter()
                    .filter(|past| kept(&past.from) && kept(&past.to) && past.at <= start)
                    .cloned()
                    .collect(),
            };
            self.active.insert(name.clone(), active.clone());
            self.scenario.standing.insert(name.clone(), standing);
        }
        let pools: Vec<PoolName> = self.scenario.policy.pools.keys().cloned().collect();
        for pool in pools {
            self.line(start, nothing(Place::Pool(pool)));
        }
        for said in &stood.overrides.0 {
            let order = Order::Set {
                said: said.clone(),
                force: true,
            };
            if self.knows(&order) {
                self.line(start, Happening::Order(order));
            }
        }
        let mut runs: Vec<&Run> = stood.runs.iter().collect();
        runs.sort_by_key(|run| run.since);
        for run in runs {
            self.run(
                &run.watched,
                run.since,
                &run.so_far.verdict,
                Some(run.since),
            );
        }
    }

    /// A run of looks begins, at `since` in truth.
    fn run(
        &mut self,
        watched: &Watched,
        at: Wall,
        verdict: &crate::health::Verdict,
        since: Option<Wall>,
    ) {
        let ended = self.ends.get_mut(watched).and_then(Vec::pop).flatten();
        let place = Place::Endpoint(watched.endpoint.clone());
        if self.scenario.endpoints(&place).next().is_none() {
            return;
        }
        let began = since.unwrap_or(at);
        let shown = at.max(self.at);
        let looks = ended
            .filter(|run| run.verdict == *verdict)
            .map(|run| looks(&run, ms(shown.since(began))));
        self.line(
            at,
            Happening::See {
                place,
                probe: (watched.probe.0 > 0).then_some(watched.probe.0),
                depth: Some(watched.depth),
                verdict: Some(verdict.clone()),
                looks,
            },
        );
    }

    fn record(&mut self, record: &Record) {
        let at = record.at;
        match &record.entry {
            Entry::Saw(saw) => self.run(&saw.watched, at, &saw.verdict, None),
            Entry::Reference { target, reachable } => {
                if self.scenario.policy.references.contains(target) {
                    let what = Happening::Reference {
                        targets: Targets::One(*target),
                        answer: *reachable,
                    };
                    self.line(at, what);
                }
            }
            Entry::Ordered { order, .. } if self.knows(order) => {
                self.line(at, Happening::Order(order.clone()));
            }
            Entry::Hook(run) => self.scenario.hooks.push(hook(run)),
            Entry::Store { works } => self.line(at, Happening::Store { works: *works }),
            Entry::Ended => self.line(at, Happening::Stop),
            Entry::Started { .. } => {
                let ends = |line: &&Timed| matches!(line.what, Happening::Stop | Happening::Start);
                let latest = self.scenario.lines.iter().rfind(ends);
                let stopped = latest.map(|line| line.what == Happening::Stop);
                if stopped != Some(true) {
                    self.line(self.killed(at), Happening::Stop);
                }
                self.line(at, Happening::Start);
            }
            Entry::Told(Event::Published { service, order, .. }) => {
                self.published(at, service, order);
            }
            Entry::Ordered { .. }
            | Entry::Checkpoint(_)
            | Entry::Reloaded { .. }
            | Entry::Told(_)
            | Entry::Lost { .. } => {}
        }
    }

    /// When the daemon was killed that starts again `at`: nobody wrote that down. It was after the
    /// latest entry, and the looks that came with it are taken.
    fn killed(&self, at: Wall) -> Wall {
        let paces = self.scenario.paces.values().flatten();
        let interval = paces.map(|pace| pace.interval).max().unwrap_or_default();
        (self.at + interval + Duration::from_millis(1)).min(at.max(self.at))
    }

    fn published(&mut self, at: Wall, service: &ServiceName, order: &[PoolName]) {
        let known = self.scenario.policy.services.get(service);
        let first = order.first();
        let Some((known, first)) = known.zip(first) else {
            return;
        };
        if !known.pools.contains(first) {
            return;
        }
        let before = self.active.insert(service.clone(), first.clone());
        if before.is_some_and(|before| before != *first) {
            *self.moves.entry(service.clone()).or_default() += 1;
            let expected = Expectation::Move(service.clone(), first.clone(), WITHIN);
            self.line(at, Happening::Expect(expected));
        }
    }

    /// Whether the scenario has what the order is about.
    fn knows(&self, order: &Order) -> bool {
        let policy = &self.scenario.policy;
        let service = |name: &ServiceName| policy.services.contains_key(name);
        let server = |name: &ServerName| {
            let mut servers = policy.pools.values().flat_map(|pool| &pool.servers);
            servers.any(|server| server.name == *name)
        };
        let subject = |subject: &Subject| match subject {
            Subject::DrainPool(pool) => policy.pools.contains_key(pool),
            Subject::DrainServer(name) => server(name),
            Subject::Pin(name) | Subject::Freeze(name) => service(name),
        };
        match order {
            Order::Set { said, .. } => subject(&said.subject),
            Order::Clear { subject: of, .. } => subject(of),
            Order::Failover { service: of, .. }
            | Order::Failback { service: of, .. }
            | Order::Handle { service: of, .. }
            | Order::Readmit { service: of, .. } => service(of),
            Order::Approve { which, .. } | Order::Reject { which, .. } => match which {
                Which::Service(of) => service(of),
                Which::Operation(_) => true,
            },
        }
    }

    fn end(mut self, now: Wall) -> Scenario {
        let services: Vec<ServiceName> = self.active.keys().cloned().collect();
        for service in services {
            let moves = self.moves.get(&service).copied().unwrap_or_default();
            self.line(now, Happening::Expect(Expectation::Moves(service, moves)));
        }
        self.line(now, Happening::End);
        self.scenario
    }
}

fn nothing(place: Place) -> Happening {
    Happening::See {
        place,
        probe: None,
        depth: None,
        verdict: None,
        looks: None,
    }
}

/// The looks of a run, without those of its first `cut_ms`.
fn looks(run: &EndedRun, cut_ms: u64) -> Looks {
    let span = Duration::from_millis;
    if cut_ms == 0 {
        return Looks {
            count: run.looks,
            first: run.first_ms.iter().copied().map(span).collect(),
            last: span(run.last_ms),
        };
    }
    let left_ms = run.last_ms.saturating_sub(cut_ms);
    let share = u128::from(run.looks) * u128::from(left_ms) / u128::from(run.last_ms.max(1));
    Looks {
        count: u64::try_from(share).unwrap_or(u64::MAX).max(1),
        first: Vec::new(),
        last: span(left_ms),
    }
}

fn hook(run: &HookRun) -> HookLine {
    HookLine {
        step: run.step.clone(),
        server: run.server.clone(),
        undo: run.undo,
        outcome: run.outcome.clone(),
        after: Duration::from_millis(run.took_ms),
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
