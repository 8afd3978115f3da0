//! What is told of a drill. Fields of the JSON form are added, never renamed.

use std::io::Write;

use serde::Serialize;

use crate::admin::Plan;
use crate::admin::status::TaskState;
use crate::admin::text::{Paint, tame};
use crate::cli::output::{CommandError, Out};
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::survey::Rank;
use crate::time::Wall;

/// A whole drill.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) service: ServiceName,
    /// Whether nothing was ordered.
    pub(super) shadow: bool,
    /// Where the service was, and should be again.
    pub(super) from: PoolName,
    pub(super) to: PoolName,
    /// What spoke against it, a sentence each.
    pub(super) against: Vec<String>,
    /// What everybody said before.
    pub(super) before: Vec<Baseline>,
    /// What the orders would do, there and back, if nothing was ordered.
    pub(super) plans: Vec<Plan>,
    /// There, and back.
    pub(super) legs: Vec<Leg>,
}

/// What a witness says before anything moves.
#[derive(Debug, Serialize)]
pub(super) struct Baseline {
    #[serde(rename = "kind")]
    pub(super) rank: Rank,
    pub(super) name: String,
    /// The pool that it says is first.
    pub(super) says: Option<PoolName>,
    /// Why it says nothing.
    pub(super) silent: Option<String>,
}

/// One move. Times count from the order.
#[derive(Debug, Serialize)]
pub(super) struct Leg {
    pub(super) from: PoolName,
    pub(super) to: PoolName,
    pub(super) ordered_at: Wall,
    pub(super) operation: Option<OperationId>,
    /// How the operation ended: `done`, `halted` …
    pub(super) state: String,
    /// Whether the service is where it was sent.
    pub(super) arrived: bool,
    /// Why it stands where it stands.
    pub(super) because: String,
    /// The operation had begun.
    pub(super) decision_ms: Option<u64>,
    /// The daemon gave the new answer.
    pub(super) swap_ms: Option<u64>,
    /// The operation had ended.
    pub(super) over_ms: Option<u64>,
    /// The first resolver gave it.
    pub(super) first_resolver_ms: Option<u64>,
    /// The last one; `None` as well if any of them never did.
    pub(super) last_resolver_ms: Option<u64>,
    pub(super) steps: Vec<Step>,
    pub(super) witnesses: Vec<Saw>,
}

/// One step of the runbook.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) server: Option<ServerName>,
    pub(super) state: TaskState,
    pub(super) attempt: u32,
    pub(super) took_ms: Option<u64>,
}

/// When a witness gave the new answer.
#[derive(Debug, Serialize)]
pub(super) struct Saw {
    #[serde(rename = "kind")]
    pub(super) rank: Rank,
    pub(super) name: String,
    /// `None`: not in time.
    pub(super) after_ms: Option<u64>,
}

impl Baseline {
    /// As people read it.
    pub(super) fn line(&self, paint: Paint) -> String {
        match (&self.says, &self.silent) {
            (Some(pool), _) => format!("{} says {pool}", self.name),
            (None, Some(why)) => paint.odd(&tame(&format!("{}: {why}", self.name))),
            (None, None) => paint.odd(&format!("{} names no pool of the service", self.name)),
        }
    }
}

impl Leg {
    /// Whether the service arrived and everybody saw it.
    pub(super) fn is_well(&self) -> bool {
        self.arrived && self.witnesses.iter().all(|it| it.after_ms.is_some())
    }
}

