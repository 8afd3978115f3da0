//! The program that the kernel runs for each frame of an interface: queries to us go to the
//! socket of their queue, everything else on its way.
//!
//! It takes only what needs no further look: UDP without IPv4 options, IPv6 extension headers or
//! fragments, with at most one VLAN tag, to the interface's link address and to an address and port
//! that is served. The rest (ARP, neighbour discovery, ICMP, TCP, fragments, what an interface in
//! promiscuous mode overhears) passes to the kernel, whose sockets on the same addresses answer what
//! this leaves out.

use std::net::IpAddr;

use super::served::Served;

/// One instruction, in the kernel's layout: code, registers, offset, immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// `XDP_PASS`: the frame goes on into the kernel.
pub(super) const PASS: i32 = 2;

// Registers. R0 to R5 do not survive a call, R1 to R5 are its arguments.
const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
const R5: u8 = 5;
const CONTEXT: u8 = 6;
const VLAN: u8 = 7;
const NETWORK: u8 = 8;
const R9: u8 = 9;

// Offsets in `struct xdp_md`.
const DATA: i16 = 0;
const DATA_END: i16 = 4;
const RX_QUEUE: i16 = 16;

// Sizes of loads.
const WORD: u8 = 0x00;
const HALF: u8 = 0x08;
const BYTE: u8 = 0x10;

// What is jumped on.
const EQUAL: u8 = 0x15;
const NOT_EQUAL: u8 = 0x55;
/// Compares the lower 32 bits only, so that an immediate is not extended by its sign.
const NOT_EQUAL_32: u8 = 0x56;

/// A jump's target is not known yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Pass,
    Redirect,
    Network,
    V4,
    V6,
    /// Past one row of the table.
    After(usize),
}

#[derive(Default)]
struct Assembler {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

/// The program for an interface with a link address, that sends what is for `served` to the
/// sockets in `map`.
pub(super) fn program(link: [u8; 6], served: &[Served], map: i32) -> Vec<Instruction> {
    let mut asm = Assembler::default();
    asm.ethernet(link);
    asm.label(Label::V4);
    asm.ipv4(served);
    asm.label(Label::V6);
    asm.ipv6(served);
    asm.label(Label::Redirect);
    // bpf_redirect_map(map, ctx->rx_queue_index, XDP_PASS): a queue without a socket passes.
    asm.load(WORD, R2, CONTEXT, RX_QUEUE);
    asm.push(0x18, R1 | 1 << 4, 0, map);
    asm.push(0, 0, 0, 0);
    asm.set(R3, PASS);
    asm.push(0x85, 0, 0, 51);
    asm.push(0x95, 0, 0, 0);
    asm.label(Label::Pass);
    asm.set(R0, PASS);
    asm.push(0x95, 0, 0, 0);
    asm.finish()
}

impl Assembler {
    /// The link layer: R2 and R3 are the frame's ends, `NETWORK` points behind the link layer,
    /// `VLAN` is the tag's number or 0.
    fn ethernet(&mut self, link: [u8; 6]) {
        self.copy(CONTEXT, R1);
        self.load(WORD, R2, R1, DATA);
        self.load(WORD, R3, R1, DATA_END);
        self.copy(NETWORK, R2);
        self.add(NETWORK, 14);
        self.pass_if_shorter(NETWORK, 0);
        let [a, b, c, d, e, f] = link;
        self.load(WORD, R0, R2, 0);
        self.jump(NOT_EQUAL_32, R0, word([a, b, c, d]), Label::Pass);
        self.load(HALF, R0, R2, 4);
        self.jump(NOT_EQUAL, R0, half([e, f]), Label::Pass);
        self.load(HALF, R5, R2, 12);
        self.set(VLAN, 0);
        self.jump(NOT_EQUAL, R5, half([0x81, 0x00]), Label::Network);
        self.pass_if_shorter(NETWORK, 4);
        self.load(HALF, VLAN, NETWORK, 0);
        // From network order; then the number without priority (IEEE 802.1Q).
        self.push(0xdc, VLAN, 0, 16);
        self.push(0x57, VLAN, 0, 0x0fff);
        self.load(HALF, R5, NETWORK, 2);
        self.add(NETWORK, 4);
        self.label(Label::Network);
        self.jump(EQUAL, R5, half([0x08, 0x00]), Label::V4);
        self.jump(EQUAL, R5, half([0x86, 0xdd]), Label::V6);
        self.jump_always(Label::Pass);
    }

