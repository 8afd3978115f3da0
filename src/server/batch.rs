//! Many datagrams per system call: the buffers of `recvmmsg` and `sendmmsg`, allocated once.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, MultiResults, RecvMsg,
    SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg,
};

use super::{QUERY_LIMIT, is_answered_in_vain};

/// Datagrams per system call at most.
pub(super) const BATCH: usize = 64;

/// An answer's buffer larger than this is given back after the batch.
const ANSWER_KEPT: usize = 4096;

/// The address of ours that a query was sent to, in the system's form.
#[derive(Clone, Copy)]
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Asked {
    fn is_same(&self, other: &Asked) -> bool {
        match (self, other) {
            (Asked::V4(a), Asked::V4(b)) => a.ipi_spec_dst.s_addr == b.ipi_spec_dst.s_addr,
            (Asked::V6(a), Asked::V6(b)) => {
                a.ipi6_addr.s6_addr == b.ipi6_addr.s6_addr && a.ipi6_ifindex == b.ipi6_ifindex
            }
            (Asked::V4(_), Asked::V6(_)) | (Asked::V6(_), Asked::V4(_)) => false,
        }
    }
}

/// The buffers of one thread.
///
/// The system shortens the lengths in `inbound` to what it wrote, and they are not reset before
/// the next call. That cuts nothing: all datagrams of one socket come with an address of one
/// length and, on a wildcard socket, with one control message of one length.
pub(super) struct Batch {
    wildcard: bool,
    inbound: MultiHeaders<SockaddrStorage>,
    outbound: MultiHeaders<SockaddrStorage>,
    received: Box<[u8]>,
    outbox: Outbox,
}

/// Answers in the order of their queries: `to[i]` gets `messages[i]`, from `asked[i]`.
struct Outbox {
    to: Vec<Option<SockaddrStorage>>,
    asked: Vec<Option<Asked>>,
    messages: Box<[Vec<u8>]>,
}

/// What was received in one call.
pub(super) struct Datagrams<'a> {
    count: usize,
    queries: [Option<Received<'a>>; BATCH],
    outbox: &'a mut Outbox,
}

/// A datagram that may be answered.
struct Received<'a> {
    query: &'a [u8],
    from: SockaddrStorage,
    client: IpAddr,
    asked: Option<Asked>,
}

impl Batch {
    /// Buffers for `socket`; a `wildcard` socket tells the address asked with each datagram.
    pub(super) fn new(socket: &UdpSocket, wildcard: bool) -> Batch {
        let is_v6 = socket.local_addr().is_ok_and(|local| local.is_ipv6());
        let control = || match (wildcard, is_v6) {
            (false, _) => None,
            (true, false) => Some(nix::cmsg_space!(in_pktinfo)),
            (true, true) => Some(nix::cmsg_space!(in6_pktinfo)),
        };
        Batch {
            wildcard,
            inbound: MultiHeaders::preallocate(BATCH, control()),
            outbound: MultiHeaders::preallocate(BATCH, control()),
            received: vec![0; BATCH * QUERY_LIMIT].into(),
            outbox: Outbox {
                to: Vec::with_capacity(BATCH),
                asked: Vec::with_capacity(BATCH),
                messages: (0..BATCH).map(|_| Vec::with_capacity(1232)).collect(),
            },
        }
    }

    /// How many answers wait to be sent.
    pub(super) fn answers(&self) -> usize {
        self.outbox.to.len()
    }

    /// Receives what is there, without waiting, and hands it to `answer`. Returns how many
    /// datagrams there were.
    ///
    /// # Errors
    /// What `recvmmsg` says; `EAGAIN` if nothing is there.
    pub(super) fn receive(
        &mut self,
        socket: RawFd,
        answer: impl FnOnce(Datagrams<'_>) -> usize,
    ) -> Result<usize, Errno> {
        self.outbox.clear();
        let mut buffers = self.received.chunks_exact_mut(QUERY_LIMIT);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(socket, &mut self.inbound, slices.iter_mut(), flags, None)?;
        Ok(answer(Datagrams::of(
            received,
            self.wildcard,
            &mut self.outbox,
        )))
    }

    /// Sends answers from the `first` on, in one call: those next to each other that leave from
    /// the same address. Returns how many the system took.
    ///
    /// # Errors
    /// What `sendmmsg` says about the first of them.
    pub(super) fn send(&mut self, socket: RawFd, first: usize) -> Result<usize, Errno> {
        let end = self.outbox.end_of_run(first);
        let mut messages = self.outbox.messages[first..end].iter();
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSlice::new(messages.next().map_or(&[], Vec::as_slice))]);
        let control = match &self.outbox.asked[first] {
            Some(Asked::V4(local)) => Some([ControlMessage::Ipv4PacketInfo(local)]),
            Some(Asked::V6(local)) => Some([ControlMessage::Ipv6PacketInfo(local)]),
            None => None,
        };
        let control: &[ControlMessage<'_>] = control.as_ref().map_or(&[], |one| one);
        let to = &self.outbox.to[first..end];
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(socket, &mut self.outbound, &slices, to, control, flags)?;
        Ok(sent.count())
    }
}

