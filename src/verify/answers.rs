//! What name servers and resolvers say of the service's names.

use std::net::IpAddr;

use super::evidence::{AddressEvidence, ResolverEvidence, ZoneEvidence};
use super::expected::{Expected, ExpectedSet, SetKind};
use super::servers::place;
use super::{Check, Finding, Level};
use crate::inquiry::{Failure, Rcode, Reply, Srv};
use crate::zone::Name;
use crate::zone::rdata::{rtype, type_name};

pub(super) fn judge(expected: &Expected, zone: &ZoneEvidence, found: &mut Vec<Finding>) {
    for server in &zone.servers {
        for address in &server.addresses {
            let at = place(&zone.origin, &server.name, address);
            // What is lame has its finding already, and nothing that it says counts.
            if !serves(&zone.origin, address) {
                continue;
            }
            for (owner, kind, said) in &address.sets {
                judge_set(expected, &at, owner, *kind, said, found);
            }
            for (name, said) in &address.between {
                judge_between(&at, name, said, found);
            }
        }
    }
    if !expected.published {
        agreement(zone, found);
    }
}

fn serves(origin: &Name, address: &AddressEvidence) -> bool {
    let mut both = [&address.udp, &address.tcp].into_iter().flatten();
    both.any(|reply| reply.authoritative && reply.serial(origin).is_some())
}

fn judge_set(
    expected: &Expected,
    at: &str,
    owner: &Name,
    kind: u16,
    said: &Result<Reply, Failure>,
    found: &mut Vec<Finding>,
) {
    let what = format!("{owner} {}", type_name(kind));
    let reply = match said {
        Ok(reply) => reply,
        Err(why) => {
            return found.push(Finding::fail(
                Check::Answer,
                at,
                format!("{what}: {why}"),
                "it answers for the zone's SOA: look at its log",
            ));
        }
    };
    if reply.rcode != Rcode::NO_ERROR {
        return found.push(Finding::fail(
            Check::Answer,
            at,
            format!("{what}: it answers {}", reply.rcode),
            "have it transfer the zone again; its version has not the records of the service",
        ));
    }
    if !reply.authoritative {
        return found.push(Finding::fail(
            Check::Answer,
            at,
            format!("{what}: it answers without authority (AA)"),
            "resolvers drop such an answer as lame: have it serve the zone, not forward it",
        ));
    }
    found.push(compare(
        expected,
        at,
        owner,
        kind,
        reply,
        Level::Fail,
        Check::Answer,
    ));
    judge_ttl(expected, at, &what, reply.ttl(owner, kind), found);
}

/// The answer against what is expected, as a finding no graver than `grave`.
fn compare(
    expected: &Expected,
    at: &str,
    owner: &Name,
    kind: u16,
    reply: &Reply,
    grave: Level,
    check: Check,
) -> Finding {
    let set = set_of(expected, owner, kind);
    let bad = |saw: String, remedy: &str| Finding {
        level: grave,
        ..Finding::fail(check, at, saw, remedy)
    };
    let behind = if check == Check::Resolver {
        "it should change within the TTL; ask again then"
    } else {
        "see its serial: it has another version of the zone than the daemon"
    };
    match set.map(|set| set.kind) {
        Some(SetKind::Srv { port }) => {
            let services = reply.services(owner);
            let wanted = expected.srv(port);
            let saw = format!("{owner} SRV: {}", order(&services));
            if services.is_empty() {
                bad(format!("{owner} SRV: no records"), behind)
            } else if services.iter().any(|srv| srv.target == Name::root()) {
                // RFC 2782: a lone "." says that the service is not to be had.
                bad(
                    format!("{saw}: it says that there is no such service"),
                    behind,
                )
            } else if !expected.published {
                unpublished(expected, at, saw, &services, check)
            } else if services == wanted {
                Finding::pass(check, at, saw)
            } else if same_targets(&services, &wanted) {
                bad(
                    format!(
                        "{saw}: wrong order, the daemon publishes {}",
                        order(&wanted)
                    ),
                    behind,
                )
            } else {
                bad(
                    format!(
                        "{saw}: other records, the daemon publishes {}",
                        order(&wanted)
                    ),
                    behind,
                )
            }
        }
        Some(SetKind::Address) => {
            let mut wanted = expected.active_addresses();
            wanted.retain(|address| address.is_ipv4() == (kind == rtype::A));
            let addresses = reply.addresses(owner);
            let saw = format!("{owner} {}: {}", type_name(kind), list(&addresses));
            if !expected.published || addresses == wanted {
                Finding::pass(check, at, saw)
            } else {
                bad(
                    format!("{saw}; the daemon publishes {}", list(&wanted)),
                    behind,
                )
            }
        }
        None => Finding::pass(check, at, format!("{owner}: answered")),
    }
}

/// Without a daemon nobody here knows which order is the right one; only that it is one of ours.
fn unpublished(
    expected: &Expected,
    at: &str,
    saw: String,
    services: &[Srv],
    check: Check,
) -> Finding {
    let strange = services
        .iter()
        .find(|srv| expected.server(&srv.target).is_none());
    if let Some(strange) = strange {
        let saw = format!("{saw}: no pool of the configuration has {}", strange.target);
        return Finding::warn(
            check,
            at,
            saw,
            "see that this configuration is the daemon's",
        );
    }
    let first = services
        .first()
        .and_then(|srv| expected.server(&srv.target));
    let preferred = expected.pools.first();
    match (first, preferred) {
        (Some((first, _)), Some(preferred)) if first.pool != preferred.pool => Finding::warn(
            check,
            at,
            format!(
                "{saw}: {} is first, the configuration prefers {}",
                first.pool, preferred.pool
            ),
            "ask the daemon whether it has failed over: run this on its machine",
        ),
        _ => Finding::pass(check, at, saw),
    }
}

