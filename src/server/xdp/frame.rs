//! Frames: a query out of one, and the answer into the same one, turned around.
//!
//! Nothing is trusted: the program of the interface has looked at addresses and ports, not at
//! lengths and checksums.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::server::is_answered_in_vain;

const ETHERNET: usize = 14;
const TAG: usize = 4;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
/// The longest way to the payload of UDP.
pub(super) const HEADERS: usize = ETHERNET + TAG + IPV6 + UDP;
/// Of our answers: the value that RFC 1700 recommends, which is what kernels use.
const HOPS: u8 = 64;
const UDP_NUMBER: u8 = 17;

/// Where in a frame things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    network: usize,
    is_v6: bool,
    /// The payload of UDP.
    pub(super) payload: (usize, usize),
    pub(super) client: IpAddr,
}

/// Why there will be no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discard {
    /// It ends too early, or its lengths contradict each other.
    Length,
    /// It is not what the program lets through.
    Foreign,
    /// A checksum says that it was damaged on its way.
    Checksum,
    /// From nobody who could use an answer: a port that is none, a group, or our own addresses.
    Source,
}

/// Finds the datagram in a frame, and checks what RFC 791, 768, 8200 and 1122 say must be.
pub(super) fn read(frame: &[u8]) -> Result<Layout, Discard> {
    let mut network = ETHERNET;
    let mut kind = pair(frame, 12).ok_or(Discard::Length)?;
    if kind == 0x8100 {
        kind = pair(frame, 16).ok_or(Discard::Length)?;
        network += TAG;
    }
    let packet = frame.get(network..).ok_or(Discard::Length)?;
    let (is_v6, datagram, source, sum) = match kind {
        0x0800 => ipv4(packet)?,
        0x86dd => ipv6(packet)?,
        _ => return Err(Discard::Foreign),
    };
    let length = usize::from(pair(datagram, 4).ok_or(Discard::Length)?);
    // RFC 768: the length counts the header. What is behind it in the packet is not the
    // datagram's.
    if length < UDP || length > datagram.len() {
        return Err(Discard::Length);
    }
    let datagram = &datagram[..length];
    check(datagram, is_v6, sum + add_pair(length))?;
    if pair(datagram, 0).is_none_or(is_answered_in_vain) || is_nobody(source) {
        return Err(Discard::Source);
    }
    let begin = network + if is_v6 { IPV6 } else { IPV4 } + UDP;
    Ok(Layout {
        network,
        is_v6,
        payload: (begin, begin + length - UDP),
        client: source,
    })
}

/// What the network layer says: whether it is IPv6, the datagram, from whom, and the sum of the
/// pseudo header without the length.
type Network<'a> = (bool, &'a [u8], IpAddr, u64);

fn ipv4(packet: &[u8]) -> Result<Network<'_>, Discard> {
    let header = packet.get(..IPV4).ok_or(Discard::Length)?;
    if header[0] != 0x45 || header[9] != UDP_NUMBER {
        return Err(Discard::Foreign);
    }
    // RFC 1122 section 3.2.1.2: discarded silently.
    if fold(add(header)) != 0xffff {
        return Err(Discard::Checksum);
    }
    // A short frame is padded, so the packet may end before it does.
    let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let datagram = packet.get(IPV4..end).ok_or(Discard::Length)?;
    let source = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
    let sum = add(&header[12..20]) + u64::from(UDP_NUMBER);
    Ok((false, datagram, source.into(), sum))
}

fn ipv6(packet: &[u8]) -> Result<Network<'_>, Discard> {
    let header = packet.get(..IPV6).ok_or(Discard::Length)?;
    if header[0] >> 4 != 6 || header[6] != UDP_NUMBER {
        return Err(Discard::Foreign);
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let datagram = packet.get(IPV6..IPV6 + length).ok_or(Discard::Length)?;
    let mut source = [0; 16];
    source.copy_from_slice(&header[8..24]);
    let sum = add(&header[8..40]) + u64::from(UDP_NUMBER);
    Ok((true, datagram, Ipv6Addr::from(source).into(), sum))
}

