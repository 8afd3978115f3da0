//! Loading, beside NSD and Knot: `cargo bench --bench load [-- --names N --zones N --rounds N]`.
//!
//! One zone of a million names, then 100,000 small zones of one directory: each server in turn,
//! in interleaved rounds, from its start to the first moment at which a sample of names spread
//! over all of it is answered right; then what it takes in memory. Then what a swap costs that
//! touches one of the small zones. Last, a changed zone of a million names is reloaded while
//! dnsperf asks. It fails if a query is lost, or if a server
//! never gets ready; times and sizes are printed and never fail it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "shared/processes.rs"]
mod processes;
#[path = "../tests/shared/programs.rs"]
mod programs;
#[path = "load/reload.rs"]
mod reload;
#[path = "load/servers.rs"]
mod servers;
#[path = "load/swap.rs"]
mod swap;
#[path = "load/zones.rs"]
mod zones;

use std::process::ExitCode;
use std::time::Duration;

use servers::{Memory, SERVERS, Server};
use zones::Zones;

/// What one start of a server gave.
struct Start {
    ready: Duration,
    memory: Memory,
}

fn main() -> ExitCode {
    let or = |name: &str, bench: usize, short: usize| {
        argument(name).unwrap_or(if arguments::is_bench() { bench } else { short })
    };
    let names = or("--names", 1_000_000, 2000);
    let small = or("--zones", 100_000, 50);
    let rounds = or("--rounds", 3, 1);
    let files = tempfile::tempdir().unwrap();

    let one = Zones::one(&files.path().join("one"), names);
    println!("one zone of {names} names, {rounds} rounds");
    let mut whole = table(&one, rounds);
    let many = Zones::many(&files.path().join("many"), small);
    println!("\n{small} zones of five records, {rounds} rounds");
    whole &= table(&many, rounds);
    println!("\nsnapshots of {small} zones");
    swap::measure(&many);
    println!("\nreload of the zone of {names} names");
    whole &= reload::measure(&one, names, argument("--rate").unwrap_or(20_000));
    if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn argument(name: &str) -> Option<usize> {
    usize::try_from(arguments::number(name)?).ok()
}

/// Starts each server in turn and prints the medians, with ratios to switchback's. Says whether
/// all of them came up.
fn table(zones: &Zones, rounds: usize) -> bool {
    let installed: Vec<&Server> = SERVERS
        .iter()
        .filter(|server| {
            let is_there = server.program().is_some();
            if !is_there {
                println!("left out: {} is not installed", server.name);
            }
            is_there
        })
        .collect();
    let mut starts: Vec<Vec<Start>> = installed.iter().map(|_| Vec::new()).collect();
    let mut whole = true;
    for _ in 0..rounds {
        for (server, starts) in installed.iter().zip(&mut starts) {
            let begun = switchback::clock::mono();
            let running = server.start(zones);
            if running.wait(zones) {
                let ready = switchback::clock::mono().since(begun);
                let memory = running.memory();
                starts.push(Start { ready, memory });
            } else {
                println!("FAULT: {} does not get ready", server.name);
                whole = false;
            }
        }
    }
    println!("              ready s  ratio   PSS MiB  ratio   RSS MiB  peak MiB");
    let ours = starts.first().map(|starts| figures(starts));
    for (server, starts) in installed.iter().zip(&starts) {
        let (of, ours) = (figures(starts), ours.unwrap());
        println!(
            "{:<12} {:>8.2} {:>6.2} {:>9.1} {:>6.2} {:>9.1} {:>9.1}",
            server.name,
            of[0],
            of[0] / ours[0],
            of[1],
            of[1] / ours[1],
            of[2],
            of[3]
        );
    }
    whole
}

/// The medians: seconds, and PSS, RSS and peak in MiB.
fn figures(starts: &[Start]) -> [f64; 4] {
    let of: [fn(&Start) -> f64; 4] = [
        |start| start.ready.as_secs_f64(),
        |start| mib(start.memory.pss),
        |start| mib(start.memory.rss),
        |start| mib(start.memory.peak),
    ];
    of.map(|of| {
        let mut all: Vec<f64> = starts.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    })
}

fn mib(kib: u32) -> f64 {
    f64::from(kib) / 1024.0
}
