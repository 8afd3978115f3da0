//! The secondaries of a zone, on the page of `switchback status`.

use std::fmt::{self, Write as _};

use super::style::{Paint, duration, tame, widest};
use crate::admin::status::{SecondaryStatus, ZoneStatus};
use crate::time::Wall;

/// A line for each secondary: what it has, what it was told in vain, what it asked for.
pub(super) fn write_secondaries(
    page: &mut String,
    zone: &ZoneStatus,
    now: Wall,
    paint: Paint,
) -> fmt::Result {
    let addresses: Vec<String> = zone
        .secondaries
        .iter()
        .map(|secondary| secondary.address.to_string())
        .collect();
    let width = widest(addresses.iter().map(String::as_str));
    for (secondary, address) in zone.secondaries.iter().zip(&addresses) {
        let standing = standing(secondary, zone, now, paint);
        write!(page, "    {address:<width$}  {standing}")?;
        if let Some(asked) = &secondary.asked {
            let ago = duration(now.since(asked.at));
            write!(page, "; {} of {} sent {ago} ago", asked.what, asked.serial)?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn standing(secondary: &SecondaryStatus, zone: &ZoneStatus, now: Wall, paint: Paint) -> String {
    if let Some(said) = secondary.acknowledged
        && said.serial == zone.serial
    {
        let ago = duration(now.since(said.at));
        return format!("acknowledged {} {ago} ago", said.serial);
    }
    let Some(told) = secondary.told else {
        return "not told yet".to_owned();
    };
    let ago = duration(now.since(told.at));
    let text = match &secondary.problem {
        Some(problem) => format!(
            "told of {} {} times, last {ago} ago: {}",
            told.serial,
            told.attempts,
            tame(problem)
        ),
        None => format!("told of {} {ago} ago", told.serial),
    };
    match secondary.problem {
        Some(_) => paint.odd(&text),
        None => text,
    }
}
