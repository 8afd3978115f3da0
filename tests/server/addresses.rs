//! A server that listens on all addresses of a machine with several, in a network namespace of
//! its own.

use std::env;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::process::Command;

use hickory_proto::rr::RecordType;

use crate::fixture::{SRV, query};
use crate::house::{House, ask, ask_udp, tcp, udp};

/// Set in the copy of the test that runs inside.
const INSIDE: &str = "SWITCHBACK_TEST_ADDRESSES";
const NAME: &str = "addresses::every_address_of_the_machine_answers_from_itself";
const ADDRESSES: &str = "ip link set lo up && ip addr add 10.9.0.1/32 dev lo && \
     ip addr add 10.9.0.2/32 dev lo && ip addr add fd00:9::1/128 dev lo nodad && \
     ip addr add fd00:9::2/128 dev lo nodad && ip addr add fe80::9/64 dev lo nodad";

#[test]
fn every_address_of_the_machine_answers_from_itself() {
    if env::var_os(INSIDE).is_some() {
        return inside();
    }
    let possible = Command::new("unshare")
        .args(["-rn", "sh", "-c", ADDRESSES])
        .output();
    match possible {
        Ok(output) if output.status.success() => {}
        refused => {
            eprintln!("left out: {NAME}: {refused:?}");
            return;
        }
    }
    let test = env::current_exe().unwrap();
    let inside = format!(
        "{ADDRESSES} && exec '{}' {NAME} --exact --nocapture",
        test.display()
    );
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", &inside])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn inside() {
    let v4 = House::at(&[(Ipv4Addr::UNSPECIFIED, 0).into()], |listeners| listeners);
    let v6 = House::at(&[(Ipv6Addr::UNSPECIFIED, 0).into()], |listeners| listeners);
    let at = |text: &str| -> SocketAddr {
        let (house, text) = match text.contains(':') {
            true => (&v6, format!("[{text}]")),
            false => (&v4, text.to_owned()),
        };
        format!("{text}:{}", house.dns().port()).parse().unwrap()
    };
    let mut addresses: Vec<SocketAddr> = [
        "127.0.0.1",
        "10.9.0.1",
        "10.9.0.2",
        "::1",
        "fd00:9::1",
        "fd00:9::2",
    ]
    .into_iter()
    .map(at)
    .collect();
    // Loopback is the first interface; a link-local address means nothing without one.
    let local: Ipv6Addr = "fe80::9".parse().unwrap();
    addresses.push(SocketAddrV6::new(local, v6.dns().port(), 0, 1).into());
    let question = query(1, SRV, RecordType::SRV, None);
    for &address in &addresses {
        // The client's socket is connected: it takes an answer from this address and no other.
        let over_udp = ask_udp(address, &question);
        assert_eq!(over_udp, ask(&mut tcp(address), &question), "{address}");
    }
    // All at once: the server finds several of them in one batch.
    let sockets: Vec<_> = addresses
        .iter()
        .cycle()
        .take(70)
        .map(|at| udp(*at))
        .collect();
    for socket in &sockets {
        socket.send(&question).unwrap();
    }
    for socket in &sockets {
        let length = socket.recv(&mut [0; 1500]);
        assert!(length.is_ok(), "{:?}", socket.peer_addr());
    }
}
