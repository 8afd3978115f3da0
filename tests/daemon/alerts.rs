//! Alerts: what people are told, and that nobody waits for them.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use crate::far_end::{Seen, server, takes};
use crate::house::{House, eventually};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn said(house: &House, name: &str) -> Value {
    let status = house.status();
    let alerts = status["alerts"].as_array().cloned().unwrap_or_default();
    let found = alerts.into_iter().find(|alert| alert["name"] == name);
    found.unwrap_or_default()
}

fn alert(name: &str, at: SocketAddr, more: &str) -> String {
    format!("[[alert]]\nname = \"{name}\"\ncall = {{ url = \"http://{at}/hook\"{more} }}\n")
}

#[test]
fn receivers_that_hang_and_trickle_delay_their_own_alerts_and_no_failover() {
    // The far ends live as long as the test: nobody closes what hangs.
    let (hangs, hung) = server(|_, stream| {
        let stream = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let _ = (&stream).read(&mut [0]);
        });
    });
    let (trickles, _) = server(|_, stream| {
        let mut stream = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
            let mut sent = stream.write_all(head);
            while sent.is_ok() {
                sent = stream.write_all(b"x");
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
    });
    let (good, told) = server(|_, stream| takes(stream));
    let mut house = House::build("");
    let alerts = alert("hangs", hangs, "")
        + "timeout = \"5m\"\n"
        + &alert("trickles", trickles, "")
        + "timeout = \"500ms\"\n"
        + &alert("good", good, "")
        + "on = [\"failover\"]\n";
    house.write("switchback.toml", &house.config(&alerts));
    house.serve();
    house.close(0);
    house.serves(["edge2", "edge1"]);
    house.open(0);
    eventually("the first pool is up again", || {
        (house.status()["pools"][0]["health"] == "up").then_some(())
    });
    let back = house.switchback(&["failback", "xmpp-federation"]);
    assert!(back.status.success(), "{back:?}");
    house.serves(["edge1", "edge2"]);
    // The first alert is on its way there still, and all others wait behind it.
    eventually("everything waits for the one that hangs", || {
        let hangs = said(&house, "hangs");
        (hangs["waiting"].as_u64()? >= 5 && hangs["delivered"] == 0).then_some(())
    });
    assert_eq!(hung.lock().unwrap().len(), 1);
    eventually("the one that trickles is told apart", || {
        let problem = said(&house, "trickles")["problem"].as_str()?.to_owned();
        problem
            .contains("in the middle of the answer (status 200")
            .then_some(())
    });
    told_of_two_moves(&house, good, &told);
}

/// Each with its beginning and its end, in order.
fn told_of_two_moves(house: &House, at: SocketAddr, told: &Mutex<Vec<Seen>>) {
    eventually("the good one has been told", || {
        let told = told.lock().unwrap();
        let bodies: Vec<Value> = told.iter().map(Seen::body).collect();
        let severities: Vec<&str> = bodies
            .iter()
            .filter_map(|it| it["severity"].as_str())
            .collect();
        (severities == ["notice", "resolved", "notice", "resolved"]).then_some(())
    });
    let first = told.lock().unwrap()[0].body();
    assert_eq!(
        (first["version"].as_u64(), first["topic"].as_str()),
        (Some(1), Some("failover"))
    );
    assert_eq!(
        (first["service"].as_str(), first["pool"].as_str()),
        (Some("xmpp-federation"), Some("edgepool2"))
    );
    assert!(
        first["operation"].is_u64()
            && first["at"].is_u64()
            && !first["host"].as_str().unwrap().is_empty()
    );
    assert_eq!(said(house, "good")["delivered"], 4);
    assert_eq!(
        said(house, "good")["to"],
        format!("http://{at}"),
        "the path may be a secret"
    );
}

/// What openssl makes of the signed octets.
fn openssl(house: &House, text: &str) -> Option<String> {
    let key = Command::new("sh")
        .args([
            "-c",
            &format!(
                "printf %s {} | base64 -d | od -An -v -tx1 | tr -d ' \\n'",
                &SECRET[6..]
            ),
        ])
        .output()
        .ok()?;
    let key = String::from_utf8(key.stdout).ok()?;
    house.write("signed", text);
    let output = Command::new("sh")
        .args([
            "-c",
            "openssl dgst -sha256 -mac HMAC -macopt \"hexkey:$0\" -binary \"$1\" | base64 -w0",
            &key,
        ])
        .arg(house.path("signed"))
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).unwrap()).filter(|signature| !signature.is_empty())
}

