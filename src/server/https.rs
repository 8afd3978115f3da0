//! DNS over HTTPS (RFC 8484): hyper's connections within TLS, HTTP/2 and HTTP/1.1.
//!
//! hickory-server is not used for it: its handler drops the connection where HTTP has a status
//! code, takes no GET, bounds neither connections nor streams, and would decode and encode again
//! what the answer engine has written.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::accept::{Speaker, Stop};
use super::connections::Seat;
use super::counters::Lane;
use super::http::Visitor;
use super::stream::Shared;
use super::tls::shake_hands;

/// Exchanges of one client at a time (RFC 9113 section 5.1.2 advises no fewer).
const STREAMS: u32 = 100;
/// Octets of a request's head: a GET carries the query there, in base64url.
const HEAD: u32 = 16 << 10;
/// What a client may send ahead, octets: of one body, and in all.
const BODY_WINDOW: u32 = 16 << 10;
const CONNECTION_WINDOW: u32 = 64 << 10;
/// What we keep of one answer while the client takes it.
const SEND_BUFFER: usize = 64 << 10;

/// Speaks to HTTPS clients.
pub(super) struct Https {
    shared: Arc<Shared>,
    acceptor: TlsAcceptor,
    http: Builder<TokioExecutor>,
}

impl Https {
    pub(super) fn new(shared: Arc<Shared>, acceptor: TlsAcceptor) -> Https {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(shared.patience.query)
            .max_buf_size(usize::try_from(HEAD).unwrap_or(usize::MAX));
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD)
            .initial_stream_window_size(BODY_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER);
        Https {
            shared,
            acceptor,
            http,
        }
    }
}

impl Speaker for Https {
    fn lane(&self) -> &Lane {
        &self.shared.tallies.https
    }

    async fn talk(&self, stream: TcpStream, peer: SocketAddr, seat: &Seat, mut stop: Stop) {
        let patience = self.shared.patience;
        let Some(stream) = shake_hands(&self.acceptor, stream, patience, &mut stop).await else {
            return;
        };
        let visitor = Arc::new(Visitor {
            shared: Arc::clone(&self.shared),
            address: peer.ip(),
            activity: seat.activity(),
        });
        let service = service_fn(move |request| {
            let visitor = Arc::clone(&visitor);
            async move { Ok::<_, Infallible>(visitor.exchange(request).await) }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        while let Some(left) = patience.query.checked_sub(seat.idle()) {
            tokio::select! {
                biased;
                // An error is the client's affair.
                _ = connection.as_mut() => return,
                () = stop.wait() => break,
                () = sleep(left) => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(patience.write, connection).await;
    }
}
