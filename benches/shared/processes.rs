//! Other programs: what they take, where they run, and their end.
#![allow(
    dead_code,
    reason = "not every benchmark that includes this file looks at all of it"
)]

use std::fs;
use std::process::Child;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process and all that come of it.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process: u32| {
            let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // The name in parentheses may hold anything.
            let after = text.rsplit(')').next()?;
            Some((process, after.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let mut all = vec![root];
    let mut at = 0;
    while let Some(parent) = all.get(at).copied() {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        all.extend(children.map(|(process, _)| *process));
        at += 1;
    }
    all
}

/// The CPU time, user and system, that these processes' threads have used by the scheduler's
/// books, which are finer than the ticks of `/proc/PID/stat`. What a softirq does in a thread's
/// time is in it.
pub(crate) fn cpu(processes: &[u32]) -> Duration {
    processes
        .iter()
        .filter_map(|process| fs::read_dir(format!("/proc/{process}/task")).ok())
        .flat_map(|tasks| tasks.flatten())
        .map(|task| {
            let books = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanoseconds = books.split(' ').next().and_then(|word| word.parse().ok());
            Duration::from_nanos(nanoseconds.unwrap_or(0))
        })
        .sum()
}

/// Asks a process to end, and waits until it has.
pub(crate) fn end(child: &mut Child) {
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let _ = kill(process, Signal::SIGTERM);
    let _ = child.wait();
}

/// The processors that this process may use.
pub(crate) fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count())
        .filter(|at| allowed.is_set(*at).unwrap_or(false))
        .collect()
}

/// Keeps this thread, and what it starts from now on, on one processor.
pub(crate) fn pin(processor: usize) {
    let mut one = CpuSet::new();
    one.set(processor).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
}
