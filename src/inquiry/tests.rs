use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A response of 16 hand-written octets and more: `contoso.test. SRV`, with what follows.
fn response(flags: [u8; 2], counts: [u8; 3], rest: &[u8]) -> Vec<u8> {
    let [answers, authority, additional] = counts;
    let mut octets = vec![
        0, 7, flags[0], flags[1], 0, 1, 0, answers, 0, authority, 0, additional,
    ];
    octets.extend_from_slice(b"\x07contoso\x04test\0\0\x21\0\x01");
    octets.extend_from_slice(rest);
    octets
}

fn asked() -> Question {
    Question::to_server(&name("contoso.test."), rtype::SRV)
}

#[test]
fn a_query_says_what_is_asked_and_takes_answers_that_fit_a_path() {
    let mut expected = b"\0\x07\0\0\0\x01\0\0\0\0\0\x01\x07contoso\x04test\0\0\x21\0\x01".to_vec();
    expected.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    assert_eq!(packet(7, &asked()).unwrap(), expected);
    let to_resolver = Question::to_resolver(&name("contoso.test."), rtype::SRV);
    assert_eq!(packet(7, &to_resolver).unwrap()[2], 1, "RD");
}

#[test]
fn records_come_out_in_the_order_in_which_they_are_tried() {
    let mut records = Vec::new();
    for (priority, label) in [(20, b"b"), (10, b"a")] {
        records.extend_from_slice(b"\xc0\x0c\0\x21\0\x01\0\0\0\x05\0\x0a\0");
        records.extend_from_slice(&[priority, 0, 0, 0x14, 0x95, 1, label[0], 0xc0, 0x0c]);
    }
    // RDATA of an SRV with a compressed target: ten octets.
    let octets = response([0x84, 0], [2, 0, 0], &records);
    let reply = read(7, &asked(), &octets).unwrap();
    assert!(reply.authoritative && !reply.truncated);
    let order: Vec<_> = reply
        .services(&name("CONTOSO.test."))
        .iter()
        .map(|srv| (srv.priority, srv.port, srv.target.to_string()))
        .collect();
    let expected = [(10, "a.contoso.test."), (20, "b.contoso.test.")];
    assert_eq!(order, expected.map(|(p, t)| (p, 5269, t.to_owned())));
    assert_eq!(reply.ttl(&name("contoso.test."), rtype::SRV), Some(5));
    assert_eq!(reply.referral(), None);
}

#[test]
fn a_referral_has_its_owner_and_its_glue() {
    let mut rest = b"\xc0\x0c\0\x02\0\x01\0\0\x0e\x10\0\x05\x02ns\xc0\x0c".to_vec();
    rest.extend_from_slice(b"\x02ns\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x01");
    let reply = read(7, &asked(), &response([0x80, 0], [0, 1, 1], &rest)).unwrap();
    assert_eq!(reply.referral(), Some(&name("contoso.test.")));
    assert_eq!(
        reply.name_servers(&name("contoso.test.")),
        [name("ns.contoso.test.")]
    );
    let glue = reply.glue(&name("ns.contoso.test."));
    assert_eq!(glue, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn what_is_no_response_to_the_question_is_not_taken() {
    let good = response([0x84, 0], [0, 0, 0], b"");
    assert!(read(7, &asked(), &good).is_ok());
    assert_eq!(read(8, &asked(), &good), Err(Unreadable::OtherQuestion));
    let query = response([0x04, 0], [0, 0, 0], b"");
    assert_eq!(read(7, &asked(), &query), Err(Unreadable::OtherQuestion));
    let other = Question::to_server(&name("fabrikam.test."), rtype::SRV);
    assert_eq!(read(7, &other, &good), Err(Unreadable::OtherQuestion));
    for length in 0..good.len() {
        assert!(read(7, &asked(), &good[..length]).is_err(), "{length}");
    }
    let refused = [0, 7, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        read(7, &asked(), &refused).unwrap().rcode.to_string(),
        "REFUSED"
    );
}
