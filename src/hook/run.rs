//! One run of one hook, from the launcher to the last of its process group; or one call.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use crate::clock;
use crate::failover::{HookCall, HookEnd, HookOutcome, ProcessGroup};

use super::output::Output;
use super::protocol::{First, RunKey};
use super::{GRACE, call, contract, end_group, group, is_gone, launch};
use crate::runbook::{Command as Words, Work};

/// After the leader has ended, so long for what is still in the pipe.
const DRAIN: Duration = Duration::from_millis(500);

/// What a run tells the runner.
#[derive(Debug)]
pub(super) enum FromRun {
    /// The launcher waits. The answer is the word to begin, or why not.
    Waiting {
        key: RunKey,
        group: ProcessGroup,
        word: oneshot::Sender<Result<(), String>>,
    },
    /// It is over.
    Ended {
        key: RunKey,
        end: HookEnd,
        /// Whether its group, if there was one, is confirmed gone.
        gone: bool,
    },
}

/// Runs `call`, and tells `desk`. `abandon` ends it early.
pub(super) async fn run(call: HookCall, desk: mpsc::Sender<FromRun>, abandon: Arc<Notify>) {
    let key = RunKey::of(&call);
    let began = clock::mono();
    let mut output = Output::default();
    let (outcome, gone) = match &call.work {
        Work::Run(words) => program(&call, words, key, &desk, &abandon, &mut output).await,
        Work::Call(spec) => {
            let outcome = call::make(&call, spec, &abandon, &mut output).await;
            (outcome, true)
        }
    };
    let output = if matches!(outcome, HookOutcome::NotStarted(_)) {
        String::new()
    } else {
        output.text()
    };
    let end = HookEnd {
        outcome,
        output,
        took: clock::mono().since(began),
    };
    // When nobody listens the runner itself is ending.
    let _ = desk.send(FromRun::Ended { key, end, gone }).await;
}

async fn program(
    call: &HookCall,
    words: &Words,
    key: RunKey,
    desk: &mpsc::Sender<FromRun>,
    abandon: &Notify,
    output: &mut Output,
) -> (HookOutcome, bool) {
    let begun = match begin(call, words, key, desk).await {
        Ok(begun) => begun,
        Err(why) => return (HookOutcome::NotStarted(why), true),
    };
    let group = begun.group.pgid;
    let (outcome, gone) = begun.see_through(call, words, abandon, output).await;
    if !gone {
        output.push(format!("\nprocess group {group} is still alive\n").as_bytes());
    }
    (outcome, gone)
}

/// A launcher that has been given the word, or is about to be.
struct Begun {
    leader: Child,
    stdin: ChildStdin,
    printed: pipe::Receiver,
    group: ProcessGroup,
}

async fn begin(
    call: &HookCall,
    words: &Words,
    key: RunKey,
    desk: &mpsc::Sender<FromRun>,
) -> Result<Begun, String> {
    let program = words.0.first().map_or("", String::as_str);
    let (mut leader, printed) = spawn(call).map_err(|error| {
        format!("{program}: its process could not be made: {error}: check the limits on processes and files")
    })?;
    let group = leader.id().and_then(group::led_by);
    let (Some(stdin), Some(group)) = (leader.stdin.take(), group) else {
        let _ = leader.kill().await;
        return Err(format!(
            "{program}: its process cannot be told apart: mount /proc"
        ));
    };
    let (word, answer) = oneshot::channel();
    let waiting = FromRun::Waiting {
        key,
        group: group.clone(),
        word,
    };
    let _ = desk.send(waiting).await;
    let refused = match answer.await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some("the daemon ended before it began".to_owned()),
    };
    if let Some(why) = refused {
        // Without the word the launcher is still ours, and nothing of the hook has run.
        let _ = leader.kill().await;
        return Err(why);
    }
    Ok(Begun {
        leader,
        stdin,
        printed,
        group,
    })
}

