//! What all of these tests begin with: a state directory, the real runner, scripts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use switchback::failover::{HookCall, HookEnd, ProcessGroup};
use switchback::hook::{RunKey, Runner, RunnerEvent, is_gone};
use switchback::ids::{OperationId, PoolName, ServerName, ServiceName};
use switchback::programs::{Charge, Hands, Starter};
use switchback::runbook::{Command, Work};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_switchback");

/// Nothing here takes so long unless it hangs.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct House {
    pub(crate) temp: TempDir,
    pub(crate) runner: Runner,
    pub(crate) events: mpsc::Receiver<RunnerEvent>,
    pub(crate) operations: u64,
}

pub(crate) fn script(dir: &Path, name: &str, body: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub(crate) fn call(operation: u64, words: &[&str]) -> HookCall {
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
        pool: PoolName::from("edgepool2"),
        servers: ["edge3.contoso.test.", "edge4.contoso.test."]
            .map(ServerName::from)
            .into(),
        server: Some(ServerName::from("edge3.contoso.test.")),
        vars: BTreeMap::from([("site".to_owned(), "Site2".to_owned())]),
        work: Work::Run(Command(
            words.iter().map(|word| (*word).to_owned()).collect(),
        )),
        timeout: BOUND,
    }
}

/// Through a starter, as a daemon has it; `runner` is the program of the runner.
pub(crate) fn hands(runner: &Path, state_dir: &Path) -> Hands {
    let charge = Charge {
        runner: vec![
            runner.to_str().unwrap().to_owned(),
            "hook-runner".to_owned(),
        ],
        greeting: switchback::hook::greeting(state_dir, None).unwrap(),
        programs: None,
        identity: None,
    };
    let starter = Starter::begin(Path::new(EXE), charge).unwrap();
    Hands::Starter(starter.attend().unwrap())
}

impl House {
    pub(crate) async fn new() -> House {
        let temp = tempfile::tempdir().unwrap();
        let (sender, events) = mpsc::channel(64);
        let runner = Runner::start(hands(Path::new(EXE), temp.path()), sender)
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
    pub(crate) fn call(&mut self, body: &str) -> HookCall {
        self.operations += 1;
        let path = script(self.temp.path(), &format!("hook-{}", self.operations), body);
        call(self.operations, &[path.to_str().unwrap()])
    }

    pub(crate) async fn event(&mut self) -> RunnerEvent {
        tokio::time::timeout(BOUND, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn begin(&mut self, call: HookCall) -> ProcessGroup {
        let expected = RunKey::of(&call);
        self.runner.run(call).await.unwrap();
        let event = self.event().await;
        let RunnerEvent::Started { key, group } = event else {
            panic!("{event:?}")
        };
        assert_eq!(key, expected);
        group
    }

    pub(crate) async fn ended(&mut self) -> HookEnd {
        let event = self.event().await;
        let RunnerEvent::Ended { end, .. } = event else {
            panic!("{event:?}")
        };
        end
    }

    pub(crate) async fn run(&mut self, call: HookCall) -> HookEnd {
        let group = self.begin(call).await;
        let end = self.ended().await;
        assert!(is_gone(&group), "something of it is alive");
        end
    }

    pub(crate) async fn run_script(&mut self, body: &str) -> HookEnd {
        let call = self.call(body);
        self.run(call).await
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// The text of a file that a hook writes, once it ends with a line end.
    pub(crate) async fn text_of(&self, name: &str) -> String {
        text_of(&self.path(name)).await
    }
}

pub(crate) async fn text_of(path: &Path) -> String {
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
pub(crate) async fn until(mut holds: impl FnMut() -> bool, what: &str) {
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
