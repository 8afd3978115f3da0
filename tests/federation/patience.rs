//! Waiting for a state, with a bound.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured here is the world outside, by its own clock"
)]

use std::thread;
use std::time::{Duration, Instant};

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Looks until there is something to see, at most for `bound`.
pub(crate) fn until<T>(bound: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + bound;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if now() >= end {
            return None;
        }
        thread::park_timeout(PAUSE);
    }
}

/// As [`until`], and it is an error if nothing comes; `what` completes "waited in vain for".
pub(crate) fn wait_for<T>(what: &str, bound: Duration, look: impl FnMut() -> Option<T>) -> T {
    until(bound, look).unwrap_or_else(|| panic!("waited in vain for {what} ({bound:?})"))
}

/// Lets the world go on for `time`: where the passing of time is itself the stimulus.
pub(crate) fn let_pass(time: Duration) {
    let _ = until(time, || None::<()>);
}
