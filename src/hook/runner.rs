//! The runner process: takes calls from the daemon, runs them, and outlives none of them.
//!
//! It has one thread. It ends when its standard input does, and not by the signals with which a
//! terminal or a service manager ends the daemon: those would take away its chance to clean up.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::failover::{HookCall, HookEnd, HookOutcome, ProcessGroup};
use crate::runbook::Work;

use super::launch::launch;
use super::ledger::Ledger;
use super::lines::{Lines, write_line};
use super::protocol::{First, FromRunner, PROTOCOL, RunKey, ToRunner};
use super::run::{self, FromRun};
use super::{CALLS, GRACE, end_group};

/// What `switchback hook-runner` does. Its first line of input says which of the two it is: the
/// runner, or a launcher of the runner's.
#[must_use]
pub fn main() -> ExitCode {
    let asked = match first_line() {
        Ok(Some(line)) => serde_json::from_slice::<First>(&line).map_err(io::Error::from),
        // Nobody wants anything: a launcher whose runner ended before it gave the word.
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => Err(error),
    };
    match asked {
        Ok(First::Launch(command)) => launch(&command),
        Ok(First::Hello {
            protocol,
            state_dir,
            works,
        }) => match serve(protocol, &state_dir, works) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&format!("hook runner: {error}")),
        },
        Err(error) => complain(&format!(
            "hook-runner is started by the daemon, not by hand: {error}"
        )),
    }
}

fn complain(text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::FAILURE
}

/// The longest first line: a greeting names all that a configuration does.
const FIRST_LINE_BYTES: usize = 64 << 20;

/// The first line of standard input, byte by byte: what follows it belongs to the hook.
fn first_line() -> io::Result<Option<Vec<u8>>> {
    let stdin = io::stdin();
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < FIRST_LINE_BYTES {
        if nix::unistd::read(stdin.as_fd(), &mut byte)? == 0 {
            return Ok(None);
        }
        if byte == *b"\n" {
            return Ok(Some(line));
        }
        line.extend_from_slice(&byte);
    }
    Err(io::Error::other(format!(
        "a line of over {FIRST_LINE_BYTES} bytes"
    )))
}

fn serve(protocol: u32, state_dir: &Path, works: Option<Vec<Work>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let _deaf = deaf_to([
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ])?;
        let stdin = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
        let mut stdout = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
        let ledger = if protocol == PROTOCOL {
            Ledger::open(state_dir).await
        } else {
            Err(format!(
                "the daemon speaks protocol {protocol}, the runner {PROTOCOL}: the program was replaced while it ran, restart the daemon"
            ))
        };
        match ledger {
            Ok(ledger) => {
                write_line(&mut stdout, &FromRunner::Ready { protocol: PROTOCOL }).await?;
                Desk::new(ledger, works, stdout).work(Lines::new(stdin)).await;
                Ok(())
            }
            Err(why) => write_line(&mut stdout, &FromRunner::Refused(why)).await,
        }
    });
    // The resolver may still be looking for the name of a call that was given up.
    runtime.shutdown_background();
    served
}

/// Handlers that do nothing, unlike ignored signals, are not inherited by hooks.
fn deaf_to(kinds: [SignalKind; 3]) -> io::Result<Vec<Signal>> {
    kinds.into_iter().map(signal).collect()
}

/// A run under way.
struct Run {
    abandon: Arc<Notify>,
    group: Option<ProcessGroup>,
}

/// Why the work is over: the daemon is gone, or speaks nonsense.
struct DaemonGone;

/// The owner of all that the runner knows.
struct Desk {
    ledger: Ledger,
    /// What may be done; `None`: anything.
    works: Option<Vec<Work>>,
    stdout: pipe::Sender,
    runs: BTreeMap<RunKey, Run>,
    tasks: JoinSet<()>,
    reports: mpsc::Receiver<FromRun>,
    report: mpsc::Sender<FromRun>,
}

impl Desk {
    fn new(ledger: Ledger, works: Option<Vec<Work>>, stdout: pipe::Sender) -> Desk {
        let (report, reports) = mpsc::channel(2 * CALLS);
        Desk {
            ledger,
            works,
            stdout,
            runs: BTreeMap::new(),
            tasks: JoinSet::new(),
            reports,
            report,
        }
    }

