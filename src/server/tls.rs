//! DNS over TLS (RFC 7858): the streams of DNS over TCP within TLS, from our own answer engine
//! octet for octet.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::accept::{Speaker, Stop};
use super::connections::Seat;
use super::counters::Lane;
use super::stream::{Client, LAST_WORDS, Patience, Shared};
use crate::answer::Transport;

/// Speaks to TLS clients.
pub(super) struct Tls {
    pub(super) shared: Arc<Shared>,
    pub(super) acceptor: TlsAcceptor,
}

impl Speaker for Tls {
    fn lane(&self) -> &Lane {
        &self.shared.tallies.tls
    }

    async fn talk(&self, stream: TcpStream, peer: SocketAddr, seat: &Seat, mut stop: Stop) {
        let patience = self.shared.patience;
        let Some(mut stream) = shake_hands(&self.acceptor, stream, patience, &mut stop).await
        else {
            return;
        };
        let client = Client {
            transport: Transport::Encrypted,
            address: peer.ip(),
            seat,
            tally: &self.lane().tally,
            shared: &self.shared,
        };
        let _ = client.converse(&mut stream, stop).await;
    }
}

/// Makes the handshake. `None` if it fails, tires us, or lasts beyond the stop: only who is as
/// good as through with it then may have asked already.
pub(super) async fn shake_hands(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    patience: Patience,
    stop: &mut Stop,
) -> Option<TlsStream<TcpStream>> {
    stream.set_nodelay(true).ok()?;
    let handshake = timeout(patience.query, acceptor.accept(stream));
    tokio::select! {
        biased;
        shaken = handshake => shaken.ok()?.ok(),
        () = stop.and(LAST_WORDS) => None,
    }
}
