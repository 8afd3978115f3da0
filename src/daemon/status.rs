//! What the core knows, as `switchback status` shows it.

use std::collections::BTreeMap;

use super::certificate;
use super::core::Core;
use crate::admin::status::{
    Acknowledged, AskedFor, Counters, EndpointStatus, Family, Halt, Ineligible, Isolation,
    Listening, Look, Mask, OperationStatus, PoolStatus, ProbeStatus, ProposalStatus, Ranked,
    SecondaryStatus, ServerStatus, ServiceStatus, Status, StoreStatus, TaskState,
    TaskStatus as Task, Told, Transport, TransportCounters, ZoneStatus,
};
use crate::admin::{Answer, Response};
use crate::failover::{Because, Pool, ProbeView, Proposal, ServiceView, Subject, Word};
use crate::health::{PoolHealth, server_health};
use crate::ids::{Endpoint, PoolName, ServiceName};
use crate::notify::{Notifier, TargetState};
use crate::runbook::{Operation, Phase, TaskStatus};
use crate::server::{Asked, Count, Serving};
use crate::time::{Now, Wall};
use crate::zone::Name;

/// The step between the SRV priorities of two pools that follow one another.
pub(super) const PRIORITY_STEP: u16 = 10;
/// So much of a hook's output is shown.
const TAIL: usize = 400;
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

impl Core {
    /// Everything, at this moment.
    pub(super) fn status(&self, now: Now) -> Response {
        Response::Ok(Answer::Status(Box::new(self.whole_status(now))))
    }

    /// The same for whoever goes on with it.
    pub(super) fn whole_status(&self, now: Now) -> Status {
        let services: Vec<ServiceStatus> = self
            .engine
            .policy()
            .services
            .keys()
            .filter_map(|name| self.service(now, name))
            .collect();
        Status {
            sandbox: self.confinement.in_force.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started.wall,
            now: now.wall,
            generation: self.publisher.generation(),
            listening: self.listening(),
            zones: self.zones(now),
            isolated: self.isolation(now),
            alarms: self.alarms(now),
            store: StoreStatus {
                path: self.config.state_dir.display().to_string(),
                failed: self.disk.failed().map(str::to_owned),
            },
            pools: self
                .engine
                .policy()
                .pools
                .iter()
                .map(|(name, pool)| self.pool(now, name, pool))
                .collect(),
            services,
            counters: self.counters(),
            certificate: self.certificate.as_deref().map(certificate::status),
            alerts: self.told_people(),
            rate_limit: self.limits(now),
        }
    }

    /// One service alone.
    pub(super) fn one_service(&self, now: Now, name: &ServiceName) -> Response {
        match self.service(now, name) {
            Some(service) => Response::Ok(Answer::Service(Box::new(service))),
            None => self.no_service(name),
        }
    }

    /// The refusal of a question about a service that there is not.
    pub(super) fn no_service(&self, name: &ServiceName) -> Response {
        let policy = self.engine.policy();
        let known: Vec<&str> = policy.services.keys().map(ServiceName::as_str).collect();
        Response::error(format!(
            "there is no service {name}; the services are: {}",
            known.join(", ")
        ))
    }

    fn zones(&self, now: Now) -> Vec<ZoneStatus> {
        let mut secondaries = self.told();
        let zones = self.publisher.serials().into_iter();
        zones
            .map(|(origin, serial)| ZoneStatus {
                origin: origin.to_string(),
                serial,
                transferred: self.transferred(now, &origin),
                secondaries: secondaries.remove(&origin).unwrap_or_default(),
            })
            .collect()
    }

