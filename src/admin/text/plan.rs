//! `switchback plan`, and the plans of `switchback check`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::style::{Paint, duration, tame};
use crate::admin::plan::{Change, Outline, Part, Plan, RrsetText, ServicePlan, ZoneChange};
use crate::time::Wall;

/// The page: what stands in the way, what happens in order, who comes late.
#[must_use]
pub fn plan(plan: &Plan, paint: Paint) -> String {
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut page, plan, paint);
    page
}

/// The steps of a move in order, and what each runs.
#[must_use]
pub fn outline(outline: &Outline, paint: Paint) -> String {
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = write_outline(&mut page, outline, paint);
    page
}

fn write_outline(page: &mut String, outline: &Outline, paint: Paint) -> std::fmt::Result {
    writeln!(
        page,
        "{}  {} -> {}",
        paint.head(outline.service.as_str()),
        outline.from,
        paint.head(outline.to.as_str()),
    )?;
    for part in &outline.parts {
        match part {
            // When it moves depends on the day, and so does whether the TTL has to fall first.
            Part::Publish { change, ttl_s, .. } => {
                if *change == Change::Moves {
                    writeln!(page, "  move; ttl {ttl_s} s")?;
                }
            }
            Part::Step { name, .. } => write_step(page, name, None, paint)?,
            Part::Call { .. } | Part::Run { .. } => {
                write_run(page, part, &mut BTreeMap::new(), paint)?;
            }
        }
    }
    Ok(())
}

fn write(page: &mut String, plan: &Plan, paint: Paint) -> std::fmt::Result {
    for line in &plan.in_the_way {
        writeln!(page, "{} {}", paint.loud("in the way:"), tame(line))?;
    }
    if plan.services.is_empty() {
        writeln!(
            page,
            "it concerns no service; generation {}",
            plan.generation
        )?;
    }
    for (index, service) in plan.services.iter().enumerate() {
        if index > 0 {
            writeln!(page)?;
        }
        write_service(page, service, plan, paint)?;
    }
    Ok(())
}

fn write_service(
    page: &mut String,
    service: &ServicePlan,
    plan: &Plan,
    paint: Paint,
) -> std::fmt::Result {
    let name = paint.head(service.service.as_str());
    match &service.to {
        Some(to) => write!(
            page,
            "{name}  {} -> {}",
            service.from,
            paint.head(to.as_str())
        )?,
        None => write!(page, "{name}  stays at {}", service.from)?,
    }
    if let Some(operation) = service.operation {
        write!(page, ", as {operation}")?;
    }
    writeln!(page, ", generation {}", plan.generation)?;
    if service.to.is_none() {
        writeln!(page, "  {}", tame(&service.because))?;
    }
    let mut told = BTreeMap::new();
    for part in &service.parts {
        match part {
            Part::Step { name, at_most_ms } => {
                writeln!(page)?;
                write_step(page, name, Some(*at_most_ms), paint)?;
            }
            Part::Publish { .. } => write_publication(page, part, plan.now, paint)?,
            Part::Call { .. } | Part::Run { .. } => write_run(page, part, &mut told, paint)?,
        }
    }
    if service.at_most_ms.is_some() || !service.forecast.is_empty() {
        writeln!(page)?;
    }
    if let Some(most) = service.at_most_ms.filter(|most| *most > 0) {
        let most = duration(Duration::from_millis(most));
        writeln!(page, "with every timeout and retry, its steps take {most}")?;
    }
    for line in &service.forecast {
        writeln!(page, "{}", tame(line))?;
    }
    Ok(())
}

fn write_step(
    page: &mut String,
    name: &str,
    at_most_ms: Option<u64>,
    paint: Paint,
) -> std::fmt::Result {
    let head = paint.head(&format!("step {}", tame(name)));
    match at_most_ms.filter(|most| *most > 0) {
        Some(most) => {
            let most = duration(Duration::from_millis(most));
            writeln!(page, "{head}  ({most} at most)")
        }
        None => writeln!(page, "{head}"),
    }
}

