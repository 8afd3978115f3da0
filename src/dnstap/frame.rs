//! Frame streams (fstrm), and in each frame a message of dnstap in the encoding of Protocol
//! Buffers: the few fields that there are, written by hand.

use std::net::IpAddr;

use crate::server::{Carrier, Exchange};

/// What the frames hold, as both ends name it.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";
const FIELD_CONTENT: u32 = 1;

/// The frames that are about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Accept = 1,
    Start = 2,
    Stop = 3,
    Ready = 4,
}

/// A control frame: an escape, its length, its type, and what kind of frames follow.
pub(super) fn control(kind: Control) -> Vec<u8> {
    let mut body = (kind as u32).to_be_bytes().to_vec();
    if kind != Control::Stop {
        body.extend_from_slice(&FIELD_CONTENT.to_be_bytes());
        put_length(CONTENT.len(), &mut body);
        body.extend_from_slice(CONTENT);
    }
    let mut frame = vec![0; 4];
    put_length(body.len(), &mut frame);
    frame.extend_from_slice(&body);
    frame
}

/// Whether the body of a control frame says that ours will be taken.
pub(super) fn is_accept(body: &[u8]) -> bool {
    let Some((kind, fields)) = body.split_first_chunk::<4>() else {
        return false;
    };
    let names_ours = fields.windows(CONTENT.len()).any(|part| part == CONTENT);
    u32::from_be_bytes(*kind) == Control::Accept as u32 && names_ours
}

/// Appends the query, and the response if there is one, a frame each.
pub(super) fn write(exchange: &Exchange<'_>, out: &mut Vec<u8>) -> u64 {
    put_frame(&message(exchange, None), out);
    if let Some(response) = exchange.response {
        put_frame(&message(exchange, Some(response)), out);
        return 2;
    }
    1
}

fn put_frame(payload: &[u8], out: &mut Vec<u8>) {
    put_length(payload.len(), out);
    out.extend_from_slice(payload);
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
}

/// `Dnstap` of dnstap.proto: AUTH_QUERY or AUTH_RESPONSE.
fn message(exchange: &Exchange<'_>, response: Option<&[u8]>) -> Vec<u8> {
    let Exchange {
        carrier,
        at,
        client,
        query,
        ..
    } = exchange;
    let (seconds, ns) = (at.0 / 1000, (at.0 % 1000) * 1_000_000);
    let ns = u32::try_from(ns).unwrap_or(0);
    let mut inner = Vec::with_capacity(128 + query.len());
    number(1, if response.is_some() { 2 } else { 1 }, &mut inner);
    number(2, if client.is_ipv4() { 1 } else { 2 }, &mut inner);
    number(3, protocol(*carrier), &mut inner);
    match client {
        IpAddr::V4(v4) => octets(4, &v4.octets(), &mut inner),
        IpAddr::V6(v6) => octets(4, &v6.octets(), &mut inner),
    }
    number(8, seconds, &mut inner);
    fixed(9, ns, &mut inner);
    match response {
        None => octets(10, query, &mut inner),
        Some(response) => {
            number(12, seconds, &mut inner);
            fixed(13, ns, &mut inner);
            octets(14, response, &mut inner);
        }
    }
    let mut outer = Vec::with_capacity(inner.len() + 64);
    octets(
        2,
        concat!("switchback ", env!("CARGO_PKG_VERSION")).as_bytes(),
        &mut outer,
    );
    octets(14, &inner, &mut outer);
    number(15, 1, &mut outer);
    outer
}

/// `SocketProtocol` of dnstap.proto.
fn protocol(carrier: Carrier) -> u64 {
    match carrier {
        Carrier::Udp => 1,
        Carrier::Tcp => 2,
        Carrier::Tls => 3,
        Carrier::Https => 4,
        Carrier::Quic => 7,
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

fn octets(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(u64::try_from(value.len()).unwrap_or(0), out);
    out.extend_from_slice(value);
}

fn fixed(field: u64, value: u32, out: &mut Vec<u8>) {
    varint(field << 3 | 5, out);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_seven_bits_an_octet() {
        let of = |value| {
            let mut out = Vec::new();
            varint(value, &mut out);
            out
        };
        assert_eq!(of(0), [0]);
        assert_eq!(of(127), [127]);
        assert_eq!(of(300), [0xac, 2]);
        assert_eq!(of(u64::MAX).len(), 10);
    }

    #[test]
    fn an_answer_is_an_accept_only_with_our_content() {
        let body = |kind| control(kind)[8..].to_vec();
        assert!(is_accept(&body(Control::Accept)));
        assert!(!is_accept(&body(Control::Ready)));
        assert!(!is_accept(&[0, 0, 0, 1]));
        assert!(!is_accept(&[]));
    }
}
