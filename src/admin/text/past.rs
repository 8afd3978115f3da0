//! `switchback history` and `switchback show`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::style::{Paint, duration, tame, widest};
use crate::admin::past::{Past, Shown};
use crate::chronicle::{Entry, HookRun, Record};
use crate::failover::{Event, HookOutcome};
use crate::health::Health;
use crate::runbook::{Operation, Phase, Task, TaskStatus};
use crate::time::Wall;

/// A page of history: a line for each entry, the latest last. `local` writes a time as the reader
/// lives in it.
#[must_use]
pub fn history(past: &Past, local: &dyn Fn(Wall) -> String, paint: Paint) -> String {
    let mut page = String::new();
    let lines: Vec<(String, String, String)> = past
        .entries
        .iter()
        .map(|record| {
            let (about, words) = split(&record.entry);
            (local(record.at), about, words)
        })
        .collect();
    let width = widest(lines.iter().map(|(_, about, _)| about.as_str()));
    if past.more {
        page += "there is more before this: --limit shows it\n";
    }
    for (record, (at, about, words)) in past.entries.iter().zip(&lines) {
        let words = paint_words(&record.entry, words, paint);
        page += &format!("{}  {about:<width$}  {words}\n", paint.quiet(at));
    }
    if past.entries.is_empty() {
        page += "nothing has happened\n";
    }
    if past.unreadable > 0 {
        page += &format!(
            "{} entries cannot be read by this release\n",
            past.unreadable
        );
    }
    page
}

/// What an entry is about, and its words without that.
fn split(entry: &Entry) -> (String, String) {
    let words = tame(&entry.to_string());
    let about = if let Entry::Told(Event::HealthChanged { pool, .. }) = entry {
        pool.to_string()
    } else {
        let service = entry.service().map(ToString::to_string);
        service.unwrap_or_else(|| "-".to_owned())
    };
    let rest = words.strip_prefix(&format!("{about}: "));
    let rest = rest.map_or_else(|| words.clone(), str::to_owned);
    (about, rest)
}

fn paint_words(entry: &Entry, words: &str, paint: Paint) -> String {
    match entry {
        Entry::Told(
            Event::OperationEnded {
                phase: Phase::Halted(_) | Phase::NeedsHuman(_),
                ..
            }
            | Event::Uplink { up: false, .. }
            | Event::HealthChanged {
                to: Health::Down, ..
            },
        )
        | Entry::Store { works: false }
        | Entry::Lost { .. } => paint.loud(words),
        Entry::Told(Event::OperationBegan { .. } | Event::OperationEnded { .. }) => {
            paint.head(words)
        }
        Entry::Ordered { .. } | Entry::Started { .. } | Entry::Ended => paint.odd(words),
        Entry::Told(Event::HealthChanged { to: Health::Up, .. }) => paint.good(words),
        Entry::Told(_)
        | Entry::Reloaded { .. }
        | Entry::Checkpoint(_)
        | Entry::Saw(_)
        | Entry::Reference { .. }
        | Entry::Hook(_)
        | Entry::Store { works: true } => words.to_owned(),
    }
}

/// One operation: who and why, then each task with its attempts, how long they took and what they
/// printed.
#[must_use]
pub fn shown(shown: &Shown, local: &dyn Fn(Wall) -> String, paint: Paint) -> String {
    let mut page = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut page, shown, local, paint);
    page
}

fn write(
    page: &mut String,
    shown: &Shown,
    local: &dyn Fn(Wall) -> String,
    paint: Paint,
) -> fmt::Result {
    let operation = &shown.operation;
    let title = format!(
        "{}  {}: from {} to {}",
        operation.id, operation.service, operation.from, operation.to
    );
    writeln!(
        page,
        "{}  {}",
        paint.head(&title),
        phase(&operation.phase, paint)
    )?;
    writeln!(page, "  why    {}", tame(&operation.reason))?;
    writeln!(page, "  began  {}", local(operation.began))?;
    match ended(shown) {
        Some(at) => {
            let took = duration(at.since(operation.began));
            writeln!(page, "  ended  {}, after {took}", local(at))?;
        }
        None => {
            let since = duration(shown.now.since(operation.began));
            writeln!(page, "  it goes on, for {since} so far")?;
        }
    }
    let labels: Vec<String> = operation
        .tasks
        .iter()
        .map(|task| label(operation, task))
        .collect();
    let width = widest(labels.iter().map(String::as_str));
    for (task, label) in operation.tasks.iter().zip(&labels) {
        let since = if task.status == TaskStatus::Waiting {
            String::new()
        } else {
            format!("  {}", local(task.since))
        };
        let took = task.took_ms.map(Duration::from_millis);
        let took = took.map_or_else(String::new, duration);
        let line = format!(
            "{}  {label:<width$}  {took:>6}{since}",
            word(&task.status, paint)
        );
        writeln!(page, "  {}", line.trim_end())?;
        if let Some(why) = why(&task.status) {
            writeln!(page, "           {}", paint.loud(&tame(why)))?;
        }
        let runs = runs(shown, operation, task);
        for (at, run) in &runs {
            write_run(page, *at, run, local, paint)?;
        }
        if runs.is_empty() {
            write_output(page, &task.output, paint)?;
        }
    }
    Ok(())
}

