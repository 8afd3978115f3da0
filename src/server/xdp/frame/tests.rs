use super::*;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// A query in a frame, from port 4000 to port 53; `tag` is a VLAN's.
fn frame(is_v6: bool, tag: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    if let Some(tag) = tag {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    let udp = payload.len() + UDP;
    let addresses = if is_v6 {
        frame.extend([0x86, 0xdd, 0x60, 0x12, 0x34, 0x56]);
        frame.extend(octets_of(udp));
        frame.extend([UDP_NUMBER, 61]);
        let at = frame.len();
        for last in [7, 53] {
            frame.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets());
        }
        frame[at..].to_vec()
    } else {
        frame.extend([0x08, 0]);
        let mut header = vec![0x45, 0x10];
        header.extend(octets_of(IPV4 + udp));
        header.extend([0xab, 0xcd, 0x40, 0, 61, UDP_NUMBER, 0, 0]);
        header.extend([192, 0, 2, 7, 192, 0, 2, 53]);
        let sum = !fold(add(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend(&header);
        header[12..20].to_vec()
    };
    let mut datagram = [4000u16.to_be_bytes(), 53u16.to_be_bytes()].concat();
    datagram.extend(octets_of(udp));
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let pseudo = add(&addresses) + u64::from(UDP_NUMBER) + add_pair(udp);
    let sum = !fold(pseudo + add(&datagram));
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    frame.extend(datagram);
    frame
}

const FORMS: [(bool, Option<u16>); 4] = [
    (false, None),
    (true, None),
    (false, Some(0x2005)),
    (true, Some(5)),
];

/// Where UDP begins in the frames of [`frame`].
fn udp_of(is_v6: bool, tag: Option<u16>) -> usize {
    ETHERNET + tag.map_or(0, |_| TAG) + if is_v6 { IPV6 } else { IPV4 }
}

#[test]
fn a_query_is_found_and_its_answer_reads_as_one_to_the_client() {
    for (is_v6, tag) in FORMS {
        for payload in [&b"an even query"[..], b"an odd query", b""] {
            let mut frame = frame(is_v6, tag, payload);
            // Short frames are padded; the padding is not part of the query.
            let length = frame.len();
            frame.resize(length.max(60), 0xee);
            let layout = read(&frame).unwrap();
            assert_eq!(&frame[layout.payload.0..layout.payload.1], payload);
            assert_eq!(layout.client.is_ipv6(), is_v6);

            let answer = b"the answer, which is longer than what was asked";
            frame.resize(layout.payload.0 + answer.len(), 0);
            frame[layout.payload.0..].copy_from_slice(answer);
            turn_around(&mut frame, &layout);
            let back = read(&frame).unwrap();
            assert_eq!(&frame[back.payload.0..back.payload.1], answer);
            assert_eq!(frame[..6], MACS[6..]);
            assert_eq!(frame[6..12], MACS[..6]);
            assert_eq!(pair(&frame, 14).filter(|_| tag.is_some()), tag);
            let udp = udp_of(is_v6, tag);
            assert_eq!(
                (pair(&frame, udp), pair(&frame, udp + 2)),
                (Some(53), Some(4000))
            );
            let last = |address: IpAddr| match address {
                IpAddr::V4(v4) => v4.octets()[3],
                IpAddr::V6(v6) => v6.octets()[15],
            };
            assert_eq!((last(layout.client), last(back.client)), (7, 53));
        }
    }
}

#[test]
fn every_damaged_bit_of_a_datagram_is_seen() {
    for (is_v6, tag) in FORMS {
        let whole = frame(is_v6, tag, b"a query");
        let network = ETHERNET + tag.map_or(0, |_| TAG);
        for bit in network * 8..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // IPv6 has no checksum of its header: these fields are nobody's to check.
            let at = bit / 8 - network;
            let is_unchecked = is_v6 && (at < 4 || at == 7) && damaged[network] >> 4 == 6;
            assert_eq!(
                read(&damaged).is_ok(),
                is_unchecked,
                "octet {at} of {is_v6}"
            );
        }
    }
}

#[test]
fn a_datagram_without_a_checksum_is_taken_over_ipv4_only() {
    for is_v6 in [false, true] {
        let mut frame = frame(is_v6, None, b"a query");
        let udp = udp_of(is_v6, None);
        frame[udp + 6..udp + 8].fill(0);
        let expected = if is_v6 { Some(Discard::Checksum) } else { None };
        assert_eq!(read(&frame).err(), expected);
    }
}

#[test]
fn a_checksum_left_to_the_network_card_is_taken_as_it_is() {
    for is_v6 in [false, true] {
        let mut frame = frame(is_v6, None, b"a query");
        let udp = udp_of(is_v6, None);
        let addresses = if is_v6 { udp - 32..udp } else { udp - 8..udp };
        let pseudo = add(&frame[addresses]) + u64::from(UDP_NUMBER) + add_pair(frame.len() - udp);
        frame[udp + 6..udp + 8].copy_from_slice(&fold(pseudo).to_be_bytes());
        assert!(read(&frame).is_ok());
    }
}

#[test]
fn nobody_is_answered_who_cannot_be() {
    let with = |source: [u8; 4], port: u16| {
        let mut frame = frame(false, None, b"a query");
        let (network, udp) = (ETHERNET, udp_of(false, None));
        frame[network + 12..network + 16].copy_from_slice(&source);
        frame[network + 10..network + 12].fill(0);
        let sum = !fold(add(&frame[network..udp]));
        frame[network + 10..network + 12].copy_from_slice(&sum.to_be_bytes());
        frame[udp..udp + 2].copy_from_slice(&port.to_be_bytes());
        frame[udp + 6..udp + 8].fill(0);
        read(&frame).err()
    };
    assert_eq!(with([192, 0, 2, 7], 4000), None);
    assert_eq!(with([192, 0, 2, 7], 0), Some(Discard::Source));
    assert_eq!(with([192, 0, 2, 7], 19), Some(Discard::Source), "chargen");
    for source in [
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
    ] {
        assert_eq!(with(source, 4000), Some(Discard::Source));
    }
}

#[test]
fn no_prefix_of_a_frame_and_no_lie_about_a_length_is_taken_or_panics() {
    for (is_v6, tag) in FORMS {
        let whole = frame(is_v6, tag, b"a query");
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err());
        }
        let udp = udp_of(is_v6, tag);
        for length in [0, 7, 16, 0xffff_usize] {
            let mut frame = whole.clone();
            frame[udp + 4..udp + 6].copy_from_slice(&octets_of(length));
            assert!(read(&frame).is_err());
        }
    }
}
