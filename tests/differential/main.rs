//! Random zones and questions: our answers beside those of NSD, Knot and named.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::print_stderr,
    reason = "what was left out is said to whoever runs the tests"
)]

mod amplification;
mod compiled;
mod differences;
mod generate;
mod message;
#[path = "../shared/peers.rs"]
mod peers;
mod questions;
#[path = "../shared/random.rs"]
mod random;
mod run;
mod shrink;
mod view;
mod world;

use run::{Plan, run};

#[test]
fn ten_thousand_answers_are_those_of_nsd_knot_and_named() {
    let outcome = run(&Plan {
        seed: 1,
        comparisons: 10_000,
        questions_per_world: 40,
        workers: 1,
    });
    for peer in &outcome.left_out {
        eprintln!("left out: {peer} is not installed");
    }
    assert!(
        outcome.unexplained.is_empty(),
        "{:?}\n{}",
        outcome.unexplained,
        outcome.shown.join("\n")
    );
}

/// The explained differences, for people: `docs/differences.md`.
#[test]
fn the_page_of_differences_is_the_table_that_explains_them() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    let page = differences::page();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page);
}
