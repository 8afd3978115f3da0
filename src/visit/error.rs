//! Why a visit brought nothing.

use std::io;
use std::time::Duration;

use crate::secondary::TransferError;
use crate::tsig::VerifyError;

/// Why a primary could not be asked, or what was wrong with its answer.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// No connection.
    #[error("it cannot be reached: {0}; is it up, and does a filter let TCP through?")]
    Connect(io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}; what came before is thrown away")]
    Broken(io::Error),
    /// It closed the connection before the answer was whole.
    #[error(
        "it closed the connection before its answer was whole; what came before is thrown away"
    )]
    Closed,
    /// It makes no progress.
    #[error("it was silent for {} s; what came before is thrown away", .0.as_secs())]
    Silent(Duration),
    /// It sends, and would for years.
    #[error(
        "it sent {octets} octets in {} s, fewer than any line carries; what came before is thrown \
         away", .after.as_secs()
    )]
    Slow {
        /// The octets received.
        octets: usize,
        /// In this time.
        after: Duration,
    },
    /// It takes too long altogether.
    #[error(
        "the transfer was not done after {} s, which no zone takes; what came before is thrown \
         away", .0.as_secs()
    )]
    TooLong(Duration),
    /// No TLS.
    #[error("TLS: {0}; check 'tls' and 'ca_file' of the primary, and its certificate")]
    Tls(String),
    /// The signature is wrong.
    #[error("{0}")]
    Signature(#[from] VerifyError),
    /// What it said cannot be used.
    #[error("{0}")]
    Transfer(#[from] TransferError),
}

impl VisitError {
    /// Whether the whole zone may be had where changes were not.
    #[must_use]
    pub fn asks_for_the_whole(&self) -> bool {
        match self {
            VisitError::Transfer(error) => error.asks_for_the_whole(),
            // Some servers close the connection where they should say NOTIMP.
            VisitError::Closed => true,
            VisitError::Connect(_)
            | VisitError::Broken(_)
            | VisitError::Silent(_)
            | VisitError::Slow { .. }
            | VisitError::TooLong(_)
            | VisitError::Tls(_)
            | VisitError::Signature(_) => false,
        }
    }
}
