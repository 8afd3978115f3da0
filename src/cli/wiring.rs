//! The calls into the rest: configuration, daemon, probes, hook runner.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::args::Probe;
use super::output::CommandError;
use super::probe::Seen;

/// What to serve.
#[derive(Debug)]
pub(super) enum Source {
    /// What a configuration says.
    File(PathBuf),
    /// Zones, by origin and master file, and nothing else.
    Plain {
        /// Where to listen.
        listen: Vec<SocketAddr>,
        /// The zones.
        zones: Vec<(String, PathBuf)>,
    },
}

/// Sent once the daemon answers.
#[derive(Debug)]
pub(super) struct Ready;

/// What is wrong with a configuration, each with its place.
pub(super) struct CheckReport {
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// The runtime that a command works on.
pub(super) fn runtime() -> Result<Runtime, CommandError> {
    Runtime::new().map_err(|error| {
        CommandError::Failed(format!("cannot start the threads of the runtime: {error}"))
    })
}

/// Ready when SIGTERM or SIGINT has come.
pub(super) fn told_to_end() -> Result<impl Future<Output = ()>, CommandError> {
    let catch = |kind| {
        signal(kind).map_err(|error| CommandError::Failed(format!("cannot catch signals: {error}")))
    };
    let mut terminate = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn not_wired(what: &str) -> CommandError {
    CommandError::Failed(format!("{what} is not part of this build"))
}

/// Runs the daemon until `shutdown` is ready. `ready` is told once it answers.
pub(super) async fn serve(
    source: Source,
    ready: Option<oneshot::Sender<Ready>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), CommandError> {
    drop((ready, shutdown));
    Err(not_wired(&match source {
        Source::File(file) => format!("the daemon of {}", file.display()),
        Source::Plain { listen, zones } => {
            format!("a server of {} zones on {listen:?}", zones.len())
        }
    }))
}

/// All that is wrong with a configuration.
pub(super) fn check(config: &Path) -> Result<CheckReport, CommandError> {
    let _ = config;
    Err(not_wired("the check"))
}

/// One look.
pub(super) async fn look(arguments: Probe) -> Result<Seen, CommandError> {
    drop(arguments);
    Err(not_wired("the probe"))
}

/// The hook runner, which ends with its own exit code.
pub(super) fn hook_runner() -> ExitCode {
    crate::hook::runner::main()
}
