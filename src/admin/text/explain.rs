//! `switchback explain SERVICE`.

use std::fmt::Write as _;

use super::style::{Paint, tame, widest};
use crate::admin::explain::{Explain, ExplainedPool};

/// The page: why, then each pool in order with its reasons and what would change them.
#[must_use]
pub fn explain(answer: &Explain, paint: Paint) -> String {
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut page, answer, paint);
    page
}

fn write(page: &mut String, answer: &Explain, paint: Paint) -> std::fmt::Result {
    let service = paint.head(answer.service.as_str());
    writeln!(page, "{service}: {}", tame(&answer.because))?;
    writeln!(
        page,
        "ttl {} s: {}",
        answer.ttl_s,
        tame(&answer.ttl_because)
    )?;
    for line in &answer.lines {
        writeln!(page, "{} {}", paint.odd("!"), tame(line))?;
    }
    let width = widest(answer.pools.iter().map(|pool| pool.pool.as_str()));
    for (index, pool) in answer.pools.iter().enumerate() {
        writeln!(page)?;
        write_pool(page, index + 1, pool, width, paint)?;
    }
    Ok(())
}

fn write_pool(
    page: &mut String,
    position: usize,
    pool: &ExplainedPool,
    width: usize,
    paint: Paint,
) -> std::fmt::Result {
    let active = if position == 1 { "  active" } else { "" };
    writeln!(
        page,
        "{position}. {}  {}  priority {}{active}",
        paint.head(&format!("{:<width$}", pool.pool)),
        paint.pool_health(pool.health, 0),
        pool.priority,
    )?;
    for line in &pool.because {
        writeln!(page, "   because {}", tame(line))?;
    }
    for line in &pool.next {
        writeln!(page, "   {} {}", paint.quiet("next"), tame(line))?;
    }
    Ok(())
}
