//! What stands above the first time: pools, services, what is known from before, hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::model::{HookLine, START, Scenario, Standing};
use super::terms::{default_probe, hook, probe, server, service, step, ttl};
use super::words::{Fault, Word, Words};
use crate::chronicle::Pace;
use crate::failover::{
    Detection, Failback, Mode, Move, OnHalt, Policy, Pool, Server, Service, Standby,
};
use crate::ids::{PoolName, ServiceName};
use crate::runbook::{Act, Plan};
use crate::time::Wall;

/// What has been read so far.
#[derive(Default)]
pub(super) struct Head {
    title: String,
    start: Option<Wall>,
    references: Vec<std::net::SocketAddr>,
    probe: Option<(Detection, Pace)>,
    pools: Vec<Draft<PoolDraft>>,
    services: Vec<Draft<Service>>,
    standing: BTreeMap<ServiceName, StandingDraft>,
    hooks: Vec<HookLine>,
    block: Block,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Block {
    #[default]
    None,
    Pool,
    Service,
}

/// A block with its place.
struct Draft<T> {
    name: String,
    line: usize,
    column: usize,
    body: T,
}

struct PoolDraft {
    servers: Vec<Server>,
    min_healthy: usize,
    standby: Standby,
    probes: Vec<(Detection, Pace)>,
}

#[derive(Default)]
struct StandingDraft {
    line: usize,
    active: Option<PoolName>,
    suspended: bool,
    out: BTreeSet<PoolName>,
    /// How long ago, from, to, whether a return.
    moves: Vec<(Duration, PoolName, PoolName, bool)>,
}

impl Head {
    pub(super) fn line(&mut self, words: &mut Words) -> Result<(), Fault> {
        let keyword = words.need("a word")?;
        match (keyword.text.as_str(), self.block) {
            ("scenario", _) => self.title = words.need("what it is about")?.text,
            ("start", _) => self.start = Some(start(words)?),
            ("references", _) => self.references(words)?,
            ("probe", Block::Pool) => {
                let probe = probe(words)?;
                self.pool()?.probes.push(probe);
            }
            ("probe", _) => self.probe = Some(probe(words)?),
            ("pool", _) => self.begin_pool(&keyword, words)?,
            ("server", Block::Pool) => {
                let server = server(words)?;
                self.pool()?.servers.push(server);
            }
            ("service", _) => self.begin_service(&keyword, words)?,
            ("hook", _) => self.hooks.push(hook(words)?),
            ("active" | "suspended" | "out" | "moved", _) => self.stand(&keyword, words)?,
            (
                "pools" | "ttl" | "failover" | "failback" | "settle" | "cap" | "on-halt" | "mode"
                | "remind" | "step",
                Block::Service,
            ) => self.service_line(&keyword, words)?,
            (text, _) => {
                let message = format!(
                    "'{text}' does not stand here; above the first time stand scenario, start, \
                     references, probe, pool (with server, probe), service (with pools, ttl, \
                     failover, failback, settle, cap, on-halt, step), active, suspended, out, \
                     moved and hook"
                );
                return Err(words.fault(&keyword, message));
            }
        }
        words.finish()
    }

    fn pool(&mut self) -> Result<&mut PoolDraft, Fault> {
        let missing = || Fault {
            line: 1,
            column: 1,
            message: "no pool has begun".into(),
        };
        self.pools
            .last_mut()
            .map(|draft| &mut draft.body)
            .ok_or_else(missing)
    }

    fn references(&mut self, words: &mut Words) -> Result<(), Fault> {
        while let Some(word) = words.next() {
            let target = word.text.parse().map_err(|_| {
                let message = format!("'{}' is no address with a port", word.text);
                words.fault(&word, message)
            })?;
            self.references.push(target);
        }
        Ok(())
    }

    fn begin_pool(&mut self, keyword: &Word, words: &mut Words) -> Result<(), Fault> {
        let name = words.need("the pool's name")?.text;
        let (mut standby, mut min_healthy) = (Standby::Hot, 1);
        loop {
            if words.has("cold") {
                standby = Standby::Cold;
            } else if words.has("min-healthy") {
                min_healthy = words.number("a number of servers", 1, 1000)?;
            } else {
                break;
            }
        }
        self.block = Block::Pool;
        self.pools.push(Draft {
            name,
            line: words.line(),
            column: keyword.column,
            body: PoolDraft {
                servers: Vec::new(),
                min_healthy: usize::try_from(min_healthy).unwrap_or(1),
                standby,
                probes: Vec::new(),
            },
        });
        Ok(())
    }

