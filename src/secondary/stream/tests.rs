use super::*;
use crate::secondary::message::query;

fn origin() -> Name {
    "z.".parse().unwrap()
}

/// `soa N`, or an owner with the last octet of its address: `a 1`.
fn record(text: &str) -> Record {
    let (what, number) = text.split_once(' ').unwrap();
    if what == "soa" {
        let mut rdata = b"\0\0".to_vec();
        rdata.extend_from_slice(&number.parse::<u32>().unwrap().to_be_bytes());
        rdata.extend_from_slice(&[0; 16]);
        return Record {
            owner: origin(),
            rtype: rtype::SOA,
            ttl: 60,
            rdata,
        };
    }
    Record {
        owner: format!("{what}.z.").parse().unwrap(),
        rtype: rtype::A,
        ttl: 60,
        rdata: vec![192, 0, 2, number.parse().unwrap()],
    }
}

fn message(qtype: u16, records: &[&str]) -> Vec<u8> {
    let mut message = query(7, &origin(), qtype, None);
    message[2] = 0x84;
    message[7] = u8::try_from(records.len()).unwrap();
    for text in records {
        let record = record(text);
        message.extend_from_slice(record.owner.wire());
        message.extend_from_slice(&record.rtype.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&u16::try_from(record.rdata.len()).unwrap().to_be_bytes());
        message.extend_from_slice(&record.rdata);
    }
    message
}

/// Messages are parted by `|`, records by `,`.
fn receive(held: Option<u32>, text: &str) -> Result<Option<Brought>, TransferError> {
    let mut reception = Reception::new(&origin(), held.map(Serial), Limits::default());
    let mut brought = None;
    for part in text.split('|') {
        let records: Vec<&str> = part
            .split(',')
            .map(str::trim)
            .filter(|r| !r.is_empty())
            .collect();
        brought = reception.take(&message(reception.qtype(), &records), 7)?;
    }
    Ok(brought)
}

fn show(brought: &Brought) -> String {
    let list = |records: &[Record]| {
        let shown: Vec<String> = records
            .iter()
            .map(
                |record| match serial_of(record).filter(|_| record.rtype == rtype::SOA) {
                    Some(serial) => format!("soa {serial}"),
                    None => format!("{} {}", record.owner, record.rdata[3]),
                },
            )
            .collect();
        shown.join(", ")
    };
    match brought {
        Brought::Nothing(serial) => format!("nothing, {serial}"),
        Brought::Whole(received) => {
            let whole = received.records().map(|record| Record {
                owner: Name::from_wire(record.owner).unwrap(),
                rtype: record.rtype,
                ttl: record.ttl,
                rdata: record.rdata.to_vec(),
            });
            format!("whole: {}", list(&whole.collect::<Vec<_>>()))
        }
        Brought::Changes(changes) => {
            let shown: Vec<String> = changes
                .iter()
                .map(|change| {
                    let to = serial_of(&change.soa).unwrap();
                    let (gone, come) = (list(&change.gone), list(&change.come));
                    format!("{} to {to}: -[{gone}] +[{come}]", change.from)
                })
                .collect();
            shown.join("; ")
        }
    }
}

#[test]
fn each_form_of_an_answer_is_told_from_the_others() {
    for (held, text, expected) in [
        (
            None,
            "soa 2, a 1, b 2, soa 2",
            "whole: a.z. 1, b.z. 2, soa 2",
        ),
        // One record in each message, and the question in the first only is fine too.
        (
            None,
            "soa 2 | a 1 | b 2 | soa 2",
            "whole: a.z. 1, b.z. 2, soa 2",
        ),
        (None, "soa 2, soa 2", "whole: soa 2"),
        (Some(2), "soa 2", "nothing, 2"),
        (Some(2), "soa 1", "nothing, 1"),
        // A whole zone in the place of changes.
        (Some(1), "soa 2, a 1, soa 2", "whole: a.z. 1, soa 2"),
        (Some(1), "soa 2 | a 1 | soa 2", "whole: a.z. 1, soa 2"),
        // RFC 1995 section 7: two changes.
        (
            Some(1),
            "soa 3, soa 1, a 1, soa 2, b 2, soa 2, b 2, soa 3, b 3, c 4, soa 3",
            "1 to 2: -[a.z. 1] +[b.z. 2]; 2 to 3: -[b.z. 2] +[b.z. 3, c.z. 4]",
        ),
        // Condensed into one.
        (
            Some(1),
            "soa 3, soa 1, a 1 | soa 3, b 3 | soa 3",
            "1 to 3: -[a.z. 1] +[b.z. 3]",
        ),
        // Only additions, only removals, and a serial that wraps.
        (
            Some(1),
            "soa 2, soa 1, soa 2, a 1, soa 2",
            "1 to 2: -[] +[a.z. 1]",
        ),
        (
            Some(u32::MAX),
            "soa 1, soa 4294967295, a 1, soa 1, soa 1",
            "4294967295 to 1: -[a.z. 1] +[]",
        ),
    ] {
        let brought = receive(held, text).unwrap();
        assert_eq!(
            brought.as_ref().map(show).as_deref(),
            Some(expected),
            "{text}"
        );
    }
}

