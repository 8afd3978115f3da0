//! Response rate limiting as clients on loopback meet it.

use std::net::UdpSocket;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use switchback::limit::{Class, Rate};
use switchback::snapshot::RateLimit;

use crate::fixture::{SRV, limited, query};
use crate::house::{House, ask, eventually, tcp, udp};

/// So many a second: a test takes no second for what it asks at once, but may take some.
const RATE: u32 = 20;
const ASKED: usize = 200;

fn limit() -> RateLimit {
    RateLimit {
        only_counts: false,
        rate: Rate::per_second(RATE),
        slip: 1,
        ipv4_bits: 24,
        ipv6_bits: 56,
        allow: Vec::new(),
    }
}

fn house(limit: RateLimit) -> House {
    let house = House::open();
    house.snapshots.store(limited(limit));
    house
}

fn client(house: &House, patience: u64) -> UdpSocket {
    let socket = udp(house.dns());
    let patience = Some(Duration::from_millis(patience));
    socket.set_read_timeout(patience).unwrap();
    socket
}

fn answer_to(socket: &UdpSocket, packet: &[u8]) -> Option<Vec<u8>> {
    socket.send(packet).unwrap();
    let mut answer = vec![0; 1500];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}

/// How many of so many answers are whole; the others are the way to TCP.
fn whole_of(house: &House, packet: &[u8], count: usize) -> usize {
    let socket = client(house, 5000);
    let answers = (0..count).map(|_| answer_to(&socket, packet).unwrap());
    answers
        .filter(|answer| {
            let is_whole = answer[2] & 2 == 0;
            if !is_whole {
                let counts = (&answer[4..10], answer[3] & 15);
                assert_eq!(counts, (&[0, 1, 0, 0, 0, 0][..], 0), "one question alone");
            }
            is_whole
        })
        .count()
}

fn with_cookie(mut packet: Vec<u8>, cookie: &[u8]) -> Vec<u8> {
    let length = packet.len() - 2;
    let octets = u16::try_from(4 + cookie.len()).unwrap();
    packet[length..].copy_from_slice(&octets.to_be_bytes());
    packet.extend([0, 10]);
    packet.extend(u16::try_from(cookie.len()).unwrap().to_be_bytes());
    packet.extend(cookie);
    packet
}

#[test]
fn over_the_limit_a_client_is_sent_to_tcp_and_classes_are_counted_apart() {
    let house = house(limit());
    let packet = query(7, SRV, RecordType::SRV, None);
    let whole = whole_of(&house, &packet, ASKED);
    assert!((20..ASKED / 2).contains(&whole), "{whole}");
    // The cut ones are not longer than the question; a stream gives all.
    let cut = answer_to(&client(&house, 5000), &packet).unwrap();
    assert_eq!((cut.len(), cut[2] & 2), (packet.len(), 2));
    let over_tcp = Message::from_vec(&ask(&mut tcp(house.dns()), &packet)).unwrap();
    assert_eq!(over_tcp.answers.len(), 2);
    // A name that does not exist, and one that is not ours, have limits of their own.
    let missing = query(7, "nowhere.contoso.test.", RecordType::A, None);
    assert!(whole_of(&house, &missing, 5) == 5);
    let counters = house.serving().counters();
    let of = |class| counters.limits_of(class);
    let answers = of(Class::Answer);
    assert_eq!(answers.limited, (ASKED - whole + 1) as u64);
    assert_eq!((answers.slipped, answers.dropped), (answers.limited, 0));
    assert_eq!(of(Class::NxDomain).limited, 0);
    assert_eq!(counters.udp.truncated, answers.slipped);
    let limited = house.serving().limiter().limited();
    let names: Vec<String> = limited.iter().map(|it| it.network.to_string()).collect();
    assert_eq!(names, ["127.0.0.0/24"]);
    eventually("the limit ends with the flood", || {
        house.serving().limiter().limited().is_empty()
    });
    assert_eq!(whole_of(&house, &packet, 5), 5);
}

#[test]
fn a_cookie_frees_from_the_limit_and_comes_with_the_way_to_tcp() {
    let house = house(limit());
    let plain = query(7, SRV, RecordType::SRV, Some(0));
    whole_of(&house, &query(7, SRV, RecordType::SRV, None), ASKED);
    // The first contact gets no records, but a cookie.
    let first = answer_to(
        &client(&house, 5000),
        &with_cookie(plain.clone(), b"12345678"),
    );
    let first = first.unwrap();
    assert_eq!((first[2] & 2, &first[6..8]), (2, &[0, 0][..]));
    let asked = with_cookie(plain.clone(), b"12345678").len();
    assert_eq!(first.len(), asked + 16, "the server's part");
    let cookie = first.last_chunk::<24>().unwrap();
    let proven = with_cookie(plain.clone(), cookie);
    assert_eq!(whole_of(&house, &proven, ASKED), ASKED);
    // Who makes one up is nobody.
    let forged = with_cookie(plain, &[7; 24]);
    assert!(whole_of(&house, &forged, ASKED) < ASKED / 2);
}

#[test]
fn without_slip_nothing_is_sent_and_an_error_slips_as_it_is() {
    let silent = house(RateLimit { slip: 0, ..limit() });
    let packet = query(7, SRV, RecordType::SRV, None);
    let socket = client(&silent, 5000);
    for _ in 0..ASKED {
        socket.send(&packet).unwrap();
    }
    eventually("all have been taken", || {
        silent.serving().counters().udp.queries == ASKED as u64
    });
    let counters = silent.serving().counters();
    let dropped = counters.limits_of(Class::Answer).dropped;
    assert!(dropped > ASKED as u64 / 2, "{dropped}");
    assert_eq!(counters.udp.dropped, dropped);
    assert_eq!(counters.udp.responses, ASKED as u64 - dropped);

    let house = house(limit());
    let outside = query(7, "fabrikam.test.", RecordType::A, Some(0));
    let socket = client(&house, 5000);
    for _ in 0..ASKED {
        let answer = answer_to(&socket, &outside).unwrap();
        let message = Message::from_vec(&answer).unwrap();
        assert_eq!(message.metadata.response_code, ResponseCode::Refused);
        assert!(answer.len() <= outside.len() + 6, "an extended error");
    }
    assert!(house.serving().counters().limits_of(Class::Error).slipped > 100);
}

#[test]
fn who_only_counts_and_who_is_allowed_gets_all_answers() {
    let packet = query(7, SRV, RecordType::SRV, None);
    let counting = house(RateLimit {
        only_counts: true,
        ..limit()
    });
    assert_eq!(whole_of(&counting, &packet, ASKED), ASKED);
    let count = counting.serving().counters().limits_of(Class::Answer);
    assert!(count.limited > 100, "{count:?}");
    assert_eq!((count.slipped, count.dropped), (0, 0));

    let allowed = house(RateLimit {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        ..limit()
    });
    assert_eq!(whole_of(&allowed, &packet, ASKED), ASKED);
    let count = allowed.serving().counters().limits_of(Class::Answer);
    assert_eq!(count.limited, 0);
    // A reload changes the limit with the next batch.
    allowed.snapshots.store(limited(limit()));
    assert!(whole_of(&allowed, &packet, ASKED) < ASKED / 2);
}
