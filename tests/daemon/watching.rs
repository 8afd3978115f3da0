//! `status --watch` on a terminal, which `script` (util-linux) lends, and where there is none.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use switchback::clock;

use crate::house::House;

/// Nothing that should be on the screen takes longer.
const BOUND: Duration = Duration::from_secs(20);

/// A pseudo-terminal of 12 rows and 60 columns with `status --watch` in its foreground.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    /// All that was written to it.
    shown: String,
}

impl Terminal {
    /// `None`: there is nobody to lend one, which has been said.
    fn watching(house: &House) -> Option<Terminal> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("left out: there is no script(1) to lend a terminal");
            return None;
        }
        let watch = format!(
            "trap : INT; echo \"at $(tty) .\"; stty rows 12 cols 60; \
             sh -c 'echo \"pid $$ .\"; exec {} status --watch --config {}'; \
             echo \"ended $?\"; stty -a | grep -oE '.(echo|icanon) '",
            env!("CARGO_BIN_EXE_switchback"),
            house.path("switchback.toml").display()
        );
        let mut script = Command::new("script")
            .args(["-qfc", &watch, "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keys, screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let mut terminal = Terminal {
            script,
            keys,
            screen,
            shown: String::new(),
        };
        terminal.until(|shown| shown.contains("pool edgepool1"));
        Some(terminal)
    }

    /// Reads on until it is so of what is shown from here on.
    fn until(&mut self, is_so: impl Fn(&str) -> bool) {
        let (begun, from) = (clock::mono(), self.shown.len());
        let mut octets = [0; 4096];
        while !is_so(&self.shown[from..]) {
            let read = self.screen.read(&mut octets).unwrap();
            assert!(read > 0, "{}", self.shown);
            assert!(clock::mono().since(begun) < BOUND, "{}", self.shown);
            self.shown += &String::from_utf8_lossy(&octets[..read]);
        }
    }

    /// The word behind this one.
    fn word(&self, before: &str) -> &str {
        let (_, rest) = self.shown.split_once(before).unwrap();
        rest.split_once(" .").unwrap().0
    }

    fn signal(&self, signal: &str) {
        let kill = Command::new("kill")
            .args([signal, self.word("pid ")])
            .status();
        assert!(kill.unwrap().success());
    }

    /// The terminal gets another size, of which its foreground hears by SIGWINCH.
    fn resize(&self, rows: &str, columns: &str) {
        let tty = self.word("at ");
        let stty = Command::new("stty")
            .args(["-F", tty, "rows", rows, "cols", columns])
            .status();
        assert!(stty.unwrap().success());
    }

    /// It has ended with this code: the cursor and the screen are there again, keys are shown and
    /// come by the line.
    fn was_given_back(mut self, code: i32) {
        self.screen.read_to_string(&mut self.shown).unwrap();
        assert!(self.script.wait().unwrap().success());
        assert!(
            self.shown.contains("\x1b[?1049h\x1b[?25l"),
            "{}",
            self.shown
        );
        let given_back = self.shown.rsplit_once("\x1b[?25h\x1b[?1049l");
        let (_, after) = given_back.expect("given back");
        assert!(after.contains(&format!("ended {code}\r\n")), "{after}");
        for mode in ["echo", "icanon"] {
            let on = after.contains(&format!(" {mode} "));
            assert!(on && !after.contains(&format!("-{mode} ")), "{after:?}");
        }
    }
}

/// A daemon that is well.
fn house() -> House {
    let mut house = House::build("");
    house.serve_well();
    house
}

#[test]
fn watching_ends_with_a_key_or_a_signal_and_leaves_the_terminal_as_it_was() {
    let house = house();
    type End = fn(&mut Terminal);
    let keys: [End; 2] = [
        |terminal| terminal.keys.write_all(b"q").unwrap(),
        |terminal| terminal.keys.write_all(b"\x03").unwrap(),
    ];
    let signals: [End; 3] = [
        |terminal| terminal.signal("-INT"),
        |terminal| terminal.signal("-TERM"),
        |terminal| terminal.signal("-HUP"),
    ];
    for end in keys.into_iter().chain(signals) {
        let Some(mut terminal) = Terminal::watching(&house) else {
            return;
        };
        // The page, cut to the screen.
        terminal.until(|shown| shown.contains("lines 1 to 10 of"));
        end(&mut terminal);
        terminal.was_given_back(0);
    }
}

#[test]
fn whoever_watches_a_daemon_that_has_gone_is_told_and_its_end_says_so() {
    let mut house = house();
    let Some(mut terminal) = Terminal::watching(&house) else {
        return;
    };
    house.kill();
    terminal.until(|shown| shown.contains("NO ANSWER for"));
    terminal.signal("-TERM");
    terminal.was_given_back(1);
}

#[test]
fn a_terminal_that_gets_another_size_gets_another_page() {
    let house = house();
    let Some(mut terminal) = Terminal::watching(&house) else {
        return;
    };
    terminal.resize("6", "45");
    // A whole page: from one corner to the next.
    let fits = |shown: &str| {
        let mut pages = shown.rsplit("\x1b[H").skip(1);
        pages.next().is_some_and(|page| {
            let lines: Vec<usize> = page.split("\r\n").map(width).collect();
            lines.len() == 6 && lines.iter().all(|width| *width <= 45)
        })
    };
    terminal.until(|shown| shown.contains("lines 1 to 4 of") && fits(shown));
    terminal.resize("60", "100");
    terminal.until(|shown| shown.contains("q ends\x1b"));
    terminal.signal("-TERM");
    terminal.was_given_back(0);
}

/// How many columns a line takes: colours and movements take none.
fn width(line: &str) -> usize {
    let mut chars = line.chars();
    let mut width = 0;
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else if c != '\r' {
            width += 1;
        }
    }
    width
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
