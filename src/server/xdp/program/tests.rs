//! The kernel itself is asked what the program says of a frame (`BPF_PROG_TEST_RUN`).

use super::*;
use crate::server::xdp::kernel::{Program, Sockets};

/// What the kernel says of a frame that is sent to a socket which is not there: it passes. So
/// the table's fallback is made `XDP_DROP` here, which the program itself never says.
const REDIRECTED: u32 = 1;

/// The interface's link address.
const LINK: [u8; 6] = [2, 0x80, 0xff, 0, 0, 1];
const MINE: [&str; 2] = ["192.0.2.53", "2001:db8::53"];

/// A program that redirects what is for port 53 of the two addresses, and for the first of them
/// in VLAN 5 at port 5353. `None` where the kernel or the rights are lacking.
#[allow(
    clippy::print_stderr,
    reason = "who runs the tests is told what was left out"
)]
fn loaded() -> Option<Program> {
    let row = |address: &str, port, vlan| Served {
        address: address.parse().unwrap(),
        port,
        vlan,
    };
    let served = [
        row(MINE[0], 53, None),
        row(MINE[1], 53, None),
        row(MINE[0], 5353, Some(5)),
    ];
    let loaded = Sockets::new(1).and_then(|map| {
        let mut code = program(LINK, &served, map.number());
        let fallback = code
            .iter_mut()
            .rfind(|it| it.code == 0xb7 && it.registers == R3);
        fallback.unwrap().immediate = 1;
        Program::load(&code)
    });
    match loaded {
        Ok(program) => Some(program),
        // Whoever may do this must be able to: a program that is refused is a defect.
        Err(error) if nix::unistd::geteuid().is_root() && error.raw_os_error() != Some(1) => {
            panic!("the kernel refuses the program: {error}")
        }
        Err(error) => {
            eprintln!("left out: the program of AF_XDP, for bpf(2) says: {error}");
            None
        }
    }
}

/// A datagram for an address and port, in a VLAN or none; `change` is made to its network layer.
fn frame(to: &str, port: u16, tag: Option<u16>, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut frame = [LINK, [2; 6]].concat();
    if let Some(tag) = tag {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    let mut packet = match to.parse().unwrap() {
        IpAddr::V4(to) => {
            frame.extend([0x08, 0]);
            let mut header = vec![0x45, 0, 0, 48, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 51, 100, 1];
            header.extend(to.octets());
            header
        }
        IpAddr::V6(to) => {
            frame.extend([0x86, 0xdd]);
            let mut header = vec![0x60, 0, 0, 0, 0, 28, 17, 64];
            header.extend([0x20; 16]);
            header.extend(to.octets());
            header
        }
    };
    packet.extend([0x12, 0x34]);
    packet.extend(port.to_be_bytes());
    packet.extend([0, 28, 0, 0]);
    packet.extend([0; 20]);
    change(&mut packet);
    frame.extend(packet);
    frame
}

#[test]
fn queries_to_us_are_taken_and_nothing_else() {
    let Some(program) = loaded() else { return };
    let taken = |frame: &[u8]| match program.verdict(frame).unwrap() {
        REDIRECTED => true,
        verdict => {
            assert_eq!(verdict, u32::try_from(PASS).unwrap());
            false
        }
    };
    let as_it_is = |_: &mut [u8]| {};
    for to in MINE {
        assert!(taken(&frame(to, 53, None, as_it_is)), "{to}");
        // A tag with a priority and no number is none (IEEE 802.1Q).
        assert!(taken(&frame(to, 53, Some(0xe000), as_it_is)), "{to}");
        assert!(!taken(&frame(to, 54, None, as_it_is)), "{to}: another port");
        assert!(
            !taken(&frame(to, 53, Some(5), as_it_is)),
            "{to}: another VLAN"
        );
    }
    assert!(taken(&frame(MINE[0], 5353, Some(0x2005), as_it_is)));
    assert!(!taken(&frame(MINE[0], 5353, Some(6), as_it_is)));
    assert!(!taken(&frame(MINE[0], 5353, None, as_it_is)));
    for to in ["192.0.2.54", "2001:db8::54", "2001:db9::53", "3001:db8::53"] {
        assert!(!taken(&frame(to, 53, None, as_it_is)), "{to}");
    }
}

#[test]
fn what_needs_the_kernel_passes_to_it() {
    let Some(program) = loaded() else { return };
    let passes = |what: &str, frame: &[u8]| {
        let verdict = program.verdict(frame).unwrap();
        assert_eq!(verdict, u32::try_from(PASS).unwrap(), "{what}");
    };
    let v4 = |change: fn(&mut [u8])| frame(MINE[0], 53, None, change);
    let v6 = |change: fn(&mut [u8])| frame(MINE[1], 53, None, change);
    passes("TCP", &v4(|packet| packet[9] = 6));
    passes("ICMP", &v4(|packet| packet[9] = 1));
    passes("options", &v4(|packet| packet[0] = 0x46));
    passes("the first fragment", &v4(|packet| packet[6] = 0x20));
    passes("another fragment", &v4(|packet| packet[7] = 0x01));
    passes("another version", &v4(|packet| packet[0] = 0x55));
    passes("TCP", &v6(|packet| packet[6] = 6));
    passes("neighbour discovery", &v6(|packet| packet[6] = 58));
    passes("a fragment", &v6(|packet| packet[6] = 44));
    passes("an extension header", &v6(|packet| packet[6] = 60));
    passes("another version", &v6(|packet| packet[0] = 0x40));
    for octet in 0..6 {
        let mut overheard = v4(|_| {});
        overheard[octet] ^= 1;
        passes("what is for another link address", &overheard);
    }
    let mut arp = v4(|_| {});
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    passes("ARP", &arp);
    let mut nested = frame(MINE[0], 53, Some(5), |_| {});
    nested[16..18].copy_from_slice(&[0x81, 0]);
    passes("two tags", &nested);
    for whole in [
        v4(|_| {}),
        v6(|_| {}),
        frame(MINE[0], 5353, Some(5), |_| {}),
    ] {
        // Ethernet's own header is the least that the kernel takes for this.
        for length in 14..whole.len() - 20 {
            passes("the beginning of a frame", &whole[..length]);
        }
    }
}
