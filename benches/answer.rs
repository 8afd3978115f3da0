//! What an answer costs without the network: `cargo bench --bench answer [-- --names N --rounds N]`.
//!
//! Each case is a row of queries that are answered one after another into one buffer, from the
//! octets of the query to those of the response. The cases of one table take turns, round by
//! round, and the median of the rounds counts, so that a machine that others use does not favour
//! any of them. With a million names the queries go over all of them in random order: what an
//! answer needs is then in no cache.
//!
//! `--case NAME` answers one case over and over, for a profiler that counts instructions.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "answer/cases.rs"]
mod cases;
#[path = "../tests/shared/random.rs"]
mod random;
#[path = "answer/swap.rs"]
mod swap;

use std::hint::black_box;
use std::time::Duration;

use switchback::answer::{Asker, Transport, respond};
use switchback::clock;
use switchback::snapshot::Snapshot;
use switchback::time::Wall;

use cases::{Case, many, one};

fn main() {
    // Only `cargo bench` says --bench; `cargo test --all-targets` gets a short round.
    let is_bench = std::env::args().any(|word| word == "--bench");
    let or = |name: &str, bench: usize, short: usize| {
        argument(name).map_or(if is_bench { bench } else { short }, |word| {
            word.parse().unwrap()
        })
    };
    let names = or("--names", 1_000_000, 1000);
    let zones = or("--zones", 100_000, 50);
    let rounds = or("--rounds", 31, 1);
    let queries = or("--queries", 20_000, 10);
    let (small, cases) = one();
    if let Some(name) = argument("--case") {
        let case = cases.iter().find(|case| case.name == name);
        let case = case.expect("a case of the first table");
        run(&small, case, queries);
        return;
    }
    println!("one small zone with a service, nanoseconds an answer");
    table(&small, &cases, rounds, queries);
    println!("\none zone of {names} names, in random order");
    let (large, cases) = many(names, queries * 4);
    table(&large, &cases, rounds, queries);
    drop(large);
    println!("\nswaps that move one service");
    for zones in [zones / 100, zones] {
        swap::measure(zones.max(1), rounds);
    }
}

/// The word after `name` on the command line.
fn argument(name: &str) -> Option<String> {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1)
}

fn table(snapshot: &Snapshot, cases: &[Case], rounds: usize, queries: usize) {
    let mut times: Vec<Vec<Duration>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (case, times) in cases.iter().zip(&mut times) {
            times.push(run(snapshot, case, queries));
        }
    }
    println!("{:<34}{:>8}{:>8}{:>8}", "", "median", "least", "octets");
    for (case, mut times) in cases.iter().zip(times) {
        times.sort();
        let each = |time: Duration| {
            let nanos = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX);
            f64::from(nanos) / f64::from(u32::try_from(queries).unwrap())
        };
        let mut out = Vec::new();
        assert!(respond(snapshot, &case.queries[0], &asker(), &mut out));
        println!(
            "{:<34}{:>8.1}{:>8.1}{:>8}",
            case.name,
            each(times[times.len() / 2]),
            each(times[0]),
            out.len()
        );
    }
}

/// Answers `count` queries of a case; how long that took. The next run goes on where this one
/// ends, so that it does not find in the cache what this one left there.
fn run(snapshot: &Snapshot, case: &Case, count: usize) -> Duration {
    let mut out = Vec::with_capacity(4096);
    let asker = asker();
    let start = case.next.get();
    case.next.set((start + count) % case.queries.len());
    let row = case.queries.iter().cycle().skip(start).take(count);
    let begun = clock::mono();
    for query in row {
        respond(snapshot, black_box(query), &asker, &mut out);
        black_box(&out);
    }
    clock::mono().since(begun)
}

fn asker() -> Asker {
    Asker {
        transport: Transport::Udp,
        client: [192, 0, 2, 53].into(),
        now: Wall(1_800_000_000_000),
        idle: None,
    }
}
