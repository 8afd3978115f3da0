//! What a move would do: a rehearsal of the engine, published on a trial.
//!
//! Copying is the core's part; all else happens apart from it, because a plan of many zones must not
//! hold up a failover.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::core::Core;
use super::trial::{Outcome, Trial};
use crate::admin::plan::{Outline, Part, Plan, RrsetChange, RrsetText, ZoneChange};
use crate::admin::{Answer, Response};
use crate::failover::{self, Engine, HookCall, Order, Policy, Rehearsal};
use crate::history::Difference;
use crate::hook;
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
    service: ServiceName,
    to: Option<PoolName>,
    hurry: bool,
    now: Now,
    engine: Engine,
    trial: Trial,
}

impl Core {
    /// Copies what a plan needs.
    pub(super) fn draft(
        &self,
        now: Now,
        service: ServiceName,
        to: Option<PoolName>,
        hurry: bool,
    ) -> Draft {
        Draft {
            trial: self.publisher.trial(&service),
            engine: self.engine.clone(),
            service,
            to,
            hurry,
            now,
        }
    }
}

impl Draft {
    /// The plan, or why there can be none.
    pub(super) fn answer(mut self) -> Response {
        match self.plan() {
            Ok(plan) => Response::Ok(Answer::Plan(Box::new(plan))),
            Err(why) => Response::error(why),
        }
    }

    fn plan(&mut self) -> Result<Plan, String> {
        let (rehearsal, in_the_way) = self.rehearse()?;
        let Some((operation, from, to)) = rehearsal.operation.clone() else {
            return Err(format!(
                "a move of {} would not begin: {}",
                self.service,
                in_the_way.join("; ")
            ));
        };
        let generation = self.trial.generation();
        let (mut parts, mut moved) = (Vec::new(), None);
        let mut ttl_s = self.long_ttl();
        for part in rehearsal.parts {
            match part {
                failover::Part::Task { task } => parts.push(Part::Step { name: task }),
                failover::Part::Run(call) => parts.push(run(*call)),
                failover::Part::Publish { after, publication } => {
                    let at = self.now.wall + after;
                    let moves = publication.ranking.active() == Some(&to) && moved.is_none();
                    if moves {
                        moved = Some((at, ttl_s));
                    }
                    ttl_s = publication.ttl.as_secs();
                    let outcome = self.trial.publish(publication);
                    let outcome = outcome.map_err(|error| error.to_string())?;
                    parts.push(Part::Publish {
                        at,
                        ttl_s,
                        moves,
                        zones: zone_changes(&outcome),
                        more_zones: outcome.more,
                    });
                }
            }
        }
        let (at, before_s) = moved.unwrap_or((self.now.wall, ttl_s));
        Ok(Plan {
            service: self.service.clone(),
            now: self.now.wall,
            generation,
            operation,
            in_the_way,
            parts,
            forecast: forecast(&from, at, before_s),
            from,
            to,
        })
    }

    /// The TTL of the answers that are in caches now, at most.
    fn long_ttl(&self) -> u64 {
        let view = self.engine.service(self.now, &self.service);
        let published = view.map(|view| view.memory.published.ttl.as_secs());
        published.unwrap_or_default()
    }

    /// The move as it would go; what is in its way is put aside, if `force` does that.
    fn rehearse(&self) -> Result<(Rehearsal, Vec<String>), String> {
        let order = |force| Order::Failover {
            service: self.service.clone(),
            to: self.to.clone(),
            by: failover::By::default(),
            force,
            now: self.hurry,
        };
        let refusal = match self.engine.rehearse(self.now, &self.service, order(false)) {
            Ok(rehearsal) => return Ok((rehearsal, Vec::new())),
            Err(refusal) => refusal.to_string(),
        };
        match self.engine.rehearse(self.now, &self.service, order(true)) {
            Ok(rehearsal) => Ok((rehearsal, vec![refusal])),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
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
    let parts = rehearsal.parts.into_iter().map(|part| match part {
        failover::Part::Task { task } => Part::Step { name: task },
        failover::Part::Run(call) => without_environment(run(*call)),
        failover::Part::Publish { after, publication } => Part::Publish {
            at: Wall(0) + after,
            ttl_s: publication.ttl.as_secs(),
            moves: publication.ranking.active() == Some(to),
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

fn without_environment(mut part: Part) -> Part {
    if let Part::Run { environment, .. } = &mut part {
        environment.clear();
    }
    part
}

fn run(call: HookCall) -> Part {
    let timeout_ms = u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX);
    let environment = hook::environment(&call);
    match call.work {
        Work::Run(command) => Part::Run {
            argv: command.0,
            server: call.server,
            environment,
            timeout_ms,
        },
        Work::Call(spec) => Part::Call {
            method: spec.method,
            url: spec.url,
            timeout_ms,
        },
    }
}

fn forecast(from: &PoolName, moved: Wall, ttl_s: u64) -> Vec<String> {
    let gone = moved + std::time::Duration::from_secs(ttl_s);
    vec![
        format!(
            "answers that lead to {from} have left the caches by {gone}, {ttl_s} s after the move; \
             later by what secondaries and the runbook take"
        ),
        format!("Openfire and Tigase keep an answer for up to {STUBBORN_S} s, whatever its TTL"),
        format!("open streams do not move: they stay at {from} until one end closes them"),
    ]
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
