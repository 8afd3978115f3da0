//! Packets that no client would send.

use hickory_proto::op::Message;
use switchback::answer::{Asker, Transport, respond, slip};
use switchback::snapshot::Snapshot;
use switchback::time::Wall;

use super::random::Random;
use super::{folder, scripts};

#[test]
fn two_hundred_thousand_broken_packets_get_a_readable_answer_or_none() {
    let scripts = scripts();
    let snapshots: Vec<_> = scripts
        .iter()
        .map(|(_, script)| script.snapshot(&folder()))
        .collect();
    let seeds: Vec<&Vec<u8>> = scripts
        .iter()
        .flat_map(|(_, script)| &script.lines)
        .filter_map(|line| line.question.as_ref())
        .map(|question| &question.packet)
        .collect();
    let mut random = Random::new(0x5eed);
    let mut out = Vec::new();
    let (mut answered, mut silent) = (0, 0);
    for round in 0..200_000 {
        let mut packet = if round % 10 == 0 {
            (0..random.below(80)).map(|_| random.octet()).collect()
        } else {
            seeds[random.below(seeds.len())].clone()
        };
        for _ in 0..random.below(4) {
            let at = random.below(packet.len() + 1);
            match random.below(4) {
                0 => packet.truncate(at),
                1 => packet.insert(at, random.octet()),
                2 => packet.extend_from_slice(&[0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0]),
                _ => {
                    if let Some(octet) = packet.get_mut(at) {
                        *octet = random.octet();
                    }
                }
            }
        }
        let transport = [Transport::Udp, Transport::Stream, Transport::Encrypted][round % 3];
        let snapshot = &snapshots[round % snapshots.len()];
        let asker = Asker {
            transport,
            client: [192, 0, 2, 1].into(),
            now: Wall(0),
            idle: None,
        };
        if respond(snapshot, &packet, &asker, &mut out) {
            answered += 1;
            assert!(transport != Transport::Udp || out.len() <= 1232);
            if let Err(error) = Message::from_vec(&out) {
                panic!("{error}: packet {packet:02x?} response {out:02x?}");
            }
            if transport == Transport::Udp {
                gives_no_more_than_it_got(snapshot, &packet, &asker, &out);
            }
        } else {
            silent += 1;
            assert!(out.is_empty());
        }
    }
    assert!(answered > 100_000 && silent > 1_000, "{answered} {silent}");
}

/// An error, and the way to TCP, are not worth a query in the name of a victim: they are longer by
/// what they tell of themselves.
fn gives_no_more_than_it_got(snapshot: &Snapshot, packet: &[u8], asker: &Asker, answer: &[u8]) {
    // The server's part of a cookie; an extended error (RFC 8914); who we are, if we tell.
    const COOKIE: usize = 16;
    const EXTENDED: usize = 6;
    let id = snapshot.settings().id.as_ref();
    let id = id.map_or(0, |id| id.octets().len());
    // NOERROR, NXDOMAIN and YXDOMAIN come with records.
    if !matches!(answer[3] & 15, 0 | 3 | 6) {
        let most = packet.len() + COOKIE + EXTENDED + id;
        assert!(answer.len() <= most, "{packet:02x?}: {answer:02x?}");
    }
    let mut way = Vec::new();
    assert!(slip(snapshot, packet, asker, &mut way));
    assert!(way.len() <= packet.len() + COOKIE, "{packet:02x?}");
    let message = Message::from_vec(&way).unwrap();
    let records = message.answers.len() + message.authorities.len() + message.additionals.len();
    assert!(message.metadata.truncation && records == 0, "{packet:02x?}");
}
