//! **IO.** The only place where decisions become log lines.
//!
//! One line per transition. Nothing that a stranger sends makes a line. `line` writes them,
//! `levels` says which are written, and may be told otherwise while the daemon runs.

mod levels;
mod line;

pub use levels::{Levels, LevelsError, current, revert, set};
pub use line::{Format, init};

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;

use levels::Module::{
    Alert, Certificate, Daemon, Failover, Health as Edges, Hook, Probe, Runbook, Secondary, Server,
    Store, Zone,
};
use line::{debug, error, info, warn};

use crate::failover::Event;
use crate::health::{Health, Observation};
use crate::ids::Serial;
use crate::runbook::Phase;
use crate::time::Wall;
use crate::zone::Name;

/// What the process has given up; a warning if something is missing that it is to.
pub fn sandbox(in_force: &impl Display, whole: bool) {
    if whole {
        info(Daemon, format_args!("{in_force}"));
    } else {
        warn(Daemon, format_args!("{in_force}"));
    }
}

/// What the engine tells.
pub fn event(event: &Event) {
    let module = match event {
        Event::HealthChanged { .. } | Event::Uplink { .. } => Edges,
        Event::Task { .. } => Runbook,
        Event::Published { .. }
        | Event::OperationBegan { .. }
        | Event::OperationEnded { .. }
        | Event::Reasoning { .. }
        | Event::ApprovalWanted { .. }
        | Event::OrderVoid { .. }
        | Event::Override { .. }
        | Event::Answered { .. }
        | Event::Withdrawn { .. }
        | Event::Handled { .. }
        | Event::Readmitted { .. } => Failover,
    };
    let what = format_args!("{event}");
    match event {
        Event::HealthChanged {
            to: Health::Down | Health::Degraded,
            ..
        }
        | Event::ApprovalWanted { .. }
        | Event::OrderVoid { .. }
        | Event::Withdrawn {
            approved: Some(_), ..
        }
        | Event::Uplink { up: false, .. } => warn(module, what),
        Event::OperationEnded {
            phase: Phase::Halted(_) | Phase::NeedsHuman(_),
            ..
        } => error(module, what),
        Event::HealthChanged { .. }
        | Event::Published { .. }
        | Event::OperationBegan { .. }
        | Event::Task { .. }
        | Event::OperationEnded { .. }
        | Event::Reasoning { .. }
        | Event::Uplink { .. }
        | Event::Override { .. }
        | Event::Answered { .. }
        | Event::Withdrawn { .. }
        | Event::Handled { .. }
        | Event::Readmitted { .. } => info(module, what),
    }
}

/// Every look, for those who want to see them all.
pub fn look(look: &Observation) {
    let Observation {
        endpoint, verdict, ..
    } = look;
    let (server, address, took) = (&endpoint.server, endpoint.address, look.took());
    debug(
        Probe,
        format_args!(
            "{server} ({address}): {verdict} after {} ms",
            took.as_millis()
        ),
    );
}

/// Other levels are in force from now on.
pub fn levels(by: &str, what: Option<&str>, until: Option<Wall>) {
    match (what, until) {
        (Some(what), Some(until)) => {
            info(
                Daemon,
                format_args!("log levels until {until}: {what} ({by})"),
            );
        }
        (Some(what), None) => info(Daemon, format_args!("log levels: {what} ({by})")),
        (None, _) => info(Daemon, format_args!("log levels as at the start ({by})")),
    }
}

/// The hook runner died, or cannot be started again.
pub fn runner_lost(why: &str) {
    error(Hook, format_args!("hook runner: {why}"));
}

/// The store began to fail (`Some`), or works again.
pub fn store(failed: Option<&str>) {
    match failed {
        Some(why) => error(Store, format_args!("{why}; hooks wait, answers go on")),
        None => info(Store, format_args!("the state can be written again")),
    }
}

/// A publication was refused; the old one goes on being served.
pub fn refused(why: &dyn Display) {
    error(
        Zone,
        format_args!("not published, the old data is served on: {why}"),
    );
}

/// A new certificate is shown to clients.
pub fn certificate(not_after: Option<Wall>, now: Wall) {
    match not_after {
        Some(end) => {
            let days = end.since(now).as_secs() / (24 * 3600);
            info(
                Certificate,
                format_args!("a new certificate is shown; it ends in {days} days"),
            );
        }
        None => info(Certificate, format_args!("a new certificate is shown")),
    }
}

/// Alerts to a receiver cannot be delivered (`Some`), or can again.
pub fn receiver(name: &str, failed: Option<&str>) {
    match failed {
        Some(why) => warn(
            Alert,
            format_args!("alert {name} cannot be delivered, it is tried again: {why}"),
        ),
        None => info(Alert, format_args!("alert {name} can be delivered again")),
    }
}

/// How a reload ended.
pub fn reload(refused: Option<&String>) {
    match refused {
        Some(why) => error(
            Daemon,
            format_args!("reload refused, nothing has changed: {why}"),
        ),
        None => info(Daemon, format_args!("reloaded")),
    }
}

/// A new version of a transferred zone is served.
pub fn zone_took(origin: &Name, primary: &str, serial: Serial) {
    info(
        Zone,
        format_args!("zone {origin}: serial {serial} taken from {primary}"),
    );
}

/// A primary gave nothing, in a way that it did not before.
pub fn zone_trouble(origin: &Name, primary: &str, why: &str) {
    warn(
        Zone,
        format_args!("zone {origin}: primary {primary}: {why}"),
    );
}

/// A primary answers again.
pub fn zone_reached(origin: &Name, primary: &str) {
    info(
        Zone,
        format_args!("zone {origin}: primary {primary} answers again"),
    );
}

/// A transferred zone is answered no more.
pub fn zone_expired(origin: &Name, refreshed: Wall) {
    error(
        Zone,
        format_args!(
            "zone {origin}: expired, no primary has answered since {refreshed}; it is answered \
         SERVFAIL until one does"
        ),
    );
}

/// A secondary that was silent follows again.
pub fn secondary_follows(address: SocketAddr) {
    info(Secondary, format_args!("secondary {address} follows again"));
}

/// A zone is transferred no more: its version is gone from the disk.
pub fn zone_forgotten(path: &Path) {
    info(
        Zone,
        format_args!(
            "{}: removed, its zone is transferred no more",
            path.display()
        ),
    );
}

/// A warning of the configuration.
pub fn warning(what: &dyn Display) {
    warn(Daemon, format_args!("{what}"));
}

/// What became of an interface that was to take the short cut past the network stack.
pub fn short_cut(what: &dyn Display, is_taken: bool) {
    if is_taken {
        info(Server, format_args!("{what}"));
    } else {
        warn(Server, format_args!("{what}"));
    }
}

/// Somebody should look at this.
pub fn alarm(what: &str) {
    error(Daemon, format_args!("{what}"));
}

/// Answers are given from here on, at these addresses.
pub fn ready(addresses: &[String]) {
    info(
        Daemon,
        format_args!("ready: answering at {}", addresses.join(", ")),
    );
}

/// Copies of queries and answers cannot be written (`Some`), or can be again.
pub fn dnstap(failed: Option<&str>) {
    match failed {
        Some(why) => warn(Server, format_args!("dnstap: {why}")),
        None => info(Server, format_args!("dnstap is written again")),
    }
}

/// Queries and answers are copied from here on, or no more.
pub fn tapping(on: bool, target: &str, by: &str) {
    let word = if on { "on" } else { "off" };
    info(Server, format_args!("dnstap to {target} is {word} ({by})"));
}

/// The end.
pub fn ended() {
    info(Daemon, format_args!("ended"));
}
