//! What the fuzzer found worth keeping, asked again in every run of the tests, with seeded
//! mutations of it. The checks are the fuzzer's own: `fuzz/checks`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

#[path = "../fuzz/checks/config.rs"]
mod config;
#[path = "../fuzz/checks/query.rs"]
mod query;
#[path = "shared/random.rs"]
mod random;
#[path = "../fuzz/checks/reply.rs"]
mod reply;
#[path = "../fuzz/checks/scenario.rs"]
mod scenario;
#[path = "../fuzz/checks/transfer.rs"]
mod transfer;
#[path = "../fuzz/checks/tsig.rs"]
mod tsig;
#[path = "../fuzz/checks/zone.rs"]
mod zone;

use random::Random;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs of a target's corpus, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 5, "{}: {}", folder.display(), files.len());
    files
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// Each input as it is, then `mutations` of them: octets changed, cut, repeated, and the end of
/// one behind the beginning of another.
fn replay(target: &str, mutations: usize, check: impl Fn(&[u8])) {
    let corpus = corpus(target);
    corpus.iter().for_each(|input| check(input));
    let mut random = Random::new(0xf0_22);
    for _ in 0..mutations {
        let mut input = random.pick(&corpus).clone();
        for _ in 0..1 + random.below(4) {
            mutate(&mut input, &mut random, &corpus);
        }
        check(&input);
    }
}

fn mutate(input: &mut Vec<u8>, random: &mut Random, corpus: &[Vec<u8>]) {
    let at = random.below(input.len() + 1);
    match random.below(6) {
        0 => input.truncate(at),
        1 => input.insert(at, random.octet()),
        2 => {
            let other = random.pick(corpus);
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        3 => {
            let end = (at + random.below(16)).min(input.len());
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        4 => {
            if let Some(octet) = input.get_mut(at) {
                *octet ^= 1 << random.below(8);
            }
        }
        _ => {
            if let Some(octet) = input.get_mut(at) {
                *octet = random.octet();
            }
        }
    }
}

#[test]
fn packets_of_the_corpus_and_mutations_of_them_keep_every_invariant() {
    replay("query", 50_000, query::check);
}

#[test]
fn master_files_of_the_corpus_and_mutations_of_them_keep_every_invariant() {
    replay("zone", 3_000, zone::check);
}

#[test]
fn signatures_of_the_corpus_and_mutations_of_them_keep_every_invariant() {
    replay("tsig", 5_000, tsig::check);
}

#[test]
fn replies_of_the_corpus_and_mutations_of_them_keep_every_invariant() {
    replay("reply", 10_000, reply::check);
}

#[test]
fn transfers_of_the_corpus_and_mutations_of_them_keep_every_invariant() {
    replay("transfer", 10_000, transfer::check);
}

#[test]
fn configurations_of_the_corpus_and_mutations_of_them_keep_every_invariant() {
    let folder = root().join("tests/config");
    replay("config", 2_000, |input| config::check(input, &folder));
}

#[test]
fn scenarios_of_the_corpus_and_mutations_of_them_keep_every_invariant() {
    replay("scenario", 3_000, scenario::check);
}