#[test]
fn a_stream_that_is_cut_brings_nothing() {
    let whole = ["soa 2", "a 1", "b 2", "soa 2"];
    let changes = [
        "soa 3", "soa 1", "a 1", "soa 2", "b 2", "soa 2", "soa 3", "c 4", "soa 3",
    ];
    for (held, records) in [(None, &whole[..]), (Some(1), &changes[..])] {
        for end in 1..records.len() {
            assert_eq!(receive(held, &records[..end].join("|")), Ok(None), "{end}");
        }
        assert!(receive(held, &records.join("|")).unwrap().is_some());
    }
}

#[test]
fn what_is_out_of_order_is_refused() {
    for (held, text, what) in [
        (None, "", "no records"),
        (None, "a 1, soa 2, soa 2", "first record"),
        (None, "soa 2, a 1, soa 3", "last SOA"),
        (None, "soa 2, soa 3", "last SOA"),
        (None, "soa 2, a 1, soa 2, b 1", "records follow"),
        (Some(1), "soa 3, soa 2, soa 3, soa 3", "begin at serial 2"),
        (Some(1), "soa 3, soa 1, soa 2, soa 3", "do not follow"),
        (Some(1), "soa 3, soa 1, soa 3, soa 3, a 1", "records follow"),
    ] {
        let error = receive(held, text).unwrap_err().to_string();
        assert!(error.contains(what), "{text}: {error}");
    }
}

#[test]
fn a_transfer_has_limits() {
    let limits = Limits {
        octets: 1 << 30,
        records: 3,
    };
    let mut reception = Reception::new(&origin(), None, limits);
    let error = reception.take(&message(rtype::AXFR, &["soa 2", "a 1", "b 1", "c 1"]), 7);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("more than 3 records")
    );
    let limits = Limits {
        octets: 10,
        records: 3,
    };
    let mut reception = Reception::new(&origin(), None, limits);
    let error = reception.take(&message(rtype::AXFR, &["soa 2"]), 7);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("more than 10 octets")
    );
}

#[test]
fn names_that_are_written_out_count_as_what_they_become() {
    let mut bomb = message(rtype::AXFR, &["soa 2"]);
    let long_at = u16::try_from(bomb.len()).unwrap();
    let owner = [&[63][..], &[b'x'; 63], b"\xc0\x0c"].concat();
    let fixed = b"\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
    bomb.extend_from_slice(&[&owner[..], fixed].concat());
    let pointer = (0xc000 | long_at).to_be_bytes();
    for _ in 0..100 {
        bomb.extend_from_slice(&[&pointer[..], fixed].concat());
    }
    bomb[7] = 102;
    let limits = |octets| Limits {
        octets,
        records: 200,
    };
    let take = |octets| Reception::new(&origin(), None, limits(octets)).take(&bomb, 7);
    let error = take(2 * bomb.len()).unwrap_err().to_string();
    assert!(error.contains("octets"), "{error}");
    assert_eq!(take(10 * bomb.len()), Ok(None));
}

#[test]
fn a_primary_says_its_serial_with_authority() {
    let mut answer = message(rtype::SOA, &["soa 9"]);
    assert_eq!(read_soa(&answer, 7, &origin()), Ok(Serial(9)));
    answer[2] = 0x80;
    assert_eq!(
        read_soa(&answer, 7, &origin()),
        Err(TransferError::NotAuthoritative)
    );
    let other = message(rtype::SOA, &["a 1"]);
    assert!(read_soa(&other, 7, &origin()).is_err());
}

#[test]
fn no_octet_makes_it_panic_or_take_what_is_cut() {
    for (held, records) in [
        (None, &["soa 2", "a 1", "b 2", "soa 2"][..]),
        (Some(1), &["soa 2", "soa 1", "a 1", "soa 2", "b 2", "soa 2"]),
    ] {
        let reception = || Reception::new(&origin(), held.map(Serial), Limits::default());
        let whole = message(reception().qtype(), records);
        assert!(reception().take(&whole, 7).unwrap().is_some());
        for at in 0..whole.len() {
            for value in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = reception().take(&changed, 7);
            }
            let cut = reception().take(&whole[..at], 7);
            assert!(!matches!(cut, Ok(Some(_))), "cut at {at}");
        }
    }
}
