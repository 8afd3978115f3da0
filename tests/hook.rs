//! Hooks, run by the real runner process: what they are told, how they end, and that nothing of
//! them outlives runner or daemon.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends by panicking; it is the caller that it accuses"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use switchback::failover::{HookCall, HookEnd, HookOutcome, ProcessGroup};
use switchback::hook::{CALLS, HookError, RunKey, Runner, RunnerEvent, is_gone};
use switchback::ids::{OperationId, PoolName, ServerName, ServiceName};
use switchback::runbook::Command;
use tempfile::TempDir;
use tokio::sync::mpsc;

const EXE: &str = env!("CARGO_BIN_EXE_switchback");

/// Nothing here takes so long unless it hangs.
const BOUND: Duration = Duration::from_secs(30);

struct House {
    temp: TempDir,
    runner: Runner,
    events: mpsc::Receiver<RunnerEvent>,
    operations: u64,
}

fn script(dir: &Path, name: &str, body: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn call(operation: u64, words: &[&str]) -> HookCall {
    HookCall {
        operation: OperationId(operation),
        task: 1,
        attempt: 1,
        undo: false,
        fence: 42,
        service: ServiceName::from("xmpp-federation"),
        step: "stop services".to_owned(),
        from_pool: PoolName::from("edgepool1"),
        to_pool: PoolName::from("edgepool2"),
        servers: ["edge3.contoso.test.", "edge4.contoso.test."]
            .map(ServerName::from)
            .into(),
        server: Some(ServerName::from("edge3.contoso.test.")),
        vars: BTreeMap::from([("site".to_owned(), "Site2".to_owned())]),
        command: Command(words.iter().map(|word| (*word).to_owned()).collect()),
        timeout: BOUND,
    }
}

impl House {
    async fn new() -> House {
        let temp = tempfile::tempdir().unwrap();
        let (sender, events) = mpsc::channel(64);
        let runner = Runner::start(Path::new(EXE), temp.path(), sender)
            .await
            .unwrap();
        House {
            temp,
            runner,
            events,
            operations: 0,
        }
    }

    /// A call of a script with this body.
    fn call(&mut self, body: &str) -> HookCall {
        self.operations += 1;
        let path = script(self.temp.path(), &format!("hook-{}", self.operations), body);
        call(self.operations, &[path.to_str().unwrap()])
    }

    async fn event(&mut self) -> RunnerEvent {
        tokio::time::timeout(BOUND, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn begin(&mut self, call: HookCall) -> ProcessGroup {
        let expected = RunKey::of(&call);
        self.runner.run(call).await.unwrap();
        let event = self.event().await;
        let RunnerEvent::Started { key, group } = event else {
            panic!("{event:?}")
        };
        assert_eq!(key, expected);
        group
    }

    async fn ended(&mut self) -> HookEnd {
        let event = self.event().await;
        let RunnerEvent::Ended { end, .. } = event else {
            panic!("{event:?}")
        };
        end
    }

    async fn run(&mut self, call: HookCall) -> HookEnd {
        let group = self.begin(call).await;
        let end = self.ended().await;
        assert!(is_gone(&group), "something of it is alive");
        end
    }

    async fn run_script(&mut self, body: &str) -> HookEnd {
        let call = self.call(body);
        self.run(call).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// The text of a file that a hook writes, once it ends with a line end.
    async fn text_of(&self, name: &str) -> String {
        text_of(&self.path(name)).await
    }
}

async fn text_of(path: &Path) -> String {
    let text = || {
        fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    };
    until(
        || text().is_some(),
        &format!("{} is written", path.display()),
    )
    .await;
    text().unwrap().trim().to_owned()
}

/// Waits for a state.
async fn until(mut holds: impl FnMut() -> bool, what: &str) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let waiting = async {
        while !holds() {
            looks.tick().await;
        }
    };
    assert!(
        tokio::time::timeout(BOUND, waiting).await.is_ok(),
        "not within {BOUND:?}: {what}"
    );
}

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
            "from_pool": "edgepool1", "to_pool": "edgepool2",
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
    call.command
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
    assert!(end.took < Duration::from_secs(2), "{:?}", end.took);

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
        by_hand.say(&json!({ "hello": { "protocol": 1, "state_dir": state_dir } }));
        assert_eq!(by_hand.hear(), json!({ "ready": { "protocol": 1 } }));
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
    let runner = Runner::start(Path::new(EXE), temp.path(), events)
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
    let runner = Runner::start(Path::new(EXE), temp.path(), events)
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
    let error = Runner::start(Path::new("/bin/true"), temp.path(), events.clone()).await;
    assert!(matches!(error, Err(HookError::Handshake(_))), "{error:?}");
    let error = Runner::start(Path::new("/no/such"), temp.path(), events).await;
    assert!(matches!(error, Err(HookError::Start { .. })), "{error:?}");
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
