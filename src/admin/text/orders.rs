//! What became of an order, and what operators have said.

use std::fmt::Write as _;

use super::style::{Paint, duration, tame};
use crate::admin::orders::{InForce, Ordered, Said};
use crate::time::Wall;

/// What was done, and what to know about it.
#[must_use]
pub fn ordered(answer: &Ordered, paint: Paint) -> String {
    let mut page = String::new();
    for line in &answer.done {
        page.push_str(&tame(line));
        page.push('\n');
    }
    for line in &answer.warnings {
        // Writing into a String cannot fail.
        let _ = writeln!(page, "{} {}", paint.odd("warning:"), tame(line));
    }
    page
}

/// The overrides in force, one a line.
#[must_use]
pub fn overrides(answer: &InForce, paint: Paint) -> String {
    if answer.overrides.is_empty() {
        return "no overrides are in force\n".to_owned();
    }
    let mut page = String::new();
    for said in &answer.overrides {
        let _ = writeln!(page, "{}", line(said, answer.now, paint));
    }
    page
}

fn line(said: &Said, now: Wall, paint: Paint) -> String {
    let what = match (said.what.as_str(), &said.pool) {
        ("pin", Some(pool)) => format!("pin {} to {pool}", said.subject),
        ("drain-pool", _) => format!("drain pool {}", said.subject),
        ("drain-server", _) => format!("drain server {}", said.subject),
        (what, _) => format!("{what} {}", said.subject),
    };
    let ends = match said.expires {
        Some(at) => format!("ends in {}", duration(at.since(now))),
        None => "until it is taken back".to_owned(),
    };
    format!(
        "{}  by {}, {} ago, {}: {}",
        paint.head(&tame(&what)),
        tame(&said.author),
        duration(now.since(said.since)),
        paint.odd(&ends),
        tame(&said.reason)
    )
}
