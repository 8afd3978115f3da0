//! `history`, `history export` and `show`.

use std::io::Write;

use super::Exit;
use super::args::{Export, History, HistoryForm, Show};
use super::ask::{ask, other_answer, write_json};
use super::output::{CommandError, Out};
use super::when::local;
use crate::admin::{Answer, Request, text};
use crate::ids::OperationId;

pub(super) fn history(arguments: &History, out: &mut Out) -> Result<Exit, CommandError> {
    if let Some(HistoryForm::Export(arguments)) = &arguments.form {
        return export(arguments, out);
    }
    let request = Request::History {
        service: arguments.service.as_deref().map(Into::into),
        since: arguments.since,
        limit: usize::try_from(arguments.limit).ok(),
        all: arguments.all,
    };
    let Answer::History(past) = ask(&arguments.daemon, &request)? else {
        return Err(other_answer());
    };
    if arguments.json {
        write_json(&past, out)?;
    } else {
        out.write_all(text::history(&past, &local, out.paint()).as_bytes())?;
    }
    Ok(Exit::Well)
}

fn export(arguments: &Export, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Night {
        since: arguments.since,
    };
    let Answer::Night { scenario } = ask(&arguments.daemon, &request)? else {
        return Err(other_answer());
    };
    out.write_all(scenario.as_bytes())?;
    Ok(Exit::Well)
}

pub(super) fn show(arguments: &Show, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Show {
        operation: OperationId(arguments.operation),
    };
    let Answer::Show(shown) = ask(&arguments.daemon, &request)? else {
        return Err(other_answer());
    };
    if arguments.json {
        write_json(&*shown, out)?;
    } else {
        out.write_all(text::shown(&shown, &local, out.paint()).as_bytes())?;
    }
    Ok(Exit::Well)
}
