//! `[probe]` and `[[pool.probe]]` to what is looked at, and how it counts.

use std::sync::Arc;
use std::time::Duration;

use super::duration::show;
use super::names;
use super::paths::Base;
use super::problem::{At, Notes};
use super::spec::{Domains, List, ProbeTable};
use crate::failover::Detection;
use crate::probe::{Kind, ProbeSpec, Roots};

const INTERVAL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3600));
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));
/// So many looks in a row at most; more is a mistake for a duration.
const MAX_IN_A_ROW: u32 = 100;
/// A verdict lives so long at least, however short the interval: a pause of the scheduler is
/// no news of the server.
const MIN_STALE_AFTER: Duration = Duration::from_secs(3);
/// So many domains a probe list has at most: each is a look of its own at every address.
const MAX_DOMAINS: usize = 16;

/// A table with the settings that are left out taken from another.
fn over(own: &ProbeTable, defaults: Option<&ProbeTable>) -> ProbeTable {
    macro_rules! either {
        ($($field:ident),*) => {{
            // Destructured without `..`: a new key that is not inherited does not build.
            let ProbeTable { $($field),* } = own;
            ProbeTable {
                $($field: $field.clone().or_else(|| defaults.and_then(|d| d.$field.clone()))),*
            }
        }};
    }
    either!(
        kind,
        port,
        domain,
        from,
        interval,
        tls_interval,
        timeout,
        rise,
        fall,
        hold,
        ca_file,
        command
    )
}

/// The probes of one pool, in the order of their indices: one for each table and domain.
pub(super) fn of_pool(
    own: &List<ProbeTable>,
    defaults: Option<&At<ProbeTable>>,
    pool_at: usize,
    base: &Base,
    notes: &mut Notes,
) -> Vec<(Arc<ProbeSpec>, Detection)> {
    let mut specs = Vec::new();
    if own.is_empty() {
        let (table, at) = match defaults {
            Some(table) => (over(&table.value, None), table.at),
            None => (over(&ProbeTable::default(), None), pool_at),
        };
        specs = read(table, at, base, notes);
    }
    for table in own {
        let merged = over(&table.value, defaults.map(|table| &table.value));
        specs.extend(read(merged, table.at, base, notes));
    }
    // A server counts connections per partner, so one idle stream is kept and no more.
    let mut held = false;
    for spec in &mut specs {
        spec.hold = spec.hold && !held;
        held = held || spec.hold;
    }
    let counted = |spec: ProbeSpec| {
        let detection = detection(&spec);
        (Arc::new(spec), detection)
    };
    specs.into_iter().map(counted).collect()
}

fn detection(spec: &ProbeSpec) -> Detection {
    let stale_after = (spec.interval * 3 + spec.timeout * 2).max(MIN_STALE_AFTER);
    Detection {
        depth: spec.kind.depth(),
        rise: spec.rise,
        fall: spec.fall,
        stale_after,
        tls_stale_after: stale_after + spec.tls_interval,
    }
}

/// The probes of one complete table: one for each domain.
fn read(table: ProbeTable, at: usize, base: &Base, notes: &mut Notes) -> Vec<ProbeSpec> {
    let ProbeTable {
        kind,
        port,
        domain,
        from,
        interval,
        tls_interval,
        timeout,
        rise,
        fall,
        hold,
        ca_file,
        command,
    } = table;
    let kind = kind.map_or(Kind::XmppTls, |kind| kind.value);
    let seconds = Duration::from_secs;
    let interval_at = interval.as_ref().map_or(at, |interval| interval.at);
    let spec = ProbeSpec {
        kind,
        port: port_of(port, notes),
        domain: None,
        from: from.and_then(|from| names::domain(&from, notes)),
        interval: within("interval", interval, seconds(1), INTERVAL, notes),
        tls_interval: within("tls_interval", tls_interval, seconds(5), INTERVAL, notes),
        timeout: within("timeout", timeout, seconds(2), TIMEOUT, notes),
        rise: in_a_row("rise", rise, notes),
        fall: in_a_row("fall", fall, notes),
        hold: hold.is_none_or(|hold| hold.value) && matches!(kind, Kind::Xmpp | Kind::XmppTls),
        roots: ca_file.map_or(Roots::System, |path| {
            Roots::File(base.certificates(&path, notes))
        }),
        command: command_of(kind, command, at, base, notes),
    };
    sanity(&spec, interval_at, notes);
    let domains = domains_of(kind, domain, at, notes);
    if domains.is_empty() {
        return vec![spec];
    }
    let one = |domain| ProbeSpec {
        domain: Some(domain),
        ..spec.clone()
    };
    domains.into_iter().map(one).collect()
}

