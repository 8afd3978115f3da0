//! Process groups: which one it is, whether anything of it is alive, how to end it.

use std::fs;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::clock;
use crate::failover::ProcessGroup;

/// So long after SIGKILL the kernel may take to remove a group.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Between two looks. There is no event for "the last of a group of strangers is gone".
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The fields of `/proc/PID/stat` that we need (proc(5)).
struct Stat {
    state: char,
    pgid: i32,
    started_ticks: u64,
}

fn stat(pid: &str) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        pgid: fields.get(2)?.parse().ok()?,
        started_ticks: fields.get(19)?.parse().ok()?,
    })
}

impl Stat {
    /// A zombie acts no more; it waits to be reaped.
    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// The group that `leader`, a child of ours that is not reaped yet, leads.
pub(super) fn led_by(leader: u32) -> Option<ProcessGroup> {
    Some(ProcessGroup {
        pgid: i32::try_from(leader).ok()?,
        started_ticks: stat(&leader.to_string())?.started_ticks,
        boot_id: boot_id()?,
    })
}

/// Whether nothing of `group` is alive any more. In doubt, the answer is `false`.
///
/// The kernel gives a group's number to no new process while the group has members. So a leader
/// with another start time means that the group was empty in between.
#[must_use]
pub fn is_gone(group: &ProcessGroup) -> bool {
    if group.pgid <= 1 || boot_id().is_some_and(|boot| boot != group.boot_id) {
        return true;
    }
    if killpg(Pid::from_raw(group.pgid), None) == Err(Errno::ESRCH) {
        return true;
    }
    if let Some(leader) = stat(&group.pgid.to_string()) {
        if leader.started_ticks != group.started_ticks {
            return true;
        }
        if leader.is_alive() {
            return false;
        }
    }
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    !processes.flatten().any(|process| {
        process
            .file_name()
            .to_str()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(stat)
            .is_some_and(|stat| stat.pgid == group.pgid && stat.is_alive())
    })
}

/// Ends `group`: SIGTERM, after `grace` SIGKILL. Returns whether it is confirmed gone, at the
/// latest 5 s after the SIGKILL.
pub async fn end_group(group: &ProcessGroup, grace: Duration) -> bool {
    for (signal, wait) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, KILL_WAIT)] {
        if is_gone(group) {
            return true;
        }
        // What the signal meets, the looks below find out; one without permission, too.
        let _ = killpg(Pid::from_raw(group.pgid), signal);
        // A stopped process hears SIGTERM only when it goes on.
        let _ = killpg(Pid::from_raw(group.pgid), Signal::SIGCONT);
        let deadline = clock::mono() + wait;
        while clock::mono() < deadline {
            if is_gone(group) {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    is_gone(group)
}
