//! One queue of an interface: its thread's loop, the counterpart of `udp.rs`.

use std::io::PipeReader;
use std::os::fd::AsFd;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::frame::{Layout, read, turn_around};
use super::kernel::{Frame, Link, Slabs, Socket, Turn};
use crate::answer::{Asker, Transport};
use crate::clock;
use crate::server::counters::{Tally, bump};
use crate::server::limiter::Guard;
use crate::server::udp::rest;
use crate::server::{QUERY_LIMIT, answer_datagram};
use crate::snapshot::Snapshot;

/// How long answers that the interface did not take yet wait for another try.
const RETRY_MS: u16 = 10;
/// So many full batches are answered before the stop is looked for.
const BATCHES_IN_A_ROW: usize = 64;

/// One socket and what its thread needs.
pub(in crate::server) struct Worker {
    pub(in crate::server) socket: Socket,
    /// The longest answer that leaves in one frame.
    pub(in crate::server) room: usize,
    pub(in crate::server) tally: Arc<Tally>,
    pub(in crate::server) guard: Guard,
    /// Ends when its writer is dropped: that is the stop.
    pub(in crate::server) stop: Arc<PipeReader>,
    /// Gone when the last worker of the interface is: the program goes with it.
    pub(in crate::server) _link: Arc<Link>,
}

impl Worker {
    /// Answers until the stop, then what is still in the ring. Frames that come later than that
    /// are lost, as datagrams are in a socket that is closed.
    pub(in crate::server) fn run(mut self, snapshots: &ArcSwap<Snapshot>) {
        let (mut slabs, mut out) = (Slabs::new(), Vec::with_capacity(QUERY_LIMIT));
        while self.wait_for_frames() {
            for _ in 0..BATCHES_IN_A_ROW {
                if self.turn(&mut slabs, &mut out, snapshots) == 0 {
                    break;
                }
            }
        }
        for _ in 0..BATCHES_IN_A_ROW {
            if self.turn(&mut slabs, &mut out, snapshots) == 0 {
                break;
            }
        }
    }

    /// Waits. `false` means the stop.
    fn wait_for_frames(&self) -> bool {
        let mut watched = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        let patience = match self.socket.has_unsent() {
            true => PollTimeout::from(RETRY_MS),
            false => PollTimeout::NONE,
        };
        loop {
            match poll(&mut watched, patience) {
                Ok(0) => return true,
                Ok(_) if watched[1].any().unwrap_or(true) => return false,
                Ok(_) => {
                    // The interface is gone or down: no frames, but no reason to spin.
                    if !watched[0]
                        .revents()
                        .is_some_and(|it| it.contains(PollFlags::POLLIN))
                    {
                        rest();
                    }
                    return true;
                }
                Err(Errno::EINTR) => {}
                // ENOMEM is the only other error that poll can give here: it may pass.
                Err(_) => rest(),
            }
        }
    }

    /// One batch: how many frames were received.
    fn turn(
        &mut self,
        slabs: &mut Slabs,
        out: &mut Vec<u8>,
        snapshots: &ArcSwap<Snapshot>,
    ) -> usize {
        let Worker {
            socket,
            room,
            tally,
            guard,
            ..
        } = self;
        // Loaded when the first frame is there, so that whoever has seen a generation never sees
        // an older one.
        let mut loaded = None;
        let Turn { received, sent } = socket.turn(slabs, |mut frame| {
            let (snapshot, now, _) = loaded.get_or_insert_with(|| {
                let begun = clock::mono();
                guard.begin(begun);
                (snapshots.load(), clock::wall(), begun)
            });
            let Ok(layout) = read(frame.octets()) else {
                return false;
            };
            let asker = Asker {
                transport: Transport::Udp,
                client: layout.client,
                now: *now,
                idle: None,
            };
            let (begin, end) = layout.payload;
            let query = frame.octets().get(begin..end).unwrap_or_default();
            query.len() <= QUERY_LIMIT
                && answer_datagram(snapshot, query, &asker, *room, out, (&**tally, &mut *guard))
                && put(&mut frame, &layout, out)
        });
        bump(&tally.queries, received);
        bump(&tally.responses, sent);
        bump(&tally.dropped, received - sent);
        if let Some((_, _, begun)) = loaded {
            tally.measures.took(sent, clock::mono().since(begun));
        }
        received
    }
}

/// Puts an answer into the frame of its query. `false` if it does not fit.
fn put(frame: &mut Frame<'_>, layout: &Layout, answer: &[u8]) -> bool {
    let begin = layout.payload.0;
    let Some(octets) = frame.resized(begin + answer.len()) else {
        return false;
    };
    octets[begin..].copy_from_slice(answer);
    turn_around(octets, layout);
    true
}
