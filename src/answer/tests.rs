use std::sync::Arc;

use super::*;
use crate::ids::{Generation, Serial};
use crate::snapshot::SnapshotSpec;
use crate::zone::{Absence, Name, Zone, parse};

const OPT: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

fn snapshot() -> Snapshot {
    let label = "l".repeat(63);
    let many: String = (1..=40)
        .map(|n| format!("cut 60 NS n{n}.cut\nn{n}.cut 60 A 192.0.2.{n}\n"))
        .collect();
    let text = format!(
        "$TTL 60\n@ SOA ns h 1 1 1 1 300\n@ NS ns.b.\n_s._tcp SRV 1 1 1 host.a.test.\n\
         host A 192.0.2.1\nw A 192.0.2.2\nlong DNAME {label}.{label}.{label}.a.test.\n{many}"
    );
    let mut include = |_: &str| Err("none".to_owned());
    let file = parse(
        "z",
        text.as_bytes(),
        &"a.test.".parse().unwrap(),
        &mut include,
    )
    .unwrap();
    Snapshot::build(&SnapshotSpec {
        generation: Generation(1),
        settings: Arc::default(),
        zones: vec![(Arc::clone(&file.zone), Serial(77))],
        services: vec![],
        servers: vec![],
    })
    .unwrap()
}

fn ask(name: &str, rtype: u16, additional: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(additional.len()).unwrap();
    let mut packet = vec![0xab, 0xcd, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, count];
    packet.extend_from_slice(name.parse::<Name>().unwrap().wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend(additional.concat());
    packet
}

fn asker(transport: Transport) -> Asker {
    Asker {
        transport,
        client: [192, 0, 2, 1].into(),
        now: Wall(0),
        idle: None,
    }
}

/// The response over UDP, or nothing.
fn get(packet: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![1];
    respond(&snapshot(), packet, &asker(Transport::Udp), &mut out).then_some(out)
}

fn rcode(packet: &[u8]) -> Option<u8> {
    get(packet).map(|response| response[3] & 0xf)
}

#[test]
fn responses_and_scraps_are_not_answered() {
    let mut packet = ask("w.a.test.", 1, &[]);
    packet[2] |= 0x80;
    assert_eq!(get(&packet), None);
    assert_eq!(get(&[0; 11]), None);
    assert_eq!(get(&[]), None);
}

#[test]
fn the_header_goes_back_as_asked() {
    let response = get(&ask("w.a.test.", 1, &[])).unwrap();
    // QR, AA, RD; CD is not for us; one question, one answer.
    assert_eq!(
        response[..12],
        [0xab, 0xcd, 0x85, 0, 0, 1, 0, 1, 0, 0, 0, 0]
    );
}

#[test]
fn one_question_and_one_opt_and_nothing_after_them() {
    let good = ask("w.a.test.", 1, &[OPT]);
    assert_eq!(rcode(&good), Some(0));
    let mut none = good.clone();
    none[5] = 0;
    assert_eq!(rcode(&none), Some(1));
    let mut two = good.clone();
    two[5] = 2;
    assert_eq!(rcode(&two), Some(1));
    assert_eq!(rcode(&ask("w.a.test.", 1, &[OPT, OPT])), Some(1));
    assert_eq!(rcode(&[good.as_slice(), &[0]].concat()), Some(1));
    assert_eq!(rcode(&good[..good.len() - 1]), Some(1));
    let owned = [&[1, b'x'], OPT].concat();
    assert_eq!(rcode(&ask("w.a.test.", 1, &[&owned])), Some(1));
    let mut answers = good.clone();
    answers[7] = 1;
    assert_eq!(rcode(&answers), Some(1));
    // A pointer in the question has nothing to point at.
    let mut pointer = good[..12].to_vec();
    pointer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(rcode(&pointer), Some(1));
}

#[test]
fn unknown_options_are_ignored_and_broken_ones_are_not() {
    let with = |options: &[u8]| {
        let mut opt = OPT.to_vec();
        opt[10] = u8::try_from(options.len()).unwrap();
        opt.extend_from_slice(options);
        rcode(&ask("w.a.test.", 1, &[&opt]))
    };
    assert_eq!(with(&[0xff, 0xfe, 0, 1, 9]), Some(0));
    assert_eq!(with(&[0xff, 0xfe, 0, 2, 9]), Some(1));
    assert_eq!(with(&[0xff]), Some(1));
}

#[test]
fn our_opt_has_our_size_the_version_0_and_do_as_asked() {
    let mut opt = OPT.to_vec();
    opt[7] = 0x80;
    let response = get(&ask("w.a.test.", 1, &[&opt])).unwrap();
    assert_eq!(
        response[response.len() - 11..],
        [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]
    );
    opt[6] = 1;
    let response = get(&ask("w.a.test.", 1, &[&opt])).unwrap();
    assert_eq!(response[3] & 0xf, 0);
    assert_eq!(
        response[response.len() - 11..],
        [0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0]
    );
}

#[test]
fn targets_of_srv_are_never_compressed() {
    let response = get(&ask("_s._tcp.a.test.", 33, &[])).unwrap();
    let target = b"\x04host\x01a\x04test\0";
    let at = response
        .windows(target.len())
        .position(|window| window == target)
        .unwrap();
    // Its address points at it, as any later name may.
    let pointer = response.len() - 16;
    let [high, low] = [response[pointer], response[pointer + 1]];
    assert_eq!(
        high, 0xc0,
        "the owner of the address is compressed, RDATA is not: {at} {low}"
    );
}

#[test]
fn glue_that_does_not_fit_sets_tc() {
    let response = get(&ask("x.cut.a.test.", 1, &[OPT])).unwrap();
    assert!(response.len() <= 1232);
    assert_eq!(response[2] & 0x06, 0x02, "TC, not AA");
    let mut out = Vec::new();
    assert!(respond(
        &snapshot(),
        &ask("x.cut.a.test.", 1, &[OPT]),
        &asker(Transport::Stream),
        &mut out
    ));
    assert_eq!(out[2] & 0x06, 0);
    assert_eq!(out[6..12], [0, 0, 0, 40, 0, 41]);
}

#[test]
fn a_name_that_dname_makes_too_long_is_yxdomain() {
    let long = format!("{}.{}.long.a.test.", "x".repeat(40), "y".repeat(40));
    assert_eq!(rcode(&ask(&long, 1, &[])), Some(6));
}

#[test]
fn the_soa_has_the_serial_of_the_snapshot() {
    let response = get(&ask("a.test.", 6, &[])).unwrap();
    let serial = response.len() - 20;
    assert_eq!(response[serial..serial + 4], [0, 0, 0, 77]);
}

#[test]
fn a_zone_without_data_is_a_failure_that_says_why() {
    for (absence, code) in [(Absence::NotYet, 14), (Absence::Expired, 24)] {
        let text = "@ 60 SOA ns h 1 1 1 1 300\n@ 60 NS ns.b.\nalias 60 CNAME x.b.test.\n";
        let mut include = |_: &str| Err("none".to_owned());
        let a = parse(
            "z",
            text.as_bytes(),
            &"test.".parse().unwrap(),
            &mut include,
        );
        let b = Zone::without_data(&"b.test.".parse().unwrap(), absence).unwrap();
        let snapshot = Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            settings: Arc::default(),
            zones: vec![(a.unwrap().zone, Serial(1)), (Arc::new(b), Serial(2))],
            services: vec![],
            servers: vec![],
        })
        .unwrap();
        let get = |name: &str, additional: &[&[u8]]| {
            let mut out = Vec::new();
            let asker = asker(Transport::Udp);
            respond(&snapshot, &ask(name, 1, additional), &asker, &mut out);
            out
        };
        // SERVFAIL without AA, at the apex and below, and not the parent's NXDOMAIN.
        for name in ["b.test.", "x.y.b.test."] {
            let out = get(name, &[OPT]);
            assert_eq!((out[2] & 0x04, out[3] & 0xf), (0, 2), "{name}");
            let option = [0, 15, 0, 2, 0, code];
            assert!(out.windows(6).any(|octets| octets == option), "{out:?}");
            assert_eq!(get(name, &[])[3] & 0xf, 2);
        }
        // Behind an alias the client meets it by itself.
        let out = get("alias.test.", &[]);
        assert_eq!((out[2] & 0x04, out[3] & 0xf, out[7]), (4, 0, 1));
    }
}

