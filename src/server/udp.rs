//! DNS over UDP: one thread and one socket per worker, whole batches per system call.
//!
//! A turn of the loop is: wait, receive up to [`BATCH`] datagrams, load the snapshot and read
//! the clock once, answer them all, let go of the snapshot, send. While a thread waits it holds no snapshot, so
//! that an old generation is freed as soon as the last batch that used it is done.

use std::io::PipeReader;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::answer_datagram;
use super::batch::{BATCH, Batch};
use super::counters::{Tally, bump};
use super::limiter::Guard;
use crate::answer::{Asker, Transport, bring_near};
use crate::clock;
use crate::snapshot::Snapshot;
use crate::time::Mono;

/// So many full batches are answered before the stop is looked for; and so many at most after
/// it, which is what the socket had accepted.
const BATCHES_IN_A_ROW: usize = 64;
/// How long a full send buffer may hold the thread.
const SEND_PATIENCE_MS: u16 = 10;

/// One socket and what its thread needs.
pub(super) struct Worker {
    pub(super) socket: UdpSocket,
    /// Whether the socket is bound to all addresses: its replies name the address they leave
    /// from, because the system would choose by route.
    pub(super) wildcard: bool,
    pub(super) tally: Arc<Tally>,
    pub(super) guard: Guard,
    /// Ends when its writer is dropped: that is the stop.
    pub(super) stop: Arc<PipeReader>,
}

impl Worker {
    /// Answers until the stop, then what the socket still holds.
    pub(super) fn run(mut self, snapshots: &ArcSwap<Snapshot>) {
        let mut batch = Batch::new(&self.socket, self.wildcard);
        while self.wait_for_datagrams() {
            // A full batch means that more is waiting: no system call to ask. But a flood must
            // not hide the stop.
            for _ in 0..BATCHES_IN_A_ROW {
                if self.turn(&mut batch, snapshots) < BATCH {
                    break;
                }
            }
        }
        for _ in 0..BATCHES_IN_A_ROW {
            if self.turn(&mut batch, snapshots) == 0 {
                break;
            }
        }
    }

    /// Waits. `false` means the stop.
    fn wait_for_datagrams(&self) -> bool {
        let mut watched = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) if watched[1].any().unwrap_or(true) => return false,
                Ok(_) => return true,
                Err(Errno::EINTR) => {}
                // ENOMEM is the only other error that poll can give here: it may pass.
                Err(_) => rest(),
            }
        }
    }

    /// One batch: how many datagrams were received.
    fn turn(&mut self, batch: &mut Batch, snapshots: &ArcSwap<Snapshot>) -> usize {
        let Worker { tally, guard, .. } = self;
        let mut begun = Mono::default();
        let received = match batch.receive(self.socket.as_raw_fd(), |datagrams| {
            let snapshot = snapshots.load();
            let now = clock::wall();
            begun = clock::mono();
            guard.begin(begun);
            bring_near(&snapshot, datagrams.queries());
            datagrams.answer_each(|query, client, out| {
                let asker = Asker {
                    transport: Transport::Udp,
                    client,
                    now,
                    idle: None,
                };
                let counted = (&**tally, &mut *guard);
                answer_datagram(&snapshot, query, &asker, usize::MAX, out, counted)
            })
        }) {
            Ok(received) => received,
            // An ICMP error of an earlier reply (ECONNREFUSED and its like), or a signal. The
            // datagrams behind it are still there, so nothing is lost by asking again.
            Err(Errno::EAGAIN | Errno::EINTR) => return 0,
            Err(_) => {
                rest();
                return 0;
            }
        };
        bump(&self.tally.queries, received);
        let sent = self.send(batch);
        bump(&self.tally.responses, sent);
        bump(&self.tally.dropped, received - sent);
        // Once for all: what a clock costs for each would be a good part of an answer.
        let took = clock::mono().since(begun);
        self.tally.measures.took(batch.answers(), took);
        received
    }

    /// Sends all answers of the batch: how many the system took. Each turn of the loop sends or
    /// gives up at least one answer.
    fn send(&self, batch: &mut Batch) -> usize {
        let (mut next, mut sent, mut waited) = (0, 0, false);
        while next < batch.answers() {
            match batch.send(self.socket.as_raw_fd(), next) {
                Ok(taken) => {
                    next += taken.max(1);
                    sent += taken;
                    waited = false;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::ENOBUFS) if !waited => {
                    let mut watched = [PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut watched, PollTimeout::from(SEND_PATIENCE_MS));
                    waited = true;
                }
                // This one cannot be sent (no route, a filter, still no room): the client will
                // ask again, and those behind it must not wait.
                Err(_) => {
                    next += 1;
                    waited = false;
                }
            }
        }
        sent
    }
}

/// The pause after an error that this thread knows no better answer to, so that none makes it
/// spin.
pub(super) fn rest() {
    std::thread::sleep(Duration::from_millis(10));
}
