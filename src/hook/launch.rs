//! The launcher: a process that waits for the word and then becomes the hook.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use crate::runbook::Command;

/// What a launcher that could not become the hook prints first, and its exit code. No program
/// prints this by chance.
pub(super) const MARK: &[u8] = b"\0switchback: not started\0";
pub(super) const EXIT_CODE: u8 = 127;

/// Becomes `command`; environment, directory and streams are already its own. Returns only if
/// that fails, after saying why.
pub(super) fn launch(command: &Command) -> ExitCode {
    let why = match command.0.split_first() {
        Some((program, arguments)) => {
            let error = std::process::Command::new(program).args(arguments).exec();
            format!("{program}: {error}: {}", remedy(&error))
        }
        None => "the command has no words: name a program".to_owned(),
    };
    let _ = io::stderr().write_all(&[MARK, why.as_bytes()].concat());
    ExitCode::from(EXIT_CODE)
}

fn remedy(error: &io::Error) -> &'static str {
    const ENOEXEC: i32 = 8;
    if error.kind() == io::ErrorKind::NotFound {
        "check the path, and the interpreter that its first line names"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "make it executable (chmod +x), and its directories open to the daemon's user"
    } else if error.raw_os_error() == Some(ENOEXEC) {
        "begin a script with a line such as #!/bin/sh"
    } else {
        "run it by hand as the daemon's user"
    }
}
