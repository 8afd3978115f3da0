//! **IO.** One HTTP request, for steps of a runbook and for whoever else must be told.
//!
//! It is small on purpose. One request on one connection (HTTP/1.1, RFC 9112); no redirect is
//! followed, no proxy is asked, no environment is read, nothing is tried again: whoever calls it
//! decides that. The whole of it, from the look-up of the name to the last octet of the answer,
//! has one deadline, and each way to miss it has a line of its own ([`Stage`]). What is kept of
//! an answer has a bound.
//!
//! A request may be signed as [Standard Webhooks](https://www.standardwebhooks.com) has it, so
//! that the far end can verify it with a library that exists for its language: see [`Secret`].
//! The secret is read from its file for each request, so that it stands in no memory, journal or
//! log for longer than the request takes, and changes without a restart.

mod connect;
mod exchange;
mod sign;
mod target;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use exchange::{carries_body, send};
pub use hyper::Method;
pub use sign::{Secret, SecretError, sign};
pub use target::{Target, TargetError, check_header};

/// An answer's body is read as far as this; the rest is left where it is.
pub const BODY_MAX: usize = 64 * 1024;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Whom.
    pub target: Target,
    /// Fields of the header beside those that every request has; [`check_header`] has passed them.
    pub headers: Vec<(String, String)>,
    /// The body; GET and DELETE have none, whatever stands here.
    pub body: Vec<u8>,
    /// The media type of the body.
    pub content_type: &'static str,
    /// With which secret it is signed, and as which message.
    pub signature: Option<Signature>,
    /// Who may vouch for the far end's certificate.
    pub roots: Roots,
    /// Where the target is, if that is known; else the system is asked for its name.
    pub addresses: Vec<IpAddr>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// How a request is signed.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The file of the secret.
    pub secret: PathBuf,
    /// The name of the message, `webhook-id`: the same when it is sent again.
    pub id: String,
}

/// Who may vouch for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Whom the system trusts.
    System,
    /// Only those in this file of PEM certificates.
    File(PathBuf),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Where a redirect points to.
    pub location: Option<String>,
    /// The body, the first [`BODY_MAX`] octets of it.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub cut: bool,
}

impl Response {
    /// Whether the status is one of `wanted`, or any of 200 to 299 if none is named.
    ///
    /// # Errors
    /// What it is instead, in a line.
    pub fn accept(&self, wanted: &[u16]) -> Result<(), String> {
        let Response {
            status, location, ..
        } = self;
        let accepted = match wanted {
            [] => (200..300).contains(status),
            some => some.contains(status),
        };
        match (accepted, location) {
            (true, _) => Ok(()),
            (false, Some(location)) if (300..400).contains(status) => Err(format!(
                "status {status}, a redirect to {location}, which is not followed: write the final address"
            )),
            (false, _) => Err(format!("status {status}")),
        }
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The name of the far end is looked up.
    Name,
    /// The connection is made.
    Connection,
    /// TLS is set up.
    Tls,
    /// The request is on its way, and nothing has come back.
    Answer,
    /// The answer has begun: its status, and so many octets of the body.
    Body(u16, usize),
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stage::Name => write!(f, "while the name was looked up"),
            Stage::Connection => write!(f, "while connecting"),
            Stage::Tls => write!(f, "in the TLS handshake"),
            Stage::Answer => write!(f, "without an answer"),
            Stage::Body(status, size) => write!(
                f,
                "in the middle of the answer (status {status}, {size} octets of its body)"
            ),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The name has no address.
    #[error("{host} has no address: {why}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// None of the addresses can be connected to; the last of them is named.
    #[error("{address} cannot be connected to: {why}")]
    Connection {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// TLS failed: the certificate, most often.
    #[error("TLS with {host} failed: {why}")]
    Tls {
        /// The far end.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The certificates that vouch for others cannot be read.
    #[error("{0}")]
    Roots(String),
    /// The secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The request cannot be put into words.
    #[error("the request cannot be written: {0}")]
    Request(String),
    /// What came is no HTTP, or ended in the middle.
    #[error("the answer broke off or is no HTTP: {0}")]
    Answer(String),
    /// The time was over.
    #[error("timed out {0}")]
    TimedOut(Stage),
}
