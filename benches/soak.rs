//! Everything at once, for a long time: `cargo bench --bench soak [-- --minutes N]`, an hour by
//! default; `cargo test` gives it two minutes.
//!
//! The daemon answers at half of the rate that it was seen to reach, while its active edge dies
//! every ten seconds and the service moves to the other one through a runbook, zones change and are
//! reloaded, a zone of 20,000 names is transferred, and watchers ask for the status. Once a second
//! it is looked at from outside. It fails if a query is lost for another reason than a full socket
//! buffer of the kernel, if a move does not come, if a reload or a transfer fails, or if memory,
//! descriptors or the store still grow in the last quarter.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "soak/edge.rs"]
mod edge;
#[path = "soak/look.rs"]
mod look;
#[path = "../tests/shared/programs.rs"]
mod programs;
#[path = "soak/world.rs"]
mod world;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{park_timeout, scope};
use std::time::Duration;

use switchback::clock;

use arguments::{is_bench, number};
use edge::Edge;
use look::{Look, Trend};
use world::World;

/// From one failure of the active edge to the next.
const FAIL_EVERY: u64 = 10;
/// From one changed zone to the next.
const RELOAD_EVERY: u64 = 7;
/// From one transfer to the next.
const TRANSFER_EVERY: u64 = 5;
/// Between two questions of a watcher.
const WATCH_EVERY: Duration = Duration::from_millis(200);
const WATCHERS: usize = 2;

fn main() -> ExitCode {
    let seconds = 60 * number("--minutes").unwrap_or(if is_bench() { 60 } else { 2 });
    let world = World::start();
    let Some(load) = world.load(seconds) else {
        println!("left out: the load (dnsperf is not installed)");
        return ExitCode::SUCCESS;
    };
    let mut edges = [1, 2].map(|last| Edge::open(last, world.edge_port));
    let (over, watched) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut looks = Vec::new();
    let mut faults = scope(|scope| {
        for _ in 0..WATCHERS {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    watched.fetch_add(u64::from(world.active().is_some()), Relaxed);
                    park_timeout(WATCH_EVERY);
                }
            });
        }
        let faults = go_through(&world, &mut edges, seconds, &mut looks);
        over.store(true, Relaxed);
        faults
    });
    println!("{} answers to watchers", watched.into_inner());
    faults.extend(load.judge());
    for trend in Trend::all(&looks) {
        println!("{trend}");
        faults.extend(trend.fault());
    }
    faults.iter().for_each(|fault| println!("FAULT: {fault}"));
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What happens, second by second; what went wrong.
fn go_through(
    world: &World,
    edges: &mut [Edge; 2],
    seconds: u64,
    looks: &mut Vec<Look>,
) -> Vec<String> {
    let (mut faults, mut moves, mut reloads, mut transfers) = (Vec::new(), 0, 0, 0);
    let mut fallen: Option<usize> = None;
    let begun = clock::mono();
    for second in 1..=seconds {
        match second % FAIL_EVERY {
            0 => match world.active() {
                Some(active) => {
                    edges[active].close();
                    fallen = Some(active);
                }
                None => faults.push(format!("second {second}: no status")),
            },
            // Half of the time is enough for two looks, a program and a swap.
            5 => {
                if let Some(active) = fallen.take() {
                    match world.active() {
                        Some(now) if now != active => moves += 1,
                        now => faults.push(format!("second {second}: {now:?} is still active")),
                    }
                    edges[active].reopen();
                }
            }
            _ => {}
        }
        if second % RELOAD_EVERY == 0 {
            match world.reload(second) {
                Ok(()) => reloads += 1,
                Err(error) => faults.push(format!("second {second}: {error}")),
            }
        }
        if second % TRANSFER_EVERY == 0 {
            match world.transfer() {
                Ok(()) => transfers += 1,
                Err(error) => faults.push(format!("second {second}: {error}")),
            }
        }
        looks.push(Look::at(world));
        let due = Duration::from_secs(second);
        park_timeout(due.saturating_sub(clock::mono().since(begun)));
    }
    println!("{moves} failovers, {reloads} reloads, {transfers} transfers in {seconds} s");
    faults
}
