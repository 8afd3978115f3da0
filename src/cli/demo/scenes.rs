//! The demo's scenes: what is served, a failover, the way back.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::time::sleep;

use super::Edges;
use super::dig::{self, Answered};
use super::stage::EDGES;
use crate::admin::status::{OperationStatus, ServiceStatus, Status, TaskState};
use crate::admin::text::duration;
use crate::admin::{self, Answer, Request};
use crate::cli::output::{CommandError, Out};
use crate::clock;
use crate::health::PoolHealth;
use crate::ids::OperationId;
use crate::time::Mono;

const SRV: &str = "_xmpp-server._tcp.contoso.test.";
const ADDRESS: &str = "xmpp.contoso.test.";
const EDGE1: &str = "edge1.contoso.test.";

/// Whatever is waited for must happen within this.
const BOUND: Duration = Duration::from_secs(30);
/// Between two questions to DNS: the resolution of the times shown.
const DNS_PACE: Duration = Duration::from_millis(1);
/// Between two questions to the control socket.
const STATUS_PACE: Duration = Duration::from_millis(50);

pub(super) struct Scenes {
    dns: SocketAddr,
    control: PathBuf,
}

impl Scenes {
    pub(super) fn new(dns: SocketAddr, control: PathBuf) -> Scenes {
        Scenes { dns, control }
    }

    /// What runs, what to dig, and what is answered while all is well.
    pub(super) async fn open(&self, out: &mut Out) -> Result<(), CommandError> {
        let (address, port) = (self.dns.ip(), self.dns.port());
        title(out, "The server listens, two pools of edges are watched")?;
        writeln!(out, "  ask it yourself, at any time:")?;
        writeln!(out, "    dig @{address} -p {port} +short SRV {SRV}")?;
        writeln!(out, "    dig @{address} -p {port} +short A {ADDRESS}")?;
        let control = self.control.display();
        writeln!(out, "    switchback status --control {control}")?;
        writeln!(out)?;
        self.status_when("all pools to be up", |status| {
            !status.pools.is_empty()
                && status
                    .pools
                    .iter()
                    .all(|pool| pool.health == PoolHealth::Up)
        })
        .await?;
        let answer = self
            .answer_when("edge1 to be first", |first| first == EDGE1)
            .await?;
        self.show(out, &answer).await
    }

    /// The first edge is killed.
    pub(super) async fn failover(
        &self,
        out: &mut Out,
        edges: &mut Edges,
    ) -> Result<(), CommandError> {
        let [first, ..] = EDGES;
        let last = self.last_operation().await?;
        title(out, &format!("Edge {first} is killed (SIGKILL)"))?;
        let killed = clock::mono();
        edges.kill_first().await?;
        let answer = self
            .answer_when("another pool to be first", |first| first != EDGE1)
            .await?;
        self.show_change(out, &answer, killed, "the kill").await?;
        self.show_operation(out, last).await
    }

    /// It comes back.
    pub(super) async fn failback(
        &self,
        out: &mut Out,
        edges: &mut Edges,
    ) -> Result<(), CommandError> {
        let [first, ..] = EDGES;
        let last = self.last_operation().await?;
        title(
            out,
            &format!("Edge {first} is started again; it must hold for 3 s"),
        )?;
        edges.restore_first().await?;
        let restored = clock::mono();
        let answer = self
            .answer_when("edge1 to be first again", |first| first == EDGE1)
            .await?;
        self.show_change(out, &answer, restored, "the start")
            .await?;
        self.show_operation(out, last).await
    }

    /// The round is over; the server goes on.
    pub(super) fn stay(&self, out: &mut Out) -> Result<(), CommandError> {
        title(out, "The server goes on until ctrl-C")?;
        writeln!(out, "  kill an edge yourself: pgrep -af demo-edge")?;
        out.flush()?;
        Ok(())
    }

    async fn show_change(
        &self,
        out: &mut Out,
        answer: &Answered,
        since: Mono,
        event: &str,
    ) -> Result<(), CommandError> {
        let took = duration(clock::mono().since(since));
        let took = out.paint().good(&took);
        writeln!(out, "  the answer changed {took} after {event}")?;
        self.show(out, answer).await
    }

    /// The SRV answer at hand, and the address that goes with it.
    async fn show(&self, out: &mut Out, services: &Answered) -> Result<(), CommandError> {
        let addresses = dig::ask(self.dns, ADDRESS, RecordType::A).await?;
        for (name, kind, answer) in [(SRV, "SRV", services), (ADDRESS, "A", &addresses)] {
            writeln!(out, "  {} {name}", out.paint().quiet(kind))?;
            for line in &answer.lines {
                writeln!(out, "    {line}")?;
            }
        }
        out.flush()?;
        Ok(())
    }

