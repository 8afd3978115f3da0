//! How far something is that takes time.

use std::time::Duration;

use super::status::task_label;
use super::style::{Paint, duration};
use crate::admin::status::{OperationStatus, TaskState, TaskStatus};
use crate::time::Wall;

const WIDTH: usize = 20;

/// `[#####···············]`, for so much of the whole.
#[must_use]
pub fn bar(done: u64, whole: u64, paint: Paint) -> String {
    let width = u64::try_from(WIDTH).unwrap_or(20);
    let full = width * done.min(whole) / whole.max(1);
    let full = usize::try_from(full).unwrap_or(WIDTH).min(WIDTH);
    format!(
        "[{}{}]",
        paint.good(&"#".repeat(full)),
        paint.quiet(&"·".repeat(WIDTH - full))
    )
}

/// `[####····] 4/8  start services (edge2), for 12s, 48s left at the most`.
#[must_use]
pub fn progress(operation: &OperationStatus, now: Wall, paint: Paint) -> String {
    let is_done = |task: &&TaskStatus| task.state == TaskState::Done;
    let (done, all) = (
        operation.steps.iter().filter(is_done).count(),
        operation.steps.len(),
    );
    let at_work =
        |task: &&TaskStatus| matches!(task.state, TaskState::Running | TaskState::Undoing);
    let what = operation.steps.iter().find(at_work).map(|task| {
        let mut words = task_label(task);
        if task.since.0 > 0 && now.since(task.since) >= Duration::from_secs(1) {
            words += &format!(", for {}", whole(now.since(task.since)));
        }
        if let Some(left) = task.deadline.map(|deadline| deadline.since(now)) {
            words += &format!(", {} left at the most", whole(left));
        }
        words
    });
    let [done_of, whole_of] = [done, all].map(|count| u64::try_from(count).unwrap_or(0));
    format!(
        "  {} {done}/{all}  {}",
        bar(done_of, whole_of, paint),
        what.unwrap_or_else(|| operation.state.clone()),
    )
}

/// How long caches may hold answers from before the latest change, of `longest` at first.
#[must_use]
pub fn drain(until: Wall, now: Wall, longest: Duration, paint: Paint) -> String {
    let left = until.since(now);
    let gone = longest.saturating_sub(left);
    format!(
        "  {} old answers are gone from caches in {}",
        bar(gone.as_secs(), longest.as_secs(), paint),
        whole(left)
    )
}

/// In whole seconds: the line is written over every second.
fn whole(time: Duration) -> String {
    match time.as_secs() {
        0 => "0s".to_owned(),
        seconds => duration(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OperationId;

    #[test]
    fn the_line_shows_what_is_done_and_what_runs() {
        let task = |name: &str, state, deadline| TaskStatus {
            name: name.to_owned(),
            state,
            server: None,
            attempt: 1,
            took_ms: None,
            since: Wall(10_000),
            deadline,
            output_tail: String::new(),
        };
        let operation = OperationStatus {
            id: OperationId(7),
            from: "p1".into(),
            to: "p2".into(),
            state: "running".to_owned(),
            ended: None,
            steps: vec![
                task("stop", TaskState::Done, None),
                task("route", TaskState::Running, Some(Wall(70_000))),
            ],
        };
        assert_eq!(
            progress(&operation, Wall(22_000), Paint::Plain),
            "  [##########··········] 1/2  route, for 12s, 48s left at the most"
        );
        assert_eq!(
            drain(
                Wall(30_000),
                Wall(20_000),
                Duration::from_secs(40),
                Paint::Plain
            ),
            "  [###############·····] old answers are gone from caches in 10s"
        );
        assert_eq!(bar(9, 0, Paint::Plain), "[····················]");
    }
}
