//! `switchback status`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::limits;
use super::receivers;
use super::secondaries::write_secondaries;
use super::style::{Paint, duration, tame, widest};
use super::transferred;
use crate::admin::status::{
    EndpointStatus, Family, OperationStatus, PoolStatus, ProbeStatus, ServiceStatus, Status,
    TaskState, TaskStatus, Transport, TransportCounters,
};
use crate::health::Health;
use crate::time::Wall;

/// The page: what is wrong, the services, the pools, the server itself.
#[must_use]
pub fn status(status: &Status, paint: Paint) -> String {
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut page, status, paint);
    page
}

fn write(page: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    if write_trouble(page, status, paint)? {
        writeln!(page)?;
    }
    for service in &status.services {
        write_service(page, service, status.now, paint)?;
        writeln!(page)?;
    }
    if !status.pools.is_empty() {
        write_pools(page, status, paint)?;
        writeln!(page)?;
    }
    write_server(page, status, paint)
}

/// The lines that must not be overlooked; whether there were any.
fn write_trouble(page: &mut String, status: &Status, paint: Paint) -> Result<bool, fmt::Error> {
    let before = page.len();
    for alarm in &status.alarms {
        writeln!(page, "{}  {}", paint.loud("ALARM   "), tame(alarm))?;
    }
    if let Some(isolation) = &status.isolated {
        let families: Vec<&str> = isolation.families.iter().map(|f| family(*f)).collect();
        writeln!(
            page,
            "{}  our own uplink is down ({}) for {}: nothing is decided until it is back",
            paint.loud("ISOLATED"),
            families.join(", "),
            duration(status.now.since(isolation.since)),
        )?;
    }
    if let Some(failed) = &status.store.failed {
        writeln!(
            page,
            "{}  {} cannot be written: {}; no hook runs until it can",
            paint.loud("STORE   "),
            status.store.path,
            tame(failed)
        )?;
    }
    for service in &status.services {
        if let Some(halt) = &service.halted {
            writeln!(
                page,
                "{}  {}: {} {}: {}",
                paint.loud("HALTED  "),
                service.name,
                halt.operation,
                ago(status.now, halt.at),
                tame(&halt.because)
            )?;
            for (what, command) in &halt.remedies {
                let line = format!("{}: {}", tame(what), tame(command));
                writeln!(page, "          {}", paint.quiet(&line))?;
            }
        }
        for pool in &service.ineligible {
            writeln!(
                page,
                "{}  {}: {} is no target until somebody says otherwise: {}",
                paint.loud("OUT     "),
                service.name,
                pool.pool,
                tame(&pool.because)
            )?;
        }
    }
    Ok(page.len() > before)
}

fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

fn write_service(
    page: &mut String,
    service: &ServiceStatus,
    now: Wall,
    paint: Paint,
) -> fmt::Result {
    let away = if service.active == service.preferred {
        String::new()
    } else {
        paint.odd(&format!(" (preferred: {})", service.preferred))
    };
    writeln!(
        page,
        "{}  {} active{away} for {}, {}, ttl {} s",
        paint.head(service.name.as_str()),
        paint.head(service.active.as_str()),
        duration(now.since(service.since)),
        service.mode,
        service.ttl_s,
    )?;
    writeln!(page, "  {}", paint.quiet(&tame(&service.because)))?;
    if let Some(proposal) = &service.proposal {
        let id = proposal.id;
        let word = proposal.word.as_ref().map_or_else(
            || paint.loud(&format!("switchback approve {id}, or reject {id}")),
            |word| tame(word),
        );
        writeln!(
            page,
            "  {} {} -> {} waits for approval, {}: {word}",
            paint.head(&id.to_string()),
            proposal.from,
            proposal.to,
            ago(now, proposal.since),
        )?;
    }
    for line in &service.overrides {
        writeln!(page, "  {} {}", paint.odd("override"), tame(line))?;
    }
    if service.moves_in_the_last_hour > 0 {
        let moves = service.moves_in_the_last_hour;
        writeln!(page, "  {moves} moves within the last hour")?;
    }
    let width = widest(service.ranking.iter().map(|ranked| ranked.pool.as_str()));
    for ranked in &service.ranking {
        let servers: Vec<&str> = ranked.servers.iter().map(|name| name.as_str()).collect();
        writeln!(
            page,
            "  {:>3}  {:<width$}  {}  {}",
            ranked.priority,
            ranked.pool,
            paint.pool_health(ranked.health, 9),
            servers.join(" ")
        )?;
    }
    match &service.operation {
        Some(operation) => write_operation(page, operation, paint),
        None => Ok(()),
    }
}

