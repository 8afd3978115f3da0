//! Style as a failing test: the house, which is the architecture (`house.rs`), and what every file
//! keeps to, here.

mod house;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{sources, walk};

/// Lines of the longest file, unless its head says why: a line that begins [`LONG_BECAUSE`].
const MAX_LINES: usize = 600;
const LONG_BECAUSE: &str = "//! Long because ";

#[test]
fn files_stay_readable() {
    let wrong: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| sources(folder))
        .map(|file| (file.text.lines().count(), file))
        .filter(|(lines, file)| {
            let says_why = |line: &str| line.starts_with(LONG_BECAUSE);
            *lines > MAX_LINES && !file.text.lines().any(says_why)
        })
        .map(|(lines, file)| format!("{}: {lines} lines, at most {MAX_LINES}", file.shown()))
        .collect();
    assert_none(&wrong);
}

#[test]
fn tests_wait_for_a_state_and_none_is_switched_off() {
    let mut wrong = Vec::new();
    for file in ["src", "tests"].iter().flat_map(|folder| sources(folder)) {
        let off = file.lines_with(concat!("#[ig", "nore"));
        wrong.extend(off.map(|at| format!("{at}: a test that does not run is deleted")));
        if file.path.starts_with("tests") {
            let pauses = file.lines_with("sleep(");
            wrong.extend(pauses.map(|at| format!("{at}: wait for a state, with a bound")));
        }
    }
    assert_none(&wrong);
}

#[test]
fn nothing_is_left_for_later_or_tied_to_one_machine() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
    ];
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    for folder in [
        "src",
        "tests",
        "benches",
        "examples",
        "docs",
        "zones",
        "packaging",
        "fuzz",
    ] {
        walk(Path::new(folder), &mut files);
    }
    files.extend(
        [
            "Cargo.toml",
            "Makefile",
            "README.md",
            "CHANGELOG.md",
            ".ci/run",
        ]
        .map(PathBuf::from),
    );
    for path in &files {
        // What is not text has no notes in it.
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: `{word}`", path.display(), number + 1));
            }
        }
    }
    assert_none(&wrong);
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
