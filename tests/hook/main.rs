//! Hooks, run by the real runner process: what they are told, how they end, and that nothing of
//! them outlives runner or daemon.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends by panicking; it is the caller that it accuses"
)]

mod calls;
mod house;
mod survival;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use switchback::failover::{HookCall, HookOutcome};
use switchback::hook::{CALLS, HookError, is_gone};
use switchback::runbook::Work;

use house::{House, call};

#[tokio::test]
async fn a_hook_is_told_everything_and_nothing_else() {
    let mut house = House::new().await;
    let end = house
        .run_script("env | grep -v '^_=' | grep -v ^SHLVL= | sort; pwd; cat")
        .await;
    assert_eq!(end.outcome, HookOutcome::Done);
    let mut lines: Vec<&str> = end.output.lines().collect();
    let object: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    assert_eq!(
        object,
        json!({
            "operation": "op-1", "service": "xmpp-federation", "step": "stop services",
            "from_pool": "edgepool1", "to_pool": "edgepool2", "pool": "edgepool2",
            "servers": ["edge3.contoso.test", "edge4.contoso.test"],
            "server": "edge3.contoso.test", "attempt": 1, "undo": false, "fence": 42,
            "timeout_ms": 30000, "vars": { "site": "Site2" },
        })
    );
    assert_eq!(lines.pop(), Some("/"));
    let inherited = ["PATH=", "HOME=", "LANG=", "TZ=", "PWD="];
    lines.retain(|line| !inherited.iter().any(|name| line.starts_with(name)));
    assert_eq!(
        lines,
        [
            "SWITCHBACK_ATTEMPT=1",
            "SWITCHBACK_FENCE=42",
            "SWITCHBACK_FROM_POOL=edgepool1",
            "SWITCHBACK_OPERATION=op-1",
            "SWITCHBACK_POOL=edgepool2",
            "SWITCHBACK_SERVER=edge3.contoso.test",
            "SWITCHBACK_SERVERS=edge3.contoso.test edge4.contoso.test",
            "SWITCHBACK_SERVICE=xmpp-federation",
            "SWITCHBACK_STEP=stop services",
            "SWITCHBACK_TIMEOUT_MS=30000",
            "SWITCHBACK_TO_POOL=edgepool2",
            "SWITCHBACK_UNDO=0",
            "SWITCHBACK_VAR_SITE=Site2",
        ]
    );
}