    /// The tasks of the operation after `last`, each as it ends.
    async fn show_operation(
        &self,
        out: &mut Out,
        last: Option<OperationId>,
    ) -> Result<(), CommandError> {
        writeln!(out, "  {}", out.paint().quiet("the runbook"))?;
        let begun = clock::mono();
        let mut shown = 0;
        while clock::mono().since(begun) < BOUND {
            let status = self.status().await?;
            let operation = service(&status)?.operation.as_ref();
            if let Some(operation) = operation.filter(|operation| Some(operation.id) != last) {
                shown = show_tasks(out, operation, shown)?;
                out.flush()?;
                if operation.ended.is_some() {
                    return finish(out, operation);
                }
            }
            sleep(STATUS_PACE).await;
        }
        Err(too_late("the runbook to end"))
    }

    async fn last_operation(&self) -> Result<Option<OperationId>, CommandError> {
        let status = self.status().await?;
        Ok(service(&status)?.operation.as_ref().map(|last| last.id))
    }

    /// Asks for the SRV set until the target of its first record is as wanted.
    async fn answer_when(
        &self,
        what: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Answered, CommandError> {
        let begun = clock::mono();
        while clock::mono().since(begun) < BOUND {
            let answer = dig::ask(self.dns, SRV, RecordType::SRV).await?;
            if answer.first_target().is_some_and(&wanted) {
                return Ok(answer);
            }
            sleep(DNS_PACE).await;
        }
        Err(too_late(what))
    }

    async fn status_when(
        &self,
        what: &str,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<(), CommandError> {
        let begun = clock::mono();
        while clock::mono().since(begun) < BOUND {
            if wanted(&self.status().await?) {
                return Ok(());
            }
            sleep(STATUS_PACE).await;
        }
        Err(too_late(what))
    }

    async fn status(&self) -> Result<Status, CommandError> {
        let control = self.control.clone();
        let asked = tokio::task::spawn_blocking(move || admin::ask(&control, &Request::Status));
        match asked.await {
            Ok(Ok(Answer::Status(status))) => Ok(*status),
            Ok(Ok(_)) => Err(CommandError::failed("the daemon answered another question")),
            Ok(Err(error)) => Err(CommandError::failed(error)),
            Err(error) => Err(CommandError::failed(error)),
        }
    }
}

fn service(status: &Status) -> Result<&ServiceStatus, CommandError> {
    status
        .services
        .first()
        .ok_or_else(|| CommandError::failed("the daemon knows no service"))
}

/// Shows the tasks from number `shown` on that are over, in order; how many are shown now.
fn show_tasks(
    out: &mut Out,
    operation: &OperationStatus,
    shown: usize,
) -> Result<usize, CommandError> {
    let paint = out.paint();
    let over = operation.steps.iter().skip(shown).take_while(|task| {
        matches!(
            task.state,
            TaskState::Done | TaskState::Failed | TaskState::Undone
        )
    });
    let mut shown = shown;
    for task in over {
        shown += 1;
        let mark = if task.state == TaskState::Done {
            paint.good("✓")
        } else {
            paint.loud("✗")
        };
        let took = task
            .took_ms
            .map(|ms| format!("{ms} ms"))
            .unwrap_or_default();
        writeln!(
            out,
            "    {mark} {:<16} {:>7}",
            task.name,
            paint.quiet(&took)
        )?;
        for line in task.output_tail.lines() {
            writeln!(out, "        {}", paint.quiet(line))?;
        }
    }
    Ok(shown)
}

fn finish(out: &mut Out, operation: &OperationStatus) -> Result<(), CommandError> {
    let done = operation
        .steps
        .iter()
        .all(|task| task.state == TaskState::Done);
    let OperationStatus {
        id,
        from,
        to,
        state,
        ..
    } = operation;
    if !done {
        return Err(CommandError::Failed(format!(
            "{id} from {from} to {to} ended as {state}: not every step was done"
        )));
    }
    writeln!(out, "    {id}: {from} -> {to}, {state}")?;
    Ok(())
}

fn too_late(what: &str) -> CommandError {
    CommandError::Failed(format!("waited {} s for {what}, in vain", BOUND.as_secs()))
}

fn title(out: &mut Out, text: &str) -> Result<(), CommandError> {
    writeln!(out, "\n{}", out.paint().head(text))?;
    out.flush()?;
    Ok(())
}
