//! User, groups, capabilities.

use std::fs;
use std::io;
use std::time::Duration;

use nix::unistd::{Gid, Uid, User, getgrouplist, setgroups, setresgid, setresuid};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_no_new_privs,
};

use super::SandboxError;
use crate::programs::Identity;

/// The account of this name, with all its groups.
///
/// # Errors
/// There is none.
pub fn identity(key: &'static str, name: &str) -> Result<Identity, SandboxError> {
    let none = || SandboxError::NoUser {
        key,
        name: name.to_owned(),
    };
    let user = User::from_name(name).ok().flatten().ok_or_else(none)?;
    let terminated = std::ffi::CString::new(name).map_err(|_| none())?;
    let groups = getgrouplist(&terminated, user.gid).map_err(|_| none())?;
    Ok(Identity {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        home: user.dir,
    })
}

/// This process has one thread. One that has ended may still be on its way out.
pub(super) fn alone() -> Result<(), SandboxError> {
    let threads = || fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    for _ in 0..500 {
        if threads() == 1 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(SandboxError::Threads(threads()))
}

/// Becomes `user`, without capabilities and without a way back.
pub(super) fn give_up(user: Option<&Identity>) -> Result<(), SandboxError> {
    empty_bounding_set();
    if let Some(user) = user {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        let is_it = Uid::current() == uid && Uid::effective() == uid;
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        let became = if is_it && !Uid::effective().is_root() {
            Ok(())
        } else {
            setgroups(&groups)
                .and_then(|()| setresgid(gid, gid, gid))
                .and_then(|()| setresuid(uid, uid, uid))
        };
        became.map_err(|error| SandboxError::User {
            name: user.name.clone(),
            source: error.into(),
        })?;
    }
    give_up_by_thread()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| SandboxError::Rights(error.into()))
}

/// What concerns the thread alone.
pub(super) fn give_up_by_thread() -> Result<(), SandboxError> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    clear_ambient_capability_set()
        .and_then(|()| rustix::thread::set_capabilities(None, none))
        .and_then(|()| set_no_new_privs(true))
        .map_err(|error| SandboxError::Rights(error.into()))
}

/// Only a process that may set capabilities can, and others do not need to: they have none to
/// lose, and `no_new_privs` keeps them from any.
fn empty_bounding_set() {
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// What is left, as the kernel's bits.
pub(super) fn capabilities() -> io::Result<u64> {
    let sets = rustix::thread::capabilities(None)?;
    Ok((sets.effective | sets.permitted | sets.inheritable).bits())
}

pub(super) fn no_new_privs() -> io::Result<bool> {
    Ok(rustix::thread::no_new_privs()?)
}

/// Who the process is. The name is looked up only where that takes no module of the C library.
pub(super) fn own_name() -> String {
    match Uid::effective() {
        uid if uid.is_root() => "root".to_owned(),
        uid => format!("uid {uid}"),
    }
}

/// Whether this process may become another user.
#[must_use]
pub fn may_change_user() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| {
        let wanted = CapabilitySet::SETUID | CapabilitySet::SETGID;
        sets.effective.contains(wanted)
    })
}
