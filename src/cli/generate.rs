//! Completions and man pages, from the same definitions as `--help`.

use std::io::Write;

use clap::CommandFactory;

use super::Exit;
use super::args::{Arguments, Completions, Man};
use super::output::{CommandError, Out};

pub(super) fn completions(arguments: &Completions, out: &mut Out) -> Result<Exit, CommandError> {
    // The generator panics when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "switchback", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Well)
}

pub(super) fn man(arguments: &Man, out: &mut Out) -> Result<Exit, CommandError> {
    let command = Arguments::command();
    match &arguments.dir {
        Some(dir) => {
            let failed = |error| {
                CommandError::Failed(format!(
                    "cannot write man pages to {}: {error}",
                    dir.display()
                ))
            };
            std::fs::create_dir_all(dir).map_err(failed)?;
            clap_mangen::generate_to(command, dir).map_err(failed)?;
            writeln!(out, "man pages written to {}", dir.display())?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map_err(CommandError::failed)?;
            out.write_all(&page)?;
        }
    }
    Ok(Exit::Well)
}
