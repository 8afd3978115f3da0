//! What orders would do: rehearsals of the engine, published on a trial.
//!
//! Copying is the core's part; all else happens apart from it, because a plan of many zones must not
//! hold up a failover.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::core::Core;
use super::trial::{Outcome, Trial};
use crate::admin::plan::{
    Change, ORDERS_MAX, Outline, Part, Plan, RrsetChange, RrsetText, ServicePlan, ZoneChange,
};
use crate::admin::{Answer, Request, Response};
use crate::failover::{self, By, Engine, HookCall, Order, Policy, Publication, Rehearsal};
use crate::history::Difference;
use crate::hook::{self, ShownCall};
use crate::ids::{PoolName, ServiceName};
use crate::runbook::Work;
use crate::snapshot::ServedZone;
use crate::time::{Now, Wall};
use crate::zone::rdata::{rtype, type_name};
use crate::zone::{Key, Name};

/// Clients that do not follow the TTL keep an answer so long.
const STUBBORN_S: u64 = 60;

/// What is asked, and copies of all that the answer needs.
pub(super) struct Draft {
    orders: Vec<Order>,
    now: Now,
    engine: Engine,
    trial: Trial,
}

impl Core {
    /// Copies what plans of these orders need.
    ///
    /// # Errors
    /// One of them is none, or names what is not there.
    pub(super) fn draft(&self, now: Now, requests: Vec<Request>) -> Result<Draft, String> {
        if requests.is_empty() || requests.len() > ORDERS_MAX {
            return Err(format!("a plan is of 1 to {ORDERS_MAX} orders"));
        }
        // Who only plans says nothing that anybody has to account for.
        let by = || By {
            author: "a plan".to_owned(),
            reason: "a plan".to_owned(),
        };
        let orders = requests.into_iter().map(|it| self.order_of(now, it, by()));
        Ok(Draft {
            orders: orders.collect::<Result<_, _>>()?,
            trial: self.publisher.trial(),
            engine: self.engine.clone(),
            now,
        })
    }
}

impl Draft {
    /// The plans, one after another, or why there can be none.
    pub(super) fn answer(mut self) -> Response {
        let orders = std::mem::take(&mut self.orders);
        let plans = orders.iter().map(|order| self.plan(order));
        match plans.collect() {
            Ok(plans) => Response::Ok(Answer::Plan(plans)),
            Err(why) => Response::error(why),
        }
    }

    /// The plan of one order. What is planned after it begins where it has ended.
    fn plan(&mut self, order: &Order) -> Result<Plan, String> {
        let (rehearsal, in_the_way) = self.rehearse(order)?;
        let (now, generation) = (self.now.wall, self.trial.generation());
        let begin = |name: &ServiceName| {
            let published = &self.engine.service(self.now, name)?.memory.published;
            Some((name.clone(), Course::begin(published.clone())))
        };
        let courses = rehearsal.services.iter().filter_map(begin);
        let mut courses: BTreeMap<ServiceName, Course> = courses.collect();
        for happening in &rehearsal.happenings {
            let mut course = courses
                .get_mut(&happening.service)
                .filter(|_| happening.follows);
            match &happening.part {
                failover::Part::Publish(publication) => {
                    let outcome = self.trial.publish(&happening.service, publication.clone());
                    let outcome = outcome.map_err(|error| error.to_string())?;
                    if let Some(course) = &mut course {
                        course.publish(now + happening.after, publication, &outcome);
                    }
                }
                failover::Part::Task { task, at_most } => {
                    course
                        .iter_mut()
                        .for_each(|it| it.parts.push(step(task, *at_most)));
                }
                failover::Part::Run(call) => {
                    course.iter_mut().for_each(|it| it.parts.push(run(call)));
                }
            }
        }
        let services = courses.into_iter();
        let services: Vec<ServicePlan> = services
            .map(|(name, course)| course.finish(name, &rehearsal))
            .collect();
        let is_move = matches!(order, Order::Failover { .. } | Order::Approve { .. });
        if is_move && rehearsal.operations.is_empty() {
            let whys = services.into_iter().map(|it| it.because);
            let whys: Vec<String> = in_the_way.into_iter().chain(whys).collect();
            return Err(format!("the move would not begin: {}", whys.join("; ")));
        }
        self.now = rehearsal.then;
        self.engine = *rehearsal.after;
        Ok(Plan {
            now,
            generation,
            in_the_way,
            services,
        })
    }