fn write_operation(page: &mut String, operation: &OperationStatus, paint: Paint) -> fmt::Result {
    let title = format!(
        "{} {} -> {}: {}",
        operation.id, operation.from, operation.to, operation.state
    );
    writeln!(page, "  {}", paint.head(&title))?;
    let labels: Vec<String> = operation.steps.iter().map(task_label).collect();
    let width = widest(labels.iter().map(String::as_str));
    for step in &operation.steps {
        write_task(page, step, width, paint)?;
    }
    Ok(())
}

/// One task of an operation, with the end of what it printed.
#[must_use]
pub fn task(task: &TaskStatus, paint: Paint) -> String {
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = write_task(&mut page, task, 0, paint);
    page.trim_end_matches('\n').to_owned()
}

fn write_task(page: &mut String, task: &TaskStatus, width: usize, paint: Paint) -> fmt::Result {
    let label = task_label(task);
    let took = task
        .took_ms
        .map(|ms| format!("  {}", duration(Duration::from_millis(ms))))
        .unwrap_or_default();
    let attempt = if task.attempt > 1 {
        format!("  attempt {}", task.attempt)
    } else {
        String::new()
    };
    let line = format!("{label:<width$}{took}{attempt}");
    writeln!(
        page,
        "    {}  {}",
        task_word(task.state, paint),
        line.trim_end()
    )?;
    for line in task.output_tail.lines() {
        writeln!(
            page,
            "             {}",
            paint.quiet(&format!("| {}", tame(line)))
        )?;
    }
    Ok(())
}

/// The name of a task, with the server that it is for.
#[must_use]
pub fn task_label(task: &TaskStatus) -> String {
    match &task.server {
        Some(server) => format!("{} ({server})", task.name),
        None => task.name.clone(),
    }
}

fn task_word(state: TaskState, paint: Paint) -> String {
    match state {
        TaskState::Waiting => paint.quiet("waiting"),
        TaskState::Running => paint.odd("running"),
        TaskState::Done => paint.good("done   "),
        TaskState::Retrying => paint.odd("again  "),
        TaskState::Failed => paint.loud("FAILED "),
        TaskState::Unknown => paint.loud("UNKNOWN"),
        TaskState::Undoing => paint.odd("undoing"),
        TaskState::Undone => paint.odd("undone "),
    }
}

fn write_pools(page: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    let names = status.pools.iter().flat_map(|pool| &pool.servers);
    let server_width = widest(names.map(|server| server.name.as_str()));
    for pool in &status.pools {
        write_pool_head(page, pool, status.now, paint)?;
        for server in &pool.servers {
            for (index, endpoint) in server.endpoints.iter().enumerate() {
                let name = if index == 0 { server.name.as_str() } else { "" };
                write!(page, "  {name:<server_width$}  ")?;
                write_endpoint(page, endpoint, server_width, status.now, paint)?;
            }
        }
    }
    Ok(())
}

fn write_pool_head(page: &mut String, pool: &PoolStatus, now: Wall, paint: Paint) -> fmt::Result {
    write!(
        page,
        "{}  {}",
        paint.head(&format!("pool {}", pool.name)),
        paint.pool_health(pool.health, 0)
    )?;
    if pool.standby == crate::failover::Standby::Cold {
        write!(page, ", cold standby")?;
    }
    if let Some(mask) = pool.masked {
        let rest = duration(mask.until.since(now));
        let masked = format!(", masked by {} for {rest} at most", mask.operation);
        write!(page, "{}", paint.odd(&masked))?;
    }
    writeln!(page)
}