fn phase(phase: &Phase, paint: Paint) -> String {
    match phase {
        Phase::Forward => paint.odd("under way"),
        Phase::Backward(why) => paint.odd(&format!("goes back: {}", tame(why))),
        Phase::Completed => paint.good("completed"),
        Phase::Halted(why) => paint.loud(&format!("HALTED: {}", tame(why))),
        Phase::NeedsHuman(question) => paint.loud(&format!("NEEDS A HUMAN: {}", tame(question))),
    }
}

/// When it ended: told by its last entry, or by the last of its tasks.
fn ended(shown: &Shown) -> Option<Wall> {
    match &shown.operation.phase {
        Phase::Forward | Phase::Backward(_) => return None,
        Phase::Completed | Phase::Halted(_) | Phase::NeedsHuman(_) => {}
    }
    let told = shown.entries.iter().rev().find_map(|record| {
        let ended = matches!(record.entry, Entry::Told(Event::OperationEnded { .. }));
        ended.then_some(record.at)
    });
    told.or_else(|| shown.operation.tasks.iter().map(|task| task.since).max())
}

fn label(operation: &Operation, task: &Task) -> String {
    let step = operation.plan.steps.get(task.step);
    let name = step.map_or("?", |step| step.name.as_str());
    match &task.server {
        Some(server) => format!("{name} ({server})"),
        None => name.to_owned(),
    }
}

fn word(status: &TaskStatus, paint: Paint) -> String {
    match status {
        TaskStatus::Waiting => paint.quiet("waiting"),
        TaskStatus::Started { .. } => paint.odd("running"),
        TaskStatus::Done => paint.good("done   "),
        TaskStatus::Retrying { .. } => paint.odd("RETRIES"),
        TaskStatus::Failed(_) => paint.loud("FAILED "),
        TaskStatus::Unknown | TaskStatus::UndoUnknown => paint.loud("UNKNOWN"),
        TaskStatus::Undoing { .. } => paint.odd("undoing"),
        TaskStatus::Undone => paint.odd("undone "),
        TaskStatus::UndoFailed(_) => paint.loud("NOT UNDONE"),
    }
}

fn why(status: &TaskStatus) -> Option<&str> {
    match status {
        TaskStatus::Failed(why)
        | TaskStatus::UndoFailed(why)
        | TaskStatus::Retrying { why, .. } => Some(why),
        TaskStatus::Waiting
        | TaskStatus::Started { .. }
        | TaskStatus::Done
        | TaskStatus::Unknown
        | TaskStatus::Undoing { .. }
        | TaskStatus::Undone
        | TaskStatus::UndoUnknown => None,
    }
}

/// The runs of a task's hook.
fn runs<'a>(shown: &'a Shown, operation: &Operation, task: &Task) -> Vec<(Wall, &'a HookRun)> {
    let step = operation.plan.steps.get(task.step).map(|step| &step.name);
    let ours = |record: &'a Record| {
        let Entry::Hook(run) = &record.entry else {
            return None;
        };
        let is_ours = Some(&run.step) == step && run.server == task.server;
        is_ours.then_some((record.at, run))
    };
    shown.entries.iter().filter_map(ours).collect()
}

fn write_run(
    page: &mut String,
    at: Wall,
    run: &HookRun,
    local: &dyn Fn(Wall) -> String,
    paint: Paint,
) -> fmt::Result {
    let what = if run.undo { "undo, attempt" } else { "attempt" };
    let took = duration(Duration::from_millis(run.took_ms));
    let outcome = tame(&run.outcome.to_string());
    let outcome = if run.outcome == HookOutcome::Done {
        outcome
    } else {
        paint.loud(&outcome)
    };
    writeln!(
        page,
        "           {what} {}: {outcome} after {took}, {}",
        run.attempt,
        local(at)
    )?;
    write_output(page, &run.output, paint)
}

fn write_output(page: &mut String, output: &str, paint: Paint) -> fmt::Result {
    for line in output.lines() {
        writeln!(
            page,
            "           {}",
            paint.quiet(&format!("| {}", tame(line)))
        )?;
    }
    Ok(())
}
