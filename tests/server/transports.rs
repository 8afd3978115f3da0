//! Every transport gives the same answer, octet for octet.

use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::fixture::{self, SRV, ZONE, query};
use crate::house::{House, ask, ask_udp, tcp};
use crate::https::{exchange, get};
use crate::quic;

#[allow(dead_code, reason = "the tests of the answers use the rest of it")]
#[path = "../answers/question.rs"]
mod question;
#[allow(dead_code, reason = "the tests of the answers use the rest of it")]
#[path = "../answers/script.rs"]
mod script;
#[allow(dead_code, reason = "the tests of the answers use the rest of it")]
#[path = "../answers/settings.rs"]
mod settings;

/// The answer over TCP, after the encrypted transports have given the same.
fn same_everywhere(house: &House, clients: &mut Clients, question: &[u8]) -> Vec<u8> {
    let mut question = question.to_vec();
    // As QUIC demands and HTTP prefers.
    question[..2].fill(0);
    let over_tcp = ask(&mut clients.tcp, &question);
    assert_eq!(ask(&mut clients.tls, &question), over_tcp, "TLS");
    let reply = exchange(&mut clients.https, &get(&question), &[]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body, over_tcp, "HTTPS");
    assert_eq!(quic::ask(house, &clients.quic, &question), over_tcp, "QUIC");
    over_tcp
}

struct Clients {
    tcp: std::net::TcpStream,
    tls: crate::house::Secure,
    https: crate::house::Secure,
    quic: quinn::Connection,
}

impl Clients {
    fn of(house: &House) -> Clients {
        Clients {
            tcp: tcp(house.dns()),
            tls: house.over_tls(),
            https: house.secure(house.https(), b"http/1.1"),
            quic: quic::connect(house),
        }
    }
}

#[test]
fn all_transports_give_the_same_answer() {
    let house = House::open();
    let mut clients = Clients::of(&house);
    let questions = [
        (SRV, RecordType::SRV),
        ("_XMPP-server._TCP.ConToso.TEST.", RecordType::SRV),
        (ZONE, RecordType::SOA),
        (ZONE, RecordType::NS),
        ("www.contoso.test.", RecordType::A),
        ("www.contoso.test.", RecordType::TXT),
        ("www.contoso.test.", RecordType::AAAA),
        ("alias.contoso.test.", RecordType::A),
        ("far.contoso.test.", RecordType::Unknown(65280)),
        ("any.wild.contoso.test.", RecordType::A),
        ("_tcp.contoso.test.", RecordType::A),
        ("nowhere.contoso.test.", RecordType::A),
        ("fabrikam.test.", RecordType::A),
    ];
    for (name, rtype) in questions {
        for edns in [None, Some(0), Some(1)] {
            let question = query(0, name, rtype, edns);
            let over_tcp = same_everywhere(&house, &mut clients, &question);
            assert_eq!(ask_udp(house.dns(), &question), over_tcp, "UDP");
        }
    }
    let counters = house.serving().counters();
    for count in [
        counters.udp,
        counters.tcp,
        counters.tls,
        counters.https,
        counters.quic,
    ] {
        assert_eq!(count.queries, 39);
        assert_eq!(count.dropped, 0);
    }
    assert_eq!(counters.tls.responses, 39);
}

#[test]
fn an_answer_of_almost_64_kib_arrives_whole_over_every_transport() {
    let house = House::open();
    let large: String = (0..240)
        .map(|number| format!("large TXT \"{number:0>240}\"\n"))
        .collect();
    let text = format!("{}{large}", fixture::TEXT);
    house.snapshots.store(fixture::snapshot_of(&text, 1));
    let mut clients = Clients::of(&house);
    let question = query(0, "large.contoso.test.", RecordType::TXT, Some(0));
    let answer = same_everywhere(&house, &mut clients, &question);
    assert!(answer.len() > 60_000, "{}", answer.len());
    // TC is clear, and over UDP it is set.
    assert_eq!(answer[2] & 2, 0);
    assert_eq!(ask_udp(house.dns(), &question)[2] & 2, 2);
}

#[test]
fn the_scripts_of_the_answers_get_them_over_every_transport() {
    let house = House::open();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers");
    let mut asked = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "script") {
            continue;
        }
        let script = script::Script::read(&std::fs::read_to_string(&path).unwrap());
        house.snapshots.store(Arc::new(script.snapshot(&folder)));
        let mut clients = Clients::of(&house);
        for line in &script.lines {
            // What these options get depends on the transport, or on the second.
            let differs = [" cookie=", " keepalive", " pad="];
            if let Some(question) = &line.question
                && !differs.iter().any(|option| line.text.contains(option))
            {
                same_everywhere(&house, &mut clients, &question.packet);
                asked += 1;
            }
        }
    }
    assert!(asked > 50, "{asked}");
}
