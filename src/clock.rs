//! **IO.** The only place that reads a clock.
#![allow(
    clippy::disallowed_methods,
    reason = "this module is the one home of the calls that the rest is denied"
)]

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Mono, Now, Wall};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The monotonic clock: the time since the first call of this process.
#[must_use]
pub fn mono() -> Mono {
    Mono(START.elapsed())
}

/// `CLOCK_MONOTONIC` itself, which all processes share: for those that compare it with their own.
#[must_use]
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).unwrap_or_default()
}

/// The calendar.
#[must_use]
pub fn wall() -> Wall {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Wall(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

/// Both clocks.
#[must_use]
pub fn now() -> Now {
    Now {
        mono: mono(),
        wall: wall(),
    }
}

/// `at` as a point of tokio's clock, for `sleep_until`.
#[must_use]
pub fn instant(at: Mono) -> tokio::time::Instant {
    tokio::time::Instant::from_std(*START + at.0)
}
