//! Packets of JSON with descriptors, over a pair of sockets (unix(7), `SOCK_SEQPACKET`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// A longer packet is an error.
const PACKET_MAX: usize = 128 * 1024;
/// No packet has more descriptors.
const DESCRIPTORS_MAX: usize = 2;

/// One end. What the runtime takes for a stream it only waits for.
#[derive(Debug)]
pub(super) struct Packets(UnixStream);

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Packet {
    text: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Packet {
    /// # Errors
    /// It is too long.
    pub(super) fn new<T: Serialize>(value: &T, descriptors: Vec<OwnedFd>) -> io::Result<Packet> {
        let text = serde_json::to_vec(value)?;
        if text.len() > PACKET_MAX {
            return Err(io::Error::other(format!(
                "{} octets of arguments and environment, at most {PACKET_MAX} can be handed over",
                text.len()
            )));
        }
        Ok(Packet { text, descriptors })
    }
}

impl Packets {
    /// `socket` does not block. Call within a runtime.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Packets> {
        Ok(Packets(UnixStream::from_std(socket.into())?))
    }

    /// Sends the whole packet, or nothing: it may be dropped and called again.
    pub(super) async fn send(&self, packet: &Packet) -> io::Result<()> {
        loop {
            self.0.writable().await?;
            let sent = || send_now(self.0.as_fd(), packet);
            match self.0.try_io(Interest::WRITABLE, sent) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
    }

    /// The next packet, `None` at the end. Nothing is lost when the future is dropped.
    pub(super) async fn next<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            self.0.readable().await?;
            let received = || receive_now(self.0.as_fd());
            match self.0.try_io(Interest::READABLE, received) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }
}

fn send_now(socket: BorrowedFd<'_>, packet: &Packet) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = packet.descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many descriptors for one packet"));
    }
    let text = [IoSlice::new(&packet.text)];
    sendmsg(socket, &text, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives a packet that is there; blocks if the socket does.
pub(super) fn receive_now<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = vec![0; PACKET_MAX + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        flags,
    )?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    // Descriptors for which this process has no room are left out (`MSG_CTRUNC`): the rest is whole.
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::other("a packet that is too long"));
    }
    // Nobody sends an empty packet: it is the end.
    match text.get(..received.bytes) {
        Some([]) | None => Ok(None),
        Some(text) => Ok(Some((serde_json::from_slice(text)?, descriptors))),
    }
}
