//! Steps that fail on the way: a program that has gone since it was checked, and far ends that misbehave.
//! Each has its own line in `show`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::house::{House, eventually};
use crate::standing::write_hook;

/// Fails over with this runbook, until it stands or is taken back; what `show` says of it then.
fn shown(house: &mut House) -> String {
    house.close(0);
    eventually("its runbook halts", || {
        house.status()["services"][0]["halted"]
            .is_object()
            .then_some(())
    });
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    let said = house.switchback(&["show", "op-0"]);
    String::from_utf8(said.stdout).unwrap()
}

fn with_a_hook() -> House {
    let mut house = House::build("");
    write_hook(&house, "route");
    house.write("ok", "");
    let steps = "[[service.step]]\nname = \"route\"\nrun = [\"./route\"]\n\
                 [[service.step]]\npublish = true\n";
    house.write("switchback.toml", &house.config(steps));
    let checked = house.switchback(&["check"]);
    assert!(checked.status.success(), "{checked:?}");
    house.serve();
    house
}

#[test]
fn a_hook_that_is_deleted_after_it_was_checked_has_its_line() {
    let mut house = with_a_hook();
    fs::remove_file(house.path("route")).unwrap();
    let said = shown(&mut house);
    assert!(said.contains("not started: "), "{said}");
    assert!(said.contains("No such file"), "{said}");
}

#[test]
fn a_hook_that_may_not_be_executed_any_more_has_its_line() {
    let mut house = with_a_hook();
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(house.path("route"), mode).unwrap();
    let said = shown(&mut house);
    assert!(said.contains("not started: "), "{said}");
    assert!(said.contains("ermission denied"), "{said}");
}

/// Answers each request in this way, as long as the test lives.
fn far_end(answer: fn(&mut TcpStream)) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            answer(&mut stream);
        }
    });
    at
}

fn calls(answer: fn(&mut TcpStream)) -> String {
    let mut house = House::build("");
    let at = far_end(answer);
    let steps = format!(
        "[[service.step]]\nname = \"route\"\ncall = {{ url = \"http://{at}/route\" }}\ntimeout = \"1s\"\n\
         [[service.step]]\npublish = true\n"
    );
    house.write("switchback.toml", &house.config(&steps));
    house.serve();
    shown(&mut house)
}

#[test]
fn far_ends_that_fail_redirect_or_trickle_have_their_lines() {
    let said = calls(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    });
    assert!(said.contains("status 500"), "{said}");

    let said = calls(|stream| {
        let _ =
            stream.write_all(b"HTTP/1.1 307 No\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    });
    assert!(
        said.contains("a redirect to /there, which is not followed"),
        "{said}"
    );

    let said = calls(|stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        let mut sent = stream.write_all(head);
        while sent.is_ok() {
            sent = stream.write_all(b"x");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    assert!(
        said.contains("timed out in the middle of the answer"),
        "{said}"
    );
}
