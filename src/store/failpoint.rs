//! For tests of crashes, and in no release build: the process kills itself before or after one of
//! its writes. `SWITCHBACK_DIE=before:7` dies instead of the seventh, `after:7` as soon as it is
//! durable, both counted from the start of the process.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// When, relative to the write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

static DIES: LazyLock<Option<(When, u64)>> = LazyLock::new(|| {
    let text = std::env::var("SWITCHBACK_DIE").ok()?;
    let (when, number) = text.split_once(':')?;
    let when = match when {
        "before" => When::Before,
        "after" => When::After,
        _ => return None,
    };
    Some((when, number.parse().ok()?))
});

static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Dies if it is time to.
pub(super) fn pass(when: When) {
    let Some((chosen, number)) = *DIES else {
        return;
    };
    let begun = match when {
        When::Before => BEGUN.fetch_add(1, Ordering::SeqCst) + 1,
        When::After => BEGUN.load(Ordering::SeqCst),
    };
    if when == chosen && begun == number {
        // As an operator's kill -9 does: no destructor, no handler, no last word.
        let _ = kill(Pid::this(), Signal::SIGKILL);
    }
}
