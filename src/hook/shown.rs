//! A call as it would be made, for people to see before: with everything in it but what is secret.

use serde_json::Value;

use crate::failover::HookCall;
use crate::http::{self, Method};
use crate::runbook::{Call, Word};

use super::{call, contract};

/// A request as it would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCall {
    /// The fields of the header that depend on the call, in order. What is secret, and what is known
    /// only when it is sent, is said in parentheses.
    pub headers: Vec<(String, String)>,
    /// The body, if the method has one.
    pub body: Option<Value>,
}

/// Fields with such words in their names hold what nobody else should know.
const SECRET: [&str; 7] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "key",
    "signature",
];

/// What `call` would send as `spec` says.
#[must_use]
pub fn shown(call: &HookCall, spec: &Call) -> ShownCall {
    let method = Method::from_bytes(spec.method.as_bytes()).unwrap_or_default();
    let body = http::carries_body(&method).then(|| contract::object(call));
    let mut headers = Vec::new();
    if body.is_some() {
        headers.push(("content-type".to_owned(), call::CONTENT_TYPE.to_owned()));
    }
    for (name, word) in &spec.headers {
        let value = match word {
            Word::File(file) => format!("(what stands in {file})"),
            Word::Text(_) if is_secret(name) => "(not shown)".to_owned(),
            Word::Text(text) => text.clone(),
        };
        headers.push((name.clone(), value));
    }
    if let Some(file) = &spec.secret_file {
        let signature = format!("(with the secret in {file})");
        headers.extend([
            ("webhook-id".to_owned(), call::message_id(call)),
            (
                "webhook-timestamp".to_owned(),
                "(when it is sent)".to_owned(),
            ),
            ("webhook-signature".to_owned(), signature),
        ]);
    }
    ShownCall { headers, body }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}
