//! One runner process, from the handshake to the farewell.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::HookError;
use super::lines::{Lines, write_line};
use super::protocol::{First, FromRunner, PROTOCOL};

/// A runner may first have to wait for its predecessor (10 s) and to end what that one left.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A runner that is told to end has so long to end its hooks before it is killed.
const FAREWELL: Duration = Duration::from_secs(15);

/// How a runner is started.
pub(super) struct Place {
    pub(super) exe: PathBuf,
    pub(super) state_dir: PathBuf,
}

/// A runner that has answered the handshake.
pub(super) struct Link {
    pub(super) child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) lines: Lines<ChildStdout>,
}

impl Place {
    /// A runner that holds the lock, with nothing of an earlier run alive.
    pub(super) async fn connect(&self) -> Result<Link, HookError> {
        let start = |source| HookError::Start {
            exe: self.exe.clone(),
            source,
        };
        // A group of its own: a ctrl-C at the terminal is for the daemon, which then ends the
        // runner in order.
        let mut child = Command::new(&self.exe)
            .arg("hook-runner")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(start(io::Error::other("no pipes")));
        };
        let mut lines = Lines::new(stdout);
        let hello = First::Hello {
            protocol: PROTOCOL,
            state_dir: self.state_dir.clone(),
        };
        let answer = timeout(HANDSHAKE, async {
            write_line(&mut stdin, &hello).await?;
            lines.next::<FromRunner>().await
        });
        let why = match answer.await {
            Ok(Ok(Some(FromRunner::Ready { protocol: PROTOCOL }))) => {
                return Ok(Link {
                    child,
                    stdin,
                    lines,
                });
            }
            Ok(Ok(Some(FromRunner::Refused(why)))) => why,
            Ok(Ok(Some(other))) => format!("it answered {other:?}: restart the daemon"),
            Ok(Ok(None)) => format!(
                "it ended at once: see what `{} hook-runner` prints",
                self.exe.display()
            ),
            Ok(Err(error)) => format!("its answer was no answer: {error}"),
            Err(_) => format!("no answer within {} s", HANDSHAKE.as_secs()),
        };
        let _ = child.kill().await;
        Err(HookError::Handshake(why))
    }
}

impl Link {
    /// Lets the runner end its hooks and itself.
    pub(super) async fn farewell(self) {
        let Link {
            mut child,
            stdin,
            lines,
        } = self;
        drop((stdin, lines));
        if timeout(FAREWELL, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}