impl Report {
    /// As people read it.
    pub(super) fn write(&self, out: &mut Out) -> Result<(), CommandError> {
        for line in self.lines(out.paint()) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn lines(&self, paint: Paint) -> Vec<String> {
        let mut lines = vec![paint.head(&format!("{}: report", self.service))];
        for leg in &self.legs {
            let id = leg.operation.map(|id| format!(", {id} {}", leg.state));
            let title = format!("{} -> {}{}", leg.from, leg.to, id.unwrap_or_default());
            lines.push(paint.head(&title));
            lines.push(row(
                "detection",
                "n/a: the move was ordered, no fault had to be seen",
            ));
            lines.push(row("decision", &shown(leg.decision_ms, paint)));
            lines.push(row("swap", &shown(leg.swap_ms, paint)));
            for saw in leg.witnesses.iter().filter(|it| it.rank == Rank::Server) {
                lines.push(row(&saw.name, &shown(saw.after_ms, paint)));
            }
            if leg.witnesses.iter().any(|it| it.rank == Rank::Resolver) {
                lines.push(row("first resolver", &shown(leg.first_resolver_ms, paint)));
                lines.push(row("last resolver", &shown(leg.last_resolver_ms, paint)));
            }
            for step in &leg.steps {
                lines.push(row(&step.label(), &step.shown(paint)));
            }
            lines.push(row("runbook over", &shown(leg.over_ms, paint)));
            if !leg.arrived {
                let why = format!("did not arrive: {}", tame(&leg.because));
                lines.push(row("", &paint.loud(&why)));
            }
        }
        lines
    }
}

impl Step {
    fn label(&self) -> String {
        match &self.server {
            Some(server) => format!("step {} ({server})", self.name),
            None => format!("step {}", self.name),
        }
    }

    fn shown(&self, paint: Paint) -> String {
        let took = self.took_ms.map(|ms| format!("took {} s", seconds(ms)));
        let took = took.unwrap_or_else(|| "took no time that was noted".to_owned());
        let attempt = match self.attempt {
            0 | 1 => String::new(),
            more => format!(", attempt {more}"),
        };
        if self.state == TaskState::Done {
            return format!("{took}{attempt}");
        }
        paint.loud(&format!("{}, {took}{attempt}", word(self.state)))
    }
}

fn word(state: TaskState) -> &'static str {
    match state {
        TaskState::Waiting => "not begun",
        TaskState::Running => "still running",
        TaskState::Done => "done",
        TaskState::Retrying => "failed, to run again",
        TaskState::Failed => "failed",
        TaskState::Unknown => "unknown",
        TaskState::Undoing => "being taken back",
        TaskState::Undone => "taken back",
    }
}

fn row(what: &str, value: &str) -> String {
    format!("  {what:<52}  {value}")
}

fn shown(after_ms: Option<u64>, paint: Paint) -> String {
    match after_ms {
        Some(ms) => format!("after {} s", seconds(ms)),
        None => paint.loud("not in time"),
    }
}

/// `1.240`.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_when_each_of_them_saw_it_and_who_did_not() {
        let saw = |rank, name: &str, after_ms| Saw {
            rank,
            name: name.to_owned(),
            after_ms,
        };
        let leg = Leg {
            from: "edgepool1".into(),
            to: "edgepool2".into(),
            ordered_at: Wall(0),
            operation: Some(OperationId(7)),
            state: "done".to_owned(),
            arrived: true,
            because: String::new(),
            decision_ms: Some(2),
            swap_ms: Some(1240),
            over_ms: Some(9000),
            first_resolver_ms: Some(4000),
            last_resolver_ms: None,
            steps: vec![Step {
                name: "route".to_owned(),
                server: None,
                state: TaskState::Failed,
                attempt: 2,
                took_ms: Some(800),
            }],
            witnesses: vec![
                saw(Rank::Daemon, "the daemon", Some(1240)),
                saw(
                    Rank::Server,
                    "contoso.test. ns2.contoso.test. 192.0.2.5",
                    None,
                ),
                saw(Rank::Resolver, "resolver 192.0.2.9:53", Some(4000)),
            ],
        };
        assert!(!leg.is_well());
        let report = Report {
            service: "xmpp-federation".into(),
            shadow: false,
            from: "edgepool1".into(),
            to: "edgepool2".into(),
            against: Vec::new(),
            before: Vec::new(),
            plans: Vec::new(),
            legs: vec![leg],
        };
        let lines = report.lines(Paint::Plain);
        let has = |start: &str, end: &str| {
            let is_it =
                |line: &&String| line.trim_start().starts_with(start) && line.ends_with(end);
            assert!(
                lines.iter().any(|line| is_it(&line)),
                "{start} … {end}: {lines:#?}"
            );
        };
        has("edgepool1 -> edgepool2, op-7", "done");
        has("detection", "no fault had to be seen");
        has("swap", "after 1.240 s");
        has("contoso.test. ns2", "not in time");
        has("last resolver", "not in time");
        has("step route", "failed, took 0.800 s, attempt 2");
    }
}
