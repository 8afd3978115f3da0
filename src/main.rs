//! The `switchback` command: everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "hook-runner")
    {
        return switchback::hook::runner::main();
    }
    ExitCode::FAILURE
}