    /// RFC 791: version 4, no options, UDP, not a fragment; then address and port.
    fn ipv4(&mut self, served: &[Served]) {
        self.pass_if_shorter(NETWORK, 28);
        self.load(BYTE, R0, NETWORK, 0);
        self.jump(NOT_EQUAL, R0, 0x45, Label::Pass);
        self.load(BYTE, R0, NETWORK, 9);
        self.jump(NOT_EQUAL, R0, 17, Label::Pass);
        self.load(HALF, R0, NETWORK, 6);
        // More fragments, or an offset.
        self.push(0x57, R0, 0, half([0x3f, 0xff]));
        self.jump(NOT_EQUAL, R0, 0, Label::Pass);
        self.load(WORD, R1, NETWORK, 16);
        self.load(HALF, R5, NETWORK, 22);
        for (row, one) in served.iter().enumerate() {
            if let IpAddr::V4(address) = one.address {
                self.row(row, &[(R1, word(address.octets()))], one);
            }
        }
        self.jump_always(Label::Pass);
    }

    /// RFC 8200: version 6, UDP at once, which a fragment does not have; then address and port.
    fn ipv6(&mut self, served: &[Served]) {
        self.pass_if_shorter(NETWORK, 48);
        self.load(BYTE, R0, NETWORK, 0);
        self.push(0x57, R0, 0, 0xf0);
        self.jump(NOT_EQUAL, R0, 0x60, Label::Pass);
        self.load(BYTE, R0, NETWORK, 6);
        self.jump(NOT_EQUAL, R0, 17, Label::Pass);
        let words = [R0, R1, R4, R9];
        for (register, offset) in words.into_iter().zip([24, 28, 32, 36]) {
            self.load(WORD, register, NETWORK, offset);
        }
        self.load(HALF, R5, NETWORK, 42);
        for (row, one) in served.iter().enumerate() {
            if let IpAddr::V6(address) = one.address {
                let octets = address.octets();
                let parts = octets.as_chunks::<4>().0.iter().map(|part| word(*part));
                let pairs: Vec<(u8, i32)> = words.into_iter().zip(parts).collect();
                self.row(row, &pairs, one);
            }
        }
        self.jump_always(Label::Pass);
    }

    /// Redirects what has these words of an address, this port in R5, and this tag.
    fn row(&mut self, row: usize, words: &[(u8, i32)], one: &Served) {
        for (register, word) in words {
            self.jump(NOT_EQUAL_32, *register, *word, Label::After(row));
        }
        let port = half(one.port.to_be_bytes());
        self.jump(NOT_EQUAL, R5, port, Label::After(row));
        let vlan = i32::from(one.vlan.unwrap_or(0));
        self.jump(NOT_EQUAL, VLAN, vlan, Label::After(row));
        self.jump_always(Label::Redirect);
        self.label(Label::After(row));
    }

    /// Passes the frame on unless it has `octets` from where `register` points.
    fn pass_if_shorter(&mut self, register: u8, octets: i32) {
        self.copy(R4, register);
        self.add(R4, octets);
        self.jumps.push((self.code.len(), Label::Pass));
        self.push(0x2d, R4 | R3 << 4, 0, 0);
    }

    fn load(&mut self, size: u8, to: u8, from: u8, offset: i16) {
        self.push(0x61 | size, to | from << 4, offset, 0);
    }

    fn copy(&mut self, to: u8, from: u8) {
        self.push(0xbf, to | from << 4, 0, 0);
    }

    fn set(&mut self, to: u8, value: i32) {
        self.push(0xb7, to, 0, value);
    }

    fn add(&mut self, to: u8, value: i32) {
        self.push(0x07, to, 0, value);
    }

    fn jump(&mut self, on: u8, register: u8, value: i32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(on, register, 0, value);
    }

    fn jump_always(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(0x05, 0, 0, 0);
    }

    fn label(&mut self, label: Label) {
        self.labels.push((label, self.code.len()));
    }

    fn push(&mut self, code: u8, registers: u8, offset: i16, immediate: i32) {
        self.code.push(Instruction {
            code,
            registers,
            offset,
            immediate,
        });
    }

    /// Puts the offsets into the jumps. All lead forward, and [`super::served::MOST`] bounds how
    /// far.
    fn finish(mut self) -> Vec<Instruction> {
        for (at, to) in &self.jumps {
            let target = self
                .labels
                .iter()
                .find(|(label, target)| label == to && target > at);
            let distance = target.map_or(0, |(_, target)| target - at - 1);
            self.code[*at].offset = i16::try_from(distance).unwrap_or(i16::MAX);
        }
        self.code
    }
}

/// Two octets of a frame as a load of them gives it.
fn half(octets: [u8; 2]) -> i32 {
    i32::from(u16::from_ne_bytes(octets))
}

/// Four octets of a frame as an immediate.
fn word(octets: [u8; 4]) -> i32 {
    i32::from_ne_bytes(octets)
}

#[cfg(test)]
mod tests;
