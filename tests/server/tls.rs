//! DNS over TLS: what TLS adds to a stream.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use switchback::server::Patience;

use crate::fixture::{SRV, query};
use crate::house::{House, ask, eventually, framed, is_closed, read_answer, tcp};

#[test]
fn pipelined_queries_within_tls_are_all_answered() {
    let house = House::open();
    let mut stream = house.over_tls();
    let questions: Vec<u8> = (0..300)
        .flat_map(|id| framed(&query(id, SRV, RecordType::SRV, None)))
        .collect();
    stream.write_all(&questions).unwrap();
    for id in 0..300_u16 {
        assert_eq!(read_answer(&mut stream).unwrap()[..2], id.to_be_bytes());
    }
    assert_eq!(house.serving().counters().tls.responses, 300);
}

#[test]
fn a_handshake_that_stands_still_is_given_up_and_hinders_nobody() {
    let house = House::at(&[(Ipv4Addr::LOCALHOST, 0).into()], |listeners| {
        listeners.with_patience(Patience {
            query: Duration::from_millis(300),
            write: Duration::from_millis(300),
        })
    });
    for address in [house.tls(), house.https()] {
        let mut silent = tcp(address);
        let mut half = tcp(address);
        // The head of a TLS record that never comes.
        half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
        let mut other = house.over_tls();
        ask(&mut other, &query(2, SRV, RecordType::SRV, None));
        assert!(is_closed(&mut silent));
        assert!(is_closed(&mut half));
    }
}

#[test]
fn what_is_no_tls_is_closed_and_costs_no_place() {
    let house = House::open();
    for address in [house.tls(), house.https()] {
        for _ in 0..100 {
            let mut stream = tcp(address);
            stream
                .write_all(&framed(&query(1, SRV, RecordType::SRV, None)))
                .unwrap();
            // An alert may come first.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
    eventually("all places are free", || {
        let counters = house.serving().counters();
        counters.tls.connections + counters.https.connections == 0
    });
    ask(&mut house.over_tls(), &query(2, SRV, RecordType::SRV, None));
}

#[test]
fn one_client_gets_64_connections_over_each_transport() {
    let house = House::open();
    let open: Vec<_> = [house.tls(), house.https()]
        .into_iter()
        .flat_map(|address| (0..64).map(move |_| tcp(address)))
        .collect();
    eventually("all are accepted", || {
        let counters = house.serving().counters();
        counters.tls.connections == 64 && counters.https.connections == 64
    });
    assert!(is_closed(&mut tcp(house.tls())), "the 65th over TLS");
    assert!(is_closed(&mut tcp(house.https())), "the 65th over HTTPS");
    // A flood over one transport takes nothing from the others.
    ask(&mut tcp(house.dns()), &query(3, SRV, RecordType::SRV, None));
    let counters = house.serving().counters();
    assert_eq!((counters.tls.refused, counters.https.refused), (1, 1));
    drop(open);
    eventually("all places are free", || {
        house.serving().counters().tls.connections == 0
    });
    ask(&mut house.over_tls(), &query(4, SRV, RecordType::SRV, None));
}

#[test]
fn what_was_accepted_within_tls_before_the_stop_is_answered() {
    let mut house = House::open();
    let mut streams: Vec<_> = (0..8).map(|_| house.over_tls()).collect();
    for stream in &mut streams {
        ask(stream, &query(0, SRV, RecordType::SRV, None));
        let questions: Vec<u8> = (1..=50)
            .flat_map(|id| framed(&query(id, SRV, RecordType::SRV, None)))
            .collect();
        stream.write_all(&questions).unwrap();
    }
    let serving = house.serving.take().unwrap();
    let counters = house.runtime.block_on(serving.shut_down());
    for stream in &mut streams {
        for id in 1..=50_u16 {
            let answer = read_answer(stream).expect("accepted before the stop");
            assert_eq!(answer[..2], id.to_be_bytes());
        }
        // The end is said within TLS, so that nobody in between could have cut it short.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(counters.tls.responses, 8 * 51);
}
