//! One request and its answer, within one deadline.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use hyper::{Method, Request as Wire, Response as Answer};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::connect::{connect, secure};
use super::sign::{Secret, sign};
use super::{BODY_MAX, HttpError, Request, Response, Stage};
use crate::clock;
use crate::time::Mono;

/// The header of an answer may be this long.
const HEADER_MAX: usize = 64 * 1024;
/// Of the address that a redirect names so many characters are shown.
const LOCATION_MAX: usize = 200;

/// Sends `request` and reads the answer, whatever its status.
///
/// # Errors
/// There is no answer, or no whole one: [`HttpError`] says how far it came.
pub async fn send(request: Request) -> Result<Response, HttpError> {
    let deadline = clock::mono() + request.timeout;
    let stream = connect(&request.target, &request.addresses, deadline).await?;
    if request.target.is_tls() {
        let stream = secure(stream, &request.target, &request.roots, deadline).await?;
        talk(stream, request, deadline).await
    } else {
        talk(stream, request, deadline).await
    }
}

/// Whether a request of this method is sent with its body.
#[must_use]
pub fn carries_body(method: &Method) -> bool {
    ![Method::GET, Method::DELETE, Method::HEAD].contains(method)
}

/// What `work` comes to, unless the time is over before.
pub(super) async fn within<T>(
    deadline: Mono,
    stage: Stage,
    work: impl Future<Output = T>,
) -> Result<T, HttpError> {
    tokio::time::timeout_at(clock::instant(deadline), work)
        .await
        .map_err(|_| HttpError::TimedOut(stage))
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request,
    deadline: Mono,
) -> Result<Response, HttpError> {
    let wire = write(request)?;
    let broken = |error: hyper::Error| HttpError::Answer(cause(&error));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // It ends with this call, which owns the set.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = within(deadline, Stage::Answer, sender.send_request(wire))
        .await?
        .map_err(broken)?;
    read(answer, deadline).await
}

/// Puts the request into words. It is signed last, over the body that is sent.
fn write(request: Request) -> Result<Wire<Full<Bytes>>, HttpError> {
    let has_body = carries_body(&request.method);
    let body = if has_body { request.body } else { Vec::new() };
    let mut wire = Wire::builder()
        .method(request.method)
        .uri(request.target.path())
        .header(HOST, request.target.authority())
        .header(
            USER_AGENT,
            concat!("switchback/", env!("CARGO_PKG_VERSION")),
        )
        .header(CONNECTION, "close");
    if has_body {
        wire = wire.header(CONTENT_TYPE, request.content_type);
    }
    for (name, value) in &request.headers {
        wire = wire.header(name, value);
    }
    if let Some(signature) = &request.signature {
        let secret = Secret::read(&signature.secret)?;
        for (name, value) in sign(&secret, &signature.id, clock::wall(), &body) {
            wire = wire.header(name, value);
        }
    }
    wire.body(Full::new(Bytes::from(body)))
        .map_err(|error| HttpError::Request(error.to_string()))
}

async fn read(answer: Answer<Incoming>, deadline: Mono) -> Result<Response, HttpError> {
    let status = answer.status().as_u16();
    let location = answer.headers().get(LOCATION).map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        text.chars().take(LOCATION_MAX).collect()
    });
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    let mut cut = false;
    while !cut {
        let stage = Stage::Body(status, body.len());
        let Some(frame) = within(deadline, stage, incoming.frame()).await? else {
            break;
        };
        let frame = frame.map_err(|error| HttpError::Answer(cause(&error)))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = BODY_MAX - body.len();
        cut = data.len() > room;
        body.extend_from_slice(data.get(..room).unwrap_or(&data));
    }
    Ok(Response {
        status,
        location,
        body,
        cut,
    })
}

/// hyper says where it was when something went wrong; what went wrong stands beneath.
fn cause(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut beneath = std::error::Error::source(error);
    while let Some(next) = beneath {
        text = format!("{text}: {next}");
        beneath = next.source();
    }
    text
}
