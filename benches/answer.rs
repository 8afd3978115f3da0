//! What an answer costs without the network: `cargo bench --bench answer [-- --names N --rounds N]`.
//!
//! Each case is a row of queries that are answered one after another into one buffer, from the
//! octets of the query to those of the response. `read` is what of that is reading the query, and
//! `find` what is finding the zone and the node: the rest is composing. The cases of one table take
//! turns, round by round, and the median of the rounds counts, so that a machine that others use does
//! not favour any of them. What takes processor time counts, not what the clock on the wall says.
//!
//! With a million names the queries go over all of them in random order, so that what an answer
//! needs is in no cache but for the uppermost parts; first one after another, then in batches, as
//! a worker takes them from a busy socket.
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

use rustix::time::{ClockId, clock_gettime};
use switchback::answer::{Asker, Transport, bring_near, read, respond};
use switchback::snapshot::Snapshot;
use switchback::time::Wall;
use switchback::zone::Key;

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
        let row = case.queries.iter().map(Vec::as_slice).cycle();
        answered(&small, &mut row.take(queries));
        return;
    }
    println!("one small zone with a service, nanoseconds an answer");
    let ways: [Way; 3] = [("", answered), ("read", only_read), ("find", only_found)];
    table(&small, &cases, rounds, queries, &ways);
    println!("\none zone of {names} names, in random order; batches of {BATCH}");
    let (large, cases) = many(names, queries * 4);
    let ways: [Way; 2] = [("", answered), ("in batches", answered_in_batches)];
    table(&large, &cases, rounds, queries, &ways);
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

/// What is done with a row of queries, and its name.
type Way = (&'static str, fn(&Snapshot, &mut dyn Iterator<Item = &[u8]>));

/// So many datagrams a worker takes at a time.
const BATCH: usize = 64;

fn table(snapshot: &Snapshot, cases: &[Case], rounds: usize, queries: usize, ways: &[Way]) {
    let mut times = vec![vec![Vec::new(); ways.len()]; cases.len()];
    for _ in 0..rounds {
        for (case, times) in cases.iter().zip(&mut times) {
            for ((_, way), times) in ways.iter().zip(times) {
                times.push(run(snapshot, case, queries, *way));
            }
        }
    }
    let names = ways.iter().map(|(name, _)| format!("{name:>12}"));
    println!("{:<34}{}{:>8}", "", names.collect::<String>(), "octets");
    for (case, mut times) in cases.iter().zip(times) {
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            let nanos = u32::try_from(times[times.len() / 2].as_nanos()).unwrap_or(u32::MAX);
            let each = f64::from(nanos) / f64::from(u32::try_from(queries).unwrap());
            format!("{each:>12.1}")
        };
        let times: String = times.iter_mut().map(median).collect();
        let mut out = Vec::new();
        assert!(respond(snapshot, &case.queries[0], &asker(), &mut out));
        println!("{:<34}{times}{:>8}", case.name, out.len());
    }
}

/// Puts `count` queries of a case through; how much of the processor's time that took. The next run
/// goes on where this one ends, so that it does not find in the cache what this one left there.
fn run(
    snapshot: &Snapshot,
    case: &Case,
    count: usize,
    way: fn(&Snapshot, &mut dyn Iterator<Item = &[u8]>),
) -> Duration {
    let start = case.next.get();
    case.next.set((start + count) % case.queries.len());
    let row = case.queries.iter().cycle().skip(start).take(count);
    let begun = processor_time();
    way(snapshot, &mut row.map(|query| black_box(query.as_slice())));
    processor_time() - begun
}

fn answered(snapshot: &Snapshot, queries: &mut dyn Iterator<Item = &[u8]>) {
    let (asker, mut out) = (asker(), Vec::with_capacity(4096));
    for query in queries {
        respond(snapshot, query, &asker, &mut out);
        black_box(&out);
    }
}

fn answered_in_batches(snapshot: &Snapshot, queries: &mut dyn Iterator<Item = &[u8]>) {
    let (asker, mut out) = (asker(), Vec::with_capacity(4096));
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        batch.extend(queries.take(BATCH));
        if batch.is_empty() {
            return;
        }
        bring_near(snapshot, batch.iter().copied());
        for query in &batch {
            respond(snapshot, query, &asker, &mut out);
            black_box(&out);
        }
    }
}

fn only_read(_: &Snapshot, queries: &mut dyn Iterator<Item = &[u8]>) {
    for query in queries {
        let _ = black_box(read(query));
    }
}

fn only_found(snapshot: &Snapshot, queries: &mut dyn Iterator<Item = &[u8]>) {
    for query in queries {
        // The name stands behind the header.
        let key = Key::of_wire(query.get(12..).unwrap_or_default());
        black_box(snapshot.zone_of(&key).map(|zone| zone.find(&key)));
    }
}

/// How long this thread has run.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn asker() -> Asker {
    Asker {
        transport: Transport::Udp,
        client: [192, 0, 2, 53].into(),
        now: Wall(1_800_000_000_000),
        idle: None,
    }
}
