//! An operator's orders: sent, answered, and followed to their end.

use std::io::Write;
use std::time::Duration;

use super::args::{
    Abort, Approve, By, Daemon, Drain, Failback, Failover, Freeze, Overrides, Pin, Plan, Readmit,
    Reject, Resume, Retry, Skip, Thaw, Undrain, Unpin,
};
use super::ask::{ask, other_answer, write_json};
use super::output::{CommandError, Out, complain};
use super::{Exit, follow};
use crate::admin::{self, Answer, Claim, Request, text};
use crate::ids::Generation;

pub(super) fn plan(arguments: &Plan, out: &mut Out) -> Result<Exit, CommandError> {
    let plans = plans(&arguments.daemon, vec![planned(arguments)])?;
    let [plan] = &plans[..] else {
        return Err(other_answer());
    };
    if arguments.json {
        write_json(plan, out)?;
    } else {
        out.write_all(text::plan(plan, out.paint()).as_bytes())?;
    }
    Ok(if plan.in_the_way.is_empty() {
        Exit::Well
    } else {
        Exit::NotWell
    })
}

/// What these orders would do, one after another.
pub(super) fn plans(
    daemon: &Daemon,
    orders: Vec<Request>,
) -> Result<Vec<admin::Plan>, CommandError> {
    let Answer::Plan(plans) = ask(daemon, &Request::Plan { orders })? else {
        return Err(other_answer());
    };
    Ok(plans)
}

/// The order that is planned. Nobody gives it, so nobody claims it.
fn planned(arguments: &Plan) -> Request {
    let (what, now, by) = (arguments.what.clone(), arguments.now, Claim::default());
    let force = false;
    if arguments.drain {
        Request::Drain {
            what,
            for_s: None,
            force,
            now,
            by,
        }
    } else if arguments.undrain {
        Request::Undrain { what, by }
    } else if arguments.approve {
        Request::Approve { what, by }
    } else if arguments.failback {
        Request::Failback {
            service: what.as_str().into(),
            force,
            now,
            by,
        }
    } else {
        Request::Failover {
            service: what.as_str().into(),
            to: arguments.to.as_deref().map(Into::into),
            force,
            now,
            if_generation: None,
            by,
        }
    }
}

pub(super) fn failover(arguments: &Failover, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Failover {
        service: arguments.service.as_str().into(),
        to: arguments.to.as_deref().map(Into::into),
        force: arguments.force,
        now: arguments.now,
        if_generation: arguments.if_generation.map(Generation),
        by: claim(&arguments.by, Some(&arguments.reason)),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn failback(arguments: &Failback, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Failback {
        service: arguments.service.as_str().into(),
        force: arguments.force,
        now: arguments.now,
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn drain(arguments: &Drain, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Drain {
        what: arguments.what.clone(),
        for_s: arguments.period.map(whole_seconds),
        force: arguments.force,
        now: arguments.now,
        by: claim(&arguments.by, Some(&arguments.reason)),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn undrain(arguments: &Undrain, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Undrain {
        what: arguments.what.clone(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, true, out)
}

pub(super) fn pin(arguments: &Pin, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Pin {
        service: arguments.service.as_str().into(),
        pool: arguments.pool.as_str().into(),
        for_s: arguments.period.map(whole_seconds),
        now: arguments.now,
        by: claim(&arguments.by, Some(&arguments.reason)),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn unpin(arguments: &Unpin, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Unpin {
        service: arguments.service.as_str().into(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, true, out)
}

pub(super) fn freeze(arguments: &Freeze, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Freeze {
        service: arguments.service.as_str().into(),
        for_s: arguments.period.map(whole_seconds),
        by: claim(&arguments.by, Some(&arguments.reason)),
    };
    // What is frozen goes nowhere: there is nothing to follow.
    give(&request, &arguments.by, false, out)
}

pub(super) fn thaw(arguments: &Thaw, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Thaw {
        service: arguments.service.as_str().into(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, true, out)
}

pub(super) fn approve(arguments: &Approve, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Approve {
        what: arguments.what.clone(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn reject(arguments: &Reject, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Reject {
        what: arguments.what.clone(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, false, out)
}

pub(super) fn retry(arguments: &Retry, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Retry {
        service: arguments.service.as_str().into(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn skip(arguments: &Skip, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Skip {
        service: arguments.service.as_str().into(),
        step: arguments.step.clone(),
        server: arguments.server.clone(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn abort(arguments: &Abort, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Abort {
        service: arguments.service.as_str().into(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, !arguments.no_wait, out)
}

pub(super) fn resume(arguments: &Resume, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Resume {
        service: arguments.service.as_str().into(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, true, out)
}

pub(super) fn readmit(arguments: &Readmit, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Readmit {
        service: arguments.service.as_str().into(),
        pool: arguments.pool.as_str().into(),
        by: claim(&arguments.by, arguments.reason.as_ref()),
    };
    give(&request, &arguments.by, true, out)
}

pub(super) fn overrides(arguments: &Overrides, out: &mut Out) -> Result<Exit, CommandError> {
    let Answer::Overrides(in_force) = ask(&arguments.daemon, &Request::Overrides)? else {
        return Err(other_answer());
    };
    if arguments.json {
        write_json(&in_force, out)?;
    } else {
        out.write_all(text::overrides(&in_force, out.paint()).as_bytes())?;
    }
    Ok(Exit::Well)
}

/// Gives an order, and follows what moves because of it.
fn give(request: &Request, by: &By, wait: bool, out: &mut Out) -> Result<Exit, CommandError> {
    let answer = match ask(&by.daemon, request) {
        Ok(answer) => answer,
        Err(refused @ CommandError::Refused(_)) => {
            complain(&refused);
            return Ok(Exit::Refused);
        }
        Err(error) => return Err(error),
    };
    let Answer::Ordered(ordered) = answer else {
        return Err(other_answer());
    };
    if !by.json {
        out.write_all(text::ordered(&ordered, out.paint()).as_bytes())?;
        out.flush()?;
    }
    if !wait {
        if by.json {
            write_json(&ordered, out)?;
        }
        return Ok(Exit::Well);
    }
    follow::to_the_end(&by.daemon, ordered, by.json, out)
}

/// Who orders it: as the command line says, else the user who called sudo or doas; the daemon
/// knows the account itself.
pub(super) fn claim(by: &By, reason: Option<&String>) -> Claim {
    let behind = || {
        let names = ["SUDO_USER", "DOAS_USER"];
        names.iter().find_map(|name| std::env::var(name).ok())
    };
    Claim {
        author: by.author.clone().or_else(behind),
        reason: reason.cloned(),
    }
}

fn whole_seconds(period: Duration) -> u64 {
    period.as_secs()
}