    /// The secondaries of each zone: what they were told, and what they asked for.
    fn told(&self) -> BTreeMap<Name, Vec<SecondaryStatus>> {
        let states = self.notifier.as_ref().map(Notifier::states);
        let seen = self.serving.as_ref().map(Serving::seen).unwrap_or_default();
        let mut zones: BTreeMap<Name, Vec<SecondaryStatus>> = BTreeMap::new();
        for state in states.unwrap_or_default() {
            let TargetState {
                origin,
                address,
                told,
                acknowledged,
                problem,
            } = state;
            let asked = seen.get(&(origin.clone(), address.ip()));
            zones.entry(origin).or_default().push(SecondaryStatus {
                address,
                told: told.map(|(serial, attempts, at)| Told {
                    serial,
                    attempts,
                    at,
                }),
                acknowledged: acknowledged.map(|(serial, at)| Acknowledged { serial, at }),
                asked: asked.map(|sighting| AskedFor {
                    what: asked_word(sighting.asked).to_owned(),
                    serial: sighting.serial,
                    at: sighting.at,
                }),
                problem,
            });
        }
        zones
    }

    fn listening(&self) -> Vec<Listening> {
        let Some(serving) = &self.serving else {
            return Vec::new();
        };
        let at = |transport| {
            move |address: &std::net::SocketAddr| Listening {
                transport,
                address: *address,
            }
        };
        let addresses = serving.local_addrs();
        let dns = addresses.dns.iter().map(at(Transport::Dns));
        let tls = addresses.tls.iter().map(at(Transport::Tls));
        let https = addresses.https.iter().map(at(Transport::Https));
        let quic = addresses.quic.iter().map(at(Transport::Quic));
        dns.chain(tls).chain(https).chain(quic).collect()
    }

    fn counters(&self) -> Counters {
        let Some(serving) = &self.serving else {
            return Counters::default();
        };
        let counters = serving.counters();
        let total = counters.total();
        Counters {
            queries: total.queries,
            responses: total.responses,
            truncated: total.truncated,
            dropped: total.dropped,
            udp: of_transport(counters.udp),
            tcp: of_transport(counters.tcp),
            tls: of_transport(counters.tls),
            https: of_transport(counters.https),
            quic: of_transport(counters.quic),
        }
    }

    fn isolation(&self, now: Now) -> Option<Isolation> {
        let [v4, v6] = self.engine.isolated_since();
        let since = v4.into_iter().chain(v6).min()?;
        let families = [(v4, Family::V4), (v6, Family::V6)];
        Some(Isolation {
            since: self.wall_of(now, since),
            families: families
                .iter()
                .filter(|(s, _)| s.is_some())
                .map(|(_, f)| *f)
                .collect(),
        })
    }

    fn alarms(&self, now: Now) -> Vec<String> {
        let mut alarms = Vec::new();
        if let Some(why) = self.disk.failed() {
            alarms.push(format!("the state cannot be recorded, no hook runs: {why}"));
        }
        if let Some(why) = self.keeper.failed() {
            alarms.push(format!("what happens is not kept for `history`: {why}"));
        }
        if let Some(why) = &self.unpublished {
            alarms.push(format!("not published, the old data is served on: {why}"));
        }
        for name in self.engine.policy().services.keys() {
            let Some(view) = self.engine.service(now, name) else {
                continue;
            };
            if let Some(alarm) = service_alarm(name, &view) {
                alarms.push(alarm);
            }
        }
        alarms.extend(self.deaf(now));
        alarms.extend(self.zone_alarms());
        if let Some(certificate) = &self.certificate {
            alarms.extend(certificate::alarms(certificate, now.wall));
        }
        alarms.extend(self.silence.alarms().cloned());
        alarms.extend(self.notices.iter().cloned());
        alarms
    }