    /// The order as it would go; what is in its way is put aside, if `force` does that.
    fn rehearse(&self, order: &Order) -> Result<(Rehearsal, Vec<String>), String> {
        let refusal = match self.engine.rehearse(self.now, order.clone()) {
            Ok(rehearsal) => return Ok((rehearsal, Vec::new())),
            Err(refusal) => refusal.to_string(),
        };
        let forced = forced(order.clone()).ok_or_else(|| refusal.clone())?;
        match self.engine.rehearse(self.now, forced) {
            Ok(rehearsal) => Ok((rehearsal, vec![refusal])),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
}

/// The same order with `--force`, if it can have that.
fn forced(mut order: Order) -> Option<Order> {
    match &mut order {
        Order::Set { force, .. }
        | Order::Failover { force, .. }
        | Order::Failback { force, .. } => *force = true,
        Order::Clear { .. }
        | Order::Approve { .. }
        | Order::Reject { .. }
        | Order::Handle { .. }
        | Order::Readmit { .. } => return None,
    }
    Some(order)
}

/// What becomes of one service.
struct Course {
    /// The pool that is active before.
    from: PoolName,
    published: Publication,
    parts: Vec<Part>,
    /// The change that counts, when it comes, and the TTL in seconds of the answers before it.
    changed: Option<(Change, Wall, u64)>,
}

impl Course {
    fn begin(published: Publication) -> Course {
        Course {
            from: active(&published),
            published,
            parts: Vec::new(),
            changed: None,
        }
    }

    fn publish(&mut self, at: Wall, publication: &Publication, outcome: &Outcome) {
        let before = std::mem::replace(&mut self.published, publication.clone());
        let change = if active(&before) != active(publication) {
            Change::Moves
        } else if before.ranking != publication.ranking {
            Change::Records
        } else {
            Change::Ttl
        };
        let counts = match self.changed {
            Some((Change::Moves, ..)) => false,
            Some(_) => change == Change::Moves,
            None => change != Change::Ttl,
        };
        if counts {
            self.changed = Some((change, at, before.ttl.as_secs()));
        }
        self.parts.push(Part::Publish {
            at,
            ttl_s: publication.ttl.as_secs(),
            change,
            zones: zone_changes(outcome),
            more_zones: outcome.more,
        });
    }

    fn finish(self, service: ServiceName, rehearsal: &Rehearsal) -> ServicePlan {
        let operation = rehearsal.operation_of(&service);
        let to = active(&self.published);
        let view = rehearsal.after.service(rehearsal.then, &service);
        let because = view.map(|view| view.because.to_string());
        let void = rehearsal.void.get(&service).cloned();
        ServicePlan {
            operation: operation.map(|operation| operation.id),
            at_most_ms: operation.map(|operation| in_ms(operation.longest())),
            because: void.or(because).unwrap_or_default(),
            forecast: self.forecast(),
            to: Some(to).filter(|to| *to != self.from),
            from: self.from,
            parts: self.parts,
            service,
        }
    }

    /// Who still goes to where it was, and until when.
    fn forecast(&self) -> Vec<String> {
        let Some((change, at, ttl_s)) = self.changed else {
            return Vec::new();
        };
        let gone = at + Duration::from_secs(ttl_s);
        let from = &self.from;
        let (answers, streams) = match change {
            Change::Moves => (format!("answers that lead to {from}"), format!("at {from}")),
            Change::Records | Change::Ttl => (
                "answers from before".to_owned(),
                "where they are".to_owned(),
            ),
        };
        vec![
            format!(
                "{answers} have left the caches by {gone}, {ttl_s} s after the change; later by what \
                 secondaries and the runbook take"
            ),
            format!(
                "Openfire and Tigase keep an answer for up to {STUBBORN_S} s, whatever its TTL"
            ),
            format!("open streams do not move: they stay {streams} until one end closes them"),
        ]
    }
}

fn active(publication: &Publication) -> PoolName {
    let active = publication.ranking.active().cloned();
    active.unwrap_or_else(|| "".into())
}

fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Both directions of every service with hooks: from its first pool to its second, and back.
#[must_use]
pub fn outlines(policy: &Policy) -> Vec<Outline> {
    let with_hooks = policy
        .services
        .iter()
        .filter(|(_, it)| it.runbook.has_hooks());
    with_hooks
        .flat_map(|(name, service)| match &service.pools[..] {
            [first, second, ..] => vec![(name, first, second), (name, second, first)],
            _ => Vec::new(),
        })
        .filter_map(|(name, from, to)| outline(policy, name, from, to))
        .collect()
}

fn outline(
    policy: &Policy,
    service: &ServiceName,
    from: &PoolName,
    to: &PoolName,
) -> Option<Outline> {
    let rehearsal = Rehearsal::in_quiet_times(policy, service, from, to)?;
    let parts = rehearsal.happenings.into_iter().map(|it| match it.part {
        failover::Part::Task { task, at_most } => step(&task, at_most),
        failover::Part::Run(call) => without_details(run(&call)),
        failover::Part::Publish(publication) => Part::Publish {
            at: Wall(0) + it.after,
            ttl_s: publication.ttl.as_secs(),
            change: if publication.ranking.active() == Some(to) {
                Change::Moves
            } else {
                Change::Ttl
            },
            zones: Vec::new(),
            more_zones: 0,
        },
    });
    Some(Outline {
        service: service.clone(),
        from: from.clone(),
        to: to.clone(),
        parts: parts.collect(),
    })
}

/// What stands in the configuration, and nothing that only an operation knows.
fn without_details(mut part: Part) -> Part {
    match &mut part {
        Part::Run { environment, .. } => environment.clear(),
        Part::Call { headers, body, .. } => {
            headers.clear();
            *body = None;
        }
        Part::Step { .. } | Part::Publish { .. } => {}
    }
    part
}

fn step(task: &str, at_most: Duration) -> Part {
    Part::Step {
        name: task.to_owned(),
        at_most_ms: in_ms(at_most),
    }
}

fn run(call: &HookCall) -> Part {
    let timeout_ms = in_ms(call.timeout);
    match &call.work {
        Work::Run(command) => Part::Run {
            argv: command.0.clone(),
            server: call.server.clone(),
            undo: call.undo,
            environment: hook::environment(call),
            timeout_ms,
        },
        Work::Call(spec) => {
            let ShownCall { headers, body } = hook::shown(call, spec);
            Part::Call {
                method: spec.method.clone(),
                url: spec.url.clone(),
                server: call.server.clone(),
                headers,
                body,
                undo: call.undo,
                timeout_ms,
            }
        }
    }
}

fn zone_changes(outcome: &Outcome) -> Vec<ZoneChange> {
    let zones = outcome.zones.iter();
    let change = |(origin, difference): &(Name, Difference)| {
        let (before, after) = outcome.sides(origin)?;
        Some(zone_change(origin, difference, before, after))
    };
    zones.filter_map(change).collect()
}

fn zone_change(
    origin: &Name,
    difference: &Difference,
    before: ServedZone<'_>,
    after: ServedZone<'_>,
) -> ZoneChange {
    let records = difference.removed().chain(difference.added());
    let rrsets: BTreeSet<(Vec<u8>, u16)> = records
        .map(|record| (record.owner.to_vec(), record.rtype))
        .collect();
    let rrsets = rrsets.into_iter().map(|(owner, rtype)| {
        let name = Name::from_wire(&owner).map(|name| name.to_string());
        RrsetChange {
            owner: name.unwrap_or_default(),
            rtype: type_name(rtype),
            before: rrset_text(before, &owner, rtype),
            after: rrset_text(after, &owner, rtype),
        }
    });
    ZoneChange {
        origin: origin.to_string(),
        from: difference.from,
        to: difference.to,
        rrsets: rrsets.collect(),
    }
}

fn rrset_text(zone: ServedZone<'_>, owner: &[u8], kind: u16) -> Option<RrsetText> {
    let rrset = zone.find(&Key::of_wire(owner)).rrset(kind)?;
    Some(RrsetText {
        ttl: rrset.ttl,
        records: rrset
            .records()
            .map(|rdata| rdata_text(kind, rdata))
            .collect(),
    })
}

/// RDATA as a master file has it; what a service does not own in the generic form (RFC 3597
/// section 5).
fn rdata_text(kind: u16, rdata: &[u8]) -> String {
    let known = match kind {
        rtype::A => <[u8; 4]>::try_from(rdata)
            .ok()
            .map(|octets| Ipv4Addr::from(octets).to_string()),
        rtype::AAAA => <[u8; 16]>::try_from(rdata)
            .ok()
            .map(|octets| Ipv6Addr::from(octets).to_string()),
        rtype::SRV => srv_text(rdata),
        _ => None,
    };
    known.unwrap_or_else(|| {
        let hex: String = rdata.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("\\# {} {hex}", rdata.len())
    })
}

fn srv_text(rdata: &[u8]) -> Option<String> {
    let (numbers, target) = rdata.split_first_chunk::<6>()?;
    let [p0, p1, w0, w1, o0, o1] = *numbers;
    let target = Name::from_wire(target).ok()?;
    let [priority, weight, port] = [[p0, p1], [w0, w1], [o0, o1]].map(u16::from_be_bytes);
    Some(format!("{priority} {weight} {port} {target}"))
}