#[test]
fn what_fails_comes_again_as_the_same_message_and_is_signed() {
    let (at, seen) = server(|number, stream| {
        let answer: &[u8] = match number {
            0 => b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
            1 => b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        let _ = stream.write_all(answer);
    });
    let mut house = House::build("");
    house.write("secret", SECRET);
    let call = ", secret_file = \"secret\", headers = { X-Team = \"edges\" }";
    let text = alert("oncall", at, call) + "on = [\"health\"]\n";
    house.write("switchback.toml", &house.config(&text));
    house.serve();
    house.close(1);
    eventually("it is told in the end", || {
        let state = said(&house, "oncall");
        (state["delivered"] == 1 && state["failing_since"].is_null()).then_some(())
    });
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    for request in &seen {
        assert_eq!(request.text, seen[0].text, "the same message");
        assert_eq!(request.topic(), "health");
        let field = |name: &str| request.headers[name].as_str();
        assert_eq!(
            (field("content-type"), field("x-team")),
            ("application/json", "edges")
        );
        assert_eq!(field("webhook-id"), request.body()["id"].as_str().unwrap());
        let (id, time) = (field("webhook-id"), field("webhook-timestamp"));
        let Some(theirs) = openssl(&house, &format!("{id}.{time}.{}", request.text)) else {
            eprintln!("left out: the signature, because openssl is not installed");
            continue;
        };
        assert_eq!(field("webhook-signature"), format!("v1,{theirs}"));
    }
    let log = house.log();
    assert!(
        log.contains("alert oncall cannot be delivered, it is tried again: status 500"),
        "{log}"
    );
    assert!(log.contains("alert oncall can be delivered again"), "{log}");
}

#[test]
fn a_program_is_told_by_its_environment_and_its_input_and_a_reload_changes_who_is_told() {
    let mut house = House::build("");
    let here = house.path("").display().to_string();
    let script = format!(
        "#!/bin/sh\necho \"$SWITCHBACK_SEVERITY $SWITCHBACK_TOPIC $SWITCHBACK_SERVICE\" >> {here}/told\n\
         cat > {here}/input.$SWITCHBACK_TOPIC\n"
    );
    house.write("page", &script);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(house.path("page"), executable).unwrap();
    let text = "[[alert]]\nname = \"page\"\nrun = [\"./page\"]\non = [\"failover\"]\n\
                [[alert]]\nname = \"stuck\"\nrun = [\"/bin/sleep\", \"1000\"]\ntimeout = \"200ms\"\n";
    house.write("switchback.toml", &house.config(text));
    house.serve();
    house.close(0);
    house.serves(["edge2", "edge1"]);
    eventually("the program ran for both", || {
        (said(&house, "page")["delivered"] == 2).then_some(())
    });
    let told = std::fs::read_to_string(house.path("told")).unwrap();
    assert_eq!(
        told,
        "notice failover xmpp-federation\nresolved failover xmpp-federation\n"
    );
    let input = std::fs::read_to_string(house.path("input.failover")).unwrap();
    let input: Value = serde_json::from_str(&input).unwrap();
    assert!(
        input["text"].as_str().unwrap().contains("completed"),
        "{input}"
    );
    eventually("the one that does not end is killed", || {
        let problem = said(&house, "stuck")["problem"].as_str()?.to_owned();
        problem
            .contains("its process group was killed")
            .then_some(())
    });
    house.write("switchback.toml", &house.config(""));
    let (taken, why) = house.reload();
    assert!(taken, "{why}");
    assert_eq!(house.status()["alerts"], Value::Array(Vec::new()));
}

/// Until this many have come, in order: the topic, the severity, and words of the text of each.
fn were_told(told: &Mutex<Vec<Seen>>, all: &[(&str, &str, &str)]) {
    eventually(&format!("they are told {all:?}"), || {
        (told.lock().unwrap().len() >= all.len()).then_some(())
    });
    let told = told.lock().unwrap();
    assert_eq!(told.len(), all.len(), "{told:?}");
    for (seen, (topic, severity, words)) in told.iter().zip(all) {
        let body = seen.body();
        assert_eq!(
            (&body["topic"], &body["severity"]),
            (&(*topic).into(), &(*severity).into())
        );
        assert!(body["text"].as_str().unwrap().contains(words), "{body}");
    }
}

#[test]
fn people_are_asked_for_their_word_and_told_that_it_was_said() {
    let (at, told) = server(|_, stream| takes(stream));
    let mut house = House::build("");
    let text =
        "mode = \"approve\"\n".to_owned() + &alert("oncall", at, "") + "on = [\"approval\"]\n";
    house.write("switchback.toml", &house.config(&text));
    house.serve();
    house.close(0);
    let asked = ("approval", "alarm", "to edgepool2 WAITS FOR APPROVAL");
    were_told(&told, &[asked]);
    let first = told.lock().unwrap()[0].body();
    let operation = format!("op-{}", first["operation"]);
    let how = format!("switchback approve {operation}");
    assert!(first["text"].as_str().unwrap().contains(&how), "{first}");
    let approve = ["approve", &operation, "--author", "ann", "--reason", "go"];
    let approved = house.switchback(&approve);
    assert!(approved.status.success(), "{approved:?}");
    let answered = ("approval", "resolved", "to edgepool2 approved by ann");
    were_told(&told, &[asked, answered]);
    let last = told.lock().unwrap()[1].body();
    assert_eq!(
        (&last["operation"], &last["pool"]),
        (&first["operation"], &"edgepool2".into())
    );
}

#[test]
fn people_are_told_that_the_state_cannot_be_recorded_and_when_it_can_again() {
    let (at, told) = server(|_, stream| takes(stream));
    let mut house = House::build("");
    let text = alert("oncall", at, "") + "on = [\"store\"]\n";
    house.write("switchback.toml", &house.config(&text));
    house.serve();
    house.limit_files(Some(1));
    house.close(0);
    house.serves(["edge2", "edge1"]);
    let failed = (
        "store",
        "alarm",
        "the state cannot be recorded, no hook runs",
    );
    were_told(&told, &[failed]);
    house.limit_files(None);
    let again = ("store", "resolved", "the state can be recorded again");
    were_told(&told, &[failed, again]);
}
