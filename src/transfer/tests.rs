use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::answer::Rcode;
use crate::history::{Difference, History, Layers};
use crate::ids::{Generation, Serial};
use crate::snapshot::{Permit, Replication, Snapshot, SnapshotSpec};
use crate::zone::rdata::rtype;
use crate::zone::{Name, skip_name};

const HERE: [u8; 4] = [192, 0, 2, 1];
/// Records of many kinds, glue and an occluded name among them.
const ZONE: &str = "\
@ 60 SOA ns h 1 1 1 1 1
@ 60 NS NS
@ 60 MX 5 Mail
ns 60 A 192.0.2.1
Mail 60 A 192.0.2.2
cut 60 NS ns.cut
ns.cut 60 A 192.0.2.3
occluded.cut 60 TXT \"still here\"
_x._tcp 60 SRV 1 2 3 Mail
";

fn snapshot(text: &str, serial: u32) -> Snapshot {
    let origin: Name = "z.".parse().unwrap();
    let mut none = |_: &str| Err(String::new());
    let file = crate::zone::parse("z", text.as_bytes(), &origin, &mut none).unwrap();
    let mut snapshot = Snapshot::build(&SnapshotSpec {
        generation: Generation(1),
        zones: vec![(file.zone, Serial(serial))],
        services: Vec::new(),
        servers: Vec::new(),
        settings: Arc::default(),
    })
    .unwrap();
    permit(&mut snapshot, History::default());
    snapshot
}

fn permit(snapshot: &mut Snapshot, history: History) {
    let permit = Permit {
        network: "192.0.2.0/24".parse().ok(),
        key: None,
    };
    let replication = Replication {
        permits: [permit].into(),
        history,
        ..Replication::default()
    };
    snapshot.replicate(&"z.".parse().unwrap(), replication);
}

fn request(name: &[u8], rtype: u16, serial: Option<u32>) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    message.extend_from_slice(name);
    message.extend_from_slice(&rtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    if let Some(serial) = serial {
        message[9] = 1;
        message.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
        message.extend_from_slice(&serial.to_be_bytes());
        message.extend_from_slice(&[0; 16]);
    }
    message
}

/// The records of the answer sections, names written out, as sorted text; and the messages.
fn transfer(snapshot: &Snapshot, message: &[u8], room: usize) -> (Vec<String>, usize) {
    assert!(is_request(message));
    let request = TransferRequest::read(message).unwrap();
    let zone = admit(snapshot, &request, IpAddr::from(HERE), None).unwrap();
    let (mut records, mut messages) = (Vec::new(), 0);
    write(
        zone,
        &request,
        &plan(zone, &request),
        room,
        None,
        &mut |message| {
            assert!(message.len() + room <= 16 << 10, "{}", message.len());
            records.extend(read(message));
            messages += 1;
            true
        },
    )
    .unwrap();
    (records, messages)
}

fn read(message: &[u8]) -> Vec<String> {
    assert_eq!(message[..4], [0x12, 0x34, 0x85, 0]);
    let mut at = 12;
    for _ in 0..message[5] {
        at = skip_name(message, at).unwrap() + 4;
    }
    let mut records = Vec::new();
    for _ in 0..u16::from_be_bytes([message[6], message[7]]) {
        let (owner, end) = Name::from_message(message, at).unwrap();
        let fixed = &message[end..end + 10];
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let rtype = u16::from_be_bytes([fixed[0], fixed[1]]);
        let rdata = end + 10;
        let shown = match rtype {
            rtype::NS => Name::from_message(message, rdata).unwrap().0.to_string(),
            rtype::MX => Name::from_message(message, rdata + 2)
                .unwrap()
                .0
                .to_string(),
            rtype::SOA => {
                let second = skip_name(message, rdata).unwrap();
                let numbers = skip_name(message, second).unwrap();
                let serial = message[numbers..].first_chunk::<4>().unwrap();
                u32::from_be_bytes(*serial).to_string()
            }
            _ => message[rdata..rdata + length].escape_ascii().to_string(),
        };
        records.push(format!("{owner} {rtype} {shown}"));
        at = rdata + length;
    }
    assert_eq!(at, message.len());
    records
}

