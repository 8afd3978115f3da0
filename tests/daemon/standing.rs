//! A runbook that stands, and an operator's way out of it, with real hooks and calls.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::house::{House, eventually};

/// A hook that writes down each run, and succeeds while the file `ok` is there.
pub(crate) fn write_hook(house: &House, name: &str) {
    let here = house.path("").display().to_string();
    let script = format!(
        "#!/bin/sh\ncd {here}\nword={name}; [ $SWITCHBACK_UNDO = 1 ] && word=-{name}\n\
         echo \"$word ${{SWITCHBACK_SERVER:-}}\" >> journal\n\
         [ -e ok ] || {{ echo \"no ok for {name}\"; exit 7; }}\n"
    );
    house.write(name, &script);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(house.path(name), executable).unwrap();
}

/// The runs so far.
pub(crate) fn journal(house: &House) -> Vec<String> {
    let text = fs::read_to_string(house.path("journal")).unwrap_or_default();
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

const STEPS: &str = r#"
[[service.step]]
name = "stop"
run  = ["./stop"]
each = "server"
undo = ["./stop"]
[[service.step]]
name       = "set route"
run        = ["./route"]
undo       = ["./route"]
on_failure = "halt"
retries    = 1
backoff    = "100ms"
[[service.step]]
publish = true
"#;

/// Stands at its second step, which has failed twice.
fn stands() -> House {
    let mut house = House::build("");
    house.write("switchback.toml", &house.config(""));
    write_hook(&house, "route");
    write_hook(&house, "stop");
    let stop = fs::read_to_string(house.path("stop")).unwrap();
    house.write("stop", &stop.replace("[ -e ok ] ||", "true ||"));
    house.write("switchback.toml", &house.config(STEPS));
    house.serve();
    house.close(0);
    eventually("it stands", || {
        house.status()["services"][0]["halted"]
            .is_object()
            .then_some(())
    });
    assert_eq!(
        journal(&house),
        ["stop edge2.contoso.test", "route", "route"]
    );
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    house
}

fn say(house: &House, words: &[&str]) -> (Option<i32>, String) {
    let output = house.switchback(words);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

const SERVICE: &str = "xmpp-federation";

#[test]
fn status_says_what_may_be_done_and_each_of_it_can_be() {
    let house = stands();
    let (code, page) = say(&house, &["status"]);
    assert_eq!(code, Some(1));
    for line in [
        "set route failed: exit code 7; nothing was taken back: is it to go on?",
        "\"set route\" was done: switchback skip xmpp-federation 'set route'",
        "run \"set route\" again: switchback retry xmpp-federation",
        "take back what was done: switchback abort xmpp-federation",
        "all is put right by hand: switchback resume xmpp-federation",
        "no ok for route",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let (code, said) = say(&house, &["skip", SERVICE, "stop"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("it is asked about: set route"), "{said}");

    let (code, said) = say(&house, &["retry", SERVICE]);
    assert_eq!(code, Some(1), "it fails again, twice: {said}");
    house.write("ok", "");
    let (code, said) = say(&house, &["retry", SERVICE, "--reason", "ssh works again"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("goes on; once more: set route"), "{said}");
    assert_eq!(journal(&house)[3..], ["route", "route", "route"]);
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    assert!(house.log().contains("ssh works again"));
    assert!(house.status()["services"][0]["halted"].is_null());
    let (code, said) = say(&house, &["retry", SERVICE]);
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn what_a_person_has_done_counts_as_done() {
    let house = stands();
    let (code, said) = say(&house, &["skip", SERVICE, "set route", "--author", "ann"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(journal(&house).len(), 3, "nothing ran again");
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    let steps = house.status()["services"][0]["operation"]["steps"].clone();
    let told = steps[1]["output_tail"].as_str().unwrap().to_owned();
    assert!(
        told.starts_with("ann") && told.ends_with("says that it was done"),
        "{told}"
    );
}

#[test]
fn an_abort_says_what_it_takes_back_and_resume_ends_it() {
    let mut house = stands();
    house.write("ok", "");
    let (code, said) = say(&house, &["abort", SERVICE, "--reason", "the wrong pool"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("is taken back: set route, stop on edge2.contoso.test."),
        "{said}"
    );
    assert_eq!(journal(&house)[3..], ["-route", "-stop edge2.contoso.test"]);
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    house.open(0);
    eventually("the first pool is up", || {
        (house.status()["pools"][0]["health"] == "up").then_some(())
    });
    let (code, said) = say(&house, &["resume", SERVICE]);
    assert_eq!(code, Some(0), "{said}");
    assert!(house.status()["services"][0]["halted"].is_null());
}

#[test]
fn a_call_moves_the_route_and_is_told_who_and_why() {
    let mut house = House::build("");
    let far_end = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = far_end.local_addr().unwrap();
    house.write("secret", "0123456789abcdef0123456789abcdef\n");
    let steps = format!(
        "[[service.step]]\nname = \"route\"\ncall = {{ url = \"http://{at}/route\", secret_file = \"secret\" }}\n\
         retries = 1\nbackoff = \"100ms\"\n[[service.step]]\npublish = true\n"
    );
    house.write("switchback.toml", &house.config(&steps));
    let server = std::thread::spawn(move || {
        // The first attempt is refused, the second is taken.
        ["500 Not now", "200 OK"].map(|status| {
            let (mut stream, _) = far_end.accept().unwrap();
            let mut asked = String::new();
            let mut piece = [0; 4096];
            while !asked.ends_with('}') {
                let size = stream.read(&mut piece).unwrap();
                assert!(size > 0, "the request broke off: {asked}");
                asked.push_str(&String::from_utf8_lossy(&piece[..size]));
            }
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        })
    });
    house.serve();
    house.close(0);
    house.serves(["edge2", "edge1"]);
    let asked = server.join().unwrap();
    for (number, asked) in (1..).zip(&asked) {
        assert!(asked.contains(&format!("\"attempt\":{number}")), "{asked}");
        assert!(asked.contains("webhook-signature: v1,"), "{asked}");
        assert!(asked.contains("webhook-id: op-0.0\r\n"), "{asked}");
    }
    assert!(!house.log().contains("0123456789abcdef"));
}
