//! DNS over TCP (RFC 7766).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::accept::{Speaker, Stop};
use super::connections::Seat;
use super::counters::Lane;
use super::stream::{Client, Shared};
use crate::answer::Transport;

/// Speaks to TCP clients.
pub(super) struct Tcp(pub(super) Arc<Shared>);

impl Speaker for Tcp {
    fn lane(&self) -> &Lane {
        &self.0.tallies.tcp
    }

    async fn talk(&self, mut stream: TcpStream, peer: SocketAddr, seat: &Seat, stop: Stop) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let client = Client {
            transport: Transport::Stream,
            address: peer.ip(),
            seat,
            tally: &self.lane().tally,
            shared: &self.0,
        };
        let _ = client.converse(&mut stream, stop).await;
    }
}

/// Hands bound sockets to the runtime. Call within it.
pub(super) fn listeners(bound: Vec<std::net::TcpListener>) -> io::Result<Vec<TcpListener>> {
    bound.into_iter().map(TcpListener::from_std).collect()
}
