//! TCP: pipelining, patience, limits.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use socket2::{Domain, Socket, Type};
use switchback::clock;
use switchback::server::Patience;

use crate::fixture::{SRV, query};
use crate::house::{House, ask, ask_udp, eventually, framed, is_closed, read_answer, tcp};

/// A server that loses patience soon.
fn impatient() -> House {
    House::at(&[(Ipv4Addr::LOCALHOST, 0).into()], |listeners| {
        listeners.with_patience(Patience {
            query: Duration::from_millis(300),
            write: Duration::from_millis(300),
        })
    })
}

#[test]
fn pipelined_queries_are_answered_in_their_order() {
    let house = House::open();
    let queries: Vec<u8> = (0..500)
        .flat_map(|id| framed(&query(id, SRV, RecordType::SRV, None)))
        .collect();
    for piece in [queries.len(), 1000, 7] {
        let mut stream = tcp(house.dns());
        stream.set_nodelay(true).unwrap();
        let mut writer = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for part in queries.chunks(piece) {
                    writer.write_all(part).unwrap();
                }
            });
            for id in 0..500_u16 {
                let answer = read_answer(&mut stream).unwrap();
                assert_eq!(answer[..2], id.to_be_bytes(), "pieces of {piece}");
            }
        });
    }
}

#[test]
fn a_client_may_close_its_side_and_still_read_its_answer() {
    let house = House::open();
    let mut stream = tcp(house.dns());
    stream
        .write_all(&framed(&query(7, SRV, RecordType::SRV, None)))
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap()[..2], [0, 7]);
    assert!(is_closed(&mut stream));
}

#[test]
fn half_a_query_is_given_up_and_so_is_silence() {
    let house = impatient();
    let whole = framed(&query(1, SRV, RecordType::SRV, None));
    for sent in [0, 1, 2, 5, whole.len() - 1] {
        let mut stream = tcp(house.dns());
        stream.write_all(&whole[..sent]).unwrap();
        assert!(is_closed(&mut stream), "after {sent} octets");
    }
    let mut stream = tcp(house.dns());
    ask(&mut stream, &whole[2..]);
    assert!(is_closed(&mut stream), "idle after an answer");
}

#[test]
fn a_client_has_the_time_that_it_is_told() {
    let house = impatient();
    let mut question = query(1, SRV, RecordType::SRV, None);
    // An OPT record with the option of RFC 7828.
    question[11] = 1;
    question.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    let mut stream = tcp(house.dns());
    let answer = ask(&mut stream, &question);
    let answered = clock::mono();
    let [.., 0, 11, 0, 2, high, low] = answer[..] else {
        panic!("no option at the end of {answer:?}");
    };
    let told = Duration::from_millis(100) * u32::from(u16::from_be_bytes([high, low]));
    assert_eq!(told, Duration::from_millis(300));
    assert!(is_closed(&mut stream));
    assert!(clock::mono().since(answered) >= told - Duration::from_millis(5));
}

#[test]
fn dripping_octets_do_not_stretch_the_patience() {
    let house = impatient();
    let mut stream = tcp(house.dns());
    let mut dripped = 0;
    // Each drip comes long before the patience is over; all together do not.
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    for octet in framed(&query(1, SRV, RecordType::SRV, None)) {
        if stream.write_all(&[octet]).is_err() {
            break;
        }
        dripped += 1;
        if is_closed(&mut stream) {
            break;
        }
    }
    assert!(dripped < 10, "{dripped} octets were waited for");
}

#[test]
fn a_client_that_never_reads_is_given_up_and_hinders_nobody() {
    let house = impatient();
    let mut deaf = tcp(house.dns());
    deaf.set_write_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let question = framed(&query(1, SRV, RecordType::SRV, None)).repeat(1000);
    // Until nothing more fits: the server's answers fill both systems' buffers first.
    while deaf.write_all(&question).is_ok() {}
    let mut other = tcp(house.dns());
    ask(&mut other, &query(2, SRV, RecordType::SRV, None));
    drop(other);
    eventually("the deaf client is gone", || {
        house.serving().counters().tcp.connections == 0
    });
}

#[test]
fn a_message_too_long_for_a_query_ends_the_connection() {
    let house = House::open();
    let mut stream = tcp(house.dns());
    stream.write_all(&[0xff, 0xff, 1, 2, 3]).unwrap();
    assert!(is_closed(&mut stream));
}

#[test]
fn one_client_gets_64_connections_and_the_others_go_on() {
    let house = House::at(&[(Ipv4Addr::UNSPECIFIED, 0).into()], |listeners| listeners);
    let port = house.dns().port();
    let at_home: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    let question = query(1, SRV, RecordType::SRV, None);
    let mut open: Vec<TcpStream> = (0..64).map(|_| tcp(at_home)).collect();
    for stream in &mut open {
        ask(stream, &question);
    }
    assert!(is_closed(&mut tcp(at_home)), "the 65th");
    assert_eq!(house.serving().counters().tcp.refused, 1);
    // All of 127/8 is at home here: another client on this machine.
    let elsewhere = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = ([127, 0, 0, 3], 0).into();
    elsewhere.bind(&from.into()).unwrap();
    elsewhere.connect(&at_home.into()).unwrap();
    let mut elsewhere = TcpStream::from(elsewhere);
    ask(&mut elsewhere, &question);
    ask_udp(at_home, &question);
    drop(elsewhere);
    open.pop();
    eventually("a place is free", || {
        house.serving().counters().tcp.connections < 64
    });
    ask(&mut tcp(at_home), &question);
}