#[tokio::test]
async fn arguments_reach_the_hook_as_they_are() {
    let mut house = House::new().await;
    let mut call = house.call("for word; do echo \"<$word>\"; done");
    let Work::Run(words) = &mut call.work else {
        panic!("a script is a program")
    };
    words
        .0
        .extend(["a b".to_owned(), "$HOME;".to_owned(), String::new()]);
    assert_eq!(house.run(call).await.output, "<a b>\n<$HOME;>\n<>\n");
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart_and_output_keeps_its_order() {
    let mut house = House::new().await;
    let end = house
        .run_script("echo out; echo err >&2; printf 'red \\033[31m\\n'; exit 3")
        .await;
    assert_eq!(end.outcome, HookOutcome::Exit(3));
    assert_eq!(end.output, "out\nerr\nred \\u{1b}[31m\n");
    assert_eq!(
        house.run_script("exit 127").await.outcome,
        HookOutcome::Exit(127)
    );
    assert_eq!(
        house.run_script("kill -9 $$").await.outcome,
        HookOutcome::Signal(9)
    );
    // The runner ignores the signal of a broken pipe; its hooks must not.
    assert_eq!(
        house.run_script("kill -PIPE $$").await.outcome,
        HookOutcome::Signal(13)
    );
}

#[tokio::test]
async fn what_cannot_start_says_which_why_and_what_to_do() {
    let mut house = House::new().await;
    let plain = house.path("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    let interpreter = house.path("interpreter");
    fs::write(&interpreter, "#!/no/such/shell\n").unwrap();
    fs::set_permissions(&interpreter, fs::Permissions::from_mode(0o755)).unwrap();
    let missing = house.path("missing");
    let directory = house.temp.path().to_owned();
    let cases = [
        (&missing, "No such file", "check the path"),
        (&plain, "Permission denied", "chmod +x"),
        (&directory, "Permission denied", "chmod +x"),
        (&interpreter, "No such file", "interpreter"),
    ];
    for (operation, (path, cause, remedy)) in (100..).zip(cases) {
        let path = path.to_str().unwrap();
        let end = house.run(call(operation, &[path])).await;
        let HookOutcome::NotStarted(why) = &end.outcome else {
            panic!("{path}: {end:?}")
        };
        assert!(
            why.starts_with(path) && why.contains(cause) && why.contains(remedy),
            "{why}"
        );
        assert_eq!(end.output, "");
    }
    let end = house.run(call(200, &[])).await;
    assert!(matches!(end.outcome, HookOutcome::NotStarted(_)), "{end:?}");
}

#[tokio::test]
async fn time_over_kills_the_whole_group_also_what_ignores_the_polite_signal() {
    let mut house = House::new().await;
    let mut hang = house.call("sleep 1000 & echo here; sleep 1000");
    hang.timeout = Duration::from_millis(300);
    let end = house.run(hang).await;
    assert_eq!(
        (end.outcome, end.output.as_str()),
        (HookOutcome::TimedOut, "here\n")
    );

    let mut deaf = house.call("trap '' TERM; echo deaf; while :; do sleep 1000; done");
    deaf.timeout = Duration::from_millis(300);
    let end = house.run(deaf).await;
    assert_eq!(
        (end.outcome, end.output.as_str()),
        (HookOutcome::TimedOut, "deaf\n")
    );
    assert!(end.took >= Duration::from_secs(2), "{:?}", end.took);

    let mut polite = house.call("trap 'echo cleaned up; exit 0' TERM; sleep 1000 & wait");
    polite.timeout = Duration::from_millis(300);
    let end = house.run(polite).await;
    assert_eq!(
        (end.outcome, end.output.as_str()),
        (HookOutcome::TimedOut, "cleaned up\n")
    );
}

#[tokio::test]
async fn a_child_that_keeps_the_pipe_open_delays_the_end_by_half_a_second_only() {
    let mut house = House::new().await;
    let end = house.run_script("sleep 1000 & echo done").await;
    assert_eq!(
        (end.outcome, end.output.as_str()),
        (HookOutcome::Done, "done\n")
    );
    assert!(end.took < Duration::from_secs(5), "{:?}", end.took);
}

#[tokio::test]
async fn a_service_that_leaves_the_group_is_left_alone() {
    let mut house = House::new().await;
    let end = house
        .run_script("setsid sh -c 'echo $$ > \"$0\"; exec sleep 1000' \"${0%/*}/pid\" >/dev/null 2>&1 </dev/null &")
        .await;
    assert_eq!(end.outcome, HookOutcome::Done);
    let pid = house.text_of("pid").await;
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status()
        .unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn a_flood_of_output_is_drained_and_kept_in_part() {
    let mut house = House::new().await;
    let end = house
        .run_script("echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last")
        .await;
    assert_eq!(end.outcome, HookOutcome::Done);
    assert!(end.output.starts_with("first\nxxx") && end.output.ends_with("xxx\nlast\n"));
    assert!(
        end.output.contains("… 99983628 bytes left out …"),
        "{}",
        end.output.len()
    );
    assert!(end.output.len() < 17_000);
}

#[tokio::test]
async fn a_hook_that_never_reads_its_input_ends_as_it_wants() {
    let mut house = House::new().await;
    let mut call = house.call("exec <&-; echo ok");
    // More than a pipe holds.
    call.vars.insert("long".to_owned(), "x".repeat(100_000));
    let end = house.run(call).await;
    assert_eq!(
        (end.outcome, end.output.as_str()),
        (HookOutcome::Done, "ok\n")
    );
}

#[tokio::test]
async fn calls_run_beside_each_other_and_their_number_is_bounded() {
    let mut house = House::new().await;
    let calls: Vec<HookCall> = (0..CALLS).map(|_| house.call("exec sleep 1000")).collect();
    for call in &calls {
        house.begin(call.clone()).await;
    }
    let one_more = house.call("true");
    assert!(matches!(
        house.runner.run(one_more.clone()).await,
        Err(HookError::Busy)
    ));
    assert!(matches!(
        house.runner.run(calls[3].clone()).await,
        Err(HookError::Twice)
    ));
    for call in &calls {
        house.runner.abandon(call.operation).await;
    }
    for _ in &calls {
        assert_eq!(house.ended().await.outcome, HookOutcome::Signal(15));
    }
    assert_eq!(house.run(one_more).await.outcome, HookOutcome::Done);
}

#[tokio::test]
async fn abandoning_ends_the_runs_of_that_operation_only() {
    let mut house = House::new().await;
    let (one, other) = (house.call("exec sleep 1000"), house.call("exec sleep 1000"));
    let gone = house.begin(one.clone()).await;
    let stays = house.begin(other.clone()).await;
    house.runner.abandon(one.operation).await;
    assert_eq!(house.ended().await.outcome, HookOutcome::Signal(15));
    assert!(is_gone(&gone) && !is_gone(&stays));
    house.runner.stop().await;
    assert!(is_gone(&stays), "stopping the runner ends what it runs");
}
