//! The parent: its name servers and glue.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::evidence::{Delegation, NameserverEvidence, Parent, ParentEvidence, ZoneEvidence};
use super::{Check, Finding};
use crate::zone::Name;

pub(super) fn judge(zone: &ZoneEvidence, found: &mut Vec<Finding>) {
    let at = &zone.origin;
    let parent = match &zone.parent {
        Ok(parent) => parent,
        Err(why) => {
            return found.push(Finding::fail(
                Check::Delegation,
                at,
                format!("no zone above it can be found: {why}"),
                "check that the resolver that was asked reaches the world; name another with --resolver",
            ));
        }
    };
    let mut delegations: Vec<(&ParentEvidence, &Delegation)> = Vec::new();
    for server in &parent.servers {
        match &server.said {
            Ok(delegation) => delegations.push((server, delegation)),
            Err(why) => found.push(Finding::warn(
                Check::Delegation,
                place(at, server),
                format!("a name server of {} gives no answer: {why}", parent.origin),
                "tell whoever runs it; partners ask another one meanwhile",
            )),
        }
    }
    if delegations.is_empty() {
        return found.push(Finding::fail(
            Check::Delegation,
            at,
            format!("no name server of {} says anything of it", parent.origin),
            "nobody finds the zone while that is so: tell whoever runs them",
        ));
    }
    for (server, delegation) in &delegations {
        judge_one(zone, parent, server, delegation, found);
    }
    agreement(zone, &delegations, found);
    if delegations
        .iter()
        .any(|(_, delegation)| delegation.authoritative)
    {
        return;
    }
    child_agrees(zone, parent, found);
}

/// `contoso.test. at ns.parent.test. 192.0.2.1`.
fn place(origin: &Name, server: &ParentEvidence) -> String {
    format!("{origin} at {} {}", server.server, server.address.ip())
}

fn judge_one(
    zone: &ZoneEvidence,
    parent: &Parent,
    server: &ParentEvidence,
    delegation: &Delegation,
    found: &mut Vec<Finding>,
) {
    let at = place(&zone.origin, server);
    if delegation.authoritative {
        // The parent's servers may serve the child too: they then answer with the child's data.
        let names = list(&delegation.servers);
        let saw = format!("it serves the zone itself, with the name servers {names}");
        return found.push(Finding::pass(Check::Delegation, at, saw));
    }
    if delegation.servers.is_empty() {
        let said = delegation.otherwise.as_deref().unwrap_or("no referral");
        return found.push(Finding::fail(
            Check::Delegation,
            at,
            format!("{} does not delegate it: {said}", parent.origin),
            format!(
                "have NS records for {} put into {}, with addresses for those names that lie below it",
                zone.origin, parent.origin
            ),
        ));
    }
    let names = list(&delegation.servers);
    found.push(Finding::pass(
        Check::Delegation,
        at.clone(),
        format!("delegated to {names}"),
    ));
    for name in &delegation.servers {
        glue(zone, name, delegation, &at, found);
    }
}

/// RFC 9471: what lies below the cut is found by glue or not at all.
fn glue(
    zone: &ZoneEvidence,
    name: &Name,
    delegation: &Delegation,
    at: &str,
    found: &mut Vec<Finding>,
) {
    let given = delegation.glue.get(name).map_or(&[][..], Vec::as_slice);
    let needs_glue = name.is_at_or_below(&zone.origin);
    if given.is_empty() {
        if needs_glue {
            found.push(Finding::fail(
                Check::Glue,
                at,
                format!("no address for {name}, which lies in the zone that it is to lead to"),
                format!("have A and AAAA records of {name} put into the parent zone, beside the delegation"),
            ));
        }
        return;
    }
    let own = zone.servers.iter().find(|server| server.name == *name);
    let Some(Ok(addresses)) = own.map(|server| &server.found) else {
        return;
    };
    let (given, own): (BTreeSet<&IpAddr>, BTreeSet<&IpAddr>) =
        (given.iter().collect(), addresses.iter().collect());
    if own.is_empty() || given == own {
        let saw = format!("{name} is at {}", list(&given));
        return found.push(Finding::pass(Check::Glue, at, saw));
    }
    let saw = format!(
        "{name} is at {} by glue, and at {} by its own zone",
        list(&given),
        list(&own)
    );
    let remedy = "correct whichever is wrong; partners use either";
    found.push(if given.is_disjoint(&own) {
        Finding::fail(Check::Glue, at, saw, remedy)
    } else {
        Finding::warn(Check::Glue, at, saw, remedy)
    });
}

fn agreement(
    zone: &ZoneEvidence,
    delegations: &[(&ParentEvidence, &Delegation)],
    found: &mut Vec<Finding>,
) {
    let sets: BTreeSet<&Vec<Name>> = delegations.iter().map(|(_, it)| &it.servers).collect();
    if sets.len() > 1 {
        let shown: Vec<String> = sets.iter().map(|names| list(*names)).collect();
        found.push(Finding::warn(
            Check::Delegation,
            &zone.origin,
            format!("the parent's servers differ: {}", shown.join(" / ")),
            "wait until all of them have the newest version of the parent zone, then look again",
        ));
    }
}

/// RFC 1034 section 4.2.2: the NS records at both sides of a cut should be the same.
fn child_agrees(zone: &ZoneEvidence, parent: &Parent, found: &mut Vec<Finding>) {
    let names = |which: &dyn Fn(&&NameserverEvidence) -> bool| -> Vec<&Name> {
        let servers = zone.servers.iter().filter(which);
        servers.map(|server| &server.name).collect()
    };
    let delegated = names(&|server| server.delegated);
    let listed = names(&|server| server.listed);
    if listed.is_empty() || delegated.is_empty() || delegated == listed {
        return;
    }
    found.push(Finding::warn(
        Check::Delegation,
        &zone.origin,
        format!(
            "the parent names {}, the zone itself {}",
            list(&delegated),
            list(&listed)
        ),
        format!(
            "make the NS records of {} and those in {} the same",
            zone.origin, parent.origin
        ),
    ));
}

fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}