#[test]
fn a_whole_zone_goes_from_soa_to_soa_with_glue_and_occluded_names() {
    let (records, messages) = transfer(&snapshot(ZONE, 7), &request(b"\x01Z\0", 252, None), 0);
    assert_eq!(messages, 1);
    assert_eq!(records.first(), records.last());
    assert_eq!(records[0], "z. 6 7");
    assert_eq!(records.len(), 10);
    for wanted in [
        "z. 2 NS.z.",
        "z. 15 Mail.z.",
        "Mail.z. 1 \\xc0\\x00\\x02\\x02",
        "ns.cut.z. 1 \\xc0\\x00\\x02\\x03",
        "occluded.cut.z. 16 \\nstill here",
        "_x._tcp.z. 33 \\x00\\x01\\x00\\x02\\x00\\x03\\x04Mail\\x01z\\x00",
    ] {
        assert!(
            records.iter().any(|record| record == wanted),
            "{wanted} {records:?}"
        );
    }
}

#[test]
fn many_records_go_in_messages_as_large_as_pointers_reach() {
    let mut text = ZONE.to_owned();
    for number in 0..5000 {
        text.push_str(&format!("Host{number} 60 A 192.0.2.7\n"));
    }
    text.push_str(&format!(
        "large 60 TYPE65280 \\# 20000 {}\n",
        "00".repeat(20_000)
    ));
    let snapshot = snapshot(&text, 7);
    let message = request(b"\x01z\0", 252, None);
    let request = TransferRequest::read(&message).unwrap();
    let zone = admit(&snapshot, &request, IpAddr::from(HERE), None).unwrap();
    assert!(!is_small(zone, &request));
    let (mut count, mut sizes) = (0, Vec::new());
    write(zone, &request, &Plan::Full, 100, None, &mut |message| {
        count += read(message).len();
        sizes.push(message.len());
        true
    })
    .unwrap();
    assert_eq!(count, 5011);
    // One record is larger than a message should be, and has one of its own.
    let over: Vec<_> = sizes.iter().filter(|size| **size > 16_284).collect();
    assert_eq!(over.len(), 1);
    assert!(sizes.len() < 12, "{sizes:?}");
    let mut taken = 0;
    let stopped = write(zone, &request, &Plan::Full, 0, None, &mut |_| {
        taken += 1;
        false
    });
    assert_eq!((stopped, taken), (Err(Stopped::Unwanted), 1));
}

fn with_history() -> Snapshot {
    let [old, mut new] = [snapshot(ZONE, 7), snapshot(&ZONE.replace("2.3", "2.9"), 8)];
    let z: Name = "z.".parse().unwrap();
    let step = new.zone(&z).unwrap().changes_since(old.zone(&z).unwrap());
    permit(&mut new, History::of(step.map(Arc::new)));
    new
}

#[test]
fn changes_go_as_rfc_1995_sends_them() {
    let snapshot = with_history();
    let ixfr = |serial| transfer(&snapshot, &request(b"\x01z\0", 251, Some(serial)), 0).0;
    assert_eq!(
        ixfr(7),
        [
            "z. 6 8",
            "z. 6 7",
            "ns.cut.z. 1 \\xc0\\x00\\x02\\x03",
            "z. 6 8",
            "ns.cut.z. 1 \\xc0\\x00\\x02\\t",
            "z. 6 8",
        ]
    );
    for current in [8, 9, 8 + (1 << 30)] {
        assert_eq!(ixfr(current), ["z. 6 8"], "{current}");
    }
    for unknown in [6, 0] {
        assert_eq!(ixfr(unknown).len(), 10, "the whole zone");
    }
}

