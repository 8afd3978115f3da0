//! What must hold of any signed message. An input is how it is signed, one octet, by how much
//! the clocks differ, one octet, and the message.

use std::sync::{Arc, OnceLock};

use switchback::time::Wall;
use switchback::tsig::{Key, Keys, Request, TsigError, read_request, sign_request};

const HEADER: usize = 12;
const NOW: u64 = 1_800_000_000_000;
/// A rejection may be larger than the request by the question, which it has too, and a signature.
const SIGNATURE: usize = 600;

/// Panics if a signature is believed or rejected that must not be.
pub(crate) fn check(input: &[u8]) {
    let Some(([how, apart], message)) = input.split_first_chunk::<2>() else {
        return;
    };
    as_it_is(message);
    if message.len() >= HEADER {
        round_trip(message, *how, *apart);
    }
}

/// Nobody can sign what we believe, but the keys' owners.
fn as_it_is(message: &[u8]) {
    let (keys, key) = keys();
    let mut out = Vec::new();
    match read_request(message, keys, Wall(NOW)) {
        Request::Plain => {}
        Request::Signed(_) => panic!("a signature was guessed: {message:02x?}"),
        Request::Rejected(rejection) => {
            rejection.write(message, Wall(NOW), &mut out);
            assert!(out.len() >= HEADER && out[2] & 0x80 != 0, "a response");
            assert!(out.len() <= message.len() + SIGNATURE, "hardly larger");
        }
    }
    let mut question = vec![0; HEADER];
    let mut verifier = sign_request(key, &mut question, Wall(NOW));
    let mut answer = message.to_vec();
    assert!(verifier.verify(&mut answer, Wall(NOW)).is_err(), "forged");
    assert_eq!(answer, message, "what is not believed stays as it was");
}

/// What one side signs, the other believes, if nobody changed it and the clocks agree.
fn round_trip(message: &[u8], how: u8, apart: u8) {
    let (keys, key) = keys();
    if !is_whole(message) || !matches!(read_request(message, keys, Wall(NOW)), Request::Plain) {
        return;
    }
    let mut signed = message.to_vec();
    let mut verifier = sign_request(key, &mut signed, Wall(NOW));
    let later = Wall(NOW + u64::from(apart) * 2_000);
    if how & 1 != 0 {
        // One bit, anywhere but in the ID, which the signature has a copy of.
        let at = 2 + usize::from(how) * 7 % (signed.len() - 2);
        signed[at] ^= 1 << (how % 8);
        let read = read_request(&signed, keys, later);
        let believed = matches!(&read, Request::Signed(one) if one.message != message);
        assert!(!believed, "changed at {at}, and believed");
        return;
    }
    let request = match read_request(&signed, keys, later) {
        Request::Signed(request) => request,
        Request::Rejected(rejection) => {
            let late = u64::from(apart) * 2 > 300;
            assert!(late, "{rejection:?}");
            assert_eq!(rejection.error(), Some(TsigError::BadTime));
            return;
        }
        Request::Plain => panic!("a signature was overlooked"),
    };
    assert_eq!(request.message, message, "signed and taken off again");
    assert!(u64::from(apart) * 2 <= 300, "too late, and believed");
    let mut signer = request.signer;
    let mut answer = message.to_vec();
    signer.sign(&mut answer, later);
    assert!(
        answer.len() <= message.len() + signer.room(),
        "the room it takes"
    );
    if verifier.verify(&mut answer, later).is_ok() {
        assert_eq!(answer, message, "the answer comes back as it was");
    }
}

/// Whether the records that the header counts are there, and nothing else; none a signature,
/// which stands nowhere but at the end (RFC 8945 section 5.1).
fn is_whole(message: &[u8]) -> bool {
    let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let mut at = Some(HEADER);
    for _ in 0..count(4) {
        at = at.and_then(|at| after_name(message, at)).map(|at| at + 4);
    }
    for section in [6, 8, 10] {
        for _ in 0..count(section) {
            at = at.and_then(|at| after_name(message, at)).and_then(|at| {
                let length = message.get(at + 8..at + 10)?;
                if message.get(at..at + 2) == Some(&[0, 250]) {
                    return None;
                }
                Some(at + 10 + usize::from(u16::from_be_bytes([length[0], length[1]])))
            });
        }
    }
    at == Some(message.len())
}

fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            64..=191 => return None,
            192.. => return Some(at + 2),
        }
    }
}

fn keys() -> (&'static Keys, &'static Arc<Key>) {
    static KEYS: OnceLock<(Keys, Arc<Key>)> = OnceLock::new();
    let (keys, key) = KEYS.get_or_init(|| {
        let make = |name: &str, algorithm: &str| {
            Key::new(&name.parse().unwrap(), algorithm.parse().unwrap(), &[7; 64]).unwrap()
        };
        let keys: Keys = [make("one.", "hmac-sha256"), make("two.", "hmac-sha512")]
            .into_iter()
            .collect();
        let key = Arc::clone(keys.get(&"one.".parse().unwrap()).unwrap());
        (keys, key)
    });
    (keys, key)
}
