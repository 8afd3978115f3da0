use std::sync::Arc;

use super::*;
use crate::time::Wall;
use crate::zone::Name;

const NOW: Wall = Wall(1_800_000_000_000);

fn key(name: &str, algorithm: &str) -> Key {
    let name: Name = name.parse().unwrap();
    Key::new(&name, algorithm.parse().unwrap(), &[7; 32]).unwrap()
}

/// A query for the SOA of `z.`.
fn query() -> Vec<u8> {
    b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01z\0\0\x06\0\x01".to_vec()
}

/// A response of one record.
fn response(number: u8) -> Vec<u8> {
    let mut message = b"\x12\x34\x84\0\0\x01\0\x01\0\0\0\0\x01z\0\0\x06\0\x01".to_vec();
    message.extend_from_slice(b"\xc0\x0c\0\x10\0\x01\0\0\0\x05\0\x02\x01");
    message.push(number);
    message
}

fn later(seconds: u64) -> Wall {
    Wall(NOW.0 + seconds * 1000)
}

fn rejected(request: &[u8], keys: &Keys, now: Wall) -> (Option<TsigError>, Vec<u8>) {
    match read_request(request, keys, now) {
        Request::Rejected(rejection) => {
            let (error, mut out) = (rejection.error(), Vec::new());
            rejection.write(request, now, &mut out);
            (error, out)
        }
        other @ (Request::Plain | Request::Signed(_)) => panic!("{other:?}"),
    }
}

#[test]
fn what_one_side_signs_the_other_verifies() {
    for algorithm in [
        "hmac-sha256",
        "hmac-sha384",
        "hmac-sha512",
        "hmac-sha256-128",
    ] {
        let key = Arc::new(key("K.z.", algorithm));
        let keys: Keys = [key.as_ref().clone()].into_iter().collect();
        let mut request = query();
        let mut verifier = sign_request(&key, &mut request, NOW);
        let Request::Signed(mut signed) = read_request(&request, &keys, later(300)) else {
            panic!("{algorithm} is not verified");
        };
        assert_eq!(signed.message, query());
        assert!(!verifier.is_complete());
        for number in 0..5 {
            let mut message = response(number);
            signed.signer.sign(&mut message, NOW);
            assert!(message.len() <= response(number).len() + signed.signer.room());
            verifier.verify(&mut message, NOW).unwrap();
            assert_eq!(message, response(number));
            assert!(verifier.is_complete());
        }
    }
}

#[test]
fn unsigned_messages_between_signed_ones_are_covered_by_the_next() {
    let key = Arc::new(key("k.", "hmac-sha256"));
    let keys: Keys = [key.as_ref().clone()].into_iter().collect();
    for tampered in [false, true] {
        let mut request = query();
        let mut verifier = sign_request(&key, &mut request, NOW);
        let Request::Signed(signed) = read_request(&request, &keys, NOW) else {
            panic!("not verified");
        };
        let mut first = response(0);
        let mut signer = signed.signer;
        signer.sign(&mut first, NOW);
        verifier.verify(&mut first, NOW).unwrap();
        // A server that signs every second message digests the unsigned one too.
        let mut last = response(2);
        let joined = [response(1), response(2)].concat();
        let found = {
            let mut joined = joined;
            signer.sign(&mut joined, NOW);
            joined
        };
        last.extend_from_slice(&found[response(1).len() + response(2).len()..]);
        last[11] = 1;
        let mut unsigned = response(1 + u8::from(tampered) * 8);
        verifier.verify(&mut unsigned, NOW).unwrap();
        assert!(!verifier.is_complete());
        let verdict = verifier.verify(&mut last, NOW);
        assert_eq!(verdict.is_err(), tampered, "{verdict:?}");
    }
}

#[test]
fn the_first_message_of_a_response_is_signed_and_no_hundred_in_a_row_go_without() {
    let key = Arc::new(key("k.", "hmac-sha256"));
    let keys: Keys = [key.as_ref().clone()].into_iter().collect();
    let mut request = query();
    let mut verifier = sign_request(&key, &mut request, NOW);
    let verdict = verifier.verify(&mut response(0), NOW);
    assert_eq!(verdict, Err(VerifyError::Unsigned));
    let Request::Signed(mut signed) = read_request(&request, &keys, NOW) else {
        panic!("not verified");
    };
    let mut first = response(0);
    signed.signer.sign(&mut first, NOW);
    verifier.verify(&mut first, NOW).unwrap();
    for number in 0..99 {
        assert_eq!(verifier.verify(&mut response(number), NOW), Ok(()));
    }
    let verdict = verifier.verify(&mut response(99), NOW);
    assert_eq!(verdict, Err(VerifyError::Unsigned));
}

