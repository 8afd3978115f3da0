//! Daemon or runner die, in every order: no hook is left that nobody knows of.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};
use switchback::failover::{HookOutcome, ProcessGroup};
use switchback::hook::{HookError, RunKey, Runner, RunnerEvent, is_gone};
use tokio::sync::mpsc;

use crate::house::{EXE, House, call, hands, script, text_of};

#[tokio::test]
async fn a_runner_that_dies_is_replaced_and_its_calls_are_lost_but_gone() {
    let mut house = House::new().await;
    let call =
        house.call("echo $PPID > \"${0%/*}/runner\"; trap '' TERM; while :; do sleep 1000; done");
    let group = house.begin(call.clone()).await;
    let runner = house.text_of("runner").await;
    let killed = std::process::Command::new("kill")
        .args(["-9", &runner])
        .status()
        .unwrap();
    assert!(killed.success());
    let RunnerEvent::RunnerLost { why } = house.event().await else {
        panic!("the loss comes first")
    };
    assert!(why.contains("signal: 9"), "{why}");
    let RunnerEvent::Ended { key, end } = house.event().await else {
        panic!("then the end of what it ran")
    };
    assert_eq!(key, RunKey::of(&call));
    assert!(matches!(end.outcome, HookOutcome::Lost(_)), "{end:?}");
    assert!(is_gone(&group), "reported as lost before it was gone");
    assert_eq!(house.run_script("true").await.outcome, HookOutcome::Done);
}

#[tokio::test]
async fn while_no_runner_starts_calls_are_refused_and_what_was_under_way_waits() {
    let temp = tempfile::tempdir().unwrap();
    let broken = temp.path().join("broken");
    let body = format!(
        "test -e '{}' && exit 1; exec '{EXE}' \"$@\"",
        broken.display()
    );
    let exe = script(temp.path(), "switchback", &body);
    let (sender, events) = mpsc::channel(64);
    let runner = Runner::start(hands(&exe, temp.path()), sender)
        .await
        .unwrap();
    let mut house = House {
        temp,
        runner,
        events,
        operations: 0,
    };
    let call = house.call("echo $PPID > \"${0%/*}/runner\"; exec sleep 1000");
    let group = house.begin(call).await;
    let runner = house.text_of("runner").await;
    fs::write(&broken, "").unwrap();
    std::process::Command::new("kill")
        .args(["-9", &runner])
        .status()
        .unwrap();
    for _ in 0..2 {
        assert!(matches!(
            house.event().await,
            RunnerEvent::RunnerLost { .. }
        ));
    }
    let refused = house.call("true");
    assert!(matches!(
        house.runner.run(refused.clone()).await,
        Err(HookError::NoRunner)
    ));
    fs::remove_file(&broken).unwrap();
    let end = loop {
        match house.event().await {
            RunnerEvent::Ended { end, .. } => break end,
            RunnerEvent::RunnerLost { .. } => {}
            RunnerEvent::Started { .. } => panic!("nothing was accepted"),
        }
    };
    assert!(matches!(end.outcome, HookOutcome::Lost(_)), "{end:?}");
    assert!(is_gone(&group));
    assert_eq!(house.run(refused).await.outcome, HookOutcome::Done);
}

#[tokio::test]
async fn groups_that_cannot_be_read_are_no_licence_to_begin() {
    let temp = tempfile::tempdir().unwrap();
    let (events, _keep) = mpsc::channel(64);
    let groups = temp.path().join("runner.groups");
    fs::write(&groups, "scribble").unwrap();
    let error = Runner::start(hands(Path::new(EXE), temp.path()), events.clone())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("then remove it"), "{error}");
    // What a crash of the machine leaves of a file that was being replaced.
    fs::write(&groups, "").unwrap();
    Runner::start(hands(Path::new(EXE), temp.path()), events)
        .await
        .unwrap()
        .stop()
        .await;
}

#[tokio::test]
async fn no_zombie_is_left() {
    let mut house = House::new().await;
    let runner = house
        .run_script("(true) & (exit 3) & echo $PPID")
        .await
        .output;
    let runner = runner.trim().to_owned();
    house.run(call(300, &["/no/such/program"])).await;
    let children = fs::read_to_string(format!("/proc/{runner}/task/{runner}/children")).unwrap();
    assert_eq!(children, "");
}

