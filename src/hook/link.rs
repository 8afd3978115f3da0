//! One runner process, from the handshake to the farewell.

use std::io;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::HookError;
use super::lines::Lines;
use super::protocol::{FromRunner, PROTOCOL};
use crate::programs::{Begun, Hands, What};

/// A runner may first have to wait for its predecessor (10 s) and to end what that one left.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A runner that is told to end has so long to end its hooks before it is killed.
const FAREWELL: Duration = Duration::from_secs(15);

/// How a runner is started.
pub(super) struct Place {
    pub(super) hands: Hands,
}

/// A runner that has answered the handshake.
pub(super) struct Link {
    pub(super) child: Begun,
    pub(super) stdin: pipe::Sender,
    pub(super) lines: Lines<pipe::Receiver>,
}

impl Place {
    /// A runner that holds the lock, with nothing of an earlier run alive.
    pub(super) async fn connect(&self) -> Result<Link, HookError> {
        let begun = self.hands.begin(What::Runner).await;
        let mut child = begun.map_err(HookError::Start)?;
        let (Some(stdin), Some(output)) = (child.stdin.take(), child.output.take()) else {
            return Err(HookError::Start(io::Error::other("no pipes")));
        };
        let mut lines = Lines::new(output);
        // It was greeted by whoever began it.
        let answer = timeout(HANDSHAKE, lines.next::<FromRunner>());
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
            Ok(Ok(None)) => "it ended at once: see what `switchback hook-runner` prints".to_owned(),
            Ok(Err(error)) => format!("its answer was no answer: {error}"),
            Err(_) => format!("no answer within {} s", HANDSHAKE.as_secs()),
        };
        child.kill();
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
            child.kill();
        }
    }
}
