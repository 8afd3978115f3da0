//! **IO.** The command line: arguments, printing, exit codes. What the commands do lives below.
//!
//! Reading order: [`args`] (what can be said), then one file per command. `wiring` is the one
//! place that calls the configuration, the daemon, the probes and the hook runner.

mod args;
mod ask;
mod check;
mod demo;
mod drill;
mod follow;
mod generate;
mod order;
mod output;
mod past;
mod probe;
mod serve;
mod simulate;
mod verify;
mod watch;
mod when;
mod wiring;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

pub use args::{Arguments, Command};
use output::{CommandError, Out};

/// How the command ends, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done; what was asked about is well.
    Well,
    /// 1: it failed, or what was asked about is not well.
    NotWell,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the daemon refused an order; nothing has changed.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Well => 0,
            Exit::NotWell => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
        })
    }
}

/// The whole command: reads the arguments of the process, does what they say, and returns its
/// exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Clap prints help to stdout and errors to stderr; if neither can be written there
            // is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Well.into()
            };
        }
    };
    // The hook runner speaks a protocol on its standard streams: nothing is printed around it.
    if matches!(arguments.command, Command::HookRunner) {
        return wiring::hook_runner();
    }
    if matches!(arguments.command, Command::Starter) {
        return wiring::starter();
    }
    let mut out = Out::new();
    let result = run(arguments.command, &mut out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match result {
        Ok(exit) => exit.into(),
        // Whoever read our output has read enough (`switchback status | head -1`).
        Err(CommandError::NobodyReads) => Exit::Well.into(),
        Err(error) => {
            output::complain(&error);
            Exit::NotWell.into()
        }
    }
}

fn run(command: Command, out: &mut Out) -> Result<Exit, CommandError> {
    match command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Check(arguments) => check::run(&arguments, out),
        Command::Status(arguments) => ask::status(&arguments, out),
        Command::Explain(arguments) => ask::explain(&arguments, out),
        Command::Reload(arguments) => ask::reload(&arguments, out),
        Command::Log(arguments) => ask::log(&arguments, out),
        Command::Dnstap(arguments) => ask::dnstap(&arguments, out),
        Command::Plan(arguments) => order::plan(&arguments, out),
        Command::Failover(arguments) => order::failover(&arguments, out),
        Command::Failback(arguments) => order::failback(&arguments, out),
        Command::Drain(arguments) => order::drain(&arguments, out),
        Command::Undrain(arguments) => order::undrain(&arguments, out),
        Command::Pin(arguments) => order::pin(&arguments, out),
        Command::Unpin(arguments) => order::unpin(&arguments, out),
        Command::Freeze(arguments) => order::freeze(&arguments, out),
        Command::Thaw(arguments) => order::thaw(&arguments, out),
        Command::Overrides(arguments) => order::overrides(&arguments, out),
        Command::History(arguments) => past::history(&arguments, out),
        Command::Show(arguments) => past::show(&arguments, out),
        Command::Simulate(arguments) => simulate::run(&arguments, out),
        Command::Approve(arguments) => order::approve(&arguments, out),
        Command::Reject(arguments) => order::reject(&arguments, out),
        Command::Retry(arguments) => order::retry(&arguments, out),
        Command::Skip(arguments) => order::skip(&arguments, out),
        Command::Abort(arguments) => order::abort(&arguments, out),
        Command::Resume(arguments) => order::resume(&arguments, out),
        Command::Readmit(arguments) => order::readmit(&arguments, out),
        Command::Drill(arguments) => drill::run(&arguments, out),
        Command::Verify(arguments) => verify::run(&arguments, out),
        Command::Probe(arguments) => probe::run(arguments, out),
        Command::Demo(arguments) => demo::run(&arguments, out),
        Command::DemoEdge(arguments) => demo::edge::run(&arguments, out),
        Command::Completions(arguments) => generate::completions(&arguments, out),
        Command::Man(arguments) => generate::man(&arguments, out),
        Command::HookRunner | Command::Starter => Ok(Exit::Well),
    }
}