fn port_of(port: Option<At<u16>>, notes: &mut Notes) -> u16 {
    match port {
        Some(At { value: 0, at }) => {
            notes.error(at, "port 0 cannot be connected to, write 1 to 65535");
            5269
        }
        Some(At { value, .. }) => value,
        None => 5269,
    }
}

fn command_of(
    kind: Kind,
    command: Option<At<List<String>>>,
    at: usize,
    base: &Base,
    notes: &mut Notes,
) -> Option<crate::runbook::Command> {
    match (kind, command) {
        (Kind::Exec, Some(words)) => base.command(&words.value, words.at, "command", notes),
        (Kind::Exec, None) => {
            notes.error(
                at,
                "a probe of kind 'exec' has no 'command', which is the program to run, add it",
            );
            None
        }
        (Kind::Tcp | Kind::Xmpp | Kind::XmppTls | Kind::Tls, _) => None,
    }
}

fn domains_of(
    kind: Kind,
    domain: Option<At<Domains>>,
    at: usize,
    notes: &mut Notes,
) -> Vec<String> {
    let needed = match kind {
        Kind::Xmpp | Kind::XmppTls | Kind::Tls => true,
        Kind::Tcp | Kind::Exec => false,
    };
    let Some(domain) = domain else {
        if needed {
            let message = format!(
                "a probe of kind '{kind}' has no 'domain', which is whom it asks for, add the \
                 federated domain"
            );
            notes.error(at, message);
        }
        return Vec::new();
    };
    let Domains(list) = domain.value;
    if list.is_empty() || list.len() > MAX_DOMAINS {
        let message = format!(
            "'domain' lists {} domains, write 1 to {MAX_DOMAINS}",
            list.len()
        );
        notes.error(domain.at, message);
    }
    let mut domains: Vec<String> = Vec::new();
    for domain in &list {
        let Some(name) = names::domain(domain, notes) else {
            continue;
        };
        if domains.contains(&name) {
            notes.error(domain.at, format!("'{name}' is listed twice, remove one"));
        } else if needed || domains.is_empty() {
            domains.push(name);
        }
    }
    domains
}

pub(super) fn within(
    key: &str,
    value: Option<At<Duration>>,
    default: Duration,
    (least, most): (Duration, Duration),
    notes: &mut Notes,
) -> Duration {
    match value {
        None => default,
        Some(At { value, .. }) if least <= value && value <= most => value,
        Some(At { value, at }) => {
            let message = format!(
                "'{key}' is {}, write {} to {}",
                show(value),
                show(least),
                show(most)
            );
            notes.error(at, message);
            default
        }
    }
}

fn in_a_row(key: &str, value: Option<At<u32>>, notes: &mut Notes) -> u32 {
    match value {
        None => 2,
        Some(At { value, .. }) if (1..=MAX_IN_A_ROW).contains(&value) => value,
        Some(At { value, at }) => {
            let message = format!("'{key}' is {value}, write 1 to {MAX_IN_A_ROW} looks in a row");
            notes.error(at, message);
            2
        }
    }
}

fn sanity(spec: &ProbeSpec, at: usize, notes: &mut Notes) {
    if spec.timeout > spec.interval.saturating_mul(10) {
        let message = format!(
            "timeout {} is more than ten times the interval {}, looks at a silent server follow \
             one another far more slowly than the interval says, lengthen it or shorten the timeout",
            show(spec.timeout),
            show(spec.interval)
        );
        notes.warn(at, message);
    }
    if spec.kind == Kind::XmppTls && spec.tls_interval < spec.interval {
        let message = format!(
            "tls_interval {} is shorter than the interval {}, no look is made between two looks, \
             lengthen it",
            show(spec.tls_interval),
            show(spec.interval)
        );
        notes.warn(at, message);
    }
}
