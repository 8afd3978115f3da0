//! What is wrong with a master file, and where.

use std::fmt;
use std::sync::Arc;

/// One error or warning of a master file: `file:line:column: what, rule, remedy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ZoneError {
    /// The file, as the caller or `$INCLUDE` named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in octets, from 1.
    pub column: u32,
    /// What is wrong, which rule says so, and what to do.
    pub message: String,
}

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file, as the caller or `$INCLUDE` named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in octets, from 1.
    pub column: u32,
}

impl Position {
    /// An error or warning at this place.
    pub(super) fn error(&self, message: impl Into<String>) -> ZoneError {
        ZoneError {
            file: Arc::clone(&self.file),
            line: self.line,
            column: self.column,
            message: message.into(),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
