//! `switchback check`.

use std::io::Write;

use super::Exit;
use super::args::Check;
use super::output::{CommandError, Out};
use crate::config;

pub(super) fn run(arguments: &Check, out: &mut Out) -> Result<Exit, CommandError> {
    let report = config::check(&arguments.config);
    writeln!(out, "{}", report.to_string().trim_end())?;
    Ok(if report.errors.is_empty() {
        Exit::Well
    } else {
        Exit::NotWell
    })
}
