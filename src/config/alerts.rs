//! `[[alert]]`: who is told of what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::calls;
use super::duration::show;
use super::names;
use super::paths::Base;
use super::problem::{At, Notes};
use super::spec::List;
use super::spec_alerts::AlertSpec;
use crate::alert::{PER_HOUR, Topic};
use crate::courier::{Destination, Receiver};

const TIMEOUT: Duration = Duration::from_secs(10);
/// So long one delivery may take at the most.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));
const DAYS: u32 = 14;
const MOST_DAYS: u32 = 365;
const MOST_PER_HOUR: u32 = 1000;
/// So many receivers: each has a task and a queue.
const MOST: usize = 16;

pub(super) fn read(specs: &List<AlertSpec>, base: &Base, notes: &mut Notes) -> Vec<Receiver> {
    let mut receivers = Vec::new();
    let mut known = BTreeMap::new();
    for spec in specs {
        let Some(name) = &spec.value.name else {
            continue;
        };
        names::label("receiver of alerts", name, notes);
        if known.insert(name.value.clone(), name.at).is_some() {
            let message = format!(
                "'{}' is the name of two [[alert]], status shows them by it, rename one",
                name.value
            );
            notes.error(name.at, message);
        }
        receivers.extend(receiver(&name.value, spec, base, notes));
    }
    if let Some(extra) = specs.get(MOST) {
        let message = format!(
            "{} [[alert]], at most {MOST} are told, remove some",
            specs.len()
        );
        notes.error(extra.at, message);
    }
    receivers
}

fn receiver(name: &str, spec: &At<AlertSpec>, base: &Base, notes: &mut Notes) -> Option<Receiver> {
    let AlertSpec {
        name: _,
        call,
        run,
        on,
        timeout,
        per_hour,
        certificate_days,
    } = &spec.value;
    let to = match (call, run) {
        (Some(call), None) => calls::read(&call.value, base, notes).map(Destination::Call),
        (None, Some(words)) => base
            .command(&words.value, words.at, "run", notes)
            .map(Destination::Program),
        (Some(_), Some(run)) => {
            notes.error(
                run.at,
                "an [[alert]] has both 'call' and 'run', write two entries",
            );
            None
        }
        (None, None) => {
            notes.error(
                spec.at,
                "an [[alert]] has neither 'call' nor 'run', add one of them",
            );
            None
        }
    };
    if let Some(on) = on.as_ref().filter(|on| on.value.is_empty()) {
        notes.error(
            on.at,
            "'on' is empty, so nobody would ever be told, name a topic or leave it out for all",
        );
    }
    let topics = on
        .as_ref()
        .map(|on| on.value.iter().map(|topic| topic.value).collect());
    Some(Receiver {
        name: name.to_owned(),
        to: to?,
        on: topics.unwrap_or_else(|| BTreeSet::from(Topic::CHOOSABLE)),
        timeout: time(timeout.as_ref(), notes),
        per_hour: within(
            "per_hour",
            per_hour.as_ref(),
            PER_HOUR,
            MOST_PER_HOUR,
            notes,
        ),
        certificate_days: within(
            "certificate_days",
            certificate_days.as_ref(),
            DAYS,
            MOST_DAYS,
            notes,
        )
        .into(),
    })
}

fn time(spec: Option<&At<Duration>>, notes: &mut Notes) -> Duration {
    let (least, most) = TIMEOUTS;
    match spec {
        Some(At { value, at }) if !(least..=most).contains(value) => {
            let message = format!(
                "'timeout' is {}, one delivery takes {} to {}, correct it",
                show(*value),
                show(least),
                show(most)
            );
            notes.error(*at, message);
            TIMEOUT
        }
        Some(At { value, .. }) => *value,
        None => TIMEOUT,
    }
}

fn within(key: &str, spec: Option<&At<u32>>, default: u32, most: u32, notes: &mut Notes) -> u32 {
    match spec {
        Some(At { value, at }) if !(1..=most).contains(value) => {
            notes.error(*at, format!("'{key}' is {value}, write 1 to {most}"));
            default
        }
        Some(At { value, .. }) => *value,
        None => default,
    }
}
