//! The `switchback` command: everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchback::cli::main()
}
