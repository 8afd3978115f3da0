//! The edges, and the certificates that they show.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::answers::addresses;
use super::evidence::{Evidence, TargetEvidence, TargetLook};
use super::expected::{Expected, ExpectedPool};
use super::{Check, Finding, Level};
use crate::failover::Standby;
use crate::health::{Layer, Verdict};
use crate::time::Wall;

/// A certificate that ends sooner is worth a look: those for 90 days are renewed with 30 left.
const NOTICE: Duration = Duration::from_secs(14 * DAY_S);
const DAY_S: u64 = 24 * 3600;

pub(super) fn judge(expected: &Expected, evidence: &Evidence, found: &mut Vec<Finding>) {
    for target in &evidence.targets {
        let place = expected.server(&target.name);
        let role = Role::of(expected, place.map(|(pool, _)| pool));
        judge_name(expected, target, role, found);
        for look in &target.looks {
            judge_look(evidence.now, target, look, role, found);
        }
    }
}

/// What a fault of an edge means.
#[derive(Clone, Copy)]
struct Role {
    /// How grave: partners are sent to the active pool, to others only if that fails.
    grave: Level,
    cold: bool,
}

impl Role {
    fn of(expected: &Expected, pool: Option<&ExpectedPool>) -> Role {
        let active = expected.pools.first();
        let stands_by = pool.is_some_and(|pool| {
            expected.published && active.is_some_and(|active| active.pool != pool.pool)
        });
        Role {
            grave: if stands_by { Level::Warn } else { Level::Fail },
            cold: stands_by && pool.is_some_and(|pool| pool.standby == Standby::Cold),
        }
    }

    fn bad(self, check: Check, at: &str, saw: String, remedy: &str) -> Finding {
        Finding {
            level: self.grave,
            ..Finding::fail(check, at, saw, remedy)
        }
    }
}

fn judge_name(expected: &Expected, target: &TargetEvidence, role: Role, found: &mut Vec<Finding>) {
    let at = target.name.to_string();
    let wanted = expected
        .server(&target.name)
        .map(|(_, server)| &server.addresses);
    if wanted.is_none() {
        found.push(Finding::warn(
            Check::Target,
            &at,
            "no pool of the service has this target",
            "a name server has an old version of the zone, or this is not the daemon's configuration",
        ));
    }
    if let Some(alias) = &target.alias {
        found.push(Finding::fail(
            Check::Target,
            &at,
            format!("it is an alias of {alias}, which the target of an SRV record must not be (RFC 2782)"),
            "give the name A and AAAA records of its own",
        ));
    }
    let seen = match &target.found {
        Ok(seen) => seen,
        Err(why) => {
            let remedy = "partners cannot connect without an address: see that its zone is served";
            let saw = format!("its addresses are not found: {why}");
            return found.push(role.bad(Check::Target, &at, saw, remedy));
        }
    };
    if seen.is_empty() {
        let remedy = "give the name A and AAAA records";
        return found.push(role.bad(Check::Target, &at, "it has no address".to_owned(), remedy));
    }
    let (is, wanted): (BTreeSet<&IpAddr>, BTreeSet<&IpAddr>) = (
        seen.iter().collect(),
        wanted.into_iter().flatten().collect(),
    );
    if wanted.is_empty() || is == wanted {
        return found.push(Finding::pass(Check::Target, &at, addresses(seen)));
    }
    let wanted: Vec<IpAddr> = wanted.into_iter().copied().collect();
    let saw = format!(
        "it is at {}, it should be at {}",
        addresses(seen),
        addresses(&wanted)
    );
    let remedy = "correct its A and AAAA records, or the addresses in the configuration; a cache may \
                  be behind by a TTL";
    found.push(role.bad(Check::Target, &at, saw, remedy));
}

