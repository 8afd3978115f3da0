//! DNS over QUIC: streams, and how connections end.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, VarInt};
use switchback::server::Patience;
use tokio::time::timeout;

use crate::fixture::{SRV, query};
use crate::house::{BOUND, House, ask_udp, eventually, framed};

/// A client with an endpoint of its own.
pub(crate) fn connect(house: &House) -> Connection {
    try_connect(house).expect("a connection over QUIC")
}

fn try_connect(house: &House) -> Result<Connection, ConnectionError> {
    let crypto = QuicClientConfig::try_from(house.client_config(b"doq")).unwrap();
    let config = ClientConfig::new(Arc::new(crypto));
    house.runtime.block_on(async {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let connecting = endpoint.connect_with(config, house.quic(), "edge.test");
        timeout(BOUND, connecting.unwrap()).await.expect("in time")
    })
}

/// Sends `octets` on a stream of their own, ends it, and reads what comes back.
async fn send(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, String> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(|e| e.to_string())?;
    send.write_all(octets).await.map_err(|e| e.to_string())?;
    send.finish().map_err(|e| e.to_string())?;
    let read = timeout(BOUND, receive.read_to_end(70_000));
    let octets = read.await.expect("in time").map_err(|e| e.to_string())?;
    Ok(octets)
}

/// Asks over QUIC; the question has the ID 0.
pub(crate) fn ask(house: &House, connection: &Connection, question: &[u8]) -> Vec<u8> {
    let asked = house.runtime.block_on(send(connection, &framed(question)));
    let answer = asked.unwrap();
    let (length, answer) = answer.split_first_chunk::<2>().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*length)), answer.len());
    answer.to_vec()
}

fn why_it_ended(house: &House, connection: &Connection) -> VarInt {
    let closed = async { timeout(BOUND, connection.closed()).await };
    let why = house.runtime.block_on(closed).expect("in time");
    let ConnectionError::ApplicationClosed(closed) = why else {
        panic!("{why}");
    };
    closed.error_code
}

#[test]
fn a_stream_that_stands_still_holds_up_no_other() {
    let house = House::open();
    let connection = connect(&house);
    let question = query(0, SRV, RecordType::SRV, None);
    let expected = ask_udp(house.dns(), &question);
    let still = house.runtime.block_on(async {
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(&framed(&question)[..10]).await.unwrap();
        (send, receive)
    });
    for _ in 0..300 {
        assert_eq!(ask(&house, &connection, &question), expected);
    }
    // A response counts once the client has it.
    eventually("all are counted", || {
        house.serving().counters().quic.responses == 300
    });
    // Half a query ends the connection, and with it what is on its way.
    drop(still);
}

#[test]
fn a_handshake_that_stands_still_holds_up_no_other() {
    let house = House::open();
    // The first packets of real clients that then go silent.
    for _ in 0..8 {
        let relay = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        relay.set_read_timeout(Some(BOUND)).unwrap();
        let crypto = QuicClientConfig::try_from(house.client_config(b"doq")).unwrap();
        let _within = house.runtime.enter();
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = ClientConfig::new(Arc::new(crypto));
        let address = relay.local_addr().unwrap();
        let connecting = endpoint.connect_with(config, address, "edge.test").unwrap();
        let mut packet = [0; 2000];
        let length = relay.recv(&mut packet).unwrap();
        relay.send_to(&packet[..length], house.quic()).unwrap();
        drop(connecting);
    }
    eventually("they hold places", || {
        house.serving().counters().quic.connections == 8
    });
    let question = query(0, SRV, RecordType::SRV, None);
    ask(&house, &connect(&house), &question);
}

#[test]
fn what_breaks_the_protocol_ends_the_connection_with_its_code() {
    let house = House::open();
    let good = framed(&query(0, SRV, RecordType::SRV, None));
    let with_id = framed(&query(7, SRV, RecordType::SRV, None));
    let mut response = good.clone();
    response[4] |= 0x80;
    let mut too_long = vec![0x13, 0x88];
    too_long.resize(5002, 0);
    // An OPT record with the option 11 of RFC 7828.
    let mut kept = query(0, SRV, RecordType::SRV, None);
    kept[11] = 1;
    kept.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
    let kept = framed(&kept);
    let cases = [
        &kept,
        &good[..good.len() - 1],
        &[&good[..], &[0]].concat(),
        &[],
        &with_id,
        &response,
        &too_long,
    ];
    for octets in cases {
        let connection = connect(&house);
        let sent = house.runtime.block_on(send(&connection, octets));
        assert!(sent.is_err(), "{octets:?}");
        // DOQ_PROTOCOL_ERROR (RFC 9250 section 4.3).
        assert_eq!(why_it_ended(&house, &connection), VarInt::from_u32(2));
    }
    ask(
        &house,
        &connect(&house),
        &query(0, SRV, RecordType::SRV, None),
    );
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let house = House::at(&[(Ipv4Addr::LOCALHOST, 0).into()], |listeners| {
        listeners.with_patience(Patience {
            query: Duration::from_millis(300),
            write: Duration::from_millis(300),
        })
    });
    let connection = connect(&house);
    // DOQ_NO_ERROR.
    assert_eq!(why_it_ended(&house, &connection), VarInt::from_u32(0));
    eventually("its place is free", || {
        house.serving().counters().quic.connections == 0
    });
}

#[test]
fn one_client_gets_64_connections_over_quic() {
    let house = House::open();
    let open: Vec<Connection> = (0..64).map(|_| connect(&house)).collect();
    assert!(try_connect(&house).is_err(), "the 65th");
    let question = query(0, SRV, RecordType::SRV, None);
    for connection in &open {
        ask(&house, connection, &question);
    }
    assert_eq!(house.serving().counters().quic.refused, 1);
    drop(open);
    eventually("a place is free", || {
        house.serving().counters().quic.connections < 64
    });
    ask(&house, &connect(&house), &question);
}

#[test]
fn what_was_asked_over_quic_before_the_stop_is_answered() {
    let mut house = House::open();
    let connection = connect(&house);
    let question = query(0, SRV, RecordType::SRV, None);
    let expected = framed(&ask_udp(house.dns(), &question));
    let serving = house.serving.take().unwrap();
    let (answers, counters) = house.runtime.block_on(async {
        let mut exchanges = Vec::new();
        for _ in 0..50 {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            send.write_all(&framed(&question)).await.unwrap();
            send.finish().unwrap();
            exchanges.push((send, receive));
        }
        // Until the server has them all.
        for (send, _) in &mut exchanges {
            send.stopped().await.unwrap();
        }
        let counters = serving.shut_down().await;
        let mut answers = Vec::new();
        for (_, receive) in &mut exchanges {
            answers.push(receive.read_to_end(70_000).await.unwrap());
        }
        (answers, counters)
    });
    assert!(answers.iter().all(|answer| *answer == expected));
    assert_eq!(counters.quic.responses, 50);
    assert_eq!(why_it_ended(&house, &connection), VarInt::from_u32(0));
}