    fn pool(&self, now: Now, name: &PoolName, pool: &Pool) -> PoolStatus {
        let view = self.engine.pool(name);
        let masked = view.as_ref().is_some_and(|view| view.masked);
        let mask = self
            .engine
            .operations()
            .find(|operation| operation.to == *name && masked);
        let servers = pool.servers.iter().map(|server| {
            let endpoints = server.addresses.iter().map(|address| {
                let endpoint = Endpoint {
                    server: server.name.clone(),
                    address: *address,
                };
                self.endpoint(now, name, &endpoint)
            });
            let endpoints: Vec<EndpointStatus> = endpoints.collect();
            let health = server_health(endpoints.iter().map(|endpoint| endpoint.health));
            ServerStatus {
                name: server.name.clone(),
                health,
                endpoints,
            }
        });
        PoolStatus {
            name: name.clone(),
            health: view.map(|view| view.health).unwrap_or_default(),
            standby: pool.standby,
            masked: mask.map(|op| Mask {
                operation: op.id,
                until: op.mask_until,
            }),
            servers: servers.collect(),
        }
    }

    fn endpoint(&self, now: Now, pool: &PoolName, endpoint: &Endpoint) -> EndpointStatus {
        let view = self.engine.endpoint(pool, endpoint);
        let kinds = self
            .config
            .probes
            .get(pool)
            .map(|specs| &specs[..])
            .unwrap_or_default();
        let probes = view.probes.iter().zip(kinds);
        EndpointStatus {
            address: endpoint.address,
            health: view.health,
            probes: probes
                .map(|(probe, spec)| self.probe(now, probe, spec.kind.word()))
                .collect(),
        }
    }

    fn probe(&self, now: Now, probe: &ProbeView, kind: &str) -> ProbeStatus {
        let last = probe.latest.as_ref().map(|look| Look {
            verdict: look.verdict.word().to_owned(),
            detail: look.verdict.detail().map(str::to_owned),
            at: self.wall_of(now, look.ended),
            took_ms: u64::try_from(look.took.as_millis()).unwrap_or(u64::MAX),
        });
        let (good_in_a_row, bad_in_a_row) = probe.rows;
        ProbeStatus {
            kind: kind.to_owned(),
            last,
            good_in_a_row,
            bad_in_a_row,
        }
    }

    fn service(&self, now: Now, name: &ServiceName) -> Option<ServiceStatus> {
        let view = self.engine.service(now, name)?;
        let memory = view.memory;
        let pools = &self.engine.policy().services.get(name)?.pools;
        let recent = memory
            .moves
            .iter()
            .filter(|past| now.wall.since(past.at) < HOUR);
        let overrides = self
            .engine
            .overrides()
            .0
            .iter()
            .filter(|said| match &said.subject {
                Subject::Pin(service) | Subject::Freeze(service) => service == name,
                Subject::DrainPool(pool) => pools.contains(pool),
                Subject::DrainServer(_) => true,
            });
        let shown = memory
            .operation
            .as_ref()
            .or_else(|| self.ended.get(name))
            .or(memory.halted.as_ref());
        Some(ServiceStatus {
            name: name.clone(),
            mode: mode(&view).to_owned(),
            active: memory.published.ranking.active()?.clone(),
            preferred: pools.first()?.clone(),
            ranking: self.ranked(&view),
            ttl_s: memory.published.ttl.as_secs(),
            since: memory.active_since,
            because: view.because.to_string(),
            operation: shown.map(|shown| operation(shown, &view.because)),
            proposal: memory.proposal.as_ref().map(proposal),
            halted: memory.halted.as_ref().map(halt),
            ineligible: memory.ineligible.iter().map(ineligible).collect(),
            overrides: overrides.map(ToString::to_string).collect(),
            cached_until: memory.cached_until.filter(|until| *until > now.wall),
            moves_in_the_last_hour: u32::try_from(recent.count()).unwrap_or(u32::MAX),
        })
    }

    fn ranked(&self, view: &ServiceView<'_>) -> Vec<Ranked> {
        let ranking = &view.memory.published.ranking;
        let places = (1u16..).zip(&ranking.pools);
        let ranked = places.map(|(place, ranked)| Ranked {
            pool: ranked.pool.clone(),
            priority: place.saturating_mul(PRIORITY_STEP),
            health: self
                .engine
                .pool(&ranked.pool)
                .map(|pool| pool.health)
                .unwrap_or_default(),
            servers: ranked
                .servers
                .iter()
                .map(|server| server.server.clone())
                .collect(),
        });
        ranked.collect()
    }
}