    fn begin_service(&mut self, keyword: &Word, words: &mut Words) -> Result<(), Fault> {
        let name = words.need("the service's name")?.text;
        self.block = Block::Service;
        self.services.push(Draft {
            name,
            line: words.line(),
            column: keyword.column,
            body: service(),
        });
        Ok(())
    }

    fn service_line(&mut self, keyword: &Word, words: &mut Words) -> Result<(), Fault> {
        let Some(Draft { body, .. }) = self.services.last_mut() else {
            return Ok(());
        };
        match keyword.text.as_str() {
            "pools" => {
                while let Some(word) = words.next() {
                    let name = PoolName::from(word.text.as_str());
                    if body.pools.contains(&name) {
                        return Err(words.fault(&word, format!("pool '{name}' stands here twice")));
                    }
                    body.pools.push(name);
                }
            }
            "ttl" => body.ttl = ttl(words)?,
            "failover" => {
                words.expect("after")?;
                body.failover_after = words.duration("how long trouble has to last")?;
            }
            "failback" if words.has("manual") => body.failback = Failback::Manual,
            "failback" => {
                words.expect("after")?;
                body.failback = Failback::After(words.duration("a duration, or 'manual'")?);
            }
            "settle" => body.settle = words.duration("how long it has to hold")?,
            "cap" => {
                let cap = words.number("a number of moves an hour", 0, 1000)?;
                body.cap_per_hour = u32::try_from(cap).unwrap_or(u32::MAX);
            }
            "mode" => {
                let known = [
                    ("automatic", Mode::Automatic),
                    ("approve", Mode::Approve),
                    ("observe", Mode::Observe),
                ];
                body.mode = words.one_of("who has the last word", &known)?;
            }
            "remind" => body.remind_every = words.duration("how often people are reminded")?,
            "on-halt" => {
                let known = [("next", OnHalt::Next), ("hold", OnHalt::Hold)];
                body.on_halt = words.one_of("what follows a halt", &known)?;
            }
            _ => body.runbook.steps.push(step(words)?),
        }
        Ok(())
    }

    fn stand(&mut self, keyword: &Word, words: &mut Words) -> Result<(), Fault> {
        self.block = Block::None;
        let line = words.line();
        let service = words.need("the service")?.text;
        let standing = self
            .standing
            .entry(ServiceName::from(service.as_str()))
            .or_default();
        standing.line = line;
        if keyword.text == "suspended" {
            standing.suspended = true;
            return Ok(());
        }
        let pool = PoolName::from(words.need("the pool")?.text.as_str());
        match keyword.text.as_str() {
            "active" => standing.active = Some(pool),
            "out" => {
                standing.out.insert(pool);
            }
            _ => {
                let to = PoolName::from(words.need("the pool that it moved to")?.text.as_str());
                let ago = words.duration("how long ago")?;
                words.expect("ago")?;
                let returning = words.has("returning");
                standing.moves.push((ago, pool, to, returning));
            }
        }
        Ok(())
    }

