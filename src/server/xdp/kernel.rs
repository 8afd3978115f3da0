//! What is asked of the kernel in ways that the compiler cannot check: the sockets' rings, and
//! `bpf(2)`. The only unsafe code of this program.
#![allow(
    unsafe_code,
    reason = "the rings are shared memory, and bpf(2) has no safe wrapper without a C library"
)]

use std::ffi::CStr;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, send};
use xdp::nic::NicIndex;
use xdp::slab::{HeapSlab, Slab};
use xdp::socket::{XdpSocket, XdpSocketBuilder};
use xdp::umem::UmemCfgBuilder;
use xdp::{Packet, Umem};
use xdp::{RingConfigBuilder, WakableRings};

use super::program::Instruction;

/// Frames answered in one turn at most.
pub(super) const BATCH: usize = 64;
/// Places in each ring: so many frames wait for us at most, and so many of ours to be sent.
const RING: u32 = 2048;
/// Frames of memory, 4 KiB each: what the rings hold on the way in and on the way out.
const FRAMES: u32 = 2 * RING;
/// What a frame has room for: the kernel keeps the first 256 octets of its memory.
pub(super) const FRAME_ROOM: usize = 4096 - 256;
/// So often the kernel is asked to send what is in the ring: it takes 32 at a time.
const KICKS: usize = 8;

// Commands and types of bpf(2), from `linux/bpf.h`.
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
#[cfg(test)]
const PROG_TEST_RUN: libc::c_long = 10;
const LINK_CREATE: libc::c_long = 28;
const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;

/// How a program is attached (`linux/if_link.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// In the driver, before the kernel makes a buffer of the frame.
    Native = 1 << 2,
    /// In the kernel's own path, with any driver.
    Generic = 1 << 1,
}

/// A map of the sockets of an interface, by queue.
pub(super) struct Sockets(OwnedFd);

/// A program that is attached to an interface for as long as this lives. The kernel detaches it
/// when the last descriptor is closed, so it does not outlive the process, whatever ends that.
pub(in crate::server) struct Link {
    _link: OwnedFd,
}

/// A loaded program.
pub(super) struct Program(OwnedFd);

impl Sockets {
    /// A map with room for so many queues.
    pub(super) fn new(queues: u32) -> io::Result<Sockets> {
        #[repr(C)]
        struct Attributes {
            map_type: u32,
            key_size: u32,
            value_size: u32,
            max_entries: u32,
            map_flags: u32,
        }
        bpf_fd(
            MAP_CREATE,
            &mut Attributes {
                map_type: MAP_TYPE_XSKMAP,
                key_size: 4,
                value_size: 4,
                max_entries: queues,
                map_flags: 0,
            },
        )
        .map(Sockets)
    }

    /// The number that a program knows it by.
    pub(super) fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Frames of this queue go to this socket.
    pub(super) fn insert(&self, queue: u32, socket: &Socket) -> io::Result<()> {
        #[repr(C)]
        struct Attributes {
            map: i32,
            padding: u32,
            key: u64,
            value: u64,
            flags: u64,
        }
        let value = socket.as_fd().as_raw_fd();
        let mut attributes = Attributes {
            map: self.number(),
            padding: 0,
            key: address_of(&queue),
            value: address_of(&value),
            flags: 0,
        };
        bpf(MAP_UPDATE_ELEM, &mut attributes).map(drop)
    }
}

impl Program {
    /// Has the kernel verify and take a program.
    pub(super) fn load(code: &[Instruction]) -> io::Result<Program> {
        #[repr(C)]
        struct Attributes {
            program_type: u32,
            count: u32,
            code: u64,
            license: u64,
            log_level: u32,
            log_size: u32,
            log: u64,
            kernel_version: u32,
            flags: u32,
            name: [u8; 16],
        }
        let mut attributes = Attributes {
            program_type: PROG_TYPE_XDP,
            count: u32::try_from(code.len()).unwrap_or(u32::MAX),
            code: code.as_ptr() as u64,
            license: c"Apache-2.0 OR MIT".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel_version: 0,
            flags: 0,
            name: *b"switchback\0\0\0\0\0\0",
        };
        bpf_fd(PROG_LOAD, &mut attributes).map(Program)
    }