impl Outbox {
    fn clear(&mut self) {
        for message in &mut self.messages[..self.to.len()] {
            message.clear();
            message.shrink_to(ANSWER_KEPT);
        }
        self.to.clear();
        self.asked.clear();
    }

    /// One past the last answer that leaves from the same address as `first` without a gap.
    fn end_of_run(&self, first: usize) -> usize {
        let from = self.asked[first];
        let same = self.asked[first..]
            .iter()
            .take_while(|asked| match (asked, &from) {
                (Some(asked), Some(from)) => asked.is_same(from),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            })
            .count();
        first + same
    }
}

impl<'a> Datagrams<'a> {
    fn of(
        mut received: MultiResults<'a, SockaddrStorage>,
        wildcard: bool,
        outbox: &'a mut Outbox,
    ) -> Datagrams<'a> {
        let mut count = 0;
        let queries = array::from_fn(|_| {
            let datagram = received.next()?;
            count += 1;
            read(&datagram, wildcard)
        });
        Datagrams {
            count,
            queries,
            outbox,
        }
    }

    /// The queries.
    pub(super) fn queries(&self) -> impl Iterator<Item = &'a [u8]> {
        self.queries.iter().flatten().map(|received| received.query)
    }

    /// Calls `answer(query, client, out)` for each query and keeps the answers for which it returns
    /// `true`. Returns how many datagrams there were, those that are no queries too.
    pub(super) fn answer_each(
        self,
        mut answer: impl FnMut(&[u8], IpAddr, &mut Vec<u8>) -> bool,
    ) -> usize {
        let outbox = self.outbox;
        for received in self.queries.into_iter().flatten() {
            let out = &mut outbox.messages[outbox.to.len()];
            if answer(received.query, received.client, out) {
                outbox.to.push(Some(received.from));
                outbox.asked.push(received.asked);
            }
        }
        self.count
    }
}

/// What is needed of a datagram to answer it; `None` if it is too long for a query, or nobody would
/// take the answer.
fn read<'a>(datagram: &RecvMsg<'a, 'a, SockaddrStorage>, wildcard: bool) -> Option<Received<'a>> {
    let (from, client) = datagram.address.and_then(who_can_be_answered)?;
    let asked = asked(datagram);
    // An answer from another address than the one asked would be thrown away.
    let is_known = asked.is_some() || !wildcard;
    let is_whole = !datagram.flags.contains(MsgFlags::MSG_TRUNC);
    (is_whole && is_known).then(|| Received {
        query: datagram.iovs().next().unwrap_or_default(),
        from,
        client,
        asked,
    })
}

/// The source of a datagram in both its forms, if an answer to it makes sense.
fn who_can_be_answered(from: SockaddrStorage) -> Option<(SockaddrStorage, IpAddr)> {
    let (client, port): (IpAddr, u16) = match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
        (Some(v4), _) => (v4.ip().into(), v4.port()),
        (None, Some(v6)) => (v6.ip().into(), v6.port()),
        (None, None) => return None,
    };
    (!is_answered_in_vain(port)).then_some((from, client))
}

/// The address of ours that the datagram was sent to, on a wildcard socket.
fn asked<S: SockaddrLike>(datagram: &RecvMsg<'_, '_, S>) -> Option<Asked> {
    datagram.cmsgs().ok()?.find_map(asked_in)
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum has a variant for every control message of every system"
)]
fn asked_in(message: ControlMessageOwned) -> Option<Asked> {
    match message {
        // Index 0 lets the route choose the interface: a reply need not leave by the one that
        // the query came in by.
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::V4(in_pktinfo {
            ipi_ifindex: 0,
            ..info
        })),
        // A link-local address means nothing without its interface (RFC 4007 section 6).
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let [first, second, ..] = info.ipi6_addr.s6_addr;
            let is_link_local = first == 0xfe && second & 0xc0 == 0x80;
            Some(Asked::V6(in6_pktinfo {
                ipi6_ifindex: if is_link_local { info.ipi6_ifindex } else { 0 },
                ..info
            }))
        }
        _ => None,
    }
}