/// A runner started by hand: the test is the daemon, and can die as it likes.
struct ByHand {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl ByHand {
    fn start(state_dir: &Path) -> ByHand {
        let mut child = std::process::Command::new(EXE)
            .arg("hook-runner")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut by_hand = ByHand {
            child,
            stdin,
            stdout,
        };
        by_hand.say(&json!({ "hello": { "protocol": 3, "state_dir": state_dir } }));
        assert_eq!(by_hand.hear(), json!({ "ready": { "protocol": 3 } }));
        by_hand
    }

    fn say(&mut self, what: &Value) {
        writeln!(self.stdin, "{what}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Runs a hook that ignores SIGTERM, and returns its group when it does so.
    async fn run_deaf(&mut self, dir: &Path) -> ProcessGroup {
        let body = "trap '' TERM; echo yes > \"${0%/*}/deaf\"; while :; do sleep 1000; done";
        let path = script(dir, "deaf-hook", body);
        self.say(&json!({ "run": call(1, &[path.to_str().unwrap()]) }));
        let started = self.hear();
        text_of(&dir.join("deaf")).await;
        serde_json::from_value(started["started"]["group"].clone()).unwrap()
    }
}

#[tokio::test]
async fn when_the_daemon_dies_the_runner_ends_its_hooks_then_itself() {
    let temp = tempfile::tempdir().unwrap();
    let mut by_hand = ByHand::start(temp.path());
    let group = by_hand.run_deaf(temp.path()).await;
    assert!(!is_gone(&group));
    drop((by_hand.stdin, by_hand.stdout));
    assert!(by_hand.child.wait().unwrap().success());
    assert!(is_gone(&group), "the runner ended before its hook");
}

#[tokio::test]
async fn the_next_daemon_waits_until_the_hooks_of_the_last_one_are_gone() {
    let temp = tempfile::tempdir().unwrap();
    let mut by_hand = ByHand::start(temp.path());
    let group = by_hand.run_deaf(temp.path()).await;
    drop((by_hand.stdin, by_hand.stdout));
    let (events, _keep) = mpsc::channel(64);
    let runner = Runner::start(hands(Path::new(EXE), temp.path()), events)
        .await
        .unwrap();
    assert!(
        is_gone(&group),
        "started beside a hook of the daemon before"
    );
    by_hand.child.wait().unwrap();
    runner.stop().await;
}

#[tokio::test]
async fn when_daemon_and_runner_are_killed_the_next_daemon_ends_their_hooks() {
    let temp = tempfile::tempdir().unwrap();
    let mut by_hand = ByHand::start(temp.path());
    let group = by_hand.run_deaf(temp.path()).await;
    by_hand.child.kill().unwrap();
    by_hand.child.wait().unwrap();
    assert!(
        !is_gone(&group),
        "the hook outlives a runner that is killed"
    );
    let (events, _keep) = mpsc::channel(64);
    let runner = Runner::start(hands(Path::new(EXE), temp.path()), events)
        .await
        .unwrap();
    assert!(
        is_gone(&group),
        "started beside a hook of the daemon before"
    );
    runner.stop().await;
}

#[tokio::test]
async fn a_runner_of_another_release_is_refused() {
    let mut child = std::process::Command::new(EXE)
        .arg("hook-runner")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let hello = json!({ "hello": { "protocol": 0, "state_dir": "/" } });
    writeln!(child.stdin.as_mut().unwrap(), "{hello}").unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        answer["refused"]
            .as_str()
            .unwrap()
            .contains("restart the daemon"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_is_no_runner_is_refused_by_the_daemon() {
    let temp = tempfile::tempdir().unwrap();
    let (events, _keep) = mpsc::channel(64);
    let error = Runner::start(hands(Path::new("/bin/true"), temp.path()), events.clone()).await;
    assert!(matches!(error, Err(HookError::Handshake(_))), "{error:?}");
    let error = Runner::start(hands(Path::new("/no/such"), temp.path()), events).await;
    assert!(matches!(error, Err(HookError::Start(_))), "{error:?}");
}

#[test]
fn a_group_of_another_boot_or_with_another_leader_is_gone() {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let group = |pgid, boot_id: &str| ProcessGroup {
        pgid,
        started_ticks: u64::MAX,
        boot_id: boot_id.to_owned(),
    };
    let own = nix::unistd::getpgrp().as_raw();
    assert!(is_gone(&group(own, "another")));
    assert!(is_gone(&group(i32::MAX, boot.trim())), "no such group");
    assert!(
        is_gone(&group(0, boot.trim())),
        "no group of a hook has this number"
    );
}
