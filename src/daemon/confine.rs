//! What the daemon gives up, from what the configuration names.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::DaemonError;
use super::start::Source;
use crate::config::Config;
use crate::courier::Destination;
use crate::hook;
use crate::probe::ProbeSpec;
use crate::programs::{Charge, Identity, Starter};
use crate::runbook::{Act, Work};
use crate::sandbox::{self, Grants, InForce, Rules, SandboxError, Wish};

/// What may be begun from now on: what the configuration named at the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealed {
    works: Vec<Work>,
    programs: BTreeSet<Vec<String>>,
}

/// What the process has given up, and what may be begun since.
#[derive(Debug, Default)]
pub(super) struct Confinement {
    pub(super) in_force: Option<InForce>,
    pub(super) sealed: Option<Sealed>,
}

impl Confinement {
    pub(super) fn of(in_force: Option<InForce>, config: &Config) -> Confinement {
        Confinement {
            sealed: in_force.as_ref().and_then(|_| Sealed::of(config)),
            in_force,
        }
    }
}

/// Who the daemon and its programs become; `None`: who they are.
pub(super) struct Users {
    daemon: Option<Identity>,
    programs: Option<Identity>,
}

impl Users {
    /// Looks the accounts up.
    ///
    /// # Errors
    /// One does not exist.
    pub(super) fn of(config: &Config) -> Result<Users, SandboxError> {
        let named = |key, name: &Option<String>| {
            let name = name.as_deref();
            name.map(|name| sandbox::identity(key, name)).transpose()
        };
        let daemon = named("user", &config.confined.user)?;
        let programs = named("hooks_user", &config.confined.hooks_user)?;
        Ok(Users {
            programs: programs.or_else(|| daemon.clone()),
            daemon,
        })
    }

    /// The identity that programs have to take; `None` where they have it.
    fn of_programs(&self) -> Option<Identity> {
        let own = Uid::effective();
        let other = |user: &&Identity| own.is_root() || user.uid != own.as_raw();
        self.programs.as_ref().filter(other).cloned()
    }

    /// Whether programs run as somebody else than the daemon.
    fn differ(&self) -> bool {
        let own = Uid::effective().as_raw();
        let uid = |user: &Option<Identity>| user.as_ref().map_or(own, |user| user.uid);
        uid(&self.daemon) != uid(&self.programs)
    }
}

/// Whether anything confines the process: then it may have nothing begun but what was named.
fn is_confined(config: &Config) -> bool {
    let confined = &config.confined;
    confined.landlock != Wish::Off || confined.seccomp != Wish::Off
}

impl Sealed {
    pub(super) fn of(config: &Config) -> Option<Sealed> {
        is_confined(config).then(|| Sealed {
            works: works(config),
            programs: programs(config),
        })
    }

    /// Whether a configuration names nothing else.
    ///
    /// # Errors
    /// What it names besides, with the remedy.
    pub(super) fn admits(&self, config: &Config) -> Result<(), String> {
        let unknown = programs(config)
            .into_iter()
            .find(|it| !self.programs.contains(it));
        let unknown = unknown.map(|words| words.join(" ")).or_else(|| {
            let new = works(config)
                .into_iter()
                .find(|it| !self.works.contains(it));
            new.map(|work| match work {
                Work::Run(command) => command.0.join(" "),
                Work::Call(call) => format!("{} {}", call.method, call.url),
            })
        });
        match unknown {
            None => Ok(()),
            Some(what) => Err(format!(
                "'{what}' was not in the configuration when the daemon started, and its sandbox \
                 has nothing begun that is new: restart the daemon"
            )),
        }
    }
}

/// Programs and calls of runbooks.
fn works(config: &Config) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::new();
    for service in config.policy.services.values() {
        for step in &service.runbook.steps {
            let hook = match &step.act {
                Act::Run { work, .. } => Some(work),
                Act::Publish | Act::Verify(_) | Act::Wait(_) => None,
            };
            for work in hook.into_iter().chain(&step.undo) {
                if !works.contains(work) {
                    works.push(work.clone());
                }
            }
        }
    }
    works
}

