//! The lines above the first time, one by one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::model::HookLine;
use super::words::{Fault, Words};
use crate::chronicle::Pace;
use crate::failover::{Detection, Failback, HookOutcome, Mode, OnHalt, Server, Service, TtlRange};
use crate::health::Layer;
use crate::ids::ServerName;
use crate::runbook::{
    Act, AfterCrash, Call, Command, Condition, Each, OnFailure, Pause, Plan, Retries, Side, Step,
    Work,
};

/// As the configuration has it, if a step does not say.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// So many good or bad looks in a row at the most, as in the configuration.
const ROW_MAX: u64 = 100;

pub(super) const LAYERS: [(&str, Layer); 4] = [
    ("path", Layer::Path),
    ("port", Layer::Port),
    ("speech", Layer::Speech),
    ("tls", Layer::Tls),
];

/// What the configuration takes if it does not say: see docs/configuration.md.
pub(super) fn default_probe() -> (Detection, Pace) {
    let detection = Detection {
        depth: Layer::Tls,
        rise: 2,
        fall: 2,
        stale_after: Duration::from_secs(7),
        tls_stale_after: Duration::from_secs(12),
    };
    let pace = Pace {
        interval: Duration::from_secs(1),
        deep: None,
    };
    (detection, pace)
}

pub(super) fn probe(words: &mut Words) -> Result<(Detection, Pace), Fault> {
    let (mut detection, mut pace) = default_probe();
    let (mut stale, mut deep_stale) = (None, None);
    let row = |words: &mut Words| {
        let number = words.number("a number of looks in a row", 1, ROW_MAX)?;
        Ok::<u32, Fault>(u32::try_from(number).unwrap_or(1))
    };
    loop {
        if words.has("depth") {
            detection.depth = words.one_of("a depth", &LAYERS)?;
        } else if words.has("interval") {
            pace.interval = words.duration("the time from look to look")?;
        } else if words.has("deep") {
            pace.deep = Some(words.duration("the time from deep look to deep look")?);
        } else if words.has("rise") {
            detection.rise = row(words)?;
        } else if words.has("fall") {
            detection.fall = row(words)?;
        } else if words.has("stale") {
            stale = Some(words.duration("when a layer is unknown")?);
        } else if words.has("deep-stale") {
            deep_stale = Some(words.duration("when the certificate is unknown")?);
        } else {
            break;
        }
    }
    let least = Duration::from_millis(10);
    if pace.interval < least || pace.deep.is_some_and(|deep| deep < pace.interval) {
        return Err(words.fault_here(
            "the interval is at least 0.010s, and deep looks are not more frequent than looks",
        ));
    }
    let whole = Duration::from_secs(4) + pace.interval * 3;
    detection.stale_after = stale.unwrap_or(whole);
    let deep = pace.deep.unwrap_or(Duration::from_secs(5));
    detection.tls_stale_after = deep_stale.unwrap_or(detection.stale_after + deep);
    Ok((detection, pace))
}

pub(super) fn server(words: &mut Words) -> Result<Server, Fault> {
    let name = words.need("the server's name")?.text;
    let mut addresses = Vec::new();
    while let Some(address) = words.try_next(|text| text.parse::<IpAddr>().ok()) {
        addresses.push(address);
    }
    if addresses.is_empty() {
        words.need("an address")?;
        return Err(words.fault_here("this server has no address, add one behind its name"));
    }
    let mut weight = 50;
    if words.has("weight") {
        weight = words.number("a weight", 0, 65_535)?;
    }
    Ok(Server {
        name: ServerName::from(name.as_str()),
        addresses,
        weight: u16::try_from(weight).unwrap_or(u16::MAX),
        vars: BTreeMap::new(),
    })
}

pub(super) fn service() -> Service {
    Service {
        pools: Vec::new(),
        ttl: TtlRange {
            min: Duration::from_secs(5),
            max: Duration::from_secs(60),
        },
        failover_after: Duration::ZERO,
        cap_per_hour: 4,
        failback: Failback::After(Duration::from_secs(600)),
        on_halt: OnHalt::Next,
        settle: Duration::from_secs(5),
        runbook: Plan { steps: Vec::new() },
        mode: Mode::Automatic,
        remind_every: Duration::from_secs(900),
    }
}

pub(super) fn ttl(words: &mut Words) -> Result<TtlRange, Fault> {
    let min = words.duration("the short TTL")?;
    let max = words.duration("the long TTL")?;
    let whole = |ttl: Duration| ttl.subsec_nanos() == 0;
    if min > max || !whole(min) || !whole(max) || max > DAY {
        return Err(words.fault_here(
            "a TTL is the short one, then the long one, in whole seconds, of a day at most",
        ));
    }
    Ok(TtlRange { min, max })
}

