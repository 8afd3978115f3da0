//! What a small question with a false sender can make of us: never more octets than of Knot.

use super::message::read;
use super::peers::KNOT;
use super::questions::{Mode, Question};
use super::run::{ours, start};
use super::world::{Record, World, Zone};

const MODES: [Mode; 5] = [
    Mode::Plain,
    Mode::Edns(512),
    Mode::Edns(1232),
    Mode::Edns(4096),
    Mode::Edns(65_535),
];
/// The shapes that reflectors are looked for with, and those that an answer grows by.
const QUESTIONS: &[(&str, u16)] = &[
    ("amp.", 255),
    ("amp.", 48),
    ("amp.", 46),
    ("amp.", 2),
    ("amp.", 6),
    ("amp.", 15),
    ("amp.", 16),
    ("big.amp.", 255),
    ("big.amp.", 16),
    ("_s._tcp.amp.", 33),
    ("_s._tcp.amp.", 255),
    ("x.sub.amp.", 1),
    ("sub.amp.", 2),
    ("sub.amp.", 255),
    ("nowhere.amp.", 1),
    ("x.y.wild.amp.", 16),
    ("x.y.wild.amp.", 255),
    ("c1.amp.", 1),
    ("c1.amp.", 255),
    ("k1.amp.", 1),
    ("k1.amp.", 16),
    ("k1.amp.", 255),
    ("loop1.amp.", 1),
    ("x.grow.amp.", 1),
    ("x.grow.amp.", 255),
    ("elsewhere.", 255),
];

fn world() -> World {
    let mut records = Vec::new();
    let mut add = |owner: &str, rtype: &'static str, rdata: String| {
        records.push(Record {
            owner: format!("{owner}amp."),
            ttl: 60,
            rtype,
            rdata,
        });
    };
    add("", "SOA", "ns0.amp. h.amp. 1 3600 900 604800 60".to_owned());
    for number in 0..8 {
        add("", "NS", format!("ns{number}.amp."));
        add("", "MX", format!("10 mx{number}.amp."));
        add("", "TXT", format!("\"{number} {}\"", "t".repeat(90)));
        add("_s._tcp.", "SRV", format!("10 5 5269 e{number}.amp."));
        add("sub.", "NS", format!("ns{number}.sub.amp."));
        add("big.", "TXT", format!("\"{number} {}\"", "t".repeat(200)));
        for host in ["ns", "mx", "e"] {
            add(
                &format!("{host}{number}."),
                "A",
                format!("192.0.2.{number}"),
            );
            let address = format!("2001:db8::{number}");
            add(&format!("{host}{number}."), "AAAA", address);
        }
        add(
            &format!("ns{number}.sub."),
            "A",
            format!("192.0.2.{number}"),
        );
        let address = format!("2001:db8::{number}");
        add(&format!("ns{number}.sub."), "AAAA", address);
    }
    for number in 1..5 {
        let next = format!("c{}.amp.", number + 1);
        add(&format!("c{number}."), "CNAME", next);
    }
    add("c5.", "A", "192.0.2.1".to_owned());
    // Longer than anybody follows.
    for number in 1..40 {
        add(
            &format!("k{number}."),
            "CNAME",
            format!("k{}.amp.", number + 1),
        );
    }
    add("loop1.", "CNAME", "loop2.amp.".to_owned());
    add("loop2.", "CNAME", "loop1.amp.".to_owned());
    add("grow.", "DNAME", "below.grow.amp.".to_owned());
    add("*.wild.", "TXT", format!("\"{}\"", "w".repeat(200)));
    World {
        base: "amp.".to_owned(),
        zones: vec![Zone {
            origin: "amp.".to_owned(),
            records,
        }],
    }
}

#[test]
fn no_datagram_is_answered_with_more_than_knot_gives() {
    let world = world();
    let Some(knot) = start(&KNOT, std::slice::from_ref(&world)) else {
        eprintln!("left out: knot is not installed");
        return;
    };
    let snapshot = world.snapshot().unwrap();
    let mut wrong = String::new();
    for (name, rtype) in QUESTIONS {
        for mode in MODES {
            let question = Question {
                name: (*name).to_owned(),
                rtype: *rtype,
                mode,
            };
            let packet = question.packet(1);
            let mine = ours(&snapshot, &packet, false).size;
            let answer = knot.running.ask(&packet, false).expect("Knot answers");
            let other = read(&answer).expect("a message").size;
            if mine > other {
                wrong.push_str(&format!("{name} {rtype} {mode:?}: {mine}, Knot {other}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "more octets than Knot:\n{wrong}");
}
