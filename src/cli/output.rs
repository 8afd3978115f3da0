//! Standard output without panics, and one form for errors.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use crate::admin::text::Paint;

/// Why a command ended without doing what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// The daemon refused it; nothing has changed.
    #[error("{0}")]
    Refused(String),
    /// Standard output is closed: not an error of ours.
    #[error("nobody reads the output")]
    NobodyReads,
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
}

impl CommandError {
    /// A failure, in the words of the error that is its cause.
    pub(super) fn failed(error: impl fmt::Display) -> CommandError {
        CommandError::Failed(error.to_string())
    }
}

impl From<io::Error> for CommandError {
    /// Errors of standard output. Other IO errors carry their own words.
    fn from(error: io::Error) -> CommandError {
        if error.kind() == io::ErrorKind::BrokenPipe {
            CommandError::NobodyReads
        } else {
            CommandError::Output(error)
        }
    }
}

/// Standard output.
pub(super) struct Out {
    stdout: io::Stdout,
    paint: Paint,
}

impl Out {
    pub(super) fn new() -> Out {
        let stdout = io::stdout();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let paint = if stdout.is_terminal() && !no_color {
            Paint::Colours
        } else {
            Paint::Plain
        };
        Out { stdout, paint }
    }

    /// Whether a person watches: a line may be written over.
    pub(super) fn is_terminal(&self) -> bool {
        self.stdout.is_terminal()
    }

    /// Whether to colour.
    pub(super) fn paint(&self) -> Paint {
        self.paint
    }
}

impl Write for Out {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.stdout.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// Prints an error to standard error.
pub(super) fn complain(error: &CommandError) {
    // Nobody is left to tell if this fails as well.
    let _ = writeln!(io::stderr(), "switchback: {error}");
}
