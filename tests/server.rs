//! The listeners on loopback: the same answers everywhere, and nothing that a client does or
//! leaves undone stops them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the lint knows test functions, not what they call; what is left out is said"
)]

#[path = "server/addresses.rs"]
mod addresses;
#[path = "server/certificate.rs"]
mod certificate;
#[path = "server/clients.rs"]
mod clients;
#[path = "server/daemon.rs"]
mod daemon;
#[path = "server/fixture.rs"]
mod fixture;
#[path = "server/house.rs"]
mod house;
#[path = "server/https.rs"]
mod https;
#[path = "server/interleaved.rs"]
mod interleaved;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/quic.rs"]
mod quic;
#[path = "server/streams.rs"]
mod streams;
#[path = "server/tls.rs"]
mod tls;
#[path = "server/transports.rs"]
mod transports;

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use switchback::server::{ListenSpec, Listeners};

use fixture::{SRV, ZONE, generation_of_srv, query, serial_of_soa};
use house::{House, ask, ask_udp, eventually, framed, read_answer, tcp, udp};

#[test]
fn a_new_snapshot_is_served_from_the_next_query_on() {
    let house = House::open();
    let mut stream = tcp(house.dns());
    for generation in 1..50 {
        house.snapshots.store(fixture::snapshot(generation));
        let question = query(generation, SRV, RecordType::SRV, None);
        for answer in [ask_udp(house.dns(), &question), ask(&mut stream, &question)] {
            let message = Message::from_vec(&answer).unwrap();
            assert_eq!(generation_of_srv(&message), Ok(generation));
        }
        let answer = ask_udp(house.dns(), &query(1, ZONE, RecordType::SOA, None));
        let serial = serial_of_soa(&Message::from_vec(&answer).unwrap());
        assert_eq!(serial, Some(generation.into()));
    }
}

#[test]
fn an_idle_server_holds_no_old_snapshot() {
    let house = House::open();
    let mut stream = tcp(house.dns());
    let old = Arc::downgrade(&house.snapshots.load_full());
    ask_udp(house.dns(), &query(1, SRV, RecordType::SRV, None));
    ask(&mut stream, &query(1, SRV, RecordType::SRV, None));
    house.snapshots.store(fixture::snapshot(2));
    eventually("the old snapshot is freed", || old.upgrade().is_none());
}

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    let house = House::at(&[(Ipv4Addr::UNSPECIFIED, 0).into()], |listeners| listeners);
    let port = house.dns().port();
    let question = query(1, SRV, RecordType::SRV, None);
    // The client's socket is connected: it takes an answer from this address and no other.
    for last in [1, 2, 77] {
        ask_udp((Ipv4Addr::new(127, 0, 0, last), port).into(), &question);
    }
    // Many at a time: the server may find them in one batch.
    let sockets: Vec<_> = (1..=60)
        .map(|last| udp((Ipv4Addr::new(127, 0, 0, last), port).into()))
        .collect();
    for socket in &sockets {
        socket.send(&question).unwrap();
    }
    for socket in &sockets {
        assert!(socket.recv(&mut [0; 1500]).is_ok());
    }
}

#[test]
fn both_families_may_listen_on_all_addresses() {
    if let Err(error) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        eprintln!("left out: IPv6 ({error})");
        return;
    }
    let v4 = House::at(&[(Ipv4Addr::UNSPECIFIED, 0).into()], |listeners| listeners);
    // The same port: an IPv6 socket that took IPv4 too would be refused.
    let port = v4.dns().port();
    let v6 = House::at(&[(Ipv6Addr::UNSPECIFIED, port).into()], |listeners| {
        listeners
    });
    v6.snapshots.store(fixture::snapshot(2));
    let question = query(1, SRV, RecordType::SRV, None);
    for (address, expected) in [
        ((Ipv4Addr::LOCALHOST, port).into(), 1),
        ((Ipv6Addr::LOCALHOST, port).into(), 2),
    ] {
        let over_udp = ask_udp(address, &question);
        assert_eq!(over_udp, ask(&mut tcp(address), &question));
        let message = Message::from_vec(&over_udp).unwrap();
        assert_eq!(generation_of_srv(&message), Ok(expected));
    }
}

#[test]
fn what_was_accepted_before_the_stop_is_answered() {
    let mut house = House::open();
    let question = |id| query(id, SRV, RecordType::SRV, None);
    let mut streams: Vec<_> = (0..8).map(|_| tcp(house.dns())).collect();
    let socket = udp(house.dns());
    for stream in &mut streams {
        let questions: Vec<u8> = (0..50).flat_map(|id| framed(&question(id))).collect();
        stream.write_all(&questions).unwrap();
    }
    for id in 0..200 {
        socket.send(&question(id)).unwrap();
    }
    let serving = house.serving.take().unwrap();
    let counters = house.runtime.block_on(serving.shut_down());
    for stream in &mut streams {
        for id in 0..50_u16 {
            let answer = read_answer(stream).expect("accepted before the stop");
            assert_eq!(answer[..2], id.to_be_bytes());
        }
        assert!(house::is_closed(stream));
    }
    for _ in 0..200 {
        assert!(socket.recv(&mut [0; 1500]).is_ok());
    }
    assert_eq!(counters.udp.responses, 200);
    assert_eq!(counters.tcp.responses, 400);
}