#[test]
fn every_changed_octet_of_a_request_is_noticed() {
    let key = Arc::new(key("k.", "hmac-sha384"));
    let keys: Keys = [key.as_ref().clone()].into_iter().collect();
    let mut request = query();
    sign_request(&key, &mut request, NOW);
    for at in 0..request.len() {
        let mut changed = request.clone();
        changed[at] ^= 0x55;
        let verdict = read_request(&changed, &keys, NOW);
        // The id is not signed: forwarders change it.
        assert_eq!(matches!(verdict, Request::Signed(_)), at < 2, "octet {at}");
        if let Request::Rejected(rejection) = verdict {
            rejection.write(&changed, NOW, &mut Vec::new());
        }
        let cut = read_request(&request[..at], &keys, NOW);
        assert!(!matches!(cut, Request::Signed(_)), "cut at {at}");
    }
}

#[test]
fn each_fault_has_its_error() {
    let good = Arc::new(key("k.", "hmac-sha256"));
    let keys: Keys = [good.as_ref().clone()].into_iter().collect();
    let signed = |key: &Arc<Key>| {
        let mut request = query();
        let verifier = sign_request(key, &mut request, NOW);
        (request, verifier)
    };

    let (request, mut verifier) = signed(&Arc::new(key("other.", "hmac-sha256")));
    let (error, mut answer) = rejected(&request, &keys, NOW);
    assert_eq!(error, Some(TsigError::BadKey));
    assert_eq!(answer[3] & 0xf, 9, "NOTAUTH");
    let verdict = verifier.verify(&mut answer, NOW);
    assert_eq!(verdict, Err(VerifyError::Refused(TsigError::BadKey)));

    let (request, _) = signed(&Arc::new(key("k.", "hmac-sha512")));
    assert_eq!(rejected(&request, &keys, NOW).0, Some(TsigError::BadKey));

    let (mut request, mut verifier) = signed(&good);
    request[2] ^= 1;
    let (error, mut answer) = rejected(&request, &keys, NOW);
    assert_eq!(error, Some(TsigError::BadSignature));
    let verdict = verifier.verify(&mut answer, NOW);
    assert_eq!(verdict, Err(VerifyError::Refused(TsigError::BadSignature)));

    let (request, mut verifier) = signed(&good);
    let (error, mut answer) = rejected(&request, &keys, later(301));
    assert_eq!(error, Some(TsigError::BadTime));
    // Signed, and with the server's time.
    assert!(answer.ends_with(&record::six(NOW.unix_seconds() + 301)));
    let verdict = verifier.verify(&mut answer, NOW);
    assert_eq!(verdict, Err(VerifyError::RefusedSigned(TsigError::BadTime)));

    let (request, mut verifier) = signed(&Arc::new(key("k.", "hmac-sha256-128")));
    let (error, mut answer) = rejected(&request, &keys, NOW);
    assert_eq!(error, Some(TsigError::BadTruncation));
    let verdict = verifier.verify(&mut answer, NOW);
    let expected = VerifyError::RefusedSigned(TsigError::BadTruncation);
    assert_eq!(verdict, Err(expected));
}

#[test]
fn a_signature_that_is_not_the_last_record_is_malformed() {
    let key = Arc::new(key("k.", "hmac-sha256"));
    let keys: Keys = [key.as_ref().clone()].into_iter().collect();
    let mut request = query();
    sign_request(&key, &mut request, NOW);
    let record = request[query().len()..].to_vec();
    let mut twice = [&request[..], &record[..]].concat();
    twice[11] = 2;
    let mut behind = [&request[..], b"\0\0\x29\x04\xd0\0\0\0\0\0\0"].concat();
    behind[11] = 2;
    let mut as_answer = request.clone();
    (as_answer[7], as_answer[11]) = (1, 0);
    for message in [twice, behind] {
        let (error, answer) = rejected(&message, &keys, NOW);
        assert_eq!((error, answer[3] & 0xf), (None, 1), "FORMERR");
    }
    // Nothing but the additional section can hold one.
    assert!(matches!(
        read_request(&as_answer, &keys, NOW),
        Request::Plain
    ));
}

#[test]
fn algorithms_are_written_as_everywhere_and_secrets_are_not_shown() {
    for text in ["hmac-sha256", "hmac-sha512-256", "hmac-sha384-192"] {
        let algorithm: Algorithm = text.parse().unwrap();
        assert_eq!(algorithm.to_string(), text);
    }
    for text in [
        "hmac-md5",
        "hmac-sha256-64",
        "hmac-sha256-512",
        "hmac-sha256-",
        "sha256",
        "",
    ] {
        assert!(text.parse::<Algorithm>().is_err(), "{text}");
    }
    assert_eq!(
        format!("{:?}", key("K.", "HMAC-SHA256.")),
        "Key(k. hmac-sha256)"
    );
    let name: Name = "k.".parse().unwrap();
    let algorithm = "hmac-sha256".parse().unwrap();
    assert_eq!(
        Key::from_base64(&name, algorithm, "AAAA").unwrap_err(),
        KeyError::ShortSecret(3)
    );
    assert_eq!(
        Key::from_base64(&name, algorithm, "no!").unwrap_err(),
        KeyError::NotBase64
    );
}
