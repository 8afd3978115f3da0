//! What must hold of any answer to a transfer query. An input is whether changes were asked for,
//! one octet, and messages as TCP frames them.

use std::sync::{Arc, OnceLock};

use switchback::ids::Serial;
use switchback::secondary::{
    Brought, Header, Held, Limits, Owned, Reception, read_image, read_soa, write_image,
};
use switchback::time::Wall;
use switchback::zone::{self, Name};

const ORIGIN: &str = "z.test.";
const ID: u16 = 0x1234;
const LIMITS: Limits = Limits {
    octets: 20_000,
    records: 300,
};
/// The version that we hold.
const TEXT: &[u8] = b"@ 60 SOA ns h 1 1h 15m 1w 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n\
    a 60 A 192.0.2.2\na 60 A 192.0.2.3\n*.w 60 TXT t\ns 60 NS ns.s\nns.s 60 A 192.0.2.4\n";

/// Panics if what the messages bring is not as it must be.
pub(crate) fn check(input: &[u8]) {
    let Some((choice, mut stream)) = input.split_first() else {
        return;
    };
    let origin: Name = ORIGIN.parse().unwrap();
    let asked = (choice % 2 == 1).then_some(Serial(1));
    let mut reception = Reception::new(&origin, asked, LIMITS);
    while let Some(([high, low], rest)) = stream.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (message, after) = rest.split_at(length);
        stream = after;
        // A lone SOA, as a refresh asks for it, is read by nobody else.
        let _ = read_soa(message, ID, &origin);
        match reception.take(message, ID) {
            Ok(None) => {}
            Ok(Some(brought)) => return check_brought(&origin, brought, asked),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        }
    }
}

fn check_brought(origin: &Name, brought: Brought, asked: Option<Serial>) {
    let (records, serial) = match brought {
        Brought::Nothing(serial) => {
            let have = asked.expect("only changes can be none");
            assert!(!serial.is_newer_than(have), "it is newer, and nothing");
            return;
        }
        Brought::Whole(records) => (records, None),
        Brought::Changes(changes) => {
            assert!(asked.is_some() && !changes.is_empty());
            let soa = &changes.last().unwrap().soa;
            let at = soa.rdata.len() - 20;
            let serial = u32::from_be_bytes(soa.rdata[at..at + 4].try_into().unwrap());
            match held().changed(changes) {
                Ok(records) => (records, Some(Serial(serial))),
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    return;
                }
            }
        }
    };
    let Ok(new) = Held::new(records, &Owned::new()) else {
        return;
    };
    assert!(
        serial.is_none_or(|serial| serial == new.serial()),
        "the last SOA"
    );
    let is_inside = |owner: &[u8]| {
        let owner = Name::from_wire(owner).expect("a name");
        owner.is_at_or_below(origin)
    };
    assert!(
        new.records().all(|record| is_inside(record.owner)),
        "its own names"
    );
    let header = Header {
        origin: ORIGIN.to_owned(),
        serial: new.serial(),
        taken: Wall(1),
        from: "192.0.2.1:53".to_owned(),
    };
    let mut image = Vec::new();
    write_image(&mut image, &header, new.records()).unwrap();
    let (again, records) = read_image(&image, origin).expect("what was written is read");
    assert_eq!(again, header);
    assert!(records.records().eq(new.records()), "and is the same");
}

fn held() -> &'static Held {
    static HELD: OnceLock<Held> = OnceLock::new();
    HELD.get_or_init(|| {
        let mut include = |_: &str| Err("no includes".to_owned());
        let file = zone::parse("zone", TEXT, &ORIGIN.parse().unwrap(), &mut include).unwrap();
        Held {
            zone: Arc::clone(&file.zone),
            aside: Vec::new(),
        }
    })
}