#[test]
fn garbage_stops_nothing() {
    let house = House::open();
    let mut seed = 0x5eed_u32;
    let mut octet = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    let good = query(1, SRV, RecordType::SRV, Some(0));
    let socket = udp(house.dns());
    let mut sent = 0;
    for round in 0..4000_usize {
        let mut packet: Vec<u8> = match round % 4 {
            0 => (0..round % 600).map(|_| octet()).collect(),
            1 => good[..round % good.len()].to_vec(),
            2 => good.clone(),
            _ => vec![octet(); 5000],
        };
        if let (2, Some(at)) = (round % 4, packet.len().checked_sub(1)) {
            packet[usize::from(octet()) % at] ^= octet();
        }
        if round % 100 == 0 {
            let mut stream = tcp(house.dns());
            // The server may have closed it already: that is its right.
            let _ = stream.write_all(&packet);
        }
        sent += u64::from(socket.send(&packet).is_ok());
        if round % 50 == 0 {
            // So that the socket's buffer never overflows: each round is seen.
            ask_udp(house.dns(), &good);
            sent += 1;
        }
    }
    let answer = ask_udp(house.dns(), &good);
    assert_eq!(answer[..2], [0, 1]);
    ask(&mut tcp(house.dns()), &good);
    // Queries are counted when they are read, the rest when the batch is sent.
    eventually("all is counted", || {
        let udp = house.serving().counters().udp;
        udp.queries == sent + 1 && udp.queries == udp.responses + udp.dropped
    });
    assert_eq!(house.serving().counters().total().panics, 0);
}

#[test]
fn one_port_for_udp_and_tcp_and_no_second_server_on_it() {
    let house = House::open();
    let taken = house.dns();
    assert_ne!(taken.port(), 0);
    let absent: SocketAddr = "192.0.2.1:0".parse().unwrap();
    let spec = ListenSpec {
        dns: vec![taken, absent],
        xdp: Vec::new(),
        encrypted: None,
    };
    let within = house.runtime.enter();
    let error = Listeners::bind(&spec).map(drop).unwrap_err().to_string();
    let none = Listeners::bind(&ListenSpec::default())
        .map(drop)
        .unwrap_err();
    drop(within);
    assert!(
        error.contains(&format!("{taken} (tcp): Address already in use")),
        "{error}"
    );
    assert!(error.contains("stop it, or listen on another"), "{error}");
    assert!(
        error.contains("192.0.2.1:0 (udp): Cannot assign requested address"),
        "{error}"
    );
    assert!(
        none.to_string().contains("no address to listen on"),
        "{none}"
    );
}

#[test]
fn dig_and_kdig_understand_the_answers() {
    let house = House::open();
    let ports = [house.dns(), house.tls(), house.https(), house.quic()];
    let [dns, tls, https, quic] = ports.map(|address| address.port().to_string());
    let calls: [(&str, Vec<&str>); 7] = [
        ("dig", vec!["-p", &dns]),
        ("dig", vec!["-p", &dns, "+tcp"]),
        ("kdig", vec!["-p", &dns, "+tcp", "+keepopen"]),
        ("kdig", vec!["-p", &tls, "+tls"]),
        ("kdig", vec!["-p", &https, "+https"]),
        ("kdig", vec!["-p", &https, "+https-get"]),
        ("kdig", vec!["-p", &quic, "+quic"]),
    ];
    for (program, options) in calls {
        let mut command = Command::new(program);
        command.args(["@127.0.0.1", "+short"]).args(&options);
        let output = match command.args([SRV, "SRV"]).output() {
            Ok(output) => output,
            Err(error) => {
                eprintln!("left out: {program} {options:?}: {error}");
                continue;
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        let expected = [
            "10 1 5269 edge2.contoso.test.",
            "20 1 5269 edge1.contoso.test.",
        ];
        assert_eq!(lines, expected, "{program} {options:?}: {output:?}");
    }
    let outside = Message::from_vec(&ask_udp(
        house.dns(),
        &query(1, "fabrikam.test.", RecordType::A, None),
    ));
    assert_eq!(
        outside.unwrap().metadata.response_code,
        ResponseCode::Refused
    );
}

#[test]
fn without_af_xdp_a_line_says_why_and_sockets_answer() {
    let spec = ListenSpec {
        dns: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        xdp: vec!["no-such-thing".to_owned(), "lo".to_owned()],
        encrypted: None,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _within = runtime.enter();
    let listeners = Listeners::bind(&spec).unwrap();
    let lines: Vec<String> = listeners.xdp().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "listen.xdp: no-such-thing: there is no such interface: correct the name, or bring it \
             up before the server; its queries are answered through sockets",
            "listen.xdp: lo: no address of listen.dns is on it: name one there, or remove it here; \
             its queries are answered through sockets",
        ]
    );
    let serving = listeners.serve(Arc::new(arc_swap::ArcSwap::new(fixture::snapshot(1))));
    let server = serving.local_addrs().dns[0];
    ask_udp(server, &query(1, SRV, RecordType::SRV, None));
    runtime.block_on(serving.shut_down());
}
