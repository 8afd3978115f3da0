//! `GET /metrics`: a small HTTP server of its own, for those who scrape.
//!
//! It has few places, a deadline for every connection, and asks the daemon for one page at a time:
//! whoever hammers it costs the others no failover.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::page::Format;
use super::sight::Sight;
use crate::clock;
use crate::time::Mono;

/// Connections at a time; more wait in the system's queue.
const PLACES: usize = 16;
/// How long a connection lasts at most: a scrape is one request, or a few.
const CONNECTION: Duration = Duration::from_secs(60);
/// How long a request's head may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long the daemon may take to say what it knows.
const ANSWER: Duration = Duration::from_secs(5);
/// What was seen so lately is told again.
const FRESH: Duration = Duration::from_millis(250);
/// Octets of a request's head.
const HEAD_OCTETS: usize = 16 << 10;
/// The pause after the system could not accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "metrics cannot be served at {address}: {error}; free the address, or change [listen] metrics"
)]
pub struct EndpointError {
    address: SocketAddr,
    #[source]
    error: io::Error,
}

/// Who knows.
pub trait Source: Send + Sync + 'static {
    /// What is known now; `None` at the end.
    fn sight(&self) -> impl Future<Output = Option<Sight>> + Send;
}

/// Bound sockets.
#[derive(Debug)]
pub struct Endpoint {
    listeners: Vec<std::net::TcpListener>,
    addresses: Vec<SocketAddr>,
}

struct Scraped<S> {
    source: S,
    /// Locked while the daemon is asked.
    latest: Mutex<Option<(Mono, Arc<Sight>)>>,
}

impl Endpoint {
    /// Binds all addresses; none is fine too.
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub fn bind(wanted: &[SocketAddr]) -> Result<Endpoint, EndpointError> {
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for &address in wanted {
            let mut bound = || {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                addresses.push(listener.local_addr()?);
                Ok(listener)
            };
            let error = |error| EndpointError { address, error };
            listeners.push(bound().map_err(error)?);
        }
        Ok(Endpoint {
            listeners,
            addresses,
        })
    }

    /// The addresses bound, with their ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until it is dropped, or the system gives no room for it. Call it within a tokio runtime.
    pub async fn serve(self, source: impl Source) {
        let scraped = Arc::new(Scraped {
            source,
            latest: Mutex::new(None),
        });
        let places = Arc::new(Semaphore::new(PLACES));
        let mut all = JoinSet::new();
        for listener in self.listeners {
            // An error means that the runtime has no room for one more descriptor.
            let Ok(listener) = TcpListener::from_std(listener) else {
                continue;
            };
            all.spawn(accept(listener, Arc::clone(&scraped), Arc::clone(&places)));
        }
        while all.join_next().await.is_some() {}
    }
}

async fn accept<S: Source>(
    listener: TcpListener,
    scraped: Arc<Scraped<S>>,
    places: Arc<Semaphore>,
) {
    let mut open = JoinSet::new();
    loop {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let scraped = Arc::clone(&scraped);
                open.spawn(async move {
                    // Too slow, or broken: the other end's affair.
                    let _ = timeout(CONNECTION, talk(stream, scraped)).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn talk<S: Source>(stream: TcpStream, scraped: Arc<Scraped<S>>) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let scraped = Arc::clone(&scraped);
        async move { Ok::<_, Infallible>(scraped.respond(&request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_OCTETS)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

impl<S: Source> Scraped<S> {
    async fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != "/metrics" {
            return text(
                StatusCode::NOT_FOUND,
                "there is /metrics and nothing else\n",
            );
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "it can be read\n");
            let allowed = hyper::header::HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        let accepts = request.headers().get(ACCEPT);
        let accepts = accepts.and_then(|accepts| accepts.to_str().ok());
        let format = match accepts {
            Some(accepts) if accepts.contains("application/openmetrics-text") => {
                Format::OpenMetrics
            }
            Some(_) | None => Format::Prometheus,
        };
        let Ok(Some(sight)) = timeout(ANSWER, self.latest()).await else {
            let why = "the daemon does not say in time what it knows\n";
            return text(StatusCode::SERVICE_UNAVAILABLE, why);
        };
        let page = tokio::task::spawn_blocking(move || sight.page(format));
        let Ok(Ok(page)) = page.await else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "no page can be made\n");
        };
        let mut response = Response::new(Full::new(Bytes::from(page)));
        let media = hyper::header::HeaderValue::from_static(format.media_type());
        response.headers_mut().insert(CONTENT_TYPE, media);
        response
    }

    /// What is known now, or was a moment ago.
    async fn latest(&self) -> Option<Arc<Sight>> {
        let mut latest = self.latest.lock().await;
        let now = clock::mono();
        if let Some((at, sight)) = &*latest
            && now.since(*at) < FRESH
        {
            return Some(Arc::clone(sight));
        }
        let sight = Arc::new(self.source.sight().await?);
        *latest = Some((now, Arc::clone(&sight)));
        Some(sight)
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
