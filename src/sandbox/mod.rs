//! **IO.** Gives up rights: what the process needs no more once everything is bound.
//!
//! [`enter`] is called by the only thread of the process, for the kernel knows most of these rights
//! per thread: whatever thread begins later has none of them either. In order:
//!
//! 1. the bounding set of capabilities is emptied, groups and user are those of the configuration,
//!    and no capability is left;
//! 2. no program can bring a right back (`no_new_privs`), and no core is dumped, in which keys
//!    would stand;
//! 3. files: only the directories granted ([`Grants`]), by Landlock, which also forbids to listen
//!    on TCP and to signal what is no thread of ours;
//! 4. system calls: only those of a list ([`calls`]), by a seccomp filter.
//!
//! What the kernel does not have is left out and told ([`InForce`]), unless the configuration
//! insists on it.

mod calls;
mod files;
mod rights;

pub use files::Grants;
pub use rights::{identity, may_change_user};

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::programs::Identity;

/// How much a protection is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Without it, the daemon does not start.
    On,
    /// If the kernel has it.
    #[default]
    BestEffort,
    /// Not at all.
    Off,
}

/// What is given up.
#[derive(Debug)]
pub struct Rules {
    /// Who the process becomes; `None`: it stays who it is.
    pub user: Option<Identity>,
    /// Files by Landlock.
    pub landlock: Wish,
    /// System calls by seccomp.
    pub seccomp: Wish,
    /// The files that stay.
    pub grants: Grants,
}

/// What is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The user.
    pub user: String,
    /// Whether no program can bring a right back.
    pub no_new_privs: bool,
    /// The capabilities that are left, as the kernel's bits; none is 0.
    pub capabilities: u64,
    /// The version of Landlock that restricts files; `None`: nothing does.
    pub landlock: Option<i32>,
    /// Whether system calls are restricted.
    pub seccomp: bool,
    /// What is not in force, and why.
    #[serde(default)]
    pub missing: Vec<String>,
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sandbox: user {}", self.user)?;
        match self.capabilities {
            0 => write!(f, ", no capabilities")?,
            bits => write!(f, ", capabilities {bits:#x}")?,
        }
        if let Some(version) = self.landlock {
            write!(f, ", Landlock {version}")?;
        }
        if self.seccomp {
            write!(f, ", seccomp")?;
        }
        self.missing.iter().try_for_each(|why| write!(f, "; {why}"))
    }
}

/// Why rights are not given up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The account does not exist.
    #[error("[sandbox] {key}: there is no user '{name}': create it, or name another")]
    NoUser {
        /// The key of the configuration.
        key: &'static str,
        /// What stands there.
        name: String,
    },
    /// The user cannot be changed.
    #[error(
        "[sandbox] user: the process cannot become '{name}' ({source}): start it as root, or \
         leave 'user' out"
    )]
    User {
        /// The name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Capabilities, or what goes with them.
    #[error("the process cannot give up its capabilities: {0}")]
    Rights(#[source] io::Error),
    /// Landlock is insisted on.
    #[error("[sandbox] landlock = \"on\", and {0}: write \"best-effort\", or run another kernel")]
    Landlock(String),
    /// Seccomp is insisted on.
    #[error("[sandbox] seccomp = \"on\", and {0}: write \"best-effort\", or run another kernel")]
    Seccomp(String),
    /// Somebody began a thread before.
    #[error("{0} threads run before rights are given up, and would keep them: a defect, report it")]
    Threads(usize),
}

/// Gives up what `rules` say, for good.
///
/// # Errors
/// What is insisted on is not to be had. The process may have lost some rights: it had better end.
pub fn enter(rules: &Rules) -> Result<InForce, SandboxError> {
    rights::alone()?;
    let mut missing = Vec::new();
    // Its directories are opened while everything can be.
    let files = match rules.landlock {
        Wish::Off => None,
        Wish::On | Wish::BestEffort => Some(files::ruleset(&rules.grants)),
    };
    rights::give_up(rules.user.as_ref())?;
    let landlock = match files.map(|ruleset| ruleset.and_then(files::restrict)) {
        None => {
            missing.push("files are not restricted ([sandbox] landlock = \"off\")".to_owned());
            None
        }
        Some(Ok(version)) => Some(version),
        Some(Err(why)) if rules.landlock == Wish::On => return Err(SandboxError::Landlock(why)),
        Some(Err(why)) => {
            missing.push(format!("files are not restricted ({why})"));
            None
        }
    };
    if landlock.is_some() {
        crate::files::confine(rules.grants.read.iter().chain(&rules.grants.write));
    }
    let seccomp = match rules.seccomp {
        Wish::Off => {
            missing
                .push("system calls are not restricted ([sandbox] seccomp = \"off\")".to_owned());
            false
        }
        wish @ (Wish::On | Wish::BestEffort) => match calls::restrict() {
            Ok(()) => true,
            Err(why) if wish == Wish::On => return Err(SandboxError::Seccomp(why)),
            Err(why) => {
                missing.push(format!("system calls are not restricted ({why})"));
                false
            }
        },
    };
    let capabilities = rights::capabilities().map_err(SandboxError::Rights)?;
    Ok(InForce {
        user: rules
            .user
            .as_ref()
            .map_or_else(rights::own_name, |user| user.name.clone()),
        no_new_privs: rights::no_new_privs().map_err(SandboxError::Rights)?,
        capabilities,
        landlock,
        seccomp,
        missing,
    })
}

/// What the kernel grants to this user: it is tried, by a thread that ends after it.
///
/// # Errors
/// No thread is to be had, or it cannot give up its capabilities.
pub fn offered() -> Result<InForce, SandboxError> {
    let tried = std::thread::Builder::new()
        .name("sandbox".to_owned())
        .spawn(|| {
            rights::give_up_by_thread()?;
            let mut missing = Vec::new();
            let mut note = |what: &str, why: String| missing.push(format!("{what}: {why}"));
            let landlock = files::ruleset(&Grants::default()).and_then(files::restrict);
            let landlock = landlock.map_err(|why| note("Landlock", why)).ok();
            let seccomp = calls::restrict_thread()
                .map_err(|why| note("seccomp", why))
                .is_ok();
            Ok(InForce {
                user: String::new(),
                no_new_privs: rights::no_new_privs().map_err(SandboxError::Rights)?,
                capabilities: rights::capabilities().map_err(SandboxError::Rights)?,
                landlock,
                seccomp,
                missing,
            })
        });
    let tried = tried.map_err(SandboxError::Rights)?.join();
    let tried = tried.map_err(|_| SandboxError::Rights(io::Error::other("the thread panicked")))?;
    tried.map(|found| InForce {
        user: rights::own_name(),
        ..found
    })
}
