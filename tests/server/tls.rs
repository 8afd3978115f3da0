//! DNS over TLS: the same answers.

use std::net::TcpStream;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use switchback::server::{BindProblem, ListenSpec, Listeners};

use crate::fixture::{SRV, ZONE, query};
use crate::house::{House, ask, ask_udp, certificate, tcp};

fn client(house: &House) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let file = house.files.path().join("server.pem");
    roots
        .add(CertificateDer::from_pem_file(file).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"dot".to_vec()];
    let name = ServerName::try_from("edge.test").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, tcp(house.tls()))
}

#[test]
fn all_transports_give_the_same_answer() {
    let house = House::open();
    let mut tls = client(&house);
    let mut stream = tcp(house.dns());
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
            let question = query(77, name, rtype, edns);
            let over_udp = ask_udp(house.dns(), &question);
            let over_tcp = ask(&mut stream, &question);
            let over_tls = ask(&mut tls, &question);
            assert_eq!(over_udp, over_tcp, "{name} {rtype} {edns:?}");
            assert_eq!(over_tcp, over_tls, "{name} {rtype} {edns:?}");
        }
    }
    let counters = house.serving().counters();
    assert_eq!(counters.tls.queries, 39);
    assert_eq!(counters.tls.responses, 39);
    assert_eq!(counters.tls.dropped, 0);
}

#[test]
fn a_bad_certificate_and_a_bad_key_are_both_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _within = runtime.enter();
    let files = tempfile::tempdir().unwrap();
    let problems = |spec| {
        let spec = ListenSpec {
            dns: Vec::new(),
            tls: Some(spec),
        };
        Listeners::bind(&spec).map(drop).unwrap_err()
    };
    let good = certificate(&files, "one");
    let other = certificate(&files, "two");

    let mut missing = good.clone();
    missing.certificate = files.path().join("none.pem");
    missing.key = good.certificate.clone();
    let text = problems(missing).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("none.pem: No such file"), "{text}");
    assert!(
        lines[1].contains("one.pem: does not contain a private key"),
        "{text}"
    );

    let mut mixed = good.clone();
    mixed.key = other.key;
    let error = problems(mixed);
    assert!(
        matches!(error.problems[..], [BindProblem::Pair { .. }]),
        "{error}"
    );

    let mut not_pem = good;
    not_pem.certificate = not_pem.key.clone();
    let text = problems(not_pem).to_string();
    assert!(
        text.contains("one.key: does not contain a certificate"),
        "{text}"
    );
}