fn of_transport(count: Count) -> TransportCounters {
    let Count {
        queries,
        responses,
        dropped,
        truncated,
        panics: _,
        connections,
        evicted,
        refused,
    } = count;
    TransportCounters {
        queries,
        responses,
        truncated,
        dropped,
        connections,
        evicted,
        refused,
    }
}

fn asked_word(asked: Asked) -> &'static str {
    match asked {
        Asked::Soa => "soa",
        Asked::Changes => "ixfr",
        Asked::Zone => "axfr",
    }
}

fn service_alarm(name: &ServiceName, view: &ServiceView<'_>) -> Option<String> {
    if let Some(halted) = &view.memory.halted {
        return Some(match &halted.phase {
            Phase::NeedsHuman(question) => {
                format!(
                    "{name}: {} to {} needs a human: {question}",
                    halted.id, halted.to
                )
            }
            Phase::Halted(why) => format!("{name}: {} to {} halted: {why}", halted.id, halted.to),
            Phase::Forward | Phase::Backward(_) | Phase::Completed => return None,
        });
    }
    let because = &view.because;
    let kept_in_trouble =
        matches!(because, Because::Capped { health, .. } if *health != PoolHealth::Up);
    let loud = kept_in_trouble
        || matches!(
            because,
            Because::AllDown
                | Because::NeedsApproval { .. }
                | Because::AwaitsApproval { .. }
                | Because::Observed { .. }
                | Because::NoBetterPool { .. }
                | Because::BetterIsDrained { .. }
                | Because::DrainedInVain
        );
    loud.then(|| format!("{name}: {}", view.because))
}

