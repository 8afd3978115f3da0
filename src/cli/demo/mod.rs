//! `switchback demo`: the real daemon, three small edges, one failover and the way back.
//!
//! The daemon is the one that `serve` runs, in this process; the edges are processes of their
//! own ([`edge`]). All that is shown was asked for over the wire: answers by UDP, the runbook
//! by the control socket.

mod dig;
pub(super) mod edge;
mod scenes;
mod stage;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Exit;
use super::args::Demo;
use super::output::{CommandError, Out};
use super::wiring::{self, Source};
use stage::{EDGES, Edge, Stage};

/// The daemon has so long to answer, and again to end.
const DAEMON_MAX: Duration = Duration::from_secs(20);

/// `switchback demo`.
pub(super) fn run(arguments: &Demo, out: &mut Out) -> Result<Exit, CommandError> {
    let runtime = wiring::runtime()?;
    runtime.block_on(async {
        let mut end = Box::pin(wiring::told_to_end()?);
        let stage = Stage::set()?;
        let program = std::env::current_exe().map_err(|error| {
            CommandError::Failed(format!(
                "cannot find the program to start edges from: {error}"
            ))
        })?;
        let edges = Edges::start(program, stage.edge_port).await?;
        let (ready, is_ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let daemon = wiring::serve(Source::File(stage.config()), Some(ready), async {
            // Told, or the demo is gone: either way it is time.
            let _ = stopped.await;
        });
        tokio::pin!(daemon);
        let played = tokio::select! {
            ended = &mut daemon => return Err(match ended {
                Ok(()) => CommandError::Failed("the daemon ended before its time".to_owned()),
                Err(error) => error,
            }),
            played = play(arguments, out, &stage, edges, is_ready) => played,
            () = &mut end => Ok(()),
        };
        drop(stop);
        match timeout(DAEMON_MAX, daemon).await {
            Ok(ended) => ended?,
            Err(_) => return Err(CommandError::Failed("the daemon did not end".to_owned())),
        }
        played.map(|()| Exit::Well)
    })
}

async fn play(
    arguments: &Demo,
    out: &mut Out,
    stage: &Stage,
    mut edges: Edges,
    is_ready: oneshot::Receiver<wiring::Ready>,
) -> Result<(), CommandError> {
    match timeout(DAEMON_MAX, is_ready).await {
        Ok(Ok(_)) => {}
        // The daemon ends with an error, which is the one to show.
        Ok(Err(_)) => return std::future::pending().await,
        Err(_) => {
            return Err(CommandError::Failed(format!(
                "the daemon did not answer within {} s",
                DAEMON_MAX.as_secs()
            )));
        }
    }
    let scenes = scenes::Scenes::new(stage.dns, stage.control());
    scenes.open(out).await?;
    scenes.failover(out, &mut edges).await?;
    scenes.failback(out, &mut edges).await?;
    if arguments.exit {
        return Ok(());
    }
    scenes.stay(out)?;
    std::future::pending().await
}

/// The edges that run.
pub(super) struct Edges {
    program: PathBuf,
    port: u16,
    first: Option<Edge>,
    #[expect(dead_code, reason = "held so that they run: dropping an edge kills it")]
    others: Vec<Edge>,
}

impl Edges {
    async fn start(program: PathBuf, port: u16) -> Result<Edges, CommandError> {
        let [first, others @ ..] = EDGES;
        let first = Some(start_one(&program, (first, port).into()).await?);
        let mut running = Vec::new();
        for edge in others {
            running.push(start_one(&program, (edge, port).into()).await?);
        }
        Ok(Edges {
            program,
            port,
            first,
            others: running,
        })
    }

    async fn kill_first(&mut self) -> Result<(), CommandError> {
        match self.first.take() {
            Some(edge) => edge.kill().await,
            None => Ok(()),
        }
    }

    async fn restore_first(&mut self) -> Result<(), CommandError> {
        let [first, ..] = EDGES;
        self.first = Some(start_one(&self.program, (first, self.port).into()).await?);
        Ok(())
    }
}

async fn start_one(program: &Path, address: SocketAddr) -> Result<Edge, CommandError> {
    Edge::start(program, address).await
}
