//! What an operator installs, installed: the tour of docker-compose.yml, the Debian package, and its
//! unit under a systemd.
//!
//! The price: on a machine that has nothing yet, a minute for the base images, and two to three for
//! a build of the program inside one, on two cores; they stay in `target/containers`. It takes root
//! and the packages of `.ci/tools`, and says so when it is left out. The engine is the test's own, and
//! containers run on a network that leads nowhere.

#[allow(dead_code, reason = "nothing is let pass here")]
#[path = "../federation/patience.rs"]
mod patience;
#[path = "../shared/programs.rs"]
mod programs;

mod engine;
mod machine;
mod package;
mod tour;
mod unit;

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{Engine, run};

/// Says something that the test harness does not swallow.
fn say(line: &str) {
    // Nobody to tell if standard error is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One test at a time: they share what is kept.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the base images that are not there; what is in the way, if they cannot be had here.
fn base_images(engine: &Engine) -> Result<(), String> {
    let mut command = engine.command(".ci/base-images");
    let output = run(command.arg(engine::kept()), Duration::from_secs(300));
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(3) => Err(said),
        other => panic!(".ci/base-images ended with {other:?}:\n{said}"),
    }
}