    /// The scenario without its lines, and what is wrong with it.
    pub(super) fn finish(self, line: usize) -> (Scenario, Vec<Fault>) {
        let mut faults = Vec::new();
        let start = self.start.unwrap_or(START);
        let mut scenario = Scenario {
            title: self.title,
            policy: Policy {
                references: self.references,
                ..Policy::default()
            },
            paces: BTreeMap::new(),
            start,
            standing: BTreeMap::new(),
            hooks: self.hooks,
            lines: Vec::new(),
        };
        let default = self.probe.unwrap_or_else(default_probe);
        for draft in self.pools {
            finish_pool(draft, default, &mut scenario, &mut faults);
        }
        for draft in self.services {
            finish_service(draft, &mut scenario, &mut faults);
        }
        for (name, draft) in self.standing {
            finish_standing(name, draft, &mut scenario, &mut faults);
        }
        if scenario.policy.services.is_empty() && faults.is_empty() {
            faults.push(Fault {
                line,
                column: 1,
                message: "no service stands above this line, nothing can be decided, add \
                          'service NAME' with its 'pools'"
                    .into(),
            });
        }
        (scenario, faults)
    }
}

fn start(words: &mut Words) -> Result<Wall, Fault> {
    let word = words.need("a time in UTC")?;
    Wall::parse(&word.text).ok_or_else(|| {
        let message = format!("'{}' is no time, write 2026-11-24T02:00:00Z", word.text);
        words.fault(&word, message)
    })
}

fn finish_pool(
    draft: Draft<PoolDraft>,
    default: (Detection, Pace),
    scenario: &mut Scenario,
    faults: &mut Vec<Fault>,
) {
    let (line, column) = (draft.line, draft.column);
    let mut wrong = |message: String| {
        faults.push(Fault {
            line,
            column,
            message,
        });
    };
    let PoolDraft {
        servers,
        min_healthy,
        standby,
        mut probes,
    } = draft.body;
    if !(1..=servers.len()).contains(&min_healthy) {
        wrong(format!(
            "pool '{}' has {} servers, of which {min_healthy} have to be healthy, add a 'server'",
            draft.name,
            servers.len()
        ));
    }
    let others = || {
        scenario
            .policy
            .pools
            .values()
            .flat_map(|pool| &pool.servers)
    };
    for (index, server) in servers.iter().enumerate() {
        let twice = servers[..index]
            .iter()
            .chain(others())
            .any(|other| other.name == server.name);
        if twice {
            wrong(format!(
                "server '{}' stands in two places, a server stands in one pool",
                server.name
            ));
        }
    }
    if probes.is_empty() {
        probes.push(default);
    }
    let name = PoolName::from(draft.name.as_str());
    let (detection, paces) = probes.into_iter().unzip();
    let pool = Pool {
        servers,
        min_healthy,
        standby,
        detection,
        vars: BTreeMap::new(),
    };
    if scenario.policy.pools.insert(name.clone(), pool).is_some() {
        wrong(format!(
            "there are two pools '{name}', give one another name"
        ));
    }
    scenario.paces.insert(name, paces);
}

fn finish_service(draft: Draft<Service>, scenario: &mut Scenario, faults: &mut Vec<Fault>) {
    let mut wrong = |message: String| {
        faults.push(Fault {
            line: draft.line,
            column: draft.column,
            message,
        });
    };
    let (name, mut service) = (ServiceName::from(draft.name.as_str()), draft.body);
    let known = &scenario.policy.pools;
    if let Some(pool) = service.pools.iter().find(|pool| !known.contains_key(*pool)) {
        wrong(format!(
            "service '{name}' has a pool '{pool}' that stands nowhere, add it above"
        ));
    }
    if service.pools.is_empty() {
        wrong(format!(
            "service '{name}' has no pools, add 'pools' with their names"
        ));
    }
    if service.runbook.steps.is_empty() {
        service.runbook = Plan::publish_only();
    }
    let publish = service
        .runbook
        .steps
        .iter()
        .filter(|step| step.act == Act::Publish);
    if publish.count() != 1 {
        wrong(format!(
            "the steps of service '{name}' publish not once, exactly one of them does"
        ));
    }
    if scenario
        .policy
        .services
        .insert(name.clone(), service)
        .is_some()
    {
        wrong(format!(
            "there are two services '{name}', give one another name"
        ));
    }
}

fn finish_standing(
    name: ServiceName,
    draft: StandingDraft,
    scenario: &mut Scenario,
    faults: &mut Vec<Fault>,
) {
    let StandingDraft {
        line,
        active,
        suspended,
        out,
        moves,
    } = draft;
    let mut wrong = |message: String| {
        faults.push(Fault {
            line,
            column: 1,
            message,
        });
    };
    let Some(service) = scenario.policy.services.get(&name) else {
        wrong(format!("there is no service '{name}'"));
        return;
    };
    let named = active.iter().chain(&out);
    let named = named.chain(moves.iter().flat_map(|(_, from, to, _)| [from, to]));
    if let Some(pool) = named.into_iter().find(|pool| !service.pools.contains(pool)) {
        wrong(format!("service '{name}' has no pool '{pool}'"));
    }
    let Some(active) = active.or_else(|| service.pools.first().cloned()) else {
        return;
    };
    let at = |ago: Duration| {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        Wall(scenario.start.0.saturating_sub(ago))
    };
    let mut moves: Vec<Move> = moves
        .into_iter()
        .map(|(ago, from, to, returning)| Move {
            at: at(ago),
            from,
            to,
            returning,
        })
        .collect();
    moves.sort_by_key(|past| past.at);
    scenario.standing.insert(
        name,
        Standing {
            active,
            suspended,
            out,
            moves,
        },
    );
}
