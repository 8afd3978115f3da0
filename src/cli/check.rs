//! `switchback check`.

use std::io::Write;

use super::args::Check;
use super::output::{CommandError, Out};
use super::{Exit, wiring};
use crate::admin::text;

pub(super) fn run(arguments: &Check, out: &mut Out) -> Result<Exit, CommandError> {
    let report = wiring::check(&arguments.config)?;
    let paint = out.paint();
    for line in report.problems.iter().chain(&report.warnings) {
        writeln!(out, "{line}")?;
    }
    let warned = match report.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    let file = arguments.config.display();
    match report.problems.len() {
        0 => writeln!(out, "{file}: {}{warned}", paint.good("no errors"))?,
        1 => writeln!(out, "{file}: 1 error{warned}")?,
        many => writeln!(out, "{file}: {many} errors{warned}")?,
    }
    for outline in &report.outlines {
        write!(out, "\n{}", text::outline(outline, paint))?;
    }
    Ok(if report.problems.is_empty() {
        Exit::Well
    } else {
        Exit::NotWell
    })
}
