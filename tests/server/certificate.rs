//! Our certificate: what is refused at the start, and what becomes of a renewal.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::rr::RecordType;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use switchback::certificate::{CertificateFiles, CertificateProblem};
use switchback::clock;
use switchback::server::{BindProblem, ListenSpec, Listeners, Renewal};
use switchback::time::Wall;

use crate::fixture::{SRV, query};
use crate::house::{House, ask, certificate, certificate_until, encrypted, eventually};
use crate::quic;

/// The files that the server looks at, and others to put in their place.
fn files(house: &House) -> (CertificateFiles, CertificateFiles) {
    let files = CertificateFiles {
        certificate: house.files.path().join("server.pem"),
        key: house.files.path().join("server.key"),
    };
    (files, certificate(&house.files, "next"))
}

/// The certificate that a new TLS client is shown.
fn shown(house: &House) -> CertificateDer<'static> {
    let mut stream = house.over_tls();
    ask(&mut stream, &query(1, SRV, RecordType::SRV, None));
    stream.conn.peer_certificates().unwrap()[0].clone()
}

#[test]
fn a_bad_certificate_and_a_bad_key_are_both_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _within = runtime.enter();
    let files = tempfile::tempdir().unwrap();
    let problems = |certificate| {
        let spec = ListenSpec {
            dns: Vec::new(),
            xdp: Vec::new(),
            encrypted: Some(encrypted(certificate)),
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
        matches!(
            error.problems[..],
            [BindProblem::Certificate(CertificateProblem::Pair { .. })]
        ),
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

#[test]
fn a_renewal_is_taken_once_both_files_stand_still() {
    let house = House::open();
    let (files, next) = files(&house);
    let look = || house.certificate.look(clock::wall());
    assert_eq!(look(), None);
    let before = shown(&house);
    fs::rename(&next.certificate, &files.certificate).unwrap();
    assert_eq!(look(), None, "the first look at a change");
    fs::rename(&next.key, &files.key).unwrap();
    assert_eq!(look(), None, "it goes on changing");
    // 2040-01-01T00:00:00Z.
    let not_after = Some(Wall(2_208_988_800_000));
    assert_eq!(look(), Some(Renewal::Taken { not_after }));
    assert_eq!(look(), None, "nothing is new");
    assert_eq!(house.certificate.state().not_after, not_after);
    let after = shown(&house);
    assert_ne!(before, after);
    assert_eq!(after, CertificateDer::from_pem_file(house.pem()).unwrap());
    quic::connect(&house);
}

#[test]
fn a_broken_renewal_leaves_the_old_certificate_and_is_told() {
    let house = House::open();
    let (files, next) = files(&house);
    let now = clock::wall();
    let before = shown(&house);
    let good = fs::read(&files.certificate).unwrap();

    // A certificate without its key.
    fs::copy(&next.certificate, &files.certificate).unwrap();
    let Renewal::Refused(why) = house.certificate.renew(now) else {
        panic!("it does not fit");
    };
    assert!(why.contains("the key must be the one"), "{why}");
    assert_eq!(house.certificate.state().refused, Some(why));
    // Half a file, and none.
    fs::write(&files.certificate, &good[..good.len() / 2]).unwrap();
    assert!(matches!(house.certificate.renew(now), Renewal::Refused(_)));
    fs::remove_file(&files.certificate).unwrap();
    assert!(matches!(house.certificate.renew(now), Renewal::Refused(_)));
    fs::write(&files.certificate, &good).unwrap();
    assert_eq!(shown(&house), before);
    assert_eq!(house.certificate.renew(now), Renewal::Same);
    assert_eq!(house.certificate.state().refused, None);

    // One that has ended does not replace one that has not.
    let old = certificate_until(&house.files, "old", 2024);
    fs::copy(old.certificate, &files.certificate).unwrap();
    fs::copy(old.key, &files.key).unwrap();
    let Renewal::Refused(why) = house.certificate.renew(now) else {
        panic!("it has expired");
    };
    assert!(why.contains("expired"), "{why}");
}

#[test]
fn a_renewal_under_load_fails_no_handshake_and_no_query() {
    let house = House::open();
    let (files, next) = files(&house);
    let done = AtomicBool::new(false);
    // Both are trusted: each client takes whichever it is shown.
    let first = house.client_config(b"dot");
    let standing = &mut house.over_tls();
    ask(standing, &query(0, SRV, RecordType::SRV, None));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while !done.load(Ordering::Relaxed) || rounds < 10 {
                        let seen = openssl(&house);
                        assert!(seen != Some(false), "a handshake failed");
                        if seen.is_none() {
                            break;
                        }
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        for _ in 0..20 {
            for (from, to) in [
                (&next.certificate, &files.certificate),
                (&next.key, &files.key),
            ] {
                let kept = fs::read(to).unwrap();
                fs::write(to, fs::read(from).unwrap()).unwrap();
                fs::write(from, kept).unwrap();
            }
            let renewal = house.certificate.renew(clock::wall());
            assert!(matches!(renewal, Renewal::Taken { .. }), "{renewal:?}");
            ask(standing, &query(1, SRV, RecordType::SRV, None));
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    });
    drop(first);
    eventually("nothing is left open but the standing client", || {
        house.serving().counters().tls.connections == 1
    });
}

/// Whether `openssl s_client` gets through a handshake; `None` if it is not installed.
fn openssl(house: &House) -> Option<bool> {
    let spawned = Command::new("openssl")
        .args(["s_client", "-alpn", "dot", "-servername", "edge.test"])
        .args(["-connect", &house.tls().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!("left out: openssl is not installed");
        return None;
    };
    // It ends the connection at the end of its input.
    let _ = child.stdin.take().unwrap().write_all(b"Q\n");
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.contains("ALPN protocol: dot"))
}
