//! The command as a shell sees it: help, generated files, exit codes, error messages.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "shared/examples.rs"]
mod examples;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const COMMANDS: &[&str] = &[
    "serve",
    "check",
    "status",
    "explain",
    "reload",
    "log",
    "dnstap",
    "plan",
    "failover",
    "failback",
    "drain",
    "undrain",
    "pin",
    "unpin",
    "freeze",
    "thaw",
    "overrides",
    "approve",
    "reject",
    "readmit",
    "verify",
    "drill",
    "probe",
    "demo",
    "completions",
    "man",
];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchback"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn help_lists_every_command_and_no_hidden_one() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for name in COMMANDS {
        assert!(help.contains(&format!("\n  {name} ")), "{name} in {help}");
    }
    assert!(!help.contains("hook-runner") && !help.contains("demo-edge"));
    assert!(help.contains("Examples:") && help.contains("Exit codes:"));
}

#[test]
fn every_command_teaches_itself() {
    for name in COMMANDS {
        let output = run(&[name, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{name}");
        let help = text(&output.stdout);
        let teaches = help.contains("Example") || help.contains("Exit codes:");
        assert!(teaches, "{name}: {help}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for wrong in [
        &[][..],
        &["dance"],
        &["probe"],
        &["probe", "edge1:5269", "--kind", "tcp"],
        &["probe", "127.0.0.1:1", "--kind", "xmpp"],
        &["probe", "127.0.0.1:1", "--kind", "tcp", "--timeout", "5"],
        &["serve", "--listen", "127.0.0.1:5300"],
        &["explain"],
        &["failover", "xmpp-federation"],
        &["drain", "edgepool1", "--reason", "x", "--for", "0s"],
        &["pin", "xmpp-federation", "--reason", "x"],
        &["verify"],
        &["drill"],
        &["drill", "x", "--patience", "2h"],
        &["verify", "x", "--resolver", "dns.contoso.com"],
        &["verify", "x", "--resolver", "192.0.2.1", "--from-root"],
    ] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn without_a_daemon_the_message_says_what_to_check() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let socket = socket.to_str().unwrap();
    for arguments in [
        &["status", "--control", socket][..],
        &["status", "--json", "--control", socket],
        &["status", "--alive", "--control", socket],
        &["explain", "xmpp-federation", "--control", socket],
        &["reload", "--control", socket],
        &["failback", "xmpp-federation", "--control", socket],
        &["overrides", "--control", socket],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(
            said.starts_with("switchback: no control socket at "),
            "{said}"
        );
        assert!(said.contains("switchback serve") && said.contains("--control"));
    }
    let output = run(&["status", "--config", "/nonexistent/switchback.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nonexistent/switchback.toml"));
}

#[test]
fn completions_are_generated_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("explain"), "{shell}");
    }
}

#[test]
fn man_pages_are_generated_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["man", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for name in COMMANDS {
        let page = dir.path().join(format!("switchback-{name}.1"));
        assert!(page.is_file(), "{}", page.display());
    }
    assert!(dir.path().join("switchback.1").is_file());
    let hidden = Path::new("switchback-hook-runner.1");
    assert!(!dir.path().join(hidden).exists());

    let output = run(&["man"]);
    assert!(text(&output.stdout).contains(".TH switchback 1"));
}

#[test]
fn a_reader_that_has_read_enough_causes_no_panic() {
    let mut child = command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is read: every write of the child fails from here on.
    drop(child.stdout.take());
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// `check` of an example, and what it says, with the paths as in the repository.
fn checked(folder: &Path, name: &str) -> (Option<i32>, String) {
    let config = folder.join("examples").join(name);
    let output = run(&["check", "--config", config.to_str().unwrap()]);
    let here = format!("{}/", folder.display());
    let said = text(&output.stdout).replace(&here, "");
    (output.status.code(), said)
}

#[test]
fn check_shows_what_a_move_runs_there_and_back() {
    let folder = examples::with_secrets();
    for name in ["webhooks", "document-order", "verify-first"] {
        let (code, said) = checked(folder.path(), &format!("{name}.toml"));
        assert_eq!(code, Some(0), "{said}");
        let page =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/check_{name}.txt"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&page, &said).unwrap();
        }
        assert_eq!(said, std::fs::read_to_string(page).unwrap(), "{name}");
    }
    let (_, said) = checked(folder.path(), "minimal.toml");
    assert_eq!(
        said, "examples/minimal.toml: no errors\n",
        "it has no hooks"
    );

    std::fs::remove_file(folder.path().join("examples/secrets/lb")).unwrap();
    let (code, said) = checked(folder.path(), "webhooks.toml");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("secrets/lb") && said.contains("2 errors"),
        "{said}"
    );
    assert!(!said.contains("->"), "with errors there is no plan: {said}");
}

#[test]
fn a_probe_says_what_it_saw_and_ends_with_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let output = run(&["probe", &address, "--kind", "tcp"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("{address}: good")), "{said}");

    drop(listener);
    let output = run(&["probe", &address, "--kind", "tcp"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{address}: refused")), "{said}");
}

#[test]
fn the_demo_fails_over_and_back_by_itself() {
    let output = run(&["demo", "--exit"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    for line in [
        "edgepool1 -> edgepool2, done",
        "edgepool2 -> edgepool1, done",
    ] {
        assert!(said.contains(line), "no \"{line}\" in:\n{said}");
    }
}
