//! The two runbooks of the examples, and one with every kind of step.

use switchback::runbook::{
    Act, AfterCrash, Command, Condition, Each, OnFailure, Pause, Plan, Retries, Side, Step, Work,
};

use crate::world::secs;

fn step(name: &str, act: Act, undo: Option<&str>, after_crash: AfterCrash) -> Step {
    let undo = undo.map(work);
    Step {
        name: name.to_owned(),
        act,
        timeout: secs(60),
        undo,
        after_crash,
        retries: Retries::default(),
        on_failure: OnFailure::Undo,
    }
}

fn work(path: &str) -> Work {
    Work::Run(Command(vec![path.to_owned()]))
}

fn run(path: &str, each: Each) -> Act {
    Act::Run {
        work: work(path),
        each,
        side: Side::To,
    }
}

/// Stop and start at once on all servers, publish, wait in each of the three ways, fence the old
/// pool.
pub(crate) fn every_kind(after_crash: AfterCrash) -> Plan {
    let fence = Act::Run {
        work: work("/fence"),
        each: Each::ServerInParallel,
        side: Side::From,
    };
    let mut fence = step("fence", fence, None, AfterCrash::Retry);
    fence.on_failure = OnFailure::Continue;
    let wait = |name, pause| step(name, Act::Wait(pause), None, AfterCrash::Retry);
    let secondaries = Pause::Secondaries { at_least: Some(1) };
    let stop = run("/stop", Each::ServerInParallel);
    let start = run("/start", Each::ServerInParallel);
    let open = Act::Verify(Condition::Open);
    Plan {
        steps: vec![
            step("stop services", stop, Some("/start"), after_crash),
            step(
                "route",
                run("/route", Each::Operation),
                Some("/route"),
                after_crash,
            ),
            wait("let the long TTL drain", Pause::Ttl),
            step("start services", start, Some("/stop"), after_crash),
            step("verify open", open, None, AfterCrash::Retry),
            step("publish", Act::Publish, None, AfterCrash::Retry),
            wait("wait for secondaries", secondaries),
            wait("wait", Pause::For(secs(3))),
            fence,
        ],
    }
}

/// The order of the document: stop, route, publish, verify the path, start, verify.
pub(crate) fn document_order(after_crash: AfterCrash) -> Plan {
    Plan {
        steps: vec![
            step(
                "stop services",
                run("/stop", Each::Server),
                Some("/start"),
                after_crash,
            ),
            step(
                "route",
                run("/route", Each::Operation),
                Some("/route"),
                after_crash,
            ),
            step("publish", Act::Publish, None, AfterCrash::Retry),
            step(
                "verify path",
                Act::Verify(Condition::Path),
                None,
                AfterCrash::Retry,
            ),
            step(
                "start services",
                run("/start", Each::Server),
                None,
                after_crash,
            ),
            step(
                "verify",
                Act::Verify(Condition::Healthy),
                None,
                AfterCrash::Retry,
            ),
        ],
    }
}

/// Start and verify, then publish.
pub(crate) fn verify_first(after_crash: AfterCrash) -> Plan {
    Plan {
        steps: vec![
            step(
                "route",
                run("/route", Each::Operation),
                Some("/route"),
                after_crash,
            ),
            step(
                "start services",
                run("/start", Each::Server),
                None,
                after_crash,
            ),
            step(
                "verify",
                Act::Verify(Condition::Healthy),
                None,
                AfterCrash::Retry,
            ),
            step("publish", Act::Publish, None, AfterCrash::Retry),
        ],
    }
}
