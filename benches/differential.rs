//! Our answers beside those of NSD, Knot and named, as many as you like:
//! `cargo bench --bench differential -- COUNT [SEED]`, a million by default.
//!
//! It prints what was compared and what explains each difference, and fails at one that nothing
//! explains, with the smallest zones that have it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "../tests/differential/differences.rs"]
mod differences;
#[path = "../tests/differential/generate.rs"]
mod generate;
#[path = "../tests/differential/message.rs"]
mod message;
#[path = "../tests/shared/peers.rs"]
mod peers;
#[path = "../tests/differential/questions.rs"]
mod questions;
#[path = "../tests/shared/random.rs"]
mod random;
#[path = "../tests/differential/run.rs"]
mod run;
#[path = "../tests/differential/shrink.rs"]
mod shrink;
#[path = "../tests/differential/view.rs"]
mod view;
#[path = "../tests/differential/world.rs"]
mod world;

use std::process::ExitCode;

use run::{Plan, run};
use switchback::clock;

fn main() -> ExitCode {
    // `cargo test --all-targets` starts benchmarks too, without `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let comparisons = numbers.first().copied().unwrap_or(1_000_000);
    let start = clock::mono();
    let outcome = run(&Plan {
        seed: numbers.get(1).copied().unwrap_or(2),
        comparisons: usize::try_from(comparisons).unwrap(),
        questions_per_world: 150,
        workers: 4,
    });
    let seconds = clock::mono().since(start).as_secs_f64();
    for peer in &outcome.left_out {
        println!("left out: {peer} is not installed");
    }
    for (peer, count) in &outcome.compared {
        println!("{count:>9} answers compared with {peer}");
    }
    for ((peer, rule), count) in &outcome.explained {
        println!("{count:>9} differ from {peer}, explained: {rule}");
    }
    for (kind, count) in &outcome.unexplained {
        println!("{count:>9} differ, unexplained: {kind}");
    }
    let total: usize = outcome.compared.values().sum();
    let wrong: usize = outcome.unexplained.values().sum();
    println!("{total:>9} in all in {seconds:.0} s; {wrong} without explanation");
    println!("\n{}", differences::page());
    for shown in &outcome.shown {
        println!("\n{shown}");
    }
    if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
