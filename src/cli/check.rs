//! `switchback check`.

use std::io::Write;

use super::args::Check;
use super::output::{CommandError, Out};
use super::{Exit, wiring};
use crate::admin::text;
use crate::sandbox::InForce;

pub(super) fn run(arguments: &Check, out: &mut Out) -> Result<Exit, CommandError> {
    if arguments.sandbox {
        return sandbox(arguments.json, out);
    }
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

/// What this kernel has. It is tried, and not asked: a container may forbid what a kernel has.
fn sandbox(json: bool, out: &mut Out) -> Result<Exit, CommandError> {
    let InForce {
        user,
        no_new_privs,
        capabilities,
        landlock,
        seccomp,
        missing,
    } = wiring::offered()?;
    if json {
        let told = serde_json::json!({
            "user": user,
            "may_change_user": wiring::may_change_user(),
            "no_new_privs": no_new_privs,
            "capabilities": capabilities,
            "landlock": landlock,
            "seccomp": seccomp,
            "missing": missing,
        });
        writeln!(out, "{told:#}")?;
    } else {
        let mut line = |what: &str, told: String| writeln!(out, "{what:<14} {told}");
        let yes = |is: bool, word: &str| if is { word.to_owned() } else { "no".to_owned() };
        let change = match wiring::may_change_user() {
            true => "this user may become the one of [sandbox] user",
            false => "it stays: only root may become the one of [sandbox] user",
        };
        line("user", format!("{user}; {change}"))?;
        let capabilities = capabilities == 0 && no_new_privs;
        line(
            "capabilities",
            yes(capabilities, "given up, and no program brings one back"),
        )?;
        let files = landlock.map_or("no".to_owned(), |abi| format!("Landlock, version {abi}"));
        line("files", files)?;
        line("system calls", yes(seccomp, "seccomp"))?;
        for why in &missing {
            line("missing", why.clone())?;
        }
    }
    Ok(if missing.is_empty() {
        Exit::Well
    } else {
        Exit::NotWell
    })
}