/// The launcher, in a process group and with an environment of its own, and the one pipe that
/// both its output streams go to.
fn spawn(call: &HookCall) -> io::Result<(Child, pipe::Receiver)> {
    let (printed, stdout) = io::pipe()?;
    let stderr = stdout.try_clone()?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("switchback").arg("hook-runner").env_clear();
    let path = std::env::var_os("PATH").unwrap_or_else(|| contract::DEFAULT_PATH.into());
    for name in contract::INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let leader = command
        .env("PATH", path)
        .envs(contract::environment(call))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()?;
    // `command` holds the writing ends of the pipe: with it gone, only the hook has them.
    drop(command);
    let printed = pipe::Receiver::from_owned_fd(OwnedFd::from(printed))?;
    Ok((leader, printed))
}

/// Why the waiting for the leader was over.
enum Over {
    Exited(io::Result<ExitStatus>),
    TimedOut,
    Abandoned,
}

impl Begun {
    async fn see_through(
        mut self,
        call: &HookCall,
        words: &Words,
        abandon: &Notify,
        output: &mut Output,
    ) -> (HookOutcome, bool) {
        let mut feed = pin!(feed(self.stdin, call, words));
        let mut fed = false;
        let mut open = true;
        let group = &self.group;
        let leader = &mut self.leader;
        let mut ending = pin!(async {
            let over = tokio::select! {
                status = leader.wait() => Over::Exited(status),
                () = tokio::time::sleep(call.timeout) => Over::TimedOut,
                () = abandon.notified() => Over::Abandoned,
            };
            match over {
                Over::Exited(status) => (status, false),
                Over::TimedOut | Over::Abandoned => {
                    let (_, status) = tokio::join!(end_group(group, GRACE), reaped(leader));
                    (status, matches!(over, Over::TimedOut))
                }
            }
        });
        let (status, timed_out) = loop {
            tokio::select! {
                () = &mut feed, if !fed => fed = true,
                more = read_some(&mut self.printed, output), if open => open = more,
                end = &mut ending => break end,
            }
        };
        // A child that the hook left behind may hold the pipe open for ever.
        let _ = timeout(DRAIN, async {
            while open {
                open = read_some(&mut self.printed, output).await;
            }
        })
        .await;
        let gone = is_gone(&self.group) || end_group(&self.group, GRACE).await;
        if timed_out {
            return (HookOutcome::TimedOut, gone);
        }
        (outcome(status, output), gone)
    }
}

/// The leader's status; it has been killed, and only a sick kernel keeps it much longer.
async fn reaped(leader: &mut Child) -> io::Result<ExitStatus> {
    timeout(GRACE + Duration::from_secs(5), leader.wait())
        .await
        .unwrap_or_else(|_| Err(io::Error::other("it was killed and does not end")))
}

fn outcome(status: io::Result<ExitStatus>, output: &Output) -> HookOutcome {
    use std::os::unix::process::ExitStatusExt;
    let status = match status {
        Ok(status) => status,
        Err(error) => return HookOutcome::Lost(format!("its end is unknown: {error}")),
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => HookOutcome::Done,
        (Some(code), _) => match output.head().strip_prefix(launch::MARK) {
            Some(why) if code == i32::from(launch::EXIT_CODE) => {
                HookOutcome::NotStarted(String::from_utf8_lossy(why).into_owned())
            }
            Some(_) | None => HookOutcome::Exit(code),
        },
        (None, Some(signal)) => HookOutcome::Signal(signal),
        (None, None) => HookOutcome::Lost(format!("its end is unknown: {status}")),
    }
}

/// Gives the launcher the word, and then the hook its JSON. A hook need not read it.
async fn feed(mut stdin: ChildStdin, call: &HookCall, words: &Words) {
    let Ok(mut text) = serde_json::to_vec(&First::Launch(words.clone())) else {
        return;
    };
    text.push(b'\n');
    text.extend_from_slice(contract::object(call).to_string().as_bytes());
    text.push(b'\n');
    let _ = stdin.write_all(&text).await;
}

/// Takes what is in the pipe; `false` at its end.
async fn read_some(printed: &mut pipe::Receiver, output: &mut Output) -> bool {
    let mut piece = [0; 16 * 1024];
    match printed.read(&mut piece).await {
        Ok(0) | Err(_) => false,
        Ok(size) => {
            output.push(piece.get(..size).unwrap_or_default());
            true
        }
    }
}
