//! Calls over HTTP, made by the real runner.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};
use switchback::failover::{HookCall, HookEnd, HookOutcome};
use switchback::hook::{RunKey, RunnerEvent};
use switchback::ids::OperationId;
use switchback::runbook::{Call, Word, Work};

use super::house::{House, call};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

/// A call of this address, with its token in a file.
fn calls(house: &House, at: SocketAddr) -> HookCall {
    std::fs::write(house.path("token"), "Bearer s3cr3t-token\n").unwrap();
    let file = house.path("token").display().to_string();
    HookCall {
        work: Work::Call(Box::new(Call {
            method: "POST".to_owned(),
            url: format!("http://{at}/route"),
            headers: vec![("Authorization".to_owned(), Word::File(file))],
            secret_file: None,
            ca_file: None,
            expect: Vec::new(),
        })),
        ..call(1, &[])
    }
}

/// Answers one request on a thread of its own, which gives back what was asked.
fn answer(listener: TcpListener, text: &'static str) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        let mut piece = [0; 4096];
        while !asked.contains("\r\n\r\n") || !asked.ends_with('}') {
            let size = stream.read(&mut piece).unwrap();
            assert!(size > 0, "the request broke off: {asked}");
            asked.push_str(&String::from_utf8_lossy(&piece[..size]));
        }
        stream.write_all(text.as_bytes()).unwrap();
        asked
    })
}

async fn run(house: &mut House, call: HookCall) -> HookEnd {
    house.runner.run(call).await.unwrap();
    house.ended().await
}

#[tokio::test]
async fn a_call_carries_what_a_program_is_told_and_its_status_decides() {
    let mut house = House::new().await;
    let (far_end, at) = listener();
    let asked = answer(
        far_end,
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nset it\x1b\n",
    );
    let end = {
        let call = calls(&house, at);
        run(&mut house, call).await
    };
    assert_eq!(end.outcome, HookOutcome::Done);
    assert_eq!(
        end.output,
        format!("POST http://{at}/route: status 200\nset it\\u{{1b}}\n")
    );
    let asked = asked.join().unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("authorization: Bearer s3cr3t-token")
            || head.contains("Authorization: Bearer s3cr3t-token"),
        "{head}"
    );
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["step"], json!("stop services"));
    assert_eq!((&body["fence"], &body["attempt"]), (&json!(42), &json!(1)));
}

#[tokio::test]
async fn each_failure_of_a_call_has_its_line_and_tells_no_secret() {
    let mut house = House::new().await;
    let answers = [
        ("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (
            "HTTP/1.1 307 No\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
            "status 307, a redirect to /there, which is not followed: write the final address",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
            "the answer broke off or is no HTTP: ",
        ),
    ];
    for (operation, (text, why)) in (1..).zip(answers) {
        let (far_end, at) = listener();
        let asked = answer(far_end, text);
        let mut call = calls(&house, at);
        call.operation = OperationId(operation);
        let end = run(&mut house, call).await;
        asked.join().unwrap();
        let HookOutcome::Refused(said) = end.outcome else {
            panic!("{:?}", end.outcome)
        };
        assert!(said.starts_with(why), "{said}");
        assert!(!end.output.contains("s3cr3t"), "{}", end.output);
    }
    let mut call = calls(&house, listener().1);
    std::fs::remove_file(house.path("token")).unwrap();
    call.operation = OperationId(9);
    let end = run(&mut house, call).await;
    assert!(matches!(end.outcome, HookOutcome::NotStarted(why) if why.contains("cannot be read")));
}

#[tokio::test]
async fn a_far_end_that_says_nothing_delays_no_other_and_can_be_abandoned() {
    let mut house = House::new().await;
    let (_silent, at) = listener();
    let mut slow = calls(&house, at);
    (slow.operation, slow.timeout) = (OperationId(100), Duration::from_secs(20));
    let key = RunKey::of(&slow);
    house.runner.run(slow).await.unwrap();
    let mut other = calls(&house, at);
    (other.operation, other.timeout) = (OperationId(200), Duration::from_millis(200));
    let end = run(&mut house, other).await;
    assert_eq!(
        end.outcome,
        HookOutcome::Refused("timed out without an answer".to_owned())
    );
    assert_eq!(
        house.run_script("echo meanwhile").await.output,
        "meanwhile\n"
    );
    house.runner.abandon(OperationId(100)).await;
    let RunnerEvent::Ended { key: ended, end } = house.event().await else {
        panic!("its end")
    };
    assert_eq!(ended, key);
    let why = "its operation was given up before it answered";
    assert_eq!(end.outcome, HookOutcome::Refused(why.to_owned()));
}
