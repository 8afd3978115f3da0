//! `switchback verify`.

use std::io::Write;

use serde::Serialize;

use super::args::{Daemon, Verify};
use super::ask::{other_answer, socket_of, write_json};
use super::output::{CommandError, Out};
use super::{Exit, wiring};
use crate::admin::text::tame;
use crate::admin::{self, Answer, ClientError, Request};
use crate::ids::ServiceName;
use crate::lookup::Patience;
use crate::time::Wall;
use crate::verify::{Evidence, Expected, Finding, Level, findings, worst};

/// A publication in the middle of asking makes everything before it look old: then all is asked
/// again, but not for ever.
const ROUNDS: usize = 3;

/// What was found, for programs. Fields are added, never renamed.
#[derive(Serialize)]
struct Verified<'v> {
    service: &'v ServiceName,
    /// Whether a daemon said what is published.
    published: bool,
    /// When the asking began.
    at: Wall,
    passed: usize,
    warnings: usize,
    failures: usize,
    findings: &'v [Finding],
}

pub(super) fn run(arguments: &Verify, out: &mut Out) -> Result<Exit, CommandError> {
    let runtime = wiring::runtime()?;
    let survey = wiring::survey(
        &arguments.resolvers,
        arguments.ca_file.clone(),
        Patience::default(),
    )?;
    let service = ServiceName::from(arguments.service.as_str());
    let mut expected = expected(&arguments.daemon, &service)?;
    let mut evidence = Evidence::default();
    for _ in 0..ROUNDS {
        evidence = runtime.block_on(survey.look(&expected));
        let after = self::expected(&arguments.daemon, &service)?;
        if after == expected {
            break;
        }
        expected = after;
    }
    let found = findings(&expected, &evidence);
    let count = |level| found.iter().filter(|it| it.level == level).count();
    let verified = Verified {
        service: &service,
        published: expected.published,
        at: evidence.now,
        passed: count(Level::Pass),
        warnings: count(Level::Warn),
        failures: count(Level::Fail),
        findings: &found,
    };
    if arguments.json {
        write_json(&verified, out)?;
    } else {
        show(&verified, &expected, arguments.quiet, out)?;
    }
    Ok(match worst(&found) {
        Level::Pass | Level::Warn => Exit::Well,
        Level::Fail => Exit::NotWell,
    })
}

/// What the daemon publishes. Where none runs, what the configuration wants.
pub(super) fn expected(daemon: &Daemon, service: &ServiceName) -> Result<Expected, CommandError> {
    let socket = socket_of(daemon)?;
    let request = Request::Published {
        service: service.clone(),
    };
    match admin::ask(&socket, &request) {
        Ok(Answer::Published(expected)) => Ok(*expected),
        Ok(_) => Err(other_answer()),
        Err(ClientError::NoSocket { .. } | ClientError::NobodyThere { .. })
            if daemon.control.is_none() =>
        {
            wiring::expected(&daemon.config, service)
        }
        Err(error) => Err(CommandError::failed(error)),
    }
}

fn show(
    verified: &Verified<'_>,
    expected: &Expected,
    quiet: bool,
    out: &mut Out,
) -> Result<(), CommandError> {
    let paint = out.paint();
    let measure = match expected.ttl_s {
        Some(ttl_s) => format!("measured by what the daemon publishes, ttl {ttl_s} s"),
        None => "no daemon runs here: measured by the configuration".to_owned(),
    };
    writeln!(out, "{}  {measure}", paint.head(verified.service.as_str()))?;
    let shown = verified.findings.iter();
    for finding in shown.filter(|finding| !quiet || finding.level != Level::Pass) {
        let Finding {
            level,
            check,
            at,
            saw,
            remedy,
        } = finding;
        let word = level.to_string();
        let word = match level {
            Level::Pass => paint.good(&word),
            Level::Warn => paint.odd(&word),
            Level::Fail => paint.loud(&word),
        };
        writeln!(
            out,
            "{word}  {:<11}  {}: {}",
            check.word(),
            tame(at),
            tame(saw)
        )?;
        if let Some(remedy) = remedy {
            writeln!(
                out,
                "      {}",
                paint.quiet(&format!("-> {}", tame(remedy)))
            )?;
        }
    }
    let Verified {
        passed,
        warnings,
        failures,
        ..
    } = verified;
    writeln!(
        out,
        "{passed} passed, {warnings} warnings, {failures} failures"
    )?;
    Ok(())
}
