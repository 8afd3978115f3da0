//! What must hold of any packet. An input is the transport, one octet, and the packet.

use std::sync::{Arc, OnceLock};

use hickory_proto::op::Message;
use switchback::answer::{Asker, Transport, compile, respond};
use switchback::ids::{Generation, Serial};
use switchback::snapshot::{CookieSecret, Cookies, Settings, ShortText, Snapshot, SnapshotSpec};
use switchback::time::Wall;
use switchback::zone::{self, Name};

const HEADER: usize = 12;
const ZONES: [(&str, &[u8]); 2] = [
    (
        "contoso.test.",
        include_bytes!("../../tests/answers/contoso.test.zone"),
    ),
    (
        "child.contoso.test.",
        include_bytes!("../../tests/answers/child.contoso.test.zone"),
    ),
];

/// Panics if the response to `input` is not as it must be.
pub(crate) fn check(input: &[u8]) {
    let Some((choice, packet)) = input.split_first() else {
        return;
    };
    let transport = match choice % 3 {
        0 => Transport::Udp,
        1 => Transport::Stream,
        _ => Transport::Encrypted,
    };
    let response = ask(packet, transport);
    assert_eq!(response, ask(packet, transport), "the same answer again");
    let deserves_one = packet.len() >= HEADER && packet[2] & 0x80 == 0;
    assert_eq!(
        response.is_some(),
        deserves_one,
        "every query gets a response, and no response does"
    );
    if let Some(response) = response {
        check_response(packet, &response, transport);
    }
}

fn ask(packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let mut out = vec![0xee; 3];
    let asker = Asker {
        transport,
        client: [192, 0, 2, 1].into(),
        now: Wall(1_800_000_000_000),
        idle: None,
    };
    let [compiled, engine] = snapshots();
    let mut of_engine = Vec::new();
    let answered = respond(engine, packet, &asker, &mut of_engine);
    if respond(compiled, packet, &asker, &mut out) {
        assert!(answered && out == of_engine, "compiled or not, the same");
        return Some(out);
    }
    assert!(out.is_empty(), "no response, yet octets");
    None
}

fn check_response(packet: &[u8], response: &[u8], transport: Transport) {
    assert!(response.len() >= HEADER && response[2] & 0x80 != 0, "QR");
    assert_eq!(response[..2], packet[..2], "the ID");
    assert_eq!(response[2] & 0x79, packet[2] & 0x79, "opcode and RD");
    assert_eq!(response[3] & 0xe0, 0, "RA, Z and AD");
    let message = match Message::from_vec(response) {
        Ok(message) => message,
        Err(error) => panic!("{error}: response {response:02x?} to {packet:02x?}"),
    };
    let parsed = Message::from_vec(packet).ok();
    let edns = parsed.as_ref().and_then(|query| query.edns.as_ref());
    match (transport, &parsed) {
        (Transport::Udp, Some(_)) => {
            let takes = edns.map_or(512, |edns| edns.max_payload().clamp(512, 1232));
            assert!(response.len() <= usize::from(takes), "no more than asked");
        }
        (Transport::Udp, None) => assert!(response.len() <= 1232),
        (Transport::Stream | Transport::Encrypted, _) => assert!(response.len() <= 65_535),
    }
    if message.queries.len() == 1 {
        let end = HEADER + response[HEADER..].iter().position(|l| *l == 0).unwrap() + 5;
        // A label may hold zero octets: then `end` is early, and less is compared.
        assert_eq!(
            response[HEADER..end],
            packet[HEADER..end],
            "octet for octet"
        );
    }
    let code = u16::from(message.response_code);
    // Others follow a pointer in the question into the header; to us it is none. Nor do we read all
    // that another opcode brings.
    let one_question = parsed
        .as_ref()
        .is_some_and(|query| query.queries.len() == 1);
    if one_question && ![1, 4].contains(&code) {
        assert_eq!(message.queries.len(), 1, "the question goes back");
    }
    let denied = ![0, 3, 6].contains(&code);
    if denied {
        assert!(message.answers.is_empty() && message.authorities.is_empty());
        assert!(!message.authoritative, "no authority over a refusal");
    }
    // What is refused before its OPT is read is answered without one.
    if edns.is_some() && ![1, 4].contains(&code) {
        assert!(message.edns.is_some(), "EDNS is answered with EDNS");
    }
}

/// One compiled and one not.
fn snapshots() -> &'static [Snapshot; 2] {
    static SNAPSHOTS: OnceLock<[Snapshot; 2]> = OnceLock::new();
    SNAPSHOTS.get_or_init(|| {
        let mut compiled = built();
        compile(&mut compiled);
        [compiled, built()]
    })
}

fn built() -> Snapshot {
    let load = |(origin, text): (&str, &[u8])| {
        let origin: Name = origin.parse().unwrap();
        let mut include = |_: &str| Err("no includes".to_owned());
        let file = zone::parse("zone", text, &origin, &mut include).unwrap();
        (file.zone, Serial(7))
    };
    Snapshot::build(&SnapshotSpec {
        generation: Generation(1),
        settings: Arc::new(settings()),
        zones: ZONES.into_iter().map(load).collect(),
        services: Vec::new(),
        servers: Vec::new(),
    })
    .unwrap()
}

/// All that a response can take from the server.
fn settings() -> Settings {
    Settings {
        version: ShortText::new("one"),
        hostname: ShortText::new("two"),
        id: ShortText::new("three"),
        cookies: Some(Cookies {
            active: CookieSecret([1; 16]),
            others: vec![CookieSecret([2; 16])],
            required: false,
        }),
        ..Settings::default()
    }
}
