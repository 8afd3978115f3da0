//! The scripts of `tests/answers`: questions, and the answers that are expected, word for word.
//! `UPDATE_EXPECT=1` rewrites the answers; review them as text. Where NSD and Knot are
//! installed, they are asked the questions of the scripts without services; a difference must
//! be explained in the script by a line `! nsd …` or `! knot …` that names an RFC section.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::print_stderr,
    reason = "what was left out is said to whoever runs the tests"
)]

#[path = "answers/interoperable.rs"]
mod interoperable;
#[path = "shared/peers.rs"]
mod peers;
#[path = "answers/question.rs"]
mod question;
#[path = "shared/random.rs"]
mod random;
#[path = "answers/robustness.rs"]
mod robustness;
#[path = "answers/script.rs"]
mod script;
#[path = "answers/settings.rs"]
mod settings;

use std::path::{Path, PathBuf};

use peers::ZoneSource;
use script::Script;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers")
}

fn scripts() -> Vec<(PathBuf, Script)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "script"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let read = |path: PathBuf| {
        let script = Script::read(&std::fs::read_to_string(&path).unwrap());
        (path, script)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn scripts_get_the_answers_they_expect() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = String::new();
    for (path, script) in scripts() {
        let snapshot = script.snapshot(&folder());
        let mut compiled = script.snapshot(&folder());
        switchback::answer::compile(&mut compiled);
        let mut text = String::new();
        for line in &script.lines {
            text.push_str(&line.text);
            text.push('\n');
            let Some(question) = &line.question else {
                continue;
            };
            for note in &question.notes {
                text.push_str(note);
                text.push('\n');
            }
            let answer = question.ask(&snapshot);
            let (engine, ours) = (question.respond(&snapshot), question.respond(&compiled));
            assert_eq!(engine, ours, "{}: {}, compiled", path.display(), line.text);
            if !update && answer != question.expected {
                wrong.push_str(&format!(
                    "{}: {}\nexpected:\n{}got:\n{answer}\n",
                    path.display(),
                    line.text,
                    question.expected
                ));
            }
            text.push_str(&answer);
        }
        if update {
            std::fs::write(&path, text).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The zones of a script as a peer loads them.
fn sources(script: &Script) -> Vec<ZoneSource> {
    let source = |(origin, file): &(String, String)| ZoneSource {
        origin: origin.clone(),
        text: std::fs::read(folder().join(file)).unwrap(),
    };
    script.zones.iter().map(source).collect()
}

#[test]
fn nsd_and_knot_give_the_same_answers() {
    let mut unexplained = String::new();
    for peer in [peers::NSD, peers::KNOT] {
        for (path, script) in scripts() {
            if script.has_services || script.alone {
                continue;
            }
            let more = settings::of_peer(peer.name, &script.settings);
            let Some(server) = peer.start_with(&sources(&script), &more) else {
                eprintln!("left out: {} is not installed", peer.name);
                continue;
            };
            let snapshot = script.snapshot(&folder());
            for line in &script.lines {
                let Some(question) = &line.question else {
                    continue;
                };
                let Some(theirs) = server.ask(&question.packet, question.stream) else {
                    unexplained.push_str(&format!("{}: no answer: {}\n", peer.name, line.text));
                    continue;
                };
                let ours = question.comparable(&question.respond(&snapshot));
                let theirs = question.comparable(&theirs);
                if ours != theirs && !question.explains(peer.name) {
                    unexplained.push_str(&format!(
                        "{}: {} differs: {}\nours:\n{ours}theirs:\n{theirs}\n",
                        path.display(),
                        peer.name,
                        line.text
                    ));
                }
            }
        }
    }
    assert!(unexplained.is_empty(), "{unexplained}");
}