    /// Serves until the daemon is gone, then ends every run, and returns when nothing is alive.
    async fn work(mut self, mut lines: Lines<pipe::Receiver>) {
        loop {
            while self.tasks.try_join_next().is_some() {}
            let done = tokio::select! {
                line = lines.next::<ToRunner>() => match line {
                    Ok(Some(asked)) => self.asked(asked).await,
                    Ok(None) | Err(_) => Err(DaemonGone),
                },
                Some(report) = self.reports.recv() => self.reported(report).await,
            };
            if let Err(DaemonGone) = done {
                break;
            }
        }
        self.end_all().await;
    }

    async fn asked(&mut self, asked: ToRunner) -> Result<(), DaemonGone> {
        match asked {
            ToRunner::Run(call) => {
                let key = RunKey::of(&call);
                if let Some(why) = self.refused(&call, key) {
                    return self
                        .tell(&FromRunner::Ended {
                            key,
                            end: not_started(why),
                        })
                        .await;
                }
                let abandon = Arc::new(Notify::new());
                let run = Run {
                    abandon: Arc::clone(&abandon),
                    group: None,
                };
                self.runs.insert(key, run);
                self.tasks
                    .spawn(run::run(*call, self.report.clone(), abandon));
            }
            ToRunner::Abandon(operation) => {
                for (key, run) in &self.runs {
                    if key.operation == operation {
                        run.abandon.notify_one();
                    }
                }
            }
        }
        Ok(())
    }

    /// Why a call is not begun.
    fn refused(&self, call: &HookCall, key: RunKey) -> Option<String> {
        if self
            .works
            .as_ref()
            .is_some_and(|known| !known.contains(&call.work))
        {
            return Some(
                "the configuration did not name it, exactly so, when the daemon started, and \
                 nothing else is run since: restart the daemon"
                    .to_owned(),
            );
        }
        let full = self.runs.len() >= CALLS || self.runs.contains_key(&key);
        full.then(|| format!("{CALLS} hooks run already, or this very one does"))
    }

    async fn reported(&mut self, report: FromRun) -> Result<(), DaemonGone> {
        match report {
            FromRun::Waiting { key, group, word } => {
                let noted = self.ledger.note(&group);
                let mut told = Ok(());
                if noted.is_ok() {
                    if let Some(run) = self.runs.get_mut(&key) {
                        run.group = Some(group.clone());
                    }
                    told = self.tell(&FromRunner::Started { key, group }).await;
                }
                // Without a daemon that knows of it, nothing begins.
                if told.is_ok() {
                    let _ = word.send(noted);
                }
                told
            }
            FromRun::Ended { key, end, gone } => {
                let run = self.runs.remove(&key);
                if let Some(group) = run.and_then(|run| run.group).filter(|_| gone) {
                    self.ledger.strike(&group);
                }
                self.tell(&FromRunner::Ended { key, end }).await
            }
        }
    }

    async fn tell(&mut self, what: &FromRunner) -> Result<(), DaemonGone> {
        write_line(&mut self.stdout, what)
            .await
            .map_err(|_| DaemonGone)
    }

    async fn end_all(mut self) {
        for run in self.runs.values() {
            run.abandon.notify_one();
        }
        while !self.runs.is_empty() {
            let Some(report) = self.reports.recv().await else {
                break;
            };
            match report {
                // The word is dropped with the report: the launcher goes without having begun.
                FromRun::Waiting { .. } => {}
                FromRun::Ended { key, gone, .. } => {
                    let run = self.runs.remove(&key);
                    if let Some(group) = run.and_then(|run| run.group).filter(|_| gone) {
                        self.ledger.strike(&group);
                    }
                }
            }
        }
        // What resists SIGKILL (a dead disk, another user's process) keeps us here, and our lock
        // keeps the next runner out.
        while let Some(group) = self.ledger.alive().first().cloned() {
            if end_group(&group, GRACE).await {
                self.ledger.strike(&group);
            } else {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn not_started(why: String) -> HookEnd {
    HookEnd {
        outcome: HookOutcome::NotStarted(why),
        output: String::new(),
        took: Duration::ZERO,
    }
}