/// Programs that look, and those of alerts.
fn programs(config: &Config) -> BTreeSet<Vec<String>> {
    let looks = config.probes.values().flatten();
    let looks = looks.filter_map(|spec: &std::sync::Arc<ProbeSpec>| spec.command.as_ref());
    let alerts = config
        .alerts
        .iter()
        .filter_map(|receiver| match &receiver.to {
            Destination::Program(command) => Some(command),
            Destination::Call(_) => None,
        });
    looks
        .chain(alerts)
        .map(|command| command.0.clone())
        .collect()
}

/// Makes the directories of the state, and begins the process that begins programs; what it may
/// begin is limited where the daemon is `confined`.
///
/// # Errors
/// What is missing for it.
pub(super) fn begin_starter(
    config: &Config,
    users: &Users,
    confined: bool,
) -> Result<Starter, DaemonError> {
    let exe = std::env::current_exe().map_err(DaemonError::OwnPath)?;
    let groups = directories(config, users).map_err(DaemonError::StateDirectory)?;
    let sealed = Sealed::of(config).filter(|_| confined);
    let (works, programs) = sealed.map(|it| (it.works, it.programs)).unzip();
    let charge = Charge {
        runner: vec![exe.to_string_lossy().into_owned(), "hook-runner".to_owned()],
        greeting: hook::greeting(&groups, works).map_err(DaemonError::Starter)?,
        programs,
        identity: users.of_programs(),
    };
    Starter::begin(&exe, charge).map_err(DaemonError::Starter)
}

/// Makes the state directory, if there is none, and one of its own for the hook runner where that
/// is another user. Returns where the runner keeps its lock and its groups.
fn directories(config: &Config, users: &Users) -> io::Result<PathBuf> {
    let state = &config.state_dir;
    make(state, users.daemon.as_ref())?;
    if !users.differ() {
        return Ok(state.clone());
    }
    // Others may pass through, and see nothing of it.
    let mode = fs::metadata(state)?.permissions().mode();
    if mode & 0o011 != 0o011 {
        fs::set_permissions(state, Permissions::from_mode(mode | 0o011))?;
    }
    let hooks = state.join("hooks");
    make(&hooks, users.programs.as_ref())?;
    Ok(hooks)
}

/// Makes a directory that only `owner` enters. One that exists stays as it is.
fn make(path: &Path, owner: Option<&Identity>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    // Those above it are for others too, who have to pass through them.
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(path)?;
    give(path, owner)
}

/// Gives what we made to `owner`.
fn give(path: &Path, owner: Option<&Identity>) -> io::Result<()> {
    let other = owner.filter(|owner| owner.uid != Uid::effective().as_raw());
    other.map_or(Ok(()), |owner| {
        // No link is followed: the directory that it stands in may be another user's.
        lchown(path, Some(owner.uid), Some(owner.gid))
    })
}

/// Gives up what the process needs no more: everything is bound, and no thread has begun.
///
/// # Errors
/// What the configuration insists on is not to be had.
pub(super) fn confine(
    source: &Source,
    config: &Config,
    users: Users,
) -> Result<InForce, DaemonError> {
    let mut grants = Grants::default();
    for path in &config.reads {
        grants.to_read(path);
    }
    grants.roots();
    if matches!(source, Source::File(_)) {
        let control = &config.listen.control;
        // Whoever commands the daemon is of its group.
        give(control, users.daemon.as_ref()).map_err(DaemonError::StateDirectory)?;
        grants.write.insert(config.state_dir.clone());
        grants.tidy.extend(control.parent().map(Path::to_owned));
    }
    let rules = Rules {
        user: users.daemon,
        landlock: config.confined.landlock,
        seccomp: config.confined.seccomp,
        grants,
    };
    Ok(sandbox::enter(&rules)?)
}