    /// Runs for every frame of an interface from now on.
    pub(super) fn attach(&self, interface: u32, mode: Mode) -> io::Result<Link> {
        #[repr(C)]
        struct Attributes {
            program: i32,
            interface: u32,
            attach_type: u32,
            flags: u32,
        }
        let mut attributes = Attributes {
            program: self.0.as_raw_fd(),
            interface,
            attach_type: ATTACH_XDP,
            flags: mode as u32,
        };
        let link = bpf_fd(LINK_CREATE, &mut attributes)?;
        Ok(Link { _link: link })
    }

    /// What the program says of a frame, without any interface.
    #[cfg(test)]
    pub(super) fn verdict(&self, frame: &[u8]) -> io::Result<u32> {
        #[repr(C)]
        struct Attributes {
            program: i32,
            verdict: u32,
            size_in: u32,
            size_out: u32,
            data_in: u64,
            data_out: u64,
            repeat: u32,
            duration: u32,
        }
        let mut attributes = Attributes {
            program: self.0.as_raw_fd(),
            verdict: 0,
            size_in: u32::try_from(frame.len()).unwrap_or(0),
            size_out: 0,
            data_in: frame.as_ptr() as u64,
            data_out: 0,
            repeat: 0,
            duration: 0,
        };
        bpf(PROG_TEST_RUN, &mut attributes)?;
        Ok(attributes.verdict)
    }
}

/// The longest packet that an interface takes.
pub(super) fn mtu(interface: &CStr) -> io::Result<usize> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: all zero is a value of this structure of numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last octet stays zero, as the end of the name.
    let places = request.ifr_name.len() - 1;
    for (place, octet) in request.ifr_name[..places]
        .iter_mut()
        .zip(interface.to_bytes())
    {
        *place = octet.cast_signed();
    }
    // SAFETY: the request is a whole structure with a name in it, as this call demands, and it is
    // ours alone.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    Errno::result(result)?;
    // SAFETY: the call has succeeded, so it has written this field.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    usize::try_from(mtu).map_err(io::Error::other)
}

fn address_of<T>(value: &T) -> u64 {
    std::ptr::from_ref(value) as u64
}

/// Calls `bpf(2)` with the attributes of one command.
fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: `attributes` is the prefix of `union bpf_attr` that belongs to the command, and the
    // size says how long it is; the kernel reads what is missing as zero. The addresses in it are
    // those of values that live until the call returns, of the sizes that the command has for
    // them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    Errno::result(result).map_err(io::Error::from)
}

/// The same, for a command that opens something.
fn bpf_fd<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket of one queue of an interface, with its rings and their memory.
pub(in crate::server) struct Socket {
    socket: XdpSocket,
    rings: WakableRings,
    /// Frames that the kernel has taken from the fill ring, and that are not back in it.
    owed: usize,
    /// Whether the kernel has not sent all that is in the ring.
    unsent: bool,
    // Last: the rings and the socket use it.
    umem: Umem,
}

/// Frames that were received and not answered yet, and answers not sent yet. Empty between turns.
pub(super) struct Slabs {
    received: HeapSlab,
    answers: HeapSlab,
}

impl Slabs {
    pub(super) fn new() -> Slabs {
        Slabs {
            received: HeapSlab::with_capacity(BATCH),
            answers: HeapSlab::with_capacity(BATCH),
        }
    }
}

/// What became of the frames of a turn.
#[derive(Clone, Copy, Default)]
pub(super) struct Turn {
    pub(super) received: usize,
    pub(super) sent: usize,
}

/// One frame.
pub(super) struct Frame<'a>(&'a mut Packet);

impl Frame<'_> {
    /// Its octets, from the link layer's first.
    pub(super) fn octets(&self) -> &[u8] {
        self.0
    }

    /// Its octets, after it has been cut or made longer to `length`. `None` if there is no room
    /// for that.
    pub(super) fn resized(&mut self, length: usize) -> Option<&mut [u8]> {
        let (now, wanted) = (
            i32::try_from(self.0.len()).ok()?,
            i32::try_from(length).ok()?,
        );
        self.0.adjust_tail(wanted - now).ok()?;
        Some(self.0)
    }
}

