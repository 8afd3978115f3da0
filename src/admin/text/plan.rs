//! `switchback plan SERVICE`, and the plans of `switchback check`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::style::{Paint, duration, tame};
use crate::admin::plan::{Outline, Part, Plan, RrsetText, ZoneChange};
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
            Part::Publish { moves, ttl_s, .. } => {
                if *moves {
                    writeln!(page, "  move; ttl {ttl_s} s")?;
                }
            }
            Part::Step { .. } | Part::Call { .. } | Part::Run { .. } => {
                write_part(page, part, Wall(0), &mut BTreeMap::new(), paint)?;
            }
        }
    }
    Ok(())
}

fn write(page: &mut String, plan: &Plan, paint: Paint) -> std::fmt::Result {
    writeln!(
        page,
        "{}  {} -> {}, as {}, generation {}",
        paint.head(plan.service.as_str()),
        plan.from,
        paint.head(plan.to.as_str()),
        plan.operation,
        plan.generation,
    )?;
    for line in &plan.in_the_way {
        writeln!(page, "{} {}", paint.loud("in the way:"), tame(line))?;
    }
    let mut told = BTreeMap::new();
    for part in &plan.parts {
        if matches!(part, Part::Step { .. } | Part::Publish { moves: false, .. }) {
            writeln!(page)?;
        }
        write_part(page, part, plan.now, &mut told, paint)?;
    }
    writeln!(page)?;
    for line in &plan.forecast {
        writeln!(page, "{}", tame(line))?;
    }
    Ok(())
}

fn write_part(
    page: &mut String,
    part: &Part,
    now: Wall,
    told: &mut BTreeMap<String, String>,
    paint: Paint,
) -> std::fmt::Result {
    match part {
        Part::Step { name } => writeln!(page, "{}", paint.head(&format!("step {}", tame(name)))),
        Part::Publish {
            at,
            ttl_s,
            moves,
            zones,
            more_zones,
        } => {
            let what = if *moves { "move" } else { "lower the TTL" };
            let when = match at.since(now) {
                Duration::ZERO => "at once".to_owned(),
                later => format!("in {} at the earliest, {}", duration(later), clock(*at)),
            };
            if *moves {
                writeln!(page, "  {what}, {when}; ttl {ttl_s} s")?;
            } else {
                let head = paint.head(what);
                writeln!(page, "{head}, {when}; ttl {ttl_s} s")?;
            }
            for zone in zones {
                write_zone(page, zone, paint)?;
            }
            if *more_zones > 0 {
                writeln!(page, "  and {more_zones} more zones, in the same way")?;
            }
            Ok(())
        }
        Part::Call {
            method,
            url,
            timeout_ms,
        } => {
            let most = duration(Duration::from_millis(*timeout_ms));
            writeln!(page, "  {} {}  ({most} at most)", tame(method), tame(url))
        }
        Part::Run {
            argv,
            environment,
            timeout_ms,
            ..
        } => {
            let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
            let most = duration(Duration::from_millis(*timeout_ms));
            writeln!(page, "  {}  ({most} at most)", words.join(" "))?;
            // What the run before was told as well is not said again.
            for (name, value) in environment {
                if told.get(name) != Some(value) {
                    let line = format!("{name}={}", quoted(value));
                    writeln!(page, "      {}", paint.quiet(&line))?;
                }
            }
            told.clone_from(environment);
            Ok(())
        }
    }
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
