//! A zone that is transferred from primaries, as `switchback status` lays it out.

use std::fmt::{self, Write as _};

use super::style::{Paint, duration, tame};
use crate::admin::status::{Transferred, TransferredState};
use crate::time::Wall;

/// Goes on with the line of the zone, and writes one more for each thing that is odd.
pub(super) fn write(page: &mut String, zone: &Transferred, now: Wall, paint: Paint) -> fmt::Result {
    let from = zone.primaries.join(" ");
    match zone.primary_serial {
        Some(serial) => write!(page, ", {serial} of {from}")?,
        None => write!(page, ", from {from}")?,
    }
    match zone.state {
        TransferredState::Current => {}
        TransferredState::Expired => write!(page, ", {}", paint.loud("EXPIRED"))?,
        TransferredState::Absent => write!(page, ", {}", paint.loud("ABSENT"))?,
    }
    if let Some(refreshed) = zone.refreshed {
        write!(page, ", asked {} ago", duration(now.since(refreshed)))?;
    }
    match zone.next {
        Some(next) => write!(page, ", again in {}", duration(next.since(now)))?,
        None => write!(page, ", being asked")?,
    }
    if let Some(expires) = zone
        .expires
        .filter(|_| zone.state == TransferredState::Current)
    {
        write!(page, ", expires in {}", duration(expires.since(now)))?;
    }
    writeln!(page)?;
    for trouble in &zone.troubles {
        let why = tame(&trouble.why);
        writeln!(
            page,
            "    {} {}: {why}",
            paint.odd("primary"),
            trouble.primary
        )?;
    }
    for replaced in &zone.replaced {
        writeln!(page, "    {} {}", paint.odd("replaced"), tame(replaced))?;
    }
    if let Some(unkept) = &zone.unkept {
        writeln!(page, "    {} {}", paint.odd("not kept"), tame(unkept))?;
    }
    Ok(())
}