fn write_endpoint(
    page: &mut String,
    endpoint: &EndpointStatus,
    indent: usize,
    now: Wall,
    paint: Paint,
) -> fmt::Result {
    let address = endpoint.address.to_string();
    write!(page, "{address:<15}  {}", paint.health(endpoint.health, 8))?;
    if endpoint.probes.is_empty() {
        return writeln!(page, "  no probe");
    }
    for (index, probe) in endpoint.probes.iter().enumerate() {
        if index > 0 {
            write!(page, "{:1$}", "", indent + 29)?;
        }
        writeln!(page, "  {}", probe_line(probe, endpoint.health, now, paint))?;
    }
    Ok(())
}

fn probe_line(probe: &ProbeStatus, health: Health, now: Wall, paint: Paint) -> String {
    let Some(last) = &probe.last else {
        return format!("{}: no look yet", probe.kind);
    };
    let verdict = if probe.bad_in_a_row == 0 {
        last.verdict.clone()
    } else if health == Health::Up {
        paint.odd(&last.verdict)
    } else {
        paint.loud(&last.verdict)
    };
    let detail = last
        .detail
        .as_deref()
        .map(|detail| format!(" ({})", tame(detail)))
        .unwrap_or_default();
    format!(
        "{}: {verdict}{detail}, {} good and {} bad in a row, {} in {} ms",
        probe.kind,
        probe.good_in_a_row,
        probe.bad_in_a_row,
        ago(now, last.at),
        last.took_ms,
    )
}

fn write_server(page: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    let listening: Vec<String> = status
        .listening
        .iter()
        .map(|socket| match socket.transport {
            Transport::Dns => socket.address.to_string(),
            Transport::Tls => format!("{} (TLS)", socket.address),
            Transport::Https => format!("{} (HTTPS)", socket.address),
            Transport::Quic => format!("{} (QUIC)", socket.address),
        })
        .collect();
    writeln!(
        page,
        "{} {}, pid {}, up {}, generation {}, listening on {}",
        paint.head("switchback"),
        status.version,
        status.pid,
        duration(status.now.since(status.started)),
        status.generation,
        listening.join(" "),
    )?;
    let width = widest(status.zones.iter().map(|zone| zone.origin.as_str()));
    for zone in &status.zones {
        write!(
            page,
            "  zone {:<width$}  serial {}",
            zone.origin, zone.serial
        )?;
        match &zone.transferred {
            Some(transferred) => transferred::write(page, transferred, status.now, paint)?,
            None => writeln!(page)?,
        }
        write_secondaries(page, zone, status.now, paint)?;
    }
    if let Some(certificate) = &status.certificate {
        let left = match certificate.not_after {
            Some(end) if end > status.now => format!("ends in {}", duration(end.since(status.now))),
            Some(end) => format!("ended {}", ago(status.now, end)),
            None => "no end can be read in it".to_owned(),
        };
        writeln!(page, "  certificate {}, {left}", certificate.path)?;
    }
    receivers::write(page, &status.alerts, status.now, paint)?;
    let counters = status.counters;
    writeln!(
        page,
        "  {} queries, {} responses, {} truncated, {} dropped",
        counters.queries, counters.responses, counters.truncated, counters.dropped
    )?;
    let connected = [
        ("TCP", counters.tcp),
        ("TLS", counters.tls),
        ("HTTPS", counters.https),
        ("QUIC", counters.quic),
    ];
    for (name, counters) in connected {
        write_connected(page, name, counters)?;
    }
    limits::write(page, &status.rate_limit, status.now, paint)
}

/// A transport with connections, if it was used.
fn write_connected(page: &mut String, name: &str, counters: TransportCounters) -> fmt::Result {
    if counters == TransportCounters::default() {
        return Ok(());
    }
    write!(
        page,
        "  over {name}: {} queries, {} open connections",
        counters.queries, counters.connections
    )?;
    for (count, what) in [
        (counters.evicted, "closed for newer ones"),
        (counters.refused, "over their network's share"),
    ] {
        if count > 0 {
            write!(page, ", {count} {what}")?;
        }
    }
    writeln!(page)
}

fn ago(now: Wall, at: Wall) -> String {
    format!("{} ago", duration(now.since(at)))
}
