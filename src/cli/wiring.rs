//! The calls into the rest: daemon, probes, hook runner.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::args::{self, Probe};
use super::output::CommandError;
use super::probe::{Phase, Seen};
use crate::probe::{self, ProbeSpec, Roots};

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

/// One look.
pub(super) async fn look(arguments: Probe) -> Result<Seen, CommandError> {
    // One look: what follows it, intervals and thresholds, is of no account here.
    let spec = ProbeSpec {
        kind: match arguments.kind {
            args::Kind::Tcp => probe::Kind::Tcp,
            args::Kind::Xmpp => probe::Kind::Xmpp,
            args::Kind::XmppTls => probe::Kind::XmppTls,
            args::Kind::Tls => probe::Kind::Tls,
        },
        port: arguments.server.port(),
        domain: arguments
            .domain
            .map(|domain| domain.trim_end_matches('.').to_owned()),
        from: arguments.from,
        interval: arguments.timeout,
        tls_interval: arguments.timeout,
        timeout: arguments.timeout,
        rise: 1,
        fall: 1,
        hold: false,
        roots: arguments.ca_file.map_or(Roots::System, Roots::File),
        command: None,
    };
    let look = probe::look(&spec, arguments.server, true)
        .await
        .map_err(CommandError::failed)?;
    Ok(Seen {
        verdict: look.verdict,
        depth: look.depth,
        phases: look
            .phases
            .into_iter()
            .map(|phase| Phase {
                name: phase.name,
                took: phase.took,
                note: phase.note.into_owned(),
            })
            .collect(),
    })
}

/// The hook runner, which ends with its own exit code.
pub(super) fn hook_runner() -> ExitCode {
    crate::hook::runner::main()
}
