//! Each name server: whether it answers with authority, and which serial it has.

use super::evidence::{AddressEvidence, NameserverEvidence, ZoneEvidence};
use super::{Check, Expected, Finding};
use crate::ids::Serial;
use crate::inquiry::{Failure, Rcode, Reply, Way};
use crate::zone::Name;

pub(super) fn judge(expected: &Expected, zone: &ZoneEvidence, found: &mut Vec<Finding>) {
    if zone.servers.is_empty() {
        return found.push(Finding::fail(
            Check::Server,
            &zone.origin,
            "no name server of it is known, so none could be asked",
            "correct the delegation first",
        ));
    }
    let newest = newest(expected, zone);
    for server in &zone.servers {
        reachable(zone, server, found);
        for address in &server.addresses {
            let at = place(&zone.origin, &server.name, address);
            if let Some(serial) = answers(&zone.origin, &at, address, found) {
                judge_serial(expected, serial, newest, &at, found);
            }
        }
    }
}

/// `contoso.test. at ns1.contoso.test. 192.0.2.1`.
pub(super) fn place(origin: &Name, server: &Name, address: &AddressEvidence) -> String {
    format!("{origin} at {server} {}", address.address.ip())
}

fn reachable(zone: &ZoneEvidence, server: &NameserverEvidence, found: &mut Vec<Finding>) {
    let at = format!("{} at {}", zone.origin, server.name);
    match &server.found {
        Ok(addresses) if addresses.is_empty() => found.push(Finding::fail(
            Check::Server,
            at,
            "the name server has no address",
            format!(
                "give {} an A or AAAA record, or name another server",
                server.name
            ),
        )),
        Ok(_) => {}
        Err(why) => found.push(Finding::fail(
            Check::Server,
            at,
            format!("its address is not found: {why}"),
            format!("see that the zone of {} is served", server.name),
        )),
    }
}

/// The serial that an address answers with, once it answers as a server of the zone should.
fn answers(
    origin: &Name,
    at: &str,
    address: &AddressEvidence,
    found: &mut Vec<Finding>,
) -> Option<Serial> {
    let udp = judge_way(origin, at, Way::Udp, &address.udp, found);
    let tcp = judge_way(origin, at, Way::Tcp, &address.tcp, found);
    if udp.is_some() && tcp.is_some() {
        let saw = "answers with authority over UDP and TCP";
        found.push(Finding::pass(Check::Server, at, saw));
    }
    // One may be asked just before a change and the other just after.
    match (udp, tcp) {
        (Some(udp), Some(tcp)) if udp.is_newer_than(tcp) => Some(udp),
        (udp, tcp) => tcp.or(udp),
    }
}

fn judge_way(
    origin: &Name,
    at: &str,
    way: Way,
    said: &Result<Reply, Failure>,
    found: &mut Vec<Finding>,
) -> Option<Serial> {
    let reply = match said {
        Ok(reply) => reply,
        Err(Failure::NotAsked(why)) => {
            found.push(Finding::warn(
                Check::Server,
                at,
                format!("it could not be asked over {way} from here: {why}"),
                "ask from a machine that has a way to it",
            ));
            return None;
        }
        Err(why) => {
            let remedy = match way {
                Way::Udp => {
                    "start it, or let DNS through to it; else take it out of the delegation"
                }
                Way::Tcp => {
                    "let TCP port 53 through to it: every server answers over TCP too (RFC 7766 section 5)"
                }
            };
            found.push(Finding::fail(Check::Server, at, why.to_string(), remedy));
            return None;
        }
    };
    let serial = reply.serial(origin);
    if reply.authoritative && reply.rcode == Rcode::NO_ERROR && serial.is_some() {
        return serial;
    }
    let saw = match serial {
        _ if reply.rcode != Rcode::NO_ERROR => {
            format!("lame: it answers {} over {way}", reply.rcode)
        }
        Some(_) => format!("lame: it answers over {way} without authority (AA), from a cache"),
        None => format!("lame: it answers over {way} without the zone's SOA"),
    };
    let remedy = format!("have it serve {origin}, or take it out of the delegation");
    found.push(Finding::fail(Check::Server, at, saw, remedy));
    None
}

/// What the daemon serves; without one, the newest that any server has.
fn newest(expected: &Expected, zone: &ZoneEvidence) -> Option<Serial> {
    let name = zone.origin.to_string();
    let published = expected.zones.iter().find(|it| it.origin == name);
    if let Some(serial) = published.and_then(|zone| zone.serial) {
        return Some(serial);
    }
    let addresses = zone.servers.iter().flat_map(|server| &server.addresses);
    let replies = addresses.flat_map(|address| [&address.udp, &address.tcp]);
    let serials = replies
        .flatten()
        .filter_map(|reply| reply.serial(&zone.origin));
    serials.reduce(|a, b| if b.is_newer_than(a) { b } else { a })
}

fn judge_serial(
    expected: &Expected,
    serial: Serial,
    newest: Option<Serial>,
    at: &str,
    found: &mut Vec<Finding>,
) {
    let Some(newest) = newest else {
        return;
    };
    let source = if expected.published {
        "the daemon serves"
    } else {
        "another server has"
    };
    if serial == newest {
        found.push(Finding::pass(Check::Serial, at, format!("serial {serial}")));
    } else if newest.is_newer_than(serial) {
        let behind = newest.0.wrapping_sub(serial.0);
        found.push(Finding::warn(
            Check::Serial,
            at,
            format!("stale: serial {serial}, {behind} behind {newest}, which {source}"),
            "look again in a few seconds; if it stays, see that NOTIFY reaches it and that it may \
             transfer the zone ('switchback status' says what it was told and what it asked for)",
        ));
    } else if expected.published {
        // A secondary that came from another primary, or a daemon that lost its state.
        found.push(Finding::fail(
            Check::Serial,
            at,
            format!("serial {serial} is newer than {newest}, which the daemon serves"),
            "it follows another primary, or the state of the daemon was lost: until the daemon's \
             serial is past it, it takes nothing from the daemon",
        ));
    }
}
