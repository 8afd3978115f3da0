//! What is wrong with a configuration, and where: collected until all of it has been read.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// One error: `file:line:column: what, rule, remedy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct Problem {
    /// The file, as the caller or the configuration named it.
    pub file: Arc<str>,
    /// The line, from 1. 0 when the file as a whole is meant.
    pub line: u32,
    /// The column in characters, from 1. 0 when the file as a whole is meant.
    pub column: u32,
    /// What is wrong, which rule says so, and what to do.
    pub message: String,
}

/// One thing that is allowed and probably not wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            file,
            line,
            column,
            message,
        } = &self.0;
        write!(f, "{file}:{line}:{column}: warning: {message}")
    }
}

/// Why a configuration was refused: every error, and the warnings that stand beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The errors, ordered by file, line and column. Never empty where this is an error value.
    pub errors: Vec<Problem>,
    /// The warnings, in the same order.
    pub warnings: Vec<Warning>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    /// One line each, without a final newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self
            .errors
            .iter()
            .map(ToString::to_string)
            .chain(self.warnings.iter().map(ToString::to_string));
        if let Some(first) = lines.next() {
            f.write_str(&first)?;
        }
        lines.try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// A value with the place in the configuration where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    /// The value.
    pub(super) value: T,
    /// The offset of its first octet in the configuration's text.
    pub(super) at: usize,
}

/// The value of a key that has bounds; one outside of them is noted, and given all the same.
pub(super) fn within<T: Copy + PartialOrd + fmt::Display>(
    key: &str,
    value: Option<At<T>>,
    range: RangeInclusive<T>,
    notes: &mut Notes,
) -> Option<T> {
    let At { value, at } = value?;
    if !range.contains(&value) {
        let (least, most) = range.into_inner();
        notes.error(at, format!("'{key}' is {value}, write {least} to {most}"));
    }
    Some(value)
}

/// The notebook that reading fills: errors and warnings of one configuration.
#[derive(Debug)]
pub(super) struct Notes {
    file: Arc<str>,
    text: String,
    errors: Vec<Problem>,
    warnings: Vec<Warning>,
    /// Whether somebody is there to read it: see [`Notes::refuse_in_check`].
    checking: bool,
}

impl Notes {
    /// An empty notebook for the file with this text.
    pub(super) fn new(file: &str, text: &str) -> Notes {
        Notes {
            file: file.into(),
            text: text.to_owned(),
            errors: Vec::new(),
            warnings: Vec::new(),
            checking: false,
        }
    }

    /// The same for `check`.
    pub(super) fn for_check(self) -> Notes {
        Notes {
            checking: true,
            ..self
        }
    }

    /// Notes an error at the octet `at` of the configuration.
    pub(super) fn error(&mut self, at: usize, message: impl Into<String>) {
        let problem = self.problem(at, message.into());
        self.errors.push(problem);
    }

    /// Notes an error in another file.
    pub(super) fn error_elsewhere(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    /// Notes a warning at the octet `at` of the configuration.
    pub(super) fn warn(&mut self, at: usize, message: impl Into<String>) {
        let problem = self.problem(at, message.into());
        self.warnings.push(Warning(problem));
    }

    /// Notes what a server serves with, for not to serve would be worse, and what `check`
    /// refuses, for somebody is there to put it right.
    pub(super) fn refuse_in_check(&mut self, at: usize, message: impl Into<String>) {
        if self.checking {
            self.error(at, message);
        } else {
            self.warn(at, message);
        }
    }

    /// Notes a warning in another file.
    pub(super) fn warn_elsewhere(&mut self, problem: Problem) {
        self.warnings.push(Warning(problem));
    }

    /// The line of the octet `at`, to refer to it from another message.
    pub(super) fn line(&self, at: usize) -> u32 {
        self.place(at).0
    }

    /// Whether nothing has been refused.
    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// Everything noted, in order of place; the configuration before the files it names.
    pub(super) fn into_problems(mut self) -> Problems {
        let main = self.file;
        let key = |problem: &Problem| {
            (
                problem.file != main,
                Arc::clone(&problem.file),
                problem.line,
                problem.column,
            )
        };
        self.errors.sort_by_key(key);
        self.warnings.sort_by_key(|warning| key(&warning.0));
        // One place can be reached twice: defaults by each pool, a name by each of its types.
        self.errors.dedup();
        self.warnings.dedup();
        Problems {
            errors: self.errors,
            warnings: self.warnings,
        }
    }

    fn problem(&self, at: usize, message: String) -> Problem {
        let (line, column) = self.place(at);
        Problem {
            file: Arc::clone(&self.file),
            line,
            column,
            message,
        }
    }

    fn place(&self, at: usize) -> (u32, u32) {
        let before = self.text.as_bytes().get(..at.min(self.text.len()));
        let before = String::from_utf8_lossy(before.unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(line), count(column))
    }
}
