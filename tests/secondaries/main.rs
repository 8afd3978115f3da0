//! Secondaries: NSD, Knot and named follow switchback by NOTIFY, IXFR and AXFR with signatures, and
//! dig and kdig fetch what they may. A tool that is missing is said, and left out.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the lint knows test functions, not what they call; what is left out is said"
)]

mod failover;
#[path = "../federation/patience.rs"]
#[allow(dead_code, reason = "another test's ways to wait, not all of them")]
mod patience;
mod peers;
mod primary;
#[path = "../shared/programs.rs"]
mod programs;

use std::process::Command;
use std::time::Duration;

use switchback::clock;

use peers::{PEERS, Secondary};
use primary::{Key, ORIGIN, Primary, all_acknowledged, dig, in_order, records};
use programs::free_port;

/// Whether `dig` is installed; says so if not.
fn has_dig() -> bool {
    let found = Command::new("dig").arg("-v").output().is_ok();
    if !found {
        eprintln!("left out: dig is not installed");
    }
    found
}

/// The primary with every secondary that is installed.
fn everybody() -> (Primary, Vec<Secondary>) {
    everybody_with("")
}

/// The same, with `more` in the primary's configuration.
fn everybody_with(more: &str) -> (Primary, Vec<Secondary>) {
    let installed = PEERS.into_iter().filter_map(|peer| {
        let program = peer.program();
        if program.is_none() {
            eprintln!("left out: {} is not installed", peer.name);
        }
        Some((peer, free_port(), program?))
    });
    let installed: Vec<_> = installed.collect();
    let told: Vec<(u16, Key)> = installed
        .iter()
        .map(|(peer, port, _)| (*port, peer.key))
        .collect();
    let primary = Primary::start_with(&told, more);
    let secondaries = installed
        .into_iter()
        .map(|(peer, port, program)| peer.start(&program, port, primary.port))
        .collect();
    (primary, secondaries)
}

fn all_have_the_same(primary: &Primary, secondaries: &[Secondary]) {
    let serial = primary.serial().unwrap();
    let ours = primary.contents();
    assert!(ours.len() > 30, "{ours:#?}");
    for secondary in secondaries {
        secondary.comes_to(serial);
        assert_eq!(secondary.contents(), ours, "{}", secondary.peer.name);
    }
}

#[test]
fn real_secondaries_follow_a_thousand_changes_and_a_restart() {
    if !has_dig() {
        return;
    }
    let (mut primary, secondaries) = everybody();
    all_have_the_same(&primary, &secondaries);
    let first = primary.serial().unwrap();
    for hundred in 1..=10 {
        for _ in 0..100 {
            primary.change();
        }
        all_have_the_same(&primary, &secondaries);
        if hundred == 5 {
            let before = primary.serial().unwrap();
            primary.restart();
            assert!(is_incremental(&primary, before), "the history is gone");
            all_have_the_same(&primary, &secondaries);
        }
    }
    let now = primary.serial().unwrap();
    assert!(now - first >= 1000, "{first} {now}");
    assert!(is_incremental(&primary, now - 3), "three changes back");
    assert!(!is_incremental(&primary, now - 60), "larger than the zone");
    assert!(!is_incremental(&primary, first), "a thousand changes back");
    all_acknowledged(&primary);
    let status = primary.status();
    for secondary in &status.zones[0].secondaries {
        let asked = secondary.asked.as_ref().unwrap();
        assert_eq!(secondary.problem, None);
        assert!(["soa", "ixfr"].contains(&asked.what.as_str()), "{asked:?}");
    }
}

/// Whether IXFR from `serial` brings differences: the second record is the old SOA.
fn is_incremental(primary: &Primary, serial: u32) -> bool {
    let kind = format!("IXFR={serial}");
    let answer = primary.dig(&PEERS[1].key, &[ORIGIN, &kind]);
    let second = in_order(&answer).into_iter().nth(1).unwrap_or_default();
    second.contains(" IN SOA ") && second.contains(&format!(" {serial} "))
}