fn write_publication(page: &mut String, part: &Part, now: Wall, paint: Paint) -> std::fmt::Result {
    let Part::Publish {
        at,
        ttl_s,
        change,
        zones,
        more_zones,
    } = part
    else {
        return Ok(());
    };
    let when = match at.since(now) {
        Duration::ZERO => "at once".to_owned(),
        later => format!("in {} at the earliest, {}", duration(later), clock(*at)),
    };
    // A move belongs to the step that publishes.
    let what = match change {
        Change::Moves => "  move".to_owned(),
        Change::Records => format!("\n{}", paint.head("change the records")),
        Change::Ttl => format!("\n{}", paint.head("change the TTL")),
    };
    writeln!(page, "{what}, {when}; ttl {ttl_s} s")?;
    for zone in zones {
        write_zone(page, zone, paint)?;
    }
    if *more_zones > 0 {
        writeln!(page, "  and {more_zones} more zones, in the same way")?;
    }
    Ok(())
}

/// What a step runs or calls, with what it is told. What the run before was told as well is not
/// said again.
fn write_run(
    page: &mut String,
    part: &Part,
    told: &mut BTreeMap<String, String>,
    paint: Paint,
) -> std::fmt::Result {
    let (what, undo, timeout_ms) = match part {
        Part::Call {
            method,
            url,
            undo,
            timeout_ms,
            ..
        } => (format!("{} {}", tame(method), tame(url)), undo, timeout_ms),
        Part::Run {
            argv,
            undo,
            timeout_ms,
            ..
        } => {
            let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
            (words.join(" "), undo, timeout_ms)
        }
        Part::Step { .. } | Part::Publish { .. } => return Ok(()),
    };
    let undo = if *undo { "undo: " } else { "" };
    let most = duration(Duration::from_millis(*timeout_ms));
    writeln!(page, "  {undo}{what}  ({most} at most)")?;
    if let Part::Call { headers, body, .. } = part {
        let fields = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let body = body.iter().map(ToString::to_string);
        for line in fields.chain(body) {
            writeln!(page, "      {}", paint.quiet(&tame(&line)))?;
        }
    }
    if let Part::Run { environment, .. } = part {
        for (name, value) in environment {
            if told.get(name) != Some(value) {
                let line = format!("{name}={}", quoted(value));
                writeln!(page, "      {}", paint.quiet(&line))?;
            }
        }
        told.clone_from(environment);
    }
    Ok(())
}

fn write_zone(page: &mut String, zone: &ZoneChange, paint: Paint) -> std::fmt::Result {
    writeln!(
        page,
        "  zone {}  serial {} -> {}",
        zone.origin, zone.from, zone.to
    )?;
    for rrset in &zone.rrsets {
        writeln!(page, "    {} {}", rrset.owner, rrset.rtype)?;
        for line in lines(rrset.before.as_ref()) {
            writeln!(page, "      {}", paint.loud(&format!("- {line}")))?;
        }
        for line in lines(rrset.after.as_ref()) {
            writeln!(page, "      {}", paint.good(&format!("+ {line}")))?;
        }
    }
    Ok(())
}

fn lines(rrset: Option<&RrsetText>) -> Vec<String> {
    let line = |rrset: &RrsetText, data: &String| format!("{:<6} {data}", rrset.ttl);
    rrset
        .map(|rrset| rrset.records.iter().map(|data| line(rrset, data)).collect())
        .unwrap_or_default()
}

/// `12:00:43 UTC`.
fn clock(at: Wall) -> String {
    let text = at.to_string();
    let time = text.split_once('T').map_or("", |(_, time)| time);
    format!("{} UTC", time.get(..8).unwrap_or(time))
}

/// A word as a shell would take it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let word = tame(word);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
