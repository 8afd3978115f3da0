//! What a process can still do after it has given up its rights, tried from inside.
//!
//! The kernel takes rights from a thread, and a test harness has many. So this program has no
//! harness: for each try it begins itself anew, calls the very function that the daemon calls
//! ([`switchback::sandbox::enter`]) and does what an attacker would. Each try is also made by a
//! process that has given up nothing, as a control: what fails there as well proves nothing.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, tells what it leaves out, and its child just ends"
)]

mod attacks;
mod daemon;
mod innocent;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Output};

use switchback::sandbox::{self, Grants, InForce, Rules, Wish};

/// Gives up everything; `folder` has what the daemon would be left with.
fn enter(folder: &Path, user: Option<&str>) -> InForce {
    let mut grants = Grants::default();
    grants.to_read(&folder.join("zones/contoso.test.zone"));
    grants.roots();
    grants.write.insert(folder.join("state"));
    let user = user.map(|name| sandbox::identity("user", name).unwrap());
    let rules = Rules {
        user,
        landlock: Wish::BestEffort,
        seccomp: Wish::On,
        grants,
    };
    sandbox::enter(&rules).unwrap()
}

/// Begins this program again: `confined` or not, to do `what`.
fn again(confined: &str, what: &str, folder: &Path) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--inside", confined, what])
        .arg(folder)
        .output()
        .unwrap()
}

/// How it ended, in a line: what it printed, or the signal.
fn ending(output: &Output) -> String {
    match output.status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    }
}

fn inside(words: &[String]) -> ExitCode {
    let [confined, what, folder] = words else {
        return ExitCode::FAILURE;
    };
    let folder = Path::new(folder);
    match confined.as_str() {
        "free" => {}
        "confined" => drop(enter(folder, None)),
        user => drop(enter(folder, Some(user))),
    }
    match what.as_str() {
        "innocent" => innocent::all(folder),
        attack => say(&attacks::attempt(attack, folder)),
    }
    ExitCode::SUCCESS
}

#[allow(clippy::print_stdout, reason = "its parent reads it")]
fn say(text: &str) {
    println!("{text}");
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--inside", rest)) = words.split_first().map(|(one, rest)| (one.as_str(), rest)) {
        return inside(rest);
    }
    let tests: &[(&str, fn())] = &[
        ("each_attack_is_refused", attacks::each_is_refused),
        ("what_a_server_does_still_works", innocent::still_works),
        ("a_daemon_has_given_up_its_rights", daemon::has_given_up),
        (
            "a_daemon_of_an_ordinary_user_too",
            daemon::of_an_ordinary_user,
        ),
        (
            "programs_run_as_their_own_user",
            daemon::programs_run_as_their_user,
        ),
        (
            "what_is_new_takes_a_restart",
            daemon::what_is_new_takes_a_restart,
        ),
        ("the_kernel_is_asked", daemon::the_kernel_is_asked),
    ];
    let wanted = words.iter().find(|word| !word.starts_with('-'));
    if words.iter().any(|word| word == "--list") {
        tests
            .iter()
            .for_each(|(name, _)| say(&format!("{name}: test")));
        return ExitCode::SUCCESS;
    }
    for (name, test) in tests {
        if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            // A panic ends the program, with its place.
            test();
            say(&format!("test {name} ... ok"));
        }
    }
    ExitCode::SUCCESS
}