#[test]
fn who_has_not_the_key_gets_nothing() {
    if !has_dig() {
        return;
    }
    let primary = Primary::start(&[]);
    let good = PEERS[0].key;
    let wrong_secret = Key {
        secret: PEERS[1].key.secret,
        ..good
    };
    let wrong_name = Key {
        name: "other.key",
        ..good
    };
    let wrong_algorithm = Key {
        algorithm: "hmac-sha512",
        ..good
    };
    let transfer = [ORIGIN, "AXFR"];
    assert!(records(&primary.dig(&good, &transfer)).len() > 30);
    for (key, error) in [
        (wrong_secret, "BADSIG"),
        (wrong_name, "BADKEY"),
        (wrong_algorithm, "BADKEY"),
    ] {
        let answer = primary.dig(&key, &[ORIGIN, "SOA"]);
        assert!(
            answer.contains(error) && answer.contains("NOTAUTH"),
            "{answer}"
        );
        assert_eq!(records(&primary.dig(&key, &transfer)), Vec::<String>::new());
    }
    let unsigned = dig(primary.port, None, &transfer);
    assert!(unsigned.contains("Transfer failed"), "{unsigned}");
    // A truncated signature is for keys that say so.
    let short = Key {
        algorithm: "hmac-sha256-128",
        ..good
    };
    let answer = primary.dig(&short, &[ORIGIN, "SOA"]);
    assert!(answer.contains("BADTRUNC"), "{answer}");
    // And a query that is signed well gets its answer, signed.
    let answer = primary.dig(&good, &["+norec", ORIGIN, "MX"]);
    assert!(
        answer.contains("mail.contoso.test.") && answer.contains("NOERROR"),
        "{answer}"
    );
    assert!(!answer.contains("WARNING"), "{answer}");
}

#[test]
fn dig_and_kdig_fetch_the_zone_and_its_changes_over_every_stream() {
    if !has_dig() {
        return;
    }
    let mut primary = Primary::start(&[]);
    let key = PEERS[0].key;
    let first = primary.serial().unwrap();
    primary.change();
    let (second, whole) = (primary.serial().unwrap(), primary.contents());
    let ixfr = format!("IXFR={first}");
    // Over UDP: one change fits, and a client that is up to date gets the SOA alone.
    for (kind, count) in [(ixfr.as_str(), 4..20), (&format!("IXFR={second}"), 1..2)] {
        let answer = primary.dig(&key, &["+notcp", ORIGIN, kind]);
        let found = in_order(&answer);
        assert!(count.contains(&found.len()), "{kind}: {answer}");
    }
    // Over UDP, more than fits is our SOA alone.
    for _ in 0..60 {
        primary.change();
    }
    let answer = primary.dig(&key, &["+notcp", "+bufsize=512", ORIGIN, &ixfr]);
    assert_eq!(in_order(&answer).len(), 1, "{answer}");

    let whole_now = primary.contents();
    assert_ne!(whole, whole_now);
    let (port, tls) = (primary.port.to_string(), primary.tls_port.to_string());
    for (way, port) in [("+tcp", &port), ("+tls", &tls)] {
        let output = Command::new("kdig")
            .args(["@127.0.0.1", "-p", port, "-y", &key.for_dig(), way])
            .args([ORIGIN, "AXFR"])
            .output();
        let Ok(output) = output else {
            eprintln!("left out: kdig is not installed");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        // kdig shows the SOA at both ends.
        let mut found = records(&text);
        found.dedup();
        let types = |lines: &[String]| -> Vec<String> {
            let shown = lines
                .iter()
                .map(|line| line.replace("TYPE65280 \\# 4 00010203", "odd"));
            shown.filter(|line| !line.contains(" odd")).collect()
        };
        assert_eq!(types(&found), types(&whole_now), "{way}: {output:?}");
    }
}

/// `kdig` says that the time of a signature is wrong only once it has found the signature right.
#[test]
fn whose_clock_is_wrong_is_told_ours_with_a_good_signature() {
    let has = |tool: &str| programs::installed(tool).is_some();
    if !has("kdig") || !has("faketime") {
        eprintln!("left out: kdig or faketime is not installed");
        return;
    }
    let primary = Primary::start(&[]);
    for (clock, is_good) in [("-600s", false), ("+600s", false), ("-200s", true)] {
        let server = format!("@127.0.0.1@{}", primary.port);
        let key = PEERS[0].key.for_dig();
        let output = Command::new("faketime")
            // What waits by a false clock may wait for ever.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .args(["-f", clock, "timeout", "20", "kdig", &server, "-y", &key])
            .args(["+timeout=5", ORIGIN, "SOA"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        if is_good {
            assert!(text.contains("status: NOERROR"), "{clock}: {text}");
            assert!(!text.contains("WARNING"), "{clock}: {text}");
            continue;
        }
        assert!(text.contains("status: BADTIME"), "{clock}: {text}");
        assert!(
            text.contains("(TSIG out of time window)"),
            "{clock}: {text}"
        );
        // RFC 8945 section 5.2.3: the other data is the server's time.
        let (_, told) = text.split_once(" BADTIME 6 ").expect(&text);
        let told: u64 = told.split_whitespace().next().unwrap().parse().unwrap();
        let now = Duration::from_millis(clock::wall().0).as_secs();
        assert!(now.abs_diff(told) < 60, "{clock}: {text}");
    }
}