/// The checksum of UDP (RFC 768, RFC 8200 section 8.1), with the sum of the pseudo header.
fn check(datagram: &[u8], is_v6: bool, pseudo: u64) -> Result<(), Discard> {
    let carried = pair(datagram, 6).ok_or(Discard::Length)?;
    if carried == 0 {
        // None was made. RFC 8200 forbids that for IPv6.
        return if is_v6 {
            Err(Discard::Checksum)
        } else {
            Ok(())
        };
    }
    if fold(pseudo + add(datagram)) == 0xffff {
        return Ok(());
    }
    // A sender on this very machine (veth, a virtual machine) leaves the sum to a network card
    // that the packet never reaches, and writes only the pseudo header's into the field. The
    // kernel marks such packets; a frame has no place for the mark.
    if carried == fold(pseudo) {
        return Ok(());
    }
    Err(Discard::Checksum)
}

/// Addresses that nobody is reached at.
fn is_nobody(source: IpAddr) -> bool {
    let is_broadcast = matches!(source, IpAddr::V4(v4) if v4.is_broadcast());
    source.is_unspecified() || source.is_multicast() || source.is_loopback() || is_broadcast
}

/// Turns the headers of a frame around, for a payload of `length` octets that stands behind them
/// in `frame`, which ends where it ends.
pub(super) fn turn_around(frame: &mut [u8], layout: &Layout) {
    let Layout {
        network,
        is_v6,
        payload: (begin, _),
        ..
    } = *layout;
    // Back to the router or neighbour that brought it, by its link address.
    swap(frame, 0, 6, 6);
    let udp = begin - UDP;
    swap(frame, udp, udp + 2, 2);
    let length = octets_of(frame.len() - udp);
    frame[udp + 4..udp + 6].copy_from_slice(&length);
    frame[udp + 6..udp + 8].fill(0);
    let packet = octets_of(frame.len() - network);
    let ip = &mut frame[network..];
    let addresses = if is_v6 {
        // No traffic class and flow label of the client's: those are the sender's to say.
        ip[..4].copy_from_slice(&[0x60, 0, 0, 0]);
        ip[4..6].copy_from_slice(&length);
        ip[7] = HOPS;
        swap(ip, 8, 24, 16);
        8..40
    } else {
        ip[1] = 0;
        ip[2..4].copy_from_slice(&packet);
        // Not to be fragmented, so its identification says nothing (RFC 6864 section 4.1).
        ip[4..8].copy_from_slice(&[0, 0, 0x40, 0]);
        ip[8] = HOPS;
        ip[10..12].fill(0);
        swap(ip, 12, 16, 4);
        let sum = !fold(add(&ip[..IPV4]));
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        12..20
    };
    let pseudo = add(&ip[addresses]) + u64::from(UDP_NUMBER) + add(&length);
    let sum = !fold(pseudo + add(&frame[udp..]));
    // Zero would say that there is none; its other form says the same as zero (RFC 768).
    let sum = if sum == 0 { 0xffff } else { sum };
    frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
}

/// Exchanges `length` octets at two places that do not overlap.
fn swap(octets: &mut [u8], one: usize, other: usize, length: usize) {
    let (head, tail) = octets.split_at_mut(other);
    head[one..one + length].swap_with_slice(&mut tail[..length]);
}

fn octets_of(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn pair(octets: &[u8], at: usize) -> Option<u16> {
    let two = octets.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*two))
}

fn add_pair(number: usize) -> u64 {
    u64::from(u16::from_be_bytes(octets_of(number)))
}

/// The sum of the 16-bit words of some octets, not folded yet. Four octets at a time: the
/// carries meet in the fold (RFC 1071 section 2).
fn add(octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<4>();
    let sum: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_be_bytes(*word)))
        .sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_be_bytes(last))
}

/// To 16 bits, each carry added (RFC 1071).
fn fold(sum: u64) -> u16 {
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
