//! Who gets more responses than the rate limit.

use std::fmt::{self, Write};

use super::style::{Paint, duration};
use crate::admin::limits::LimitStatus;
use crate::time::Wall;

/// So many networks have a line.
const SHOWN: usize = 8;

pub(super) fn write(
    page: &mut String,
    limits: &LimitStatus,
    now: Wall,
    paint: Paint,
) -> fmt::Result {
    for class in &limits.classes {
        writeln!(
            page,
            "  over the rate limit: {} of class {}, {} slipped, {} dropped",
            class.limited, class.class, class.slipped, class.dropped
        )?;
    }
    for it in limits.networks.iter().take(SHOWN) {
        let network = paint.loud(&it.network);
        let since = duration(now.since(it.since));
        writeln!(page, "  {network} is over it since {since} ({})", it.class)?;
    }
    match limits.networks.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(page, "  and {more} more"),
    }
}