impl Socket {
    /// Opens a socket for one queue.
    ///
    /// # Errors
    /// What the kernel, or the crate around it, says.
    pub(super) fn open(interface: u32, queue: u32) -> Result<Socket, String> {
        let umem = UmemCfgBuilder {
            frame_count: FRAMES,
            ..UmemCfgBuilder::default()
        };
        let umem = umem.build().map_err(|error| error.to_string())?;
        let umem = Umem::map(umem).map_err(|error| error.to_string())?;
        let rings = RingConfigBuilder {
            rx_count: RING,
            tx_count: RING,
            fill_count: RING,
            completion_count: RING,
        };
        let rings = rings.build().map_err(|error| error.to_string())?;
        let mut builder = XdpSocketBuilder::new().map_err(plain)?;
        let (rings, flags) = builder.build_wakable_rings(&umem, rings).map_err(plain)?;
        let socket = builder
            .bind(NicIndex(interface), queue, flags)
            .map_err(plain)?;
        let mut socket = Socket {
            socket,
            rings,
            owed: RING as usize,
            unsent: false,
            umem,
        };
        socket.refill();
        Ok(socket)
    }

    /// Takes up to [`BATCH`] frames, lets `answer` turn each into its answer, which it says by
    /// `true`, and sends these.
    pub(super) fn turn(
        &mut self,
        slabs: &mut Slabs,
        mut answer: impl FnMut(Frame<'_>) -> bool,
    ) -> Turn {
        self.reclaim();
        if self.unsent {
            self.kick();
        }
        let Some(rx) = &mut self.rings.rx_ring else {
            return Turn::default();
        };
        // SAFETY: the frames that this puts into the slab are taken out again below, before the
        // memory that they are in can go away with `self`.
        let received = unsafe { rx.recv(&self.umem, &mut slabs.received) };
        while let Some(mut packet) = slabs.received.pop_back() {
            if packet.is_continued() || !answer(Frame(&mut packet)) {
                self.umem.free_packet(packet);
            } else if let Some(packet) = slabs.answers.push_front(packet) {
                self.umem.free_packet(packet);
            }
        }
        self.owed += received;
        self.refill();
        let sent = self.send(slabs);
        Turn { received, sent }
    }

    /// Gives the kernel frames to receive into.
    fn refill(&mut self) {
        // The ring has room for what was taken from it, once all of it is seen as taken.
        // SAFETY: the memory is unmapped after the socket is closed, by the order of the fields.
        let filled = unsafe {
            self.rings
                .fill_ring
                .enqueue(&mut self.umem, self.owed, false)
        };
        self.owed -= filled.unwrap_or(0);
    }

    /// Takes back the frames that the kernel has sent.
    fn reclaim(&mut self) {
        let in_flight = self.umem.outstanding();
        self.rings
            .completion_ring
            .dequeue(&mut self.umem, in_flight);
    }

    /// Sends the answers. Gives how many the ring took; what it does not take is given up: the
    /// interface sends slower than it receives, and clients ask again.
    fn send(&mut self, slabs: &mut Slabs) -> usize {
        if slabs.answers.is_empty() {
            return 0;
        }
        let mut sent = 0;
        if let Some(tx) = &mut self.rings.tx_ring {
            // SAFETY: the memory is unmapped after the socket is closed, by the order of the
            // fields.
            sent = unsafe { tx.send(&mut slabs.answers, false) }.unwrap_or(0);
        }
        while let Some(packet) = slabs.answers.pop_back() {
            self.umem.free_packet(packet);
        }
        // Even if the ring took nothing: it is full then, and somebody has to empty it.
        self.kick();
        sent
    }

    /// Whether answers are still in the ring: the next turn tries again.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent
    }

    /// Has the kernel look at the ring of what is to be sent.
    fn kick(&mut self) {
        for _ in 0..KICKS {
            match send(self.socket.as_raw_fd(), &[], MsgFlags::MSG_DONTWAIT) {
                Ok(_) => {
                    self.unsent = false;
                    return;
                }
                // There is more than it sends at a time.
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // The interface is busy, or down.
                Err(_) => break,
            }
        }
        self.unsent = true;
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as `self.socket` is, which is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

/// The system's words behind an error of the crate.
fn plain(error: xdp::socket::SocketError) -> String {
    use std::error::Error as _;
    let what = match &error {
        xdp::socket::SocketError::Bind(_) => "bind",
        xdp::socket::SocketError::SocketCreation(_) => "socket",
        xdp::socket::SocketError::RingMap { .. } => "mmap",
        xdp::socket::SocketError::SetSockOpt { .. }
        | xdp::socket::SocketError::GetSockOpt { .. } => "socket option",
    };
    match error.source() {
        Some(source) => format!("{what}: {source}"),
        None => what.to_owned(),
    }
}