fn judge_look(
    now: Wall,
    target: &TargetEvidence,
    look: &TargetLook,
    role: Role,
    found: &mut Vec<Finding>,
) {
    let at = format!("{} {}", target.name, look.address);
    let what = match &look.domain {
        Some(domain) => format!("{} for {domain}", look.kind),
        None => look.kind.to_owned(),
    };
    let verdict = match &look.verdict {
        Ok(verdict) => verdict,
        Err(why) => {
            return found.push(Finding::warn(
                Check::Edge,
                at,
                format!("{what}: it could not be looked at: {why}"),
                "correct that, then look again",
            ));
        }
    };
    let cold_as_it_should = role.cold && matches!(verdict, Verdict::Refused);
    match verdict.fault() {
        Some(_) if cold_as_it_should => found.push(Finding::pass(
            Check::Edge,
            &at,
            format!("{what}: closed, as a cold standby is; its path is open"),
        )),
        Some((Layer::Tls, _)) => {
            if !matches!(verdict, Verdict::NoStarttls | Verdict::TlsFailed(_)) {
                found.push(speaks(&at, &what, look));
            }
            found.push(flawed(&at, &what, verdict, look.certificate_ends, role));
        }
        Some(_) => found.push(role.bad(
            Check::Edge,
            &at,
            format!("{what}: {verdict}"),
            remedy(verdict),
        )),
        None if verdict.is_about_the_server() => {
            found.push(speaks(&at, &what, look));
            if let Some(end) = look.certificate_ends {
                found.push(good_until(now, &at, &what, end));
            }
        }
        None => found.push(Finding::warn(
            Check::Edge,
            &at,
            format!("{what}: {verdict}: it says nothing about the edge"),
            "look from a machine that has a way to it",
        )),
    }
}

fn speaks(at: &str, what: &str, look: &TargetLook) -> Finding {
    Finding::pass(
        Check::Edge,
        at,
        format!("{what}: it answers, {} ms", look.took_ms),
    )
}

fn good_until(now: Wall, at: &str, what: &str, end: Wall) -> Finding {
    let left = end.since(now);
    let saw = format!(
        "{what}: good until {}, {} days",
        date(end),
        left.as_secs() / DAY_S
    );
    if left < NOTICE {
        let remedy = "find out why it has not been renewed, and renew it";
        return Finding::warn(Check::Certificate, at, saw, remedy);
    }
    Finding::pass(Check::Certificate, at, saw)
}

fn flawed(at: &str, what: &str, verdict: &Verdict, end: Option<Wall>, role: Role) -> Finding {
    let saw = match (verdict, end) {
        (Verdict::CertificateExpired, Some(end)) => {
            format!(
                "{what}: the certificate is not valid now; it ends {}",
                date(end)
            )
        }
        _ => format!("{what}: {verdict}"),
    };
    role.bad(Check::Certificate, at, saw, remedy(verdict))
}

/// What to do about it.
fn remedy(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Refused => "start the service on the edge, or open its port",
        Verdict::Filtered => "let TCP through to it (firewall, route), or start the host",
        Verdict::Unreachable => "correct the route to it",
        Verdict::Closed | Verdict::Hung | Verdict::NotXmpp(_) => {
            "restart the service on the edge; partners never leave an edge that accepts and is silent"
        }
        Verdict::HostUnknown => "configure the domain on the edge",
        Verdict::StreamError(_) => "look at the log of the edge: it refuses the stream",
        Verdict::NoStarttls => "give the edge a certificate and switch TLS on: partners require it",
        Verdict::TlsFailed(_) => {
            "look at the TLS settings of the edge: partners cannot agree with it"
        }
        Verdict::CertificateExpired => {
            "renew the certificate of the edge, and restart what shows it"
        }
        Verdict::CertificateName(_) => "issue a certificate that names the domain",
        Verdict::CertificateUntrusted(_) => {
            "have it show the whole chain, from an authority that partners trust"
        }
        Verdict::ExecFailed(_) => "run the program by hand and see what it says",
        Verdict::Good | Verdict::NoRoute | Verdict::NotMade(_) => "nothing",
    }
}

/// The day, `2026-11-23`.
fn date(at: Wall) -> String {
    let text = at.to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}