#[test]
fn what_needs_no_decision_is_compiled_and_nothing_else_is() {
    let mut snapshot = snapshot();
    compile(&mut snapshot);
    for (name, rtype, expected) in [
        ("w.a.test.", 1, true),
        ("w.a.test.", 28, true),
        ("W.A.test.", 1, true),
        ("a.test.", 6, true),
        ("a.test.", 2, true),
        ("_s._tcp.a.test.", 33, true),
        ("_tcp.a.test.", 33, true),
        ("nowhere.a.test.", 1, true),
        ("x.cut.a.test.", 1, true),
        ("x.long.a.test.", 1, false),
        ("a.test.", 255, false),
        ("cut.a.test.", 43, false),
        ("b.test.", 1, false),
    ] {
        let packet = ask(name, rtype, &[OPT]);
        let query = read(&packet).unwrap().unwrap();
        let mut out = Vec::new();
        let written = compiled::write(&snapshot, &query, None, 65_535, &mut out);
        assert_eq!(written, expected, "{name} {rtype}");
    }
    // What does not fit is for the engine to cut.
    let packet = ask("x.cut.a.test.", 1, &[]);
    let query = read(&packet).unwrap().unwrap();
    assert!(!compiled::write(
        &snapshot,
        &query,
        None,
        512,
        &mut Vec::new()
    ));
}
