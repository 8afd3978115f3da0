//! The do-nothing responder: what the kernel's path of a datagram costs, there and back. It runs
//! as a process of its own (this program, with `--floor PORT`), so that it is measured like the
//! others.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

const BATCH: usize = 64;
const QUERY: usize = 512;
/// As long as an SRV answer with the addresses of four targets.
const ANSWER: usize = 420;

/// Answers every datagram with the same octets and its own ID, until the process is ended.
pub(crate) fn run(port: u16) {
    // It must not outlive a benchmark that was interrupted.
    set_pdeathsig(Signal::SIGTERM).unwrap();
    let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let mut inbound = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut outbound = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut queries = [[0u8; QUERY]; BATCH];
    let mut answers = [[0u8; ANSWER]; BATCH];
    for answer in &mut answers {
        // QR and AA, one question, no records.
        answer[2..6].copy_from_slice(&[0x84, 0, 0, 1]);
    }
    let mut clients = [None; BATCH];
    loop {
        let mut buffers = queries.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = array::from_fn(|_| {
            [IoSliceMut::new(
                buffers.next().map_or(&mut [][..], |all| &mut all[..]),
            )]
        });
        // Waits for the first, takes what is there.
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut inbound,
            slices.iter_mut(),
            flags,
            None,
        );
        let mut count = 0;
        match received {
            Ok(received) => {
                for (datagram, answer) in received.zip(&mut answers) {
                    if let Some(id) = datagram.iovs().next().and_then(<[u8]>::first_chunk::<2>) {
                        answer[..2].copy_from_slice(id);
                    }
                    clients[count] = datagram.address;
                    count += 1;
                }
            }
            Err(Errno::EINTR) => continue,
            Err(error) => panic!("recvmmsg: {error}"),
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|at| [IoSlice::new(&answers[at])]);
        // What cannot be sent is lost, and is seen as such.
        let _ = sendmmsg(
            socket.as_raw_fd(),
            &mut outbound,
            &slices[..count],
            &clients[..count],
            [],
            MsgFlags::empty(),
        );
    }
}
