//! An HTTP request to a query, and its answer to an HTTP response (RFC 8484).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::time::timeout;

use super::QUERY_LIMIT;
use super::connections::Activity;
use super::counters::bump;
use super::stream::Shared;
use crate::answer::freshness;

/// The only resource there is.
const PATH: &str = "/dns-query";
/// A query and its answer as HTTP names them (RFC 8484 section 6).
const DNS_MESSAGE: &str = "application/dns-message";

/// One client over HTTPS.
pub(super) struct Visitor {
    pub(super) shared: Arc<Shared>,
    pub(super) address: IpAddr,
    pub(super) activity: Activity,
}

/// What HTTP says about a request that carries no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NoSuchPath,
    NoSuchMethod,
    NoDnsMessage,
    TooLong,
    UriTooLong,
    TooSlow,
    /// What it carries is no query.
    Malformed,
}

impl Visitor {
    /// The response to `request`, whatever it is.
    pub(super) async fn exchange(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let tally = &self.shared.tallies.https.tally;
        bump(&tally.queries, 1);
        self.activity.note();
        let outcome = match query(request, self.shared.patience.query).await {
            Ok(query) => self.answer(&query).ok_or(Refusal::Malformed),
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(message) => {
                bump(&tally.responses, 1);
                self.activity.note();
                found(message)
            }
            Err(refusal) => {
                bump(&tally.dropped, 1);
                refusal.response()
            }
        }
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let tally = &self.shared.tallies.https.tally;
        self.shared.answer_apart(query, self.address, tally)
    }
}

/// The octets of the query that `request` carries.
async fn query<B>(request: Request<B>, patience: Duration) -> Result<Bytes, Refusal>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    if head.uri.path() != PATH {
        return Err(Refusal::NoSuchPath);
    }
    if head.method == Method::POST {
        if !is_dns_message(&head.headers) {
            return Err(Refusal::NoDnsMessage);
        }
        let whole = Limited::new(body, QUERY_LIMIT).collect();
        return match timeout(patience, whole).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLong),
            // The connection or the stream broke: nobody reads what this says.
            Ok(Err(_)) => Err(Refusal::Malformed),
            Err(_) => Err(Refusal::TooSlow),
        };
    }
    // HEAD is GET without the body, which hyper leaves out (RFC 9110 section 9.3.2).
    if head.method == Method::GET || head.method == Method::HEAD {
        return query_in(&head.uri);
    }
    Err(Refusal::NoSuchMethod)
}

/// The variable `dns` of the URI: base64url without padding (RFC 8484 section 6).
fn query_in(uri: &Uri) -> Result<Bytes, Refusal> {
    let mut variables = uri.query().unwrap_or("").split('&');
    let text = variables
        .find_map(|variable| variable.strip_prefix("dns="))
        .ok_or(Refusal::Malformed)?;
    if text.len() > BASE64URL_NOPAD.encode_len(QUERY_LIMIT) {
        return Err(Refusal::UriTooLong);
    }
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map(Bytes::from)
        .map_err(|_| Refusal::Malformed)
}

fn is_dns_message(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| {
        // Parameters have no meaning here.
        let end = kind.iter().position(|octet| *octet == b';');
        kind[..end.unwrap_or(kind.len())]
            .trim_ascii()
            .eq_ignore_ascii_case(DNS_MESSAGE.as_bytes())
    })
}

/// A DNS response is a success to HTTP, whatever its RCODE (RFC 8484 section 4.2.1). It is fresh
/// no longer than its records (section 5.1).
fn found(message: Vec<u8>) -> Response<Full<Bytes>> {
    let caching = match freshness(&message) {
        Some(seconds) => format!("max-age={seconds}"),
        None => "no-store".to_owned(),
    };
    let mut response = Response::new(Full::new(Bytes::from(message)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
    if let Ok(caching) = HeaderValue::try_from(caching) {
        headers.insert(CACHE_CONTROL, caching);
    }
    response
}

impl Refusal {
    fn response(self) -> Response<Full<Bytes>> {
        let (status, why) = match self {
            Refusal::NoSuchPath => (StatusCode::NOT_FOUND, "there is only /dns-query\n"),
            Refusal::NoSuchMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "ask with GET or POST (RFC 8484)\n",
            ),
            Refusal::NoDnsMessage => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a POST carries application/dns-message (RFC 8484)\n",
            ),
            Refusal::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "no query is so long\n"),
            Refusal::UriTooLong => (StatusCode::URI_TOO_LONG, "no query is so long\n"),
            Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the query did not come\n"),
            Refusal::Malformed => (
                StatusCode::BAD_REQUEST,
                "a GET carries a DNS query as dns=, in base64url without padding; a POST as its \
                 body (RFC 8484)\n",
            ),
        };
        let mut response = Response::new(Full::new(Bytes::from_static(why.as_bytes())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Refusal::NoSuchMethod {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response
    }
}
