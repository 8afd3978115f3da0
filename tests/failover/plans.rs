//! The two runbooks of the examples.

use switchback::runbook::{Act, AfterCrash, Command, Condition, Each, Plan, Step};

use crate::world::secs;

fn step(name: &str, act: Act, undo: Option<&str>, after_crash: AfterCrash) -> Step {
    let undo = undo.map(|path| Command(vec![path.to_owned()]));
    Step {
        name: name.to_owned(),
        act,
        timeout: secs(60),
        undo,
        after_crash,
    }
}

fn run(path: &str, each: Each) -> Act {
    Act::Run {
        command: Command(vec![path.to_owned()]),
        each,
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
