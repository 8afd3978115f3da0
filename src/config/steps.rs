//! `[[service.step]]` to the plan of a failover.

use std::time::Duration;

use super::calls;
use super::duration::show;
use super::paths::Base;
use super::problem::{At, Notes};
use super::spec::List;
use super::spec_steps::{StepSpec, WaitSpec, WorkSpec};
use crate::runbook::{
    Act, AfterCrash, Condition, Each, LONGEST_PAUSE, OnFailure, Pause, Plan, Retries, Side, Step,
    Work,
};

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);
/// More runs of one task hide a fault rather than bridge it.
const MOST_RETRIES: u16 = 20;

/// Reads the steps of one service, whose records live for `ttl_max` at most.
pub(super) fn plan(
    steps: &List<StepSpec>,
    ttl_max: Duration,
    base: &Base,
    notes: &mut Notes,
) -> Plan {
    if steps.is_empty() {
        return Plan::publish_only();
    }
    let read: Vec<Step> = steps
        .iter()
        .filter_map(|spec| step(spec, ttl_max, base, notes))
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
    too_early(steps, notes);
    Plan { steps: read }
}

/// Steps that make sense only after the publication.
fn too_early(steps: &List<StepSpec>, notes: &mut Notes) {
    let before = steps.iter().take_while(|step| step.value.publish.is_none());
    for step in before.take(steps.len().saturating_sub(1)) {
        if let Some(fence) = &step.value.fence {
            notes.warn(fence.at, "a fence before the publication, partners that are cut off come back to the old pool, move it behind publish = true");
        }
        if let Some(At {
            value: WaitSpec::Secondaries,
            at,
        }) = &step.value.wait
        {
            notes.warn(*at, "a wait for secondaries before the publication, they have nothing new to serve yet, move it behind publish = true");
        }
    }
}

fn step(spec: &At<StepSpec>, ttl_max: Duration, base: &Base, notes: &mut Notes) -> Option<Step> {
    let StepSpec {
        name,
        run: _,     // `act_of` reads these
        call: _,    //
        fence: _,   //
        publish: _, //
        verify: _,  //
        wait,
        at_least: _, //
        each: _,     // `each_of` does
        parallel: _, //
        timeout,
        retries,
        backoff,
        on_failure,
        undo,
        after_crash,
    } = &spec.value;
    let undo = undo
        .as_ref()
        .map(|work| work_of(&work.value, work.at, "undo", base, notes));
    refuse_keys(&spec.value, notes);
    let (act, default_name) = act_of(spec, base, notes)?;
    let timeout = match wait.as_ref().map(|wait| &wait.value) {
        Some(WaitSpec::For(time)) => *time,
        Some(WaitSpec::Ttl) => ttl_max,
        Some(WaitSpec::Secondaries) | None => timeout_of(timeout.as_ref(), notes)?,
    };
    let is_fence = spec.value.fence.is_some();
    let (default_crash, default_failure) = match act {
        // Streams that were cut may be cut again, and one that was not moves no failover.
        Act::Run { .. } if is_fence => (AfterCrash::Retry, OnFailure::Continue),
        Act::Run { .. } => (AfterCrash::Ask, OnFailure::Undo),
        // Publishing, looking and waiting leave nothing half done.
        Act::Publish | Act::Verify(_) | Act::Wait(_) => (AfterCrash::Retry, OnFailure::Undo),
    };
    Some(Step {
        name: name
            .as_ref()
            .map_or(default_name, |name| name.value.clone()),
        act,
        timeout,
        undo: undo.flatten(),
        after_crash: after_crash
            .as_ref()
            .map_or(default_crash, |word| word.value),
        retries: retries_of(retries.as_ref(), backoff.as_ref(), notes),
        on_failure: on_failure
            .as_ref()
            .map_or(default_failure, |word| word.value),
    })
}

/// What a step does, and what it is called unless it has a name.
fn act_of(spec: &At<StepSpec>, base: &Base, notes: &mut Notes) -> Option<(Act, String)> {
    let StepSpec {
        run,
        call,
        fence,
        publish,
        verify,
        wait,
        at_least,
        ..
    } = &spec.value;
    let each = each_of(&spec.value, notes);
    let one_of = (run, call, fence, publish, verify, wait);
    match one_of {
        (Some(words), None, None, None, None, None) => {
            let program = words.value.first().map_or("", |word| word.value.as_str());
            let file = program.rsplit('/').next().unwrap_or(program).to_owned();
            let command = base.command(&words.value, words.at, "run", notes)?;
            Some((act(Work::Run(command), each, Side::To), file))
        }
        (None, Some(call), None, None, None, None) => {
            let work = Work::Call(Box::new(calls::read(&call.value, base, notes)?));
            Some((act(work, each, Side::To), "call".to_owned()))
        }
        (None, None, Some(fence), None, None, None) => {
            let work = work_of(&fence.value, fence.at, "fence", base, notes)?;
            Some((act(work, each, Side::From), "fence".to_owned()))
        }
        (None, None, None, Some(At { value: true, .. }), None, None) => {
            Some((Act::Publish, "publish".to_owned()))
        }
        (None, None, None, Some(At { value: false, at }), None, None) => {
            notes.error(
                *at,
                "publish = false does nothing, write true or remove the step",
            );
            None
        }
        (None, None, None, None, Some(condition), None) => {
            let word = match condition.value {
                Condition::Path => "verify path",
                Condition::Open => "verify open",
                Condition::Healthy => "verify healthy",
            };
            Some((Act::Verify(condition.value), word.to_owned()))
        }
        (None, None, None, None, None, Some(wait)) => {
            let at_least = at_least.as_ref().map(|count| usize::from(count.value));
            let (pause, name) = pause_of(wait, at_least, notes);
            Some((Act::Wait(pause), name))
        }
        _ => {
            notes.error(
                spec.at,
                "a step does exactly one of 'run', 'call', 'fence', 'publish', 'verify' and \
                 'wait', write one of them",
            );
            None
        }
    }
}

