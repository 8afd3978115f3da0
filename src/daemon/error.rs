//! Why the daemon does not start.

use crate::admin::SocketError;
use crate::config::Problems;
use crate::hook::HookError;
use crate::probe::ProbeError;
use crate::server::BindError;
use crate::snapshot::GuardViolation;
use crate::store::StoreError;

/// Why the daemon does not start, or does not take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration or a zone is wrong.
    #[error(transparent)]
    Config(#[from] Problems),
    /// It cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Metrics cannot be served.
    #[error(transparent)]
    Metrics(#[from] crate::metrics::EndpointError),
    /// Queries and answers cannot be written anywhere.
    #[error(transparent)]
    Dnstap(#[from] crate::dnstap::SinkError),
    /// The state cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The probes cannot be made.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The control socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The hook runner cannot be started.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The directories of the state cannot be made, or given to whom they belong.
    #[error("the state's directories: {0}; give this user the right to make them, or make them")]
    StateDirectory(#[source] std::io::Error),
    /// Rights cannot be given up.
    #[error(transparent)]
    Sandbox(#[from] crate::sandbox::SandboxError),
    /// The process that begins programs cannot be had.
    #[error("the process that begins programs: {0}")]
    Starter(std::io::Error),
    /// The socket of the service manager cannot be waited for.
    #[error("the service manager's socket: {0}")]
    Supervisor(#[source] std::io::Error),
    /// What would be published must not be.
    #[error("the zones cannot be served:\n{}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Guard {
        /// Every reason.
        violations: Vec<GuardViolation>,
    },
    /// The state cannot be read.
    #[error(
        "state {what}: {why}; restore the state directory from a backup, or move it aside and start anew"
    )]
    State {
        /// The row.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Serials are used up and no more can be reserved.
    #[error(transparent)]
    Exhausted(#[from] crate::store::Exhausted),
    /// Our own program cannot be found, to start it again as a helper.
    #[error("the path of this program cannot be read: {0}; start it by its full path")]
    OwnPath(std::io::Error),
}
