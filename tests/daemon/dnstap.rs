//! dnstap and the query log, read by the tools of others: fstrm_capture, kdig and dnstap-read.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::clock;

use crate::house::{House, eventually};

/// A daemon whose configuration begins with this table.
fn tapped(table: &str) -> House {
    let house = House::build("");
    let config = house.config("");
    let state = "state_dir = \"state\"\n";
    let table = format!("{state}[dnstap]\n{table}\n");
    house.write("switchback.toml", &config.replacen(state, &table, 1));
    house
}

fn dnstap(house: &House, words: &[&str]) -> (bool, String) {
    let output = house.switchback(&[&["dnstap"], words].concat());
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// What a tool makes of a file; nothing where there is no such tool.
fn read_by(tool: &[&str], file: &Path) -> Option<String> {
    let output = Command::new(tool[0]).args(&tool[1..]).arg(file).output();
    let Ok(output) = output else {
        eprintln!("left out: {} is not here; `.ci/tools` installs it", tool[0]);
        return None;
    };
    assert!(output.status.success(), "{tool:?}: {output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

struct Capture(Child);

impl Capture {
    /// It writes what it has, and ends.
    fn end(mut self) {
        let pid = self.0.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(kill.unwrap().success());
        self.0.wait().unwrap();
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn capture(socket: &Path, file: &Path) -> Option<Capture> {
    let child = Command::new("fstrm_capture")
        .args(["-t", "protobuf:dnstap.Dnstap", "-u"])
        .arg(socket)
        .arg("-w")
        .arg(file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if child.is_err() {
        eprintln!("left out: fstrm_capture is not here; `.ci/tools` installs it");
    }
    Some(Capture(child.ok()?))
}

#[test]
fn what_is_asked_and_answered_is_read_from_the_file_by_knot_and_bind() {
    let mut house = tapped("file = \"seen.tap\"\non = false");
    house.serve();
    house.serial();
    assert!(dnstap(&house, &[]).1.starts_with("off: "));
    assert!(dnstap(&house, &["on"]).0);
    // From when the word has reached all threads on.
    eventually("a query is seen", || {
        house.served();
        (!dnstap(&house, &[]).1.contains(" 0 written")).then_some(())
    });
    assert!(dnstap(&house, &["off"]).1.starts_with("off: "));
    house.www();
    house.stop();
    let file = house.path("seen.tap");
    for tool in [&["kdig", "-G"][..], &["dnstap-read", "-p"]] {
        let Some(text) = read_by(tool, &file) else {
            continue;
        };
        assert!(
            text.contains("_xmpp-server._tcp.contoso.test."),
            "{tool:?}: {text}"
        );
        assert!(
            text.contains("edge1.contoso.test."),
            "the answer: {tool:?}: {text}"
        );
        assert!(text.contains("127.0.0.1"), "who asked: {tool:?}: {text}");
        assert!(
            !text.contains("www.contoso.test."),
            "after the end: {tool:?}: {text}"
        );
    }
}

#[test]
fn a_program_at_a_socket_is_found_again_when_it_comes_back_and_nobody_waits_for_it() {
    let mut house = tapped("socket = \"tap.sock\"");
    house.serve();
    house.served();
    eventually("nobody takes it", || {
        house.served();
        let (well, said) = dnstap(&house, &[]);
        (!well && said.contains("it is tried again every second")).then_some(())
    });
    let (socket, file) = (house.path("tap.sock"), house.path("seen.tap"));
    let Some(first) = capture(&socket, &file) else {
        return;
    };
    let seen = |house: &House| {
        house.served();
        let (well, _) = dnstap(house, &[]);
        well.then_some(())
    };
    eventually("it is taken", || seen(&house));
    drop(first);
    eventually("it is missed", || {
        house.served();
        (!dnstap(&house, &[]).0).then_some(())
    });
    let _ = fs::remove_file(&socket);
    let second = house.path("again.tap");
    let again = capture(&socket, &second);
    eventually("it is taken again", || seen(&house));
    house.stop();
    let Some(again) = again else {
        return;
    };
    again.end();
    eventually("all is in the file", || {
        let text = read_by(&["kdig", "-G"], &second)?;
        text.contains("_xmpp-server._tcp.contoso.test.")
            .then_some(())
    });
    let log = house.log();
    assert!(log.contains("INFO dnstap is written again"), "{log}");
    assert!(
        log.matches("WARN dnstap: ").count() <= 4,
        "one line for each transition: {log}"
    );
}

#[test]
fn the_query_log_has_a_line_for_each_query_and_ends_at_its_bound() {
    let mut house = tapped("queries = \"queries.log\"\nmegabytes = 1");
    house.serve();
    eventually("a query is seen", || {
        house.served();
        house.www();
        let log = fs::read_to_string(house.path("queries.log")).unwrap();
        log.contains(" www.contoso.test. A 0 ").then_some(())
    });
    let log = fs::read_to_string(house.path("queries.log")).unwrap();
    let line = log.lines().find(|line| line.contains(" SRV ")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(
        words[1..6],
        [
            "127.0.0.1",
            "udp",
            "_xmpp-server._tcp.contoso.test.",
            "SRV",
            "0"
        ]
    );
    assert!(words[6].parse::<usize>().unwrap() > 50, "{line}");
    // 20,000 queries of which each makes a line of 60 octets at least.
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(b"\x03www\x07contoso\x04test\x00\x00\x01\x00\x01");
    eventually("it is full", || {
        for _ in 0..2000 {
            house.exchange(&query).unwrap();
        }
        dnstap(&house, &[])
            .1
            .contains("the length that it may have")
            .then_some(())
    });
    let length = fs::metadata(house.path("queries.log")).unwrap().len();
    assert!(length <= 1_000_000, "{length}");
    // It stays so when it is tried again, after a second, and nobody asks: strangers could make
    // the log grow else.
    let begun = clock::mono();
    while clock::mono().since(begun) < Duration::from_millis(2500) {
        let said = dnstap(&house, &[]).1;
        assert!(said.contains("the length that it may have"), "{said}");
    }
    assert!(!house.log().contains("dnstap is written again"));
    house.served();
}

#[test]
fn without_a_place_to_write_to_the_verb_says_what_is_missing() {
    let mut house = House::build("");
    house.serve();
    let (well, said) = dnstap(&house, &["on"]);
    assert!(
        !well && said.contains("there is no [dnstap] in the configuration"),
        "{said}"
    );
}