/// What a service is about, in a word or two.
fn mode(view: &ServiceView<'_>) -> &'static str {
    match &view.because {
        Because::Operation { .. } => "moving",
        Because::Paused { .. } => "paused",
        Because::Frozen => "frozen",
        Because::Isolated => "isolated",
        Because::AllDown => "all down",
        Because::Halted { .. } => "halted",
        Because::Pinned => "pinned",
        Because::Unknown => "unknown",
        Because::NeedsApproval { .. } | Because::AwaitsApproval { .. } => "wants approval",
        Because::StoreFailed { .. }
        | Because::WaitsForOperation { .. }
        | Because::TtlDrains { .. } => "waiting",
        Because::Capped { health, .. } if *health != PoolHealth::Up => "in trouble",
        Because::TroubleTooShort { .. }
        | Because::NoBetterPool { .. }
        | Because::BetterIsDrained { .. }
        | Because::DrainedInVain
        | Because::Settling { .. }
        | Because::Rejected { .. }
        | Because::Observed { .. }
        | Because::Trouble { .. } => "in trouble",
        Because::Preferred
        | Because::Serves { .. }
        | Because::ServesForDrained { .. }
        | Because::FailbackWaits { .. }
        | Because::FailbackIsManual { .. }
        | Because::Capped { .. }
        | Because::FailedBack
        | Because::Drained { .. }
        | Because::Ordered { .. } => "settled",
    }
}

fn proposal(proposal: &Proposal) -> ProposalStatus {
    let word = proposal.word.as_ref().map(|word| match word {
        Word::Approved(by) => format!("approved by {by}"),
        Word::Rejected(by) => format!("rejected by {by}"),
    });
    ProposalStatus {
        id: proposal.id,
        from: proposal.from.clone(),
        to: proposal.to.clone(),
        because: proposal.because.to_string(),
        since: proposal.since,
        word,
    }
}

fn ineligible(pool: &PoolName) -> Ineligible {
    Ineligible {
        pool: pool.clone(),
        because: "a runbook towards it halted; it stays out until an operator says otherwise"
            .into(),
    }
}

fn halt(operation: &Operation) -> Halt {
    let because = match &operation.phase {
        Phase::NeedsHuman(text) | Phase::Halted(text) | Phase::Backward(text) => text.clone(),
        Phase::Forward | Phase::Completed => String::new(),
    };
    Halt {
        operation: operation.id,
        at: last_change(operation),
        because,
        remedies: remedies(operation),
    }
}

/// What a person may do with an operation that stands.
fn remedies(operation: &Operation) -> Vec<(String, String)> {
    let service = &operation.service;
    let asked = operation.in_question();
    let undo = if operation.turned_back.is_some() {
        "the undo of "
    } else {
        ""
    };
    let mut remedies = Vec::new();
    let mut offer = |what: String, command: String| remedies.push((what, command));
    if let Some(step) = asked.first().and_then(|task| operation.step(*task)) {
        let step = step.name.replace('\'', "'\\''");
        let skip = format!("switchback skip {service} '{step}'");
        offer(format!("{undo}\"{step}\" was done"), skip);
        let retry = format!("switchback retry {service}");
        offer(format!("run {undo}\"{step}\" again"), retry);
        if operation.turned_back.is_none() {
            let abort = format!("switchback abort {service}");
            offer("take back what was done".to_owned(), abort);
        }
    }
    let resume = format!("switchback resume {service}");
    offer("all is put right by hand".to_owned(), resume);
    remedies
}

fn last_change(operation: &Operation) -> Wall {
    operation
        .tasks
        .iter()
        .map(|task| task.since)
        .max()
        .unwrap_or(operation.began)
}

fn operation(operation: &Operation, because: &Because) -> OperationStatus {
    let (state, ended) = match operation.phase {
        Phase::Forward | Phase::Backward(_) if matches!(because, Because::Paused { .. }) => {
            ("paused", false)
        }
        Phase::Forward => ("running", false),
        Phase::Backward(_) => ("undoing", false),
        Phase::Completed => ("done", true),
        Phase::Halted(_) => ("halted", true),
        Phase::NeedsHuman(_) => ("needs a human", true),
    };
    let tasks = operation.tasks.iter().enumerate().map(|(index, task)| {
        let (state, why) = task_state(&task.status);
        let tail: String = match why {
            Some(why) if task.output.is_empty() => why.to_owned(),
            Some(why) => format!("{why}: {}", tail(&task.output)),
            None => tail(&task.output).to_owned(),
        };
        Task {
            name: operation
                .step(index)
                .map(|step| step.name.clone())
                .unwrap_or_default(),
            state,
            server: task.server.clone(),
            attempt: task.attempts,
            took_ms: task.took_ms,
            since: task.since,
            deadline: task.deadline,
            output_tail: tail,
        }
    });
    OperationStatus {
        id: operation.id,
        from: operation.from.clone(),
        to: operation.to.clone(),
        state: state.to_owned(),
        ended: ended.then(|| last_change(operation)),
        steps: tasks.collect(),
    }
}

fn task_state(status: &TaskStatus) -> (TaskState, Option<&str>) {
    match status {
        TaskStatus::Waiting => (TaskState::Waiting, None),
        TaskStatus::Started { .. } => (TaskState::Running, None),
        TaskStatus::Done => (TaskState::Done, None),
        TaskStatus::Failed(why) => (TaskState::Failed, Some(why)),
        TaskStatus::Retrying { why, .. } => (TaskState::Retrying, Some(why)),
        TaskStatus::Unknown | TaskStatus::UndoUnknown => (TaskState::Unknown, None),
        TaskStatus::Undoing { .. } => (TaskState::Undoing, None),
        TaskStatus::Undone => (TaskState::Undone, None),
        TaskStatus::UndoFailed(why) => (TaskState::Failed, Some(why)),
    }
}

/// The end of a text, cut at a character.
fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