fn pause_of(wait: &At<WaitSpec>, at_least: Option<usize>, notes: &mut Notes) -> (Pause, String) {
    match wait.value {
        WaitSpec::For(time) => {
            if !(SHORTEST..=LONGEST).contains(&time) {
                let message = format!("a wait of {}, write 100ms to 1d", show(time));
                notes.error(wait.at, message);
            }
            (Pause::For(time), format!("wait {}", show(time)))
        }
        WaitSpec::Ttl => (Pause::Ttl, "wait ttl".to_owned()),
        WaitSpec::Secondaries => {
            let pause = Pause::Secondaries { at_least };
            (pause, "wait secondaries".to_owned())
        }
    }
}

fn act(work: Work, each: Each, side: Side) -> Act {
    Act::Run { work, each, side }
}

fn work_of(spec: &WorkSpec, at: usize, key: &str, base: &Base, notes: &mut Notes) -> Option<Work> {
    match spec {
        WorkSpec::Run(words) => base.command(words, at, key, notes).map(Work::Run),
        WorkSpec::Call(call) => {
            let call = calls::read(call, base, notes)?;
            Some(Work::Call(Box::new(call)))
        }
    }
}

/// How often it runs: a fence once per server unless it says otherwise.
fn each_of(spec: &StepSpec, notes: &mut Notes) -> Each {
    let default = if spec.fence.is_some() {
        Each::Server
    } else {
        Each::Operation
    };
    let each = spec.each.as_ref().map_or(default, |each| each.value);
    match (&spec.parallel, each) {
        (Some(At { value: true, at }), Each::Operation) => {
            notes.error(*at, "parallel = true in a step that runs once, it lets the runs of a step with each = \"server\" go at once, add that or remove it");
            each
        }
        (Some(At { value: true, .. }), Each::Server | Each::ServerInParallel) => {
            Each::ServerInParallel
        }
        (Some(At { value: false, .. }) | None, _) => each,
    }
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

fn retries_of(
    count: Option<&At<u16>>,
    backoff: Option<&At<Duration>>,
    notes: &mut Notes,
) -> Retries {
    let default = Retries::default();
    if let Some(At { value, at }) = count.filter(|count| count.value > MOST_RETRIES) {
        let message = format!("{value} retries, more than {MOST_RETRIES} hide a fault, write less");
        notes.error(*at, message);
    }
    let pause = match backoff {
        None => default.pause,
        Some(At { value, .. }) if (SHORTEST..=LONGEST_PAUSE).contains(value) => *value,
        Some(At { value, at }) => {
            let message = format!("a backoff of {}, write 100ms to 5m", show(*value));
            notes.error(*at, message);
            default.pause
        }
    };
    if let (None, Some(backoff)) = (count, backoff) {
        notes.error(backoff.at, "a backoff without 'retries', it is the pause before the first of them, add 'retries' or remove it");
    }
    Retries {
        count: count.map_or(0, |count| count.value.into()),
        pause,
    }
}

/// Refuses the keys that a step of its kind cannot have.
fn refuse_keys(step: &StepSpec, notes: &mut Notes) {
    let acts = step.run.is_some() || step.call.is_some() || step.fence.is_some();
    let place = |at: Option<usize>, refused: bool| at.filter(|_| refused);
    let only_acts = [
        ("each", step.each.as_ref().map(|word| word.at)),
        ("parallel", step.parallel.as_ref().map(|word| word.at)),
        ("retries", step.retries.as_ref().map(|word| word.at)),
        ("backoff", step.backoff.as_ref().map(|word| word.at)),
        ("undo", step.undo.as_ref().map(|words| words.at)),
        ("after_crash", step.after_crash.as_ref().map(|word| word.at)),
    ];
    for (key, at) in only_acts {
        if let Some(at) = place(at, !acts) {
            notes.error(at, format!("'{key}' in a step without 'run', 'call' or 'fence', only what acts on the outside has it, remove it"));
        }
    }
    let wait = step.wait.as_ref().map(|wait| &wait.value);
    let for_secondaries = matches!(wait, Some(WaitSpec::Secondaries));
    let just_waits = wait.is_some() && !for_secondaries;
    let at_least = step.at_least.as_ref().map(|count| count.at);
    if let Some(at) = place(at_least, !for_secondaries) {
        notes.error(
            at,
            "'at_least' in a step that does not wait for secondaries, it counts them, remove it",
        );
    }
    let timeout = step.timeout.as_ref().map(|time| time.at);
    if let Some(at) = place(timeout, just_waits) {
        notes.error(
            at,
            "'timeout' in a step that waits for a time, that is all it does, remove it",
        );
    }
    let on_failure = step.on_failure.as_ref().map(|word| word.at);
    if let Some(at) = place(on_failure, just_waits || step.publish.is_some()) {
        notes.error(at, "'on_failure' in a step that does not fail, remove it");
    }
    if step.fence.is_none() {
        return;
    }
    let undo = step.undo.as_ref().map(|words| words.at);
    if let Some(at) = undo {
        notes.error(
            at,
            "'undo' in a fence, streams that were cut are not taken back, remove it",
        );
    }
    if let Some(at) = on_failure {
        notes.error(
            at,
            "'on_failure' in a fence, its failure never halts anything, remove it",
        );
    }
    if let Some(At {
        value: AfterCrash::Verify,
        at,
    }) = &step.after_crash
    {
        notes.error(*at, "after_crash = \"verify\" in a fence, it looks at the new pool and a fence acts on the old one, write \"retry\" or \"ask\"");
    }
}
