//! `[[service.step]]` to the plan of a failover.

use std::time::Duration;

use super::duration::show;
use super::paths::Base;
use super::problem::{At, Notes};
use super::spec::{List, StepSpec};
use crate::runbook::{Act, AfterCrash, Condition, Each, Plan, Step};

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads the steps of one service.
pub(super) fn plan(steps: &List<StepSpec>, base: &Base, notes: &mut Notes) -> Plan {
    if steps.is_empty() {
        return Plan::publish_only();
    }
    let read: Vec<Step> = steps
        .iter()
        .filter_map(|spec| step(spec, base, notes))
        .collect();
    let publishing: Vec<&At<StepSpec>> = steps
        .iter()
        .filter(|step| step.value.publish.is_some())
        .collect();
    match (publishing.as_slice(), steps.first()) {
        ([], Some(first)) => notes.error(first.at, "no step publishes, a runbook has exactly one that does, add a step with publish = true"),
        ([_, rest @ ..], _) => {
            for again in rest {
                notes.error(again.at, "a second step publishes, a runbook has exactly one that does, remove it");
            }
        }
        ([], None) => {}
    }
    Plan { steps: read }
}

fn step(spec: &At<StepSpec>, base: &Base, notes: &mut Notes) -> Option<Step> {
    let StepSpec {
        name,
        run,
        each,
        publish,
        verify,
        timeout,
        undo,
        after_crash,
    } = &spec.value;
    let command = run.as_ref().map(|words| base.command(words, "run", notes));
    let undo_command = undo
        .as_ref()
        .map(|words| base.command(words, "undo", notes));
    let timeout = timeout_of(timeout.as_ref(), notes)?;
    refuse_program_keys(&spec.value, notes);
    let (act, default_name) = match (run, publish, verify) {
        (Some(words), None, None) => {
            let program = words.value.first().map_or("", |word| word.value.as_str());
            let file = program.rsplit('/').next().unwrap_or(program).to_owned();
            let each = each.as_ref().map_or(Each::Operation, |each| each.value);
            (
                Act::Run {
                    command: command.flatten()?,
                    each,
                },
                file,
            )
        }
        (None, Some(At { value: true, .. }), None) => (Act::Publish, "publish".to_owned()),
        (None, None, Some(condition)) => {
            let word = match condition.value {
                Condition::Path => "verify path",
                Condition::Healthy => "verify healthy",
            };
            (Act::Verify(condition.value), word.to_owned())
        }
        (None, Some(At { value: false, at }), None) => {
            notes.error(
                *at,
                "publish = false does nothing, write true or remove the step",
            );
            return None;
        }
        (Some(_), _, _) | (None, Some(_), Some(_)) | (None, None, None) => {
            notes.error(
                spec.at,
                "a step does exactly one of 'run', 'publish' and 'verify', write one of them",
            );
            return None;
        }
    };
    let default_crash = match act {
        Act::Run { .. } => AfterCrash::Ask,
        // Publishing and looking leave nothing half done.
        Act::Publish | Act::Verify(_) => AfterCrash::Retry,
    };
    Some(Step {
        name: name
            .as_ref()
            .map_or(default_name, |name| name.value.clone()),
        act,
        timeout,
        undo: undo_command.flatten(),
        after_crash: after_crash
            .as_ref()
            .map_or(default_crash, |word| word.value),
    })
}

fn timeout_of(timeout: Option<&At<Duration>>, notes: &mut Notes) -> Option<Duration> {
    match timeout {
        None => Some(Duration::from_secs(60)),
        Some(At { value, .. }) if (SHORTEST..=LONGEST).contains(value) => Some(*value),
        Some(At { value, at }) => {
            let message = format!("a step's timeout of {}, write 100ms to 1d", show(*value));
            notes.error(*at, message);
            None
        }
    }
}

/// Refuses, in a step without a program, the keys that only programs have.
fn refuse_program_keys(step: &StepSpec, notes: &mut Notes) {
    if step.run.is_some() {
        return;
    }
    let places = [
        ("each", step.each.as_ref().map(|word| word.at)),
        ("undo", step.undo.as_ref().map(|words| words.at)),
        ("after_crash", step.after_crash.as_ref().map(|word| word.at)),
    ];
    for (key, at) in places {
        if let Some(at) = at {
            let message =
                format!("'{key}' in a step without 'run', only programs have it, remove it");
            notes.error(at, message);
        }
    }
}