fn judge_ttl(
    expected: &Expected,
    at: &str,
    what: &str,
    ttl: Option<u32>,
    found: &mut Vec<Finding>,
) {
    let Some(ttl) = ttl.map(u64::from) else {
        return;
    };
    if ttl > expected.ttl_max_s {
        found.push(Finding::warn(
            Check::Ttl,
            at,
            format!("{what}: TTL {ttl} s, longer than the longest of the service, {} s", expected.ttl_max_s),
            "partners keep the old order so long after a failover: have it give TTLs as they are in the zone",
        ));
    } else if ttl < expected.ttl_min_s {
        found.push(Finding::warn(
            Check::Ttl,
            at,
            format!(
                "{what}: TTL {ttl} s, shorter than the shortest of the service, {} s",
                expected.ttl_min_s
            ),
            "answers come from a cache on the way: have it serve the zone itself",
        ));
    } else {
        found.push(Finding::pass(
            Check::Ttl,
            at,
            format!("{what}: TTL {ttl} s"),
        ));
    }
}

/// A resolver that minimises names (RFC 9156) asks for what lies between first, and takes
/// NXDOMAIN there as said of all below it (RFC 8020).
fn judge_between(at: &str, name: &Name, said: &Result<Reply, Failure>, found: &mut Vec<Finding>) {
    match said {
        Ok(reply) if reply.rcode == Rcode::NX_DOMAIN => found.push(Finding::fail(
            Check::Answer,
            at,
            format!("{name}: it answers NXDOMAIN, although names lie below it"),
            "resolvers that minimise names look no further: have it run a server that knows empty \
             non-terminals (RFC 8020)",
        )),
        Ok(_) => found.push(Finding::pass(Check::Answer, at, format!("{name}: exists"))),
        Err(why) => found.push(Finding::warn(
            Check::Answer,
            at,
            format!("{name}: {why}"),
            "resolvers that minimise names ask for it first: look at its log",
        )),
    }
}

/// Without a daemon, the servers are measured by each other.
fn agreement(zone: &ZoneEvidence, found: &mut Vec<Finding>) {
    let mut first: Vec<(&Name, Vec<Srv>, String)> = Vec::new();
    for server in &zone.servers {
        for address in &server.addresses {
            let srv = address
                .sets
                .iter()
                .filter(|(_, kind, _)| *kind == rtype::SRV);
            for (owner, _, said) in srv {
                let Ok(reply) = said else { continue };
                let services = reply.services(owner);
                if services.is_empty() {
                    continue;
                }
                let at = place(&zone.origin, &server.name, address);
                match first.iter().find(|(name, ..)| *name == owner) {
                    None => first.push((owner, services, at)),
                    Some((_, others, _)) if *others == services => {}
                    Some((_, others, other_at)) => found.push(Finding::fail(
                        Check::Answer,
                        at,
                        format!(
                            "{owner} SRV: {}, but {} at {other_at}",
                            order(&services),
                            order(others)
                        ),
                        "one of them has an old version: compare their serials",
                    )),
                }
            }
        }
    }
}

pub(super) fn judge_resolvers(
    expected: &Expected,
    resolvers: &[ResolverEvidence],
    found: &mut Vec<Finding>,
) {
    for resolver in resolvers {
        let at = format!("resolver {}", resolver.resolver);
        for (owner, kind, said) in &resolver.sets {
            found.push(match said {
                Ok(reply) if reply.rcode != Rcode::NO_ERROR => Finding::fail(
                    Check::Resolver,
                    &at,
                    format!("{owner} {}: {}", type_name(*kind), reply.rcode),
                    "partners behind it find nothing: correct what fails above; else ask whoever runs it",
                ),
                // A cache may be a TTL behind, that is what it is.
                Ok(reply) => {
                    compare(expected, &at, owner, *kind, reply, Level::Warn, Check::Resolver)
                }
                Err(why) => Finding::fail(
                    Check::Resolver,
                    &at,
                    format!("{owner} {}: {why}", type_name(*kind)),
                    "see that it runs and that this machine may ask it",
                ),
            });
        }
    }
}

fn set_of<'e>(expected: &'e Expected, owner: &Name, kind: u16) -> Option<&'e ExpectedSet> {
    expected.sets.iter().find(|set| {
        let is_owner = set.owner.parse::<Name>().is_ok_and(|name| name == *owner);
        is_owner && matches!(set.kind, SetKind::Srv { .. }) == (kind == rtype::SRV)
    })
}

fn same_targets(a: &[Srv], b: &[Srv]) -> bool {
    let key = |list: &[Srv]| {
        let mut names: Vec<(Name, u16)> = list
            .iter()
            .map(|srv| (srv.target.to_lower(), srv.port))
            .collect();
        names.sort();
        names
    };
    key(a) == key(b)
}

/// `10 edge1.contoso.test., 20 edge2.contoso.test.`.
pub(super) fn order(services: &[Srv]) -> String {
    list(
        services
            .iter()
            .map(|srv| format!("{} {}", srv.priority, srv.target)),
    )
}

fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        return "nothing".to_owned();
    }
    items.join(", ")
}

/// The addresses of a target, as text.
pub(super) fn addresses(list_of: &[IpAddr]) -> String {
    list(list_of)
}
