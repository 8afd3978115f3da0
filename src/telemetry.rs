//! **IO.** The only place where decisions become log lines.
//!
//! One line per transition. Nothing that a stranger sends makes a line.

use std::fmt::Display;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;

use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::failover::Event;
use crate::health::Health;
use crate::ids::Serial;
use crate::runbook::Phase;
use crate::time::Wall;
use crate::zone::Name;

/// Writes log lines to standard error; `SWITCHBACK_LOG` sets the level (`info` by default). Of
/// the libraries only errors are told: what else they say is about what strangers do. Only the
/// first call counts.
pub fn init() {
    let filter = EnvFilter::try_from_env("SWITCHBACK_LOG")
        .unwrap_or_else(|_| EnvFilter::new("error,switchback=info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        // A line that cannot be written (full disk, reader gone) is lost. Telling standard error
        // of it, which is what failed, would be a panic.
        .log_internal_errors(false)
        .with_target(false);
    // Somebody else's subscriber is as good.
    let _ = lines.try_init();
}

/// What the engine tells.
pub fn event(event: &Event) {
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
        | Event::Uplink { up: false, .. } => warn!("{event}"),
        Event::OperationEnded {
            phase: Phase::Halted(_) | Phase::NeedsHuman(_),
            ..
        } => {
            error!("{event}");
        }
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
        | Event::Readmitted { .. } => info!("{event}"),
    }
}

/// The hook runner died, or cannot be started again.
pub fn runner_lost(why: &str) {
    error!("hook runner: {why}");
}

/// The store began to fail (`Some`), or works again.
pub fn store(failed: Option<&str>) {
    match failed {
        Some(why) => error!("{why}; hooks wait, answers go on"),
        None => info!("the state can be written again"),
    }
}

/// A publication was refused; the old one goes on being served.
pub fn refused(why: &dyn Display) {
    error!("not published, the old data is served on: {why}");
}

/// A new certificate is shown to clients.
pub fn certificate(not_after: Option<Wall>, now: Wall) {
    match not_after {
        Some(end) => {
            let days = end.since(now).as_secs() / (24 * 3600);
            info!("a new certificate is shown; it ends in {days} days");
        }
        None => info!("a new certificate is shown"),
    }
}

/// Alerts to a receiver cannot be delivered (`Some`), or can again.
pub fn receiver(name: &str, failed: Option<&str>) {
    match failed {
        Some(why) => warn!("alert {name} cannot be delivered, it is tried again: {why}"),
        None => info!("alert {name} can be delivered again"),
    }
}

/// How a reload ended.
pub fn reload(refused: Option<&String>) {
    match refused {
        Some(why) => error!("reload refused, nothing has changed: {why}"),
        None => info!("reloaded"),
    }
}

/// A new version of a transferred zone is served.
pub fn zone_took(origin: &Name, primary: &str, serial: Serial) {
    info!("zone {origin}: serial {serial} taken from {primary}");
}

/// A primary gave nothing, in a way that it did not before.
pub fn zone_trouble(origin: &Name, primary: &str, why: &str) {
    warn!("zone {origin}: primary {primary}: {why}");
}

/// A primary answers again.
pub fn zone_reached(origin: &Name, primary: &str) {
    info!("zone {origin}: primary {primary} answers again");
}

/// A transferred zone is answered no more.
pub fn zone_expired(origin: &Name, refreshed: Wall) {
    error!(
        "zone {origin}: expired, no primary has answered since {refreshed}; it is answered \
         SERVFAIL until one does"
    );
}

/// A secondary that was silent follows again.
pub fn secondary_follows(address: SocketAddr) {
    info!("secondary {address} follows again");
}

/// A zone is transferred no more: its version is gone from the disk.
pub fn zone_forgotten(path: &Path) {
    info!(
        "{}: removed, its zone is transferred no more",
        path.display()
    );
}

/// A warning of the configuration.
pub fn warning(what: &dyn Display) {
    warn!("{what}");
}

/// What became of an interface that was to take the short cut past the network stack.
pub fn short_cut(what: &dyn Display, is_taken: bool) {
    if is_taken {
        info!("{what}");
    } else {
        warn!("{what}");
    }
}

/// Somebody should look at this.
pub fn alarm(what: &str) {
    error!("{what}");
}

/// Answers are given from here on, at these addresses.
pub fn ready(addresses: &[String]) {
    info!("ready: answering at {}", addresses.join(", "));
}

/// The end.
pub fn ended() {
    info!("ended");
}