#[test]
fn changes_larger_than_the_zone_are_the_zone() {
    let z: Name = "z.".parse().unwrap();
    let large: String = (0..50).map(|n| format!("h{n} 60 A 192.0.2.7\n")).collect();
    let before = snapshot(&format!("{ZONE}{large}"), 7);
    let mut after = snapshot(ZONE, 8);
    let step = after
        .zone(&z)
        .unwrap()
        .changes_since(before.zone(&z).unwrap());
    permit(&mut after, History::of(step.map(Arc::new)));
    let (records, _) = transfer(&after, &request(b"\x01z\0", 251, Some(7)), 0);
    assert_eq!(records.len(), 10);
    assert_eq!(records[1], "z. 2 NS.z.");
}

#[test]
fn who_may_not_have_it_does_not_get_it() {
    let snapshot = snapshot(ZONE, 7);
    let (ours, other) = (
        request(b"\x01z\0", 252, None),
        request(b"\x01y\0", 252, None),
    );
    let denial = |message: &[u8], client: [u8; 4]| {
        let request = TransferRequest::read(message).unwrap();
        admit(&snapshot, &request, client.into(), None)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(denial(&ours, [198, 51, 100, 1]), Denial::NotPermitted);
    assert_eq!(denial(&other, HERE), Denial::NotOurs);
    for (denial, rcode) in [
        (Denial::NotPermitted, 5),
        (Denial::NotOurs, 9),
        (Denial::TooMany, 5),
    ] {
        let mut out = Vec::new();
        write_error(&ours, Ok(denial), true, &mut out);
        assert_eq!((out[2], out[3] & 0xf, out[11]), (0x81, rcode, 1));
        let reason = out.ends_with(&[0, 15, 0, 2, 0, 18]);
        assert_eq!(reason, denial == Denial::NotPermitted);
    }
}

#[test]
fn what_is_no_request_is_told_so() {
    let rcode = |message: &[u8]| TransferRequest::read(message).map(|_| ()).unwrap_err();
    // IXFR without the client's serial.
    assert_eq!(rcode(&request(b"\x01z\0", 251, None)), Rcode::FormatError);
    let mut chaos = request(b"\x01z\0", 252, None);
    *chaos.last_mut().unwrap() = 3;
    assert_eq!(rcode(&chaos), Rcode::Refused);
    let good = request(b"\x01z\0", 251, Some(1));
    for at in 0..good.len() {
        assert!(TransferRequest::read(&good[..at]).is_err(), "cut at {at}");
    }
    for (message, is) in [(request(b"\x01z\0", 6, None), false), (good, true)] {
        assert_eq!(is_request(&message), is);
        let mut notify = message;
        notify[2] |= 0x20;
        assert!(!is_request(&notify));
    }
}

#[test]
fn layers_without_an_soa_have_no_changes() {
    let snapshot = snapshot(ZONE, 7);
    let zone = snapshot.zone(&"z.".parse().unwrap()).unwrap();
    let layers = Layers {
        fixed: zone.zone().tree(),
        overlay: &[],
    };
    let none: Option<Difference> = layers.changes_since(layers, zone.origin());
    assert_eq!(none, None);
}

#[test]
fn the_longest_record_of_a_zone_fits_a_signed_message() {
    let length = 65_535 - 1024 - 5;
    let longest = format!("x 60 TYPE65280 \\# {length} {}\n", "00".repeat(length));
    let snapshot = snapshot(&format!("{ZONE}{longest}"), 7);
    let message = request(b"\x01z\0", 252, None);
    let request = TransferRequest::read(&message).unwrap();
    let zone = admit(&snapshot, &request, IpAddr::from(HERE), None).unwrap();
    // The greatest signature: a name of 255 octets, hmac-sha512, and the time of a late client.
    let room = 400;
    let mut sizes = Vec::new();
    let written = write(
        zone,
        &request,
        &plan(zone, &request),
        room,
        None,
        &mut |message| {
            sizes.push(message.len() + room);
            true
        },
    );
    assert_eq!(written, Ok(()));
    assert!(sizes.iter().any(|size| *size > length), "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 65_535), "{sizes:?}");
}
