//! What independent clients make of our EDNS: dig and kdig.

use std::net::SocketAddr;
use std::process::Command;

use crate::house::House;

/// The output of a client, asked at `server`; `None` if it is not installed.
fn output(program: &str, server: SocketAddr, words: &[&str]) -> Option<String> {
    let (address, port) = (format!("@{}", server.ip()), server.port().to_string());
    let said = Command::new(program)
        .args([address.as_str(), "-p", port.as_str()])
        .args(words)
        .output();
    match said {
        Ok(said) => Some(String::from_utf8_lossy(&said.stdout).into_owned()),
        Err(_) => {
            eprintln!("left out: {program} is not installed");
            None
        }
    }
}

/// Asserts that the client, if it is installed, says all of `wanted`.
fn says(program: &str, server: SocketAddr, words: &[&str], wanted: &[&str]) {
    let Some(said) = output(program, server, words) else {
        return;
    };
    for part in wanted {
        assert!(
            said.contains(part),
            "{program} {words:?}: no {part} in\n{said}"
        );
    }
}

#[test]
fn dig_takes_our_cookie_and_shows_it_again() {
    let house = House::open();
    let first = ["+cookie=2464c4abcf10c957", "www.contoso.test", "A"];
    let Some(said) = output("dig", house.dns(), &first) else {
        return;
    };
    let line = said.lines().find(|line| line.starts_with("; COOKIE: "));
    let line = line.unwrap_or_else(|| panic!("no cookie in\n{said}"));
    assert!(line.ends_with("(good)"), "{line}");
    let cookie = line.split_whitespace().nth(2).unwrap();
    assert_eq!((cookie.len(), &cookie[16..24]), (48, "01000000"));
    // It is young, so it stays.
    let again = format!("+cookie={cookie}");
    let wanted = format!("; COOKIE: {cookie} (good)");
    says(
        "dig",
        house.dns(),
        &[&again, "www.contoso.test", "A"],
        &[&wanted],
    );
    says(
        "dig",
        house.dns(),
        &["+tcp", &again, "www.contoso.test", "A"],
        &[&wanted],
    );
}

#[test]
fn dig_learns_who_answers_why_not_and_how_long_it_may_stay() {
    let house = House::open();
    let dns = house.dns();
    says(
        "dig",
        dns,
        &["+nsid", "www.contoso.test"],
        &["(\"ams1\")", "192.0.2.80"],
    );
    says(
        "dig",
        dns,
        &["+short", "CH", "TXT", "id.server"],
        &["\"ams1\""],
    );
    says(
        "dig",
        dns,
        &["CH", "TXT", "version.bind"],
        &["status: REFUSED", "EDE: 18"],
    );
    says(
        "dig",
        dns,
        &["www.elsewhere.test"],
        &["EDE: 20 (Not Authoritative)"],
    );
    says(
        "dig",
        dns,
        &["+tcp", "+keepalive", "www.contoso.test"],
        &["TCP KEEPALIVE: 10.0 secs"],
    );
    let wanted = ["status: BADVERS", "EDNS: version: 0"];
    says(
        "dig",
        dns,
        &["+edns=1", "+noednsneg", "www.contoso.test"],
        &wanted,
    );
    let odd = [
        "+ednsopt=65001:0102",
        "+ednsflags=0x40",
        "+subnet=192.0.2.0/24",
        "+zflag",
    ];
    let words: Vec<&str> = odd.into_iter().chain(["www.contoso.test"]).collect();
    says("dig", dns, &words, &["status: NOERROR", "192.0.2.80"]);
}

#[test]
fn kdig_gets_padding_where_nobody_reads_along_and_nowhere_else() {
    let house = House::open();
    let words = ["+tls", "+padding=128", "+nsid", "www.contoso.test"];
    let wanted = ["Received 468 B", "PADDING: ", "192.0.2.80", "ams1"];
    says("kdig", house.tls(), &words, &wanted);
    let words = ["+tcp", "+padding=128", "www.contoso.test"];
    if let Some(said) = output("kdig", house.dns(), &words) {
        assert!(
            said.contains("192.0.2.80") && !said.contains("PADDING: "),
            "{said}"
        );
    }
}