pub(super) fn step(words: &mut Words) -> Result<Step, Fault> {
    let name = words.need("the step's name")?.text;
    let act = if words.has("publish") {
        Act::Publish
    } else if words.has("verify") {
        let known = [
            ("path", Condition::Path),
            ("open", Condition::Open),
            ("healthy", Condition::Healthy),
        ];
        Act::Verify(words.one_of("a condition", &known)?)
    } else if words.has("wait") {
        Act::Wait(pause(words)?)
    } else {
        acts(words)?
    };
    let mut step = Step {
        name,
        act,
        timeout: STEP_TIMEOUT,
        undo: None,
        after_crash: AfterCrash::Ask,
        retries: Retries::default(),
        on_failure: OnFailure::Undo,
    };
    loop {
        if words.has("timeout") {
            step.timeout = words.duration("how long it may take")?.min(DAY);
        } else if words.has("undo") {
            step.undo = Some(work(words)?);
        } else if words.has("retries") {
            let count = words.number("a number of retries", 1, 100)?;
            step.retries.count = u32::try_from(count).unwrap_or(0);
            if words.has("pause") {
                step.retries.pause = words.duration("the first pause")?.min(DAY);
            }
        } else if words.has("on-failure") {
            let known = [
                ("undo", OnFailure::Undo),
                ("halt", OnFailure::Halt),
                ("continue", OnFailure::Continue),
            ];
            step.on_failure = words.one_of("a rule", &known)?;
        } else if words.has("after-crash") {
            let known = [
                ("retry", AfterCrash::Retry),
                ("verify", AfterCrash::Verify),
                ("ask", AfterCrash::Ask),
            ];
            step.after_crash = words.one_of("a rule", &known)?;
        } else {
            return Ok(step);
        }
    }
}

/// What acts on the outside, and where.
fn acts(words: &mut Words) -> Result<Act, Fault> {
    let work = work(words)?;
    let mut each = Each::Operation;
    if words.has("each") {
        words.expect("server")?;
        each = match words.has("at-once") {
            true => Each::ServerInParallel,
            false => Each::Server,
        };
    }
    let side = match words.has("fence") {
        true => Side::From,
        false => Side::To,
    };
    Ok(Act::Run { work, each, side })
}

/// A program or a call; neither is carried out.
fn work(words: &mut Words) -> Result<Work, Fault> {
    if words.has("call") {
        return Ok(Work::Call(Box::new(Call {
            method: "POST".to_owned(),
            url: words.need("the address")?.text,
            headers: Vec::new(),
            secret_file: None,
            ca_file: None,
            expect: Vec::new(),
        })));
    }
    words.expect("run")?;
    Ok(Work::Run(Command(vec![words.need("the program")?.text])))
}

fn pause(words: &mut Words) -> Result<Pause, Fault> {
    if words.has("ttl") {
        return Ok(Pause::Ttl);
    }
    if !words.has("secondaries") {
        let time = words.duration("a duration, 'ttl' or 'secondaries'")?;
        return Ok(Pause::For(time));
    }
    let number = |text: &str| text.parse().ok().filter(|number| *number <= 1000);
    let at_least = words.try_next(number);
    Ok(Pause::Secondaries { at_least })
}

pub(super) fn hook(words: &mut Words) -> Result<HookLine, Fault> {
    let step = words.need("the step's name")?.text;
    let undo = words.has("undo");
    let server = if words.has("on") {
        Some(ServerName::from(words.need("the server")?.text.as_str()))
    } else {
        None
    };
    let outcome = outcome(words)?;
    let after = if words.has("after") {
        words.duration("how long it takes")?
    } else {
        Duration::from_secs(1)
    };
    Ok(HookLine {
        step,
        server,
        undo,
        outcome,
        after,
    })
}

fn outcome(words: &mut Words) -> Result<HookOutcome, Fault> {
    let word = words.need("how it ends")?;
    let number = |words: &mut Words, what: &str| -> Result<i32, Fault> {
        let number = words.number(what, 0, 255)?;
        Ok(i32::try_from(number).unwrap_or(0))
    };
    Ok(match word.text.as_str() {
        "done" => HookOutcome::Done,
        "exit" => HookOutcome::Exit(number(words, "an exit code")?),
        "signal" => HookOutcome::Signal(number(words, "a signal")?),
        "timeout" => HookOutcome::TimedOut,
        "refused" => HookOutcome::Refused(words.need("what came")?.text),
        "not-started" => HookOutcome::NotStarted(words.need("why")?.text),
        "lost" => HookOutcome::Lost(words.need("why")?.text),
        other => {
            let message = format!(
                "'{other}' is no end of a hook, write done, exit CODE, signal NUMBER, timeout, \
                 refused \"WHY\", not-started \"WHY\" or lost \"WHY\""
            );
            return Err(words.fault(&word, message));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_knows_when_it_is_stale() {
        let mut words = Words::of(1, "interval 2s deep 10s fall 3").unwrap();
        let (detection, pace) = probe(&mut words).unwrap();
        assert_eq!(detection.stale_after, Duration::from_secs(10));
        assert_eq!(detection.tls_stale_after, Duration::from_secs(20));
        assert_eq!(
            (detection.fall, pace.deep),
            (3, Some(Duration::from_secs(10)))
        );
    }
}
