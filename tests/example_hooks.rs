//! The hooks of the examples, as the daemon calls them, with an `ssh` that only says what it is
//! told.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

/// Runs a hook of `examples/hooks` towards edgepool2.
fn run(hook: &[&str], undo: bool, more: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let ssh = folder.path().join("ssh");
    fs::write(
        &ssh,
        "#!/bin/sh\nfor word; do echo \"[$word]\"; done\nexit ${SWITCHBACK_SSH:-0}\n",
    )
    .unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let program = format!("{}/examples/hooks/{}", env!("CARGO_MANIFEST_DIR"), hook[0]);
    let told = [
        ("OPERATION", "op-7"),
        ("FROM_POOL", "edgepool1"),
        ("TO_POOL", "edgepool2"),
        ("SERVER", "edge2.contoso.test"),
        ("UNDO", if undo { "1" } else { "0" }),
        ("VAR_SITE", "Site2"),
        ("VAR_ROUTE", "EdgeServer2.contoso.com"),
        ("VAR_ADMIN", "switchback@admin2"),
        ("VAR_SSH", "switchback@10.0.0.12"),
    ];
    let mut command = Command::new(program);
    command.args(&hook[1..]).env_clear().current_dir("/");
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    for (word, value) in told.iter().chain(more) {
        command.env(format!("SWITCHBACK_{word}"), value);
    }
    command.output().unwrap()
}

/// What `ssh` was told after its options: where, and the words of the command.
fn at_the_far_end(hook: &[&str], undo: bool) -> String {
    let output = run(hook, undo, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{hook:?}: {said}");
    let (_, far) = said.split_once("[--]\n").unwrap();
    far.trim_end().replace('\n', " ")
}

#[test]
fn services_are_stopped_and_started_where_the_server_is_reached() {
    let command = "sudo systemctl stop ejabberd";
    for hook in ["stop-services", "start-services"] {
        let expected = format!("[switchback@10.0.0.12] [{command}]");
        assert_eq!(at_the_far_end(&[hook, command], false), expected);
        assert_eq!(at_the_far_end(&[hook, command], true), expected);
        let lync = at_the_far_end(&[&format!("lync/{hook}")], false);
        let script = format!("-NonInteractive -File C:\\switchback\\{hook}.ps1]");
        assert!(
            lync.starts_with("[switchback@10.0.0.12] [powershell.exe"),
            "{lync}"
        );
        assert!(lync.ends_with(&script), "{lync}");
    }
}

#[test]
fn the_route_goes_to_the_new_pool_and_as_an_undo_back_to_the_old_one() {
    let hook = ["set-route", "switchback@10.0.0.1", "sudo /set"];
    assert_eq!(
        at_the_far_end(&hook, false),
        "[switchback@10.0.0.1] [sudo /set] [Site2] [EdgeServer2.contoso.com]"
    );
    assert_eq!(
        at_the_far_end(&hook, true),
        "[switchback@10.0.0.1] [sudo /set] [Site1] [edge1.contoso.test]"
    );
    let there = at_the_far_end(&["lync/set-route"], false);
    let parameters =
        "-Site Site2 -Route EdgeServer2.contoso.com -Parameter XmppExternalFederationRoute]";
    assert!(there.starts_with("[switchback@admin2] ["), "{there}");
    assert!(there.ends_with(parameters), "{there}");
    let back = at_the_far_end(&["lync/set-route", "XmppFederationRoute"], true);
    let parameters = "-Site Site1 -Route EdgeServer1.contoso.com -Parameter XmppFederationRoute]";
    assert!(back.ends_with(parameters), "{back}");
}

#[test]
fn no_word_of_the_configuration_becomes_a_command() {
    for hook in [&["lync/set-route"][..], &["set-route", "host", "command"]] {
        let output = run(hook, false, &[("VAR_ROUTE", "x; rm -rf /")]);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "nothing was run");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("is neither a site nor a route"), "{said}");
    }
    let unknown = run(&["lync/set-route"], true, &[("FROM_POOL", "edgepool9")]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("has no line for edgepool9"));
}

#[test]
fn what_fails_at_the_far_end_fails_the_step_and_is_named() {
    for hook in [
        &["stop-services", "command"][..],
        &["start-services", "command"],
        &["set-route", "host", "command"],
        &["lync/stop-services"],
        &["lync/start-services"],
        &["lync/set-route"],
    ] {
        let output = run(hook, false, &[("SSH", "255")]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{hook:?}: {said}");
        assert!(
            said.contains("exit code 255 (255: ssh itself failed)"),
            "{said}"
        );
    }
}
