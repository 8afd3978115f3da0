//! One call over HTTP: the same object that a program gets on its standard input, as the body of
//! a request.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::failover::{HookCall, HookOutcome};
use crate::http::{self, Method, Request, Response, Roots, Signature, Target};
use crate::runbook::{Call, Word};

use super::contract;
use super::output::Output;

/// What the body of every call is.
pub(super) const CONTENT_TYPE: &str = "application/json";
/// A file that holds a value of a header is no longer.
const WORD_MAX: u64 = 4096;

/// Makes `spec` for `call`; `abandon` ends it early.
pub(super) async fn make(
    call: &HookCall,
    spec: &Call,
    abandon: &Arc<Notify>,
    output: &mut Output,
) -> HookOutcome {
    let body = contract::object(call).to_string().into_bytes();
    let request = match request(spec, body, message_id(call), call.timeout) {
        Ok(request) => request,
        Err(why) => return HookOutcome::NotStarted(why),
    };
    let response = tokio::select! {
        response = http::send(request) => response,
        () = abandon.notified() => {
            return HookOutcome::Refused("its operation was given up before it answered".to_owned());
        }
    };
    match response {
        Err(error) => HookOutcome::Refused(error.to_string()),
        Ok(response) => {
            let Response {
                status, body, cut, ..
            } = &response;
            output.push(format!("{} {}: status {status}\n", spec.method, spec.url).as_bytes());
            output.push(body);
            if *cut {
                output.push(b"\nand more\n");
            }
            match response.accept(&spec.expect) {
                Ok(()) => HookOutcome::Done,
                Err(why) => HookOutcome::Refused(why),
            }
        }
    }
}

/// The name of the message, if it is signed. The attempt does not stand in it: what is sent again is
/// the same message.
pub(super) fn message_id(call: &HookCall) -> String {
    let undo = if call.undo { ".undo" } else { "" };
    format!("{}.{}{undo}", call.operation, call.task)
}

/// The request of a call, with this body, as the message `id` if it is signed. What stands in files
/// is read now.
///
/// # Errors
/// What keeps it from being sent.
pub fn request(
    spec: &Call,
    body: Vec<u8>,
    id: String,
    timeout: Duration,
) -> Result<Request, String> {
    let mut headers = Vec::new();
    for (name, word) in &spec.headers {
        let value = match word {
            Word::Text(text) => text.clone(),
            Word::File(file) => from_file(file)?,
        };
        http::check_header(name, &value)?;
        headers.push((name.clone(), value));
    }
    Ok(Request {
        method: Method::from_bytes(spec.method.as_bytes()).map_err(|error| error.to_string())?,
        target: Target::parse(&spec.url).map_err(|error| error.to_string())?,
        headers,
        body,
        content_type: CONTENT_TYPE,
        signature: spec.secret_file.as_ref().map(|file| Signature {
            secret: file.into(),
            id,
        }),
        roots: spec
            .ca_file
            .as_ref()
            .map_or(Roots::System, |file| Roots::File(file.into())),
        addresses: Vec::new(),
        timeout,
    })
}

/// The first line of a file that holds a value.
fn from_file(path: &str) -> Result<String, String> {
    let fault = |error: std::io::Error| {
        format!(
            "the header's file '{path}' cannot be read ({error}), correct the path or its owner"
        )
    };
    let mut text = String::new();
    let file = File::open(path).map_err(fault)?;
    file.take(WORD_MAX)
        .read_to_string(&mut text)
        .map_err(fault)?;
    Ok(text.trim().to_owned())
}
