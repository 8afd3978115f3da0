//! Who is told of what happens: a line each.

use std::fmt::{self, Write};

use super::{Paint, duration, tame};
use crate::admin::status::AlertStatus;
use crate::time::Wall;

pub(super) fn write(
    page: &mut String,
    alerts: &[AlertStatus],
    now: Wall,
    paint: Paint,
) -> fmt::Result {
    for alert in alerts {
        let AlertStatus {
            name,
            to,
            waiting,
            delivered,
            left_out,
            last_delivered,
            failing_since,
            problem,
        } = alert;
        let last = last_delivered.map(|at| format!(", the last {} ago", duration(now.since(at))));
        write!(
            page,
            "  alert {name} to {}: {delivered} delivered{}",
            tame(to),
            last.unwrap_or_default()
        )?;
        if *waiting > 0 {
            write!(page, ", {waiting} wait")?;
        }
        if *left_out > 0 {
            write!(page, ", {left_out} left out")?;
        }
        if let Some(since) = failing_since {
            let why = tame(problem.as_deref().unwrap_or_default());
            let fails = format!("FAILS for {}: {why}", duration(now.since(*since)));
            write!(page, ", {}", paint.loud(&fails))?;
        }
        writeln!(page)?;
    }
    Ok(())
}
