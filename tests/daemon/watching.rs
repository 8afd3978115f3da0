//! `status --watch` on a terminal, which `script` (util-linux) lends, and where there is none.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::house::House;

#[test]
fn watching_ends_with_q_and_leaves_the_terminal_as_it_was() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("left out: there is no script(1) to lend a terminal");
        return;
    }
    let mut house = House::build("");
    house.serve();
    let config = house.path("switchback.toml");
    let watch = format!(
        "trap : INT; stty rows 12 cols 60; {} status --watch --config {}; \
         echo \"ended $?\"; stty -a | grep -o '.echo '",
        env!("CARGO_BIN_EXE_switchback"),
        config.display()
    );
    for end in ["q", "\x03"] {
        let mut script = Command::new("script")
            .args(["-qfc", &watch, "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut terminal = script.stdin.take().unwrap();
        let mut screen = script.stdout.take().unwrap();
        let mut shown = String::new();
        let mut octets = [0; 4096];
        // The page, cut to the screen.
        while !shown.contains("pool edgepool1") {
            let read = screen.read(&mut octets).unwrap();
            assert!(read > 0, "{shown}");
            shown += &String::from_utf8_lossy(&octets[..read]);
        }
        terminal.write_all(end.as_bytes()).unwrap();
        screen.read_to_string(&mut shown).unwrap();
        assert!(script.wait().unwrap().success());
        assert!(shown.contains("\x1b[?1049h\x1b[?25l"), "{shown}");
        assert!(shown.contains("lines 1 to 10 of"), "{shown}");
        let (_, after) = shown
            .rsplit_once("\x1b[?25h\x1b[?1049l")
            .expect("given back");
        assert!(after.contains("ended "), "{after}");
        let echo = |text: &str| text.contains(" echo ") && !text.contains("-echo ");
        assert!(echo(after), "keys are shown again: {after:?}");
    }
}

#[test]
fn without_a_terminal_it_says_so_and_shows_the_status_once() {
    let mut house = House::build("");
    house.serve();
    let output = house.switchback(&["status", "--watch"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("are no terminal; here is the status, once"),
        "{said}"
    );
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        page.contains("pool edgepool1") && !page.contains('\x1b'),
        "{page}"
    );
}
