//! Accepting connections: TCP, and all that runs on top of it.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connections::{IN_TOTAL, Seat};
use super::counters::Lane;

/// The pause after the system could not accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The stop: it comes when `true` is sent, or the sender is gone.
#[derive(Clone)]
pub(super) struct Stop(pub(super) watch::Receiver<bool>);

impl Stop {
    pub(super) async fn wait(&mut self) {
        // An error means that the sender is gone: that is a stop too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// The stop, and `grace` after it.
    pub(super) async fn and(&mut self, grace: Duration) {
        self.wait().await;
        sleep(grace).await;
    }
}

/// What is spoken on the connections of a listener.
pub(super) trait Speaker: Send + Sync + 'static {
    /// Where its connections are counted.
    fn lane(&self) -> &Lane;

    /// Serves one client to its end: the client's, that of our patience, or a while after the
    /// stop. What goes wrong is the client's affair: the connection is closed, and that says it
    /// all. The future may be dropped at any time, when another client needs the place.
    fn talk(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        seat: &Seat,
        stop: Stop,
    ) -> impl Future<Output = ()> + Send;
}

/// Accepts until the stop, then whatever already waits to be accepted; ends when the last
/// connection has.
pub(super) async fn listen(listener: TcpListener, speaker: Arc<impl Speaker>, mut stop: Stop) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = open.join_next() => {}
            () = stop.wait() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => welcome(&mut open, stream, peer, &speaker, &stop),
                Err(error) => {
                    if let Some(nix::libc::EMFILE | nix::libc::ENFILE) = error.raw_os_error() {
                        speaker.lane().connections.make_room();
                    }
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            },
        }
    }
    for _ in 0..IN_TOTAL {
        tokio::select! {
            biased;
            Ok((stream, peer)) = listener.accept() => {
                welcome(&mut open, stream, peer, &speaker, &stop);
            }
            () = ready(()) => break,
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

fn welcome(
    open: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    speaker: &Arc<impl Speaker>,
    stop: &Stop,
) {
    let Some(seat) = speaker.lane().connections.admit(peer.ip()) else {
        return;
    };
    let (speaker, stop) = (Arc::clone(speaker), stop.clone());
    open.spawn(async move {
        tokio::select! {
            biased;
            () = seat.evicted() => {}
            () = speaker.talk(stream, peer, &seat, stop) => {}
        }
    });
}
