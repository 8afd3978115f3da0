//! What travels over the control socket, and how it is written.
//!
//! ```text
//! {"version":1,"request":"explain","service":"xmpp-federation"}
//! {"version":1,"ok":{"explain":{…}}}
//! {"version":1,"error":{"message":"…"}}
//! ```
//!
//! A new verb or a new field keeps the version; a changed meaning of an old one raises it.
//! Readers ignore fields that they do not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::explain::Explain;
use super::orders::{InForce, Ordered};
use super::past::{Past, Shown};
use super::plan::Plan;
use super::request::Request;
use super::status::{ServiceStatus, Status};
use crate::ids::Generation;
use crate::time::Wall;
use crate::verify::Expected;

/// The version of the protocol that this program speaks.
pub const VERSION: u64 = 1;

/// The longest request line, in octets, newline included.
pub const REQUEST_MAX: usize = 64 * 1024;

/// The longest response line, in octets, newline included: the status of some 10,000 servers.
pub const RESPONSE_MAX: usize = 16 * 1024 * 1024;

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It was done, or here it is.
    Ok(Answer),
    /// It was not done; nothing has changed.
    Error {
        /// What was wrong and what to do about it. May span lines: a refused reload lists all
        /// that is wrong.
        message: String,
    },
}

/// The answer to a request that was granted, one form per verb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Explain`].
    Explain(Explain),
    /// To [`Request::Published`].
    Published(Box<Expected>),
    /// To [`Request::Reload`].
    Reloaded {
        /// The generation that serves now.
        generation: Generation,
        /// What the new configuration was warned about.
        warnings: Vec<String>,
    },
    /// To every order of an operator.
    Ordered(Ordered),
    /// To [`Request::Plan`].
    Plan(Vec<Plan>),
    /// To [`Request::Log`].
    Log {
        /// Each module with its level.
        levels: BTreeMap<String, String>,
        /// When those of the start are in force again.
        until: Option<Wall>,
    },
    /// To [`Request::Dnstap`].
    Dnstap {
        /// Where they are written.
        target: String,
        /// Whether they are.
        on: bool,
        /// Frames or lines since the start.
        written: u64,
        /// Queries that were not written.
        lost: u64,
        /// Why nothing can be, if nothing can.
        failed: Option<String>,
    },
    /// To [`Request::Service`].
    Service(Box<ServiceStatus>),
    /// To [`Request::Overrides`].
    Overrides(InForce),
    /// To [`Request::History`].
    History(Past),
    /// To [`Request::Show`].
    Show(Box<Shown>),
    /// To [`Request::Night`].
    Night {
        /// The scenario: see docs/scenario.md.
        scenario: String,
    },
}

impl Response {
    /// A refusal.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Response {
        Response::Error {
            message: message.into(),
        }
    }
}

/// Why a line is not a message.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// It is not JSON, or not an object.
    #[error("this is not a JSON object on one line: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It says no version.
    #[error("no \"version\": every message says which protocol it speaks, here {VERSION}")]
    NoVersion,
    /// It speaks another protocol.
    #[error(
        "version {0}: this end speaks version {VERSION}; use the switchback command and the \
         switchback daemon of the same release"
    )]
    OtherVersion(u64),
    /// It asks for something that this program does not do.
    #[error("unknown request {0:?}: known are {known}", known = Request::VERBS.join(", "))]
    UnknownVerb(String),
    /// It says the right words in the wrong form.
    #[error("malformed message: {0}")]
    Malformed(#[source] serde_json::Error),
}

#[derive(Serialize)]
struct Line<'a, T> {
    version: u64,
    #[serde(flatten)]
    body: &'a T,
}

/// A message as one line, with its newline.
///
/// # Errors
/// When it cannot be written as JSON, which no value of the types above brings about.
pub fn encode<T: Serialize>(body: &T) -> Result<Vec<u8>, ProtocolError> {
    let line = Line {
        version: VERSION,
        body,
    };
    let mut line = serde_json::to_vec(&line).map_err(ProtocolError::Malformed)?;
    line.push(b'\n');
    Ok(line)
}

/// A request line as the daemon reads it.
///
/// # Errors
/// Says which part of the line is wrong, and what would be right.
pub fn decode_request(line: &[u8]) -> Result<Request, ProtocolError> {
    let body = body(line)?;
    let verb = body.get("request").and_then(Value::as_str).unwrap_or("");
    if !Request::VERBS.contains(&verb) {
        return Err(ProtocolError::UnknownVerb(verb.to_owned()));
    }
    serde_json::from_value(body).map_err(ProtocolError::Malformed)
}

/// A response line as a client reads it.
///
/// # Errors
/// Says which part of the line is wrong.
pub fn decode_response(line: &[u8]) -> Result<Response, ProtocolError> {
    serde_json::from_value(body(line)?).map_err(ProtocolError::Malformed)
}

/// The line without its version.
fn body(line: &[u8]) -> Result<Value, ProtocolError> {
    let mut object: serde_json::Map<String, Value> =
        serde_json::from_slice(line).map_err(ProtocolError::NotJson)?;
    match object.remove("version").as_ref().and_then(Value::as_u64) {
        Some(VERSION) => Ok(Value::Object(object)),
        Some(other) => Err(ProtocolError::OtherVersion(other)),
        None => Err(ProtocolError::NoVersion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_survive_the_wire() {
        let reloaded = Response::Ok(Answer::Reloaded {
            generation: Generation(7),
            warnings: vec!["line\nbreaks stay inside".to_owned()],
        });
        for response in [reloaded, Response::error("no")] {
            let line = encode(&response).unwrap();
            assert_eq!(decode_response(&line).unwrap(), response);
        }
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong() {
        let said = |line: &str| decode_request(line.as_bytes()).unwrap_err().to_string();
        assert!(said("hello").contains("not a JSON object"));
        assert!(said("[1]").contains("not a JSON object"));
        assert!(said("{}").contains("no \"version\""));
        assert!(said(r#"{"version":9,"request":"status"}"#).contains("speaks version 1"));
        let dance = said(r#"{"version":1,"request":"dance"}"#);
        assert!(dance.starts_with("unknown request \"dance\": known are status, explain, "));
        assert!(said(r#"{"version":1,"request":"explain"}"#).contains("service"));
    }

    #[test]
    fn unknown_fields_are_left_for_later_releases() {
        let line = br#"{"version":1,"request":"status","verbose":true}"#;
        assert_eq!(decode_request(line).unwrap(), Request::Status);
    }
}
