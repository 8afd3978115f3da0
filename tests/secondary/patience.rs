//! Waiting for a state, with a bound.

#![allow(
    clippy::disallowed_methods,
    reason = "what is waited for here is the world outside, by its own clock"
)]

use std::thread;
use std::time::{Duration, Instant};

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Anything here is done in a moment; a machine that is busy may take a while.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// Looks until there is something to see, at most for [`BOUND`]; `what` completes "waited in vain
/// for".
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + BOUND;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(
            Instant::now() < end,
            "waited in vain for {what} ({BOUND:?})"
        );
        thread::park_timeout(PAUSE);
    }
}
