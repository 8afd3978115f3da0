//! The calls into the rest: configuration, daemon, probes, hook runner.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::args::{self, Probe};
use super::output::CommandError;
use super::probe::{Phase, Seen};
use crate::admin::plan::Outline;
use crate::daemon::{self, Options};
pub(super) use crate::daemon::{Ready, Source};
use crate::ids::ServiceName;
use crate::lookup::{self, Patience, Resolver};
use crate::probe::{self, Look, ProbeSpec, Roots};
use crate::sandbox;
use crate::survey::{self, Survey};
use crate::verify::Expected;

/// What is wrong with a configuration, each with its place.
pub(super) struct CheckReport {
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// Both directions of every service with hooks, if there are no problems.
    pub(super) outlines: Vec<Outline>,
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

/// Binds and opens all that takes rights, without a thread.
pub(super) fn prepare(source: Source) -> Result<daemon::Prepared, CommandError> {
    let prepared = daemon::prepare(Options {
        source,
        ready: None,
        confined: true,
    });
    prepared.map_err(|error| CommandError::Failed(error.to_string()))
}

/// Runs the daemon until `shutdown` is ready. `ready` is told once it answers.
pub(super) async fn serve(
    source: Source,
    ready: Option<oneshot::Sender<Ready>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), CommandError> {
    let served = daemon::run(
        Options {
            source,
            ready,
            // The process does other things, too.
            confined: false,
        },
        shutdown,
    )
    .await;
    served.map_err(|error| CommandError::Failed(error.to_string()))
}

/// All that is wrong with a configuration.
pub(super) fn check(config: &Path) -> Result<CheckReport, CommandError> {
    let report = crate::config::check(config);
    Ok(CheckReport {
        problems: report.errors.iter().map(ToString::to_string).collect(),
        warnings: report.warnings.iter().map(ToString::to_string).collect(),
        outlines: report.policy.as_ref().map_or(Vec::new(), daemon::outlines),
    })
}

/// How to ask the world.
pub(super) fn survey(
    resolvers: &args::Resolvers,
    ca_file: Option<PathBuf>,
    patience: Patience,
) -> Result<Survey, CommandError> {
    let resolvers = match (&resolvers.resolver[..], resolvers.from_root) {
        (_, true) => Vec::new(),
        ([], false) => {
            let system = lookup::resolvers().map_err(CommandError::failed)?;
            vec![Resolver::Servers(system)]
        }
        (named, false) => {
            let each = named.iter().map(|one| Resolver::Servers(vec![*one]));
            each.collect()
        }
    };
    Ok(Survey::new(resolvers, patience, ca_file))
}

/// What the configuration wants partners to see of a service.
pub(super) fn expected(config: &Path, service: &ServiceName) -> Result<Expected, CommandError> {
    let (loaded, _) = crate::config::load(config).map_err(CommandError::failed)?;
    survey::expect(&loaded, service, None, &|_| None).ok_or_else(|| {
        let known = loaded.policy.services.keys().map(ServiceName::as_str);
        CommandError::Failed(format!(
            "{} has no service {service}; its services are: {}",
            config.display(),
            known.collect::<Vec<_>>().join(", ")
        ))
    })
}

/// One look.
pub(super) async fn look(arguments: Probe) -> Result<Seen, CommandError> {
    let (server, spec) = (arguments.server, spec_of(arguments));
    let looked = probe::look(&spec, server, true).await;
    let Look {
        verdict,
        depth,
        phases,
        certificate_ends: _,
    } = looked.map_err(|error| CommandError::Failed(error.to_string()))?;
    let phases = phases.into_iter().map(|phase| Phase {
        name: phase.name,
        took: phase.took,
        note: phase.note.into_owned(),
    });
    Ok(Seen {
        verdict,
        depth,
        phases: phases.collect(),
    })
}

/// A probe of one look: what concerns its repetition has no meaning.
fn spec_of(arguments: Probe) -> ProbeSpec {
    let Probe {
        server,
        kind,
        domain,
        from,
        timeout,
        ca_file,
    } = arguments;
    ProbeSpec {
        kind: match kind {
            args::Kind::Tcp => probe::Kind::Tcp,
            args::Kind::Xmpp => probe::Kind::Xmpp,
            args::Kind::XmppTls => probe::Kind::XmppTls,
            args::Kind::Tls => probe::Kind::Tls,
        },
        port: server.port(),
        domain,
        from,
        interval: timeout,
        tls_interval: timeout,
        timeout,
        rise: 1,
        fall: 1,
        hold: false,
        roots: ca_file.map_or(Roots::System, Roots::File),
        command: None,
    }
}

/// The hook runner, which ends with its own exit code.
pub(super) fn hook_runner() -> ExitCode {
    crate::hook::runner::main()
}

/// The process that begins programs, which ends with its own exit code.
pub(super) fn starter() -> ExitCode {
    crate::programs::main()
}

/// What this kernel has for a sandbox.
pub(super) fn offered() -> Result<sandbox::InForce, CommandError> {
    sandbox::offered().map_err(|error| CommandError::Failed(error.to_string()))
}

/// Whether this user may become another.
pub(super) fn may_change_user() -> bool {
    sandbox::may_change_user()
}
