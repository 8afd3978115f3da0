//! Under a service manager: what it is told, when the watchdog is fed, and the unit itself.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use switchback::clock;

use crate::house::{House, eventually, zone};

/// The end of the socket that a service manager has.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn of(house: &House) -> Manager {
        let path = house.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let path = path.display().to_string();
        Manager { socket, path }
    }

    /// The same at an abstract address, which the daemon's sandbox opens no way to.
    fn abstract_of(house: &House) -> Manager {
        let name = house.path("notify").display().to_string();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let path = format!("@{name}");
        Manager { socket, path }
    }

    /// The next words, if there are any.
    fn next(&self) -> Option<String> {
        let mut words = [0; 1024];
        match self.socket.recv(&mut words) {
            Ok(length) => Some(String::from_utf8(words[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes words until these come; returns those before.
    fn hears(&self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        eventually(&format!("it is told {wanted}"), || {
            while let Some(words) = self.next() {
                if words.starts_with(wanted) {
                    return Some(());
                }
                before.push(words);
            }
            None
        });
        before
    }
}

#[test]
fn it_is_ready_once_it_answers_and_says_how_things_stand_when_it_reloads_and_when_it_ends() {
    let mut house = House::build("");
    let manager = Manager::of(&house);
    house.serve_with(&[], &[("NOTIFY_SOCKET", &manager.path)]);
    let before = manager.hears("READY=1");
    let left = |words: &String| words.starts_with("FDSTORE");
    assert!(
        before.iter().all(left),
        "nothing else comes before it: {before:?}"
    );
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    let generation = house.status()["generation"].as_u64().unwrap();
    manager.hears(&format!("STATUS=generation {generation}, services: 1"));

    let boot = || clock::since_boot().as_micros();
    let earlier = boot();
    house.write("contoso.test.zone", &zone(2, "192.0.2.99"));
    house.hang_up();
    let mut reloading = String::new();
    eventually("it says that it reloads", || {
        reloading = manager.next()?;
        reloading.starts_with("RELOADING=1").then_some(())
    });
    let at = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    let at: u128 = at.parse().unwrap();
    assert!((earlier..=boot()).contains(&at), "{earlier} {at}");
    manager.hears("READY=1");
    assert_eq!(house.www().to_string(), "192.0.2.99");

    // A refused reload ends too; the service manager would wait for it for ever.
    house.write("contoso.test.zone", "nonsense\n");
    assert!(!house.reload().0);
    manager.hears("RELOADING=1");
    manager.hears("READY=1");

    house.stop();
    let before = manager.hears("STOPPING=1");
    assert!(
        before.iter().all(|words| words.starts_with("STATUS=")),
        "{before:?}"
    );
    assert_eq!(manager.next(), None);
}

#[test]
fn a_socket_that_nobody_has_keeps_no_query_from_its_answer() {
    let mut house = House::build("");
    let nobody = house.path("nobody").display().to_string();
    house.serve_with(&[], &[("NOTIFY_SOCKET", &nobody)]);
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    let said = format!("ERROR NOTIFY_SOCKET {nobody}: No such file");
    assert!(house.log().contains(&said), "{}", house.log());
}

/// Stops the thread in which the core runs, the first of the process, and no other.
fn hang_the_core(house: &House) -> Option<Pid> {
    let core = Pid::from_raw(house.pid().parse().unwrap());
    if let Err(errno) = ptrace::seize(core, ptrace::Options::empty()) {
        eprintln!("left out: a thread may not be stopped here ({errno})");
        return None;
    }
    ptrace::interrupt(core).unwrap();
    waitpid(core, Some(WaitPidFlag::__WALL)).unwrap();
    Some(core)
}

#[test]
fn the_watchdog_is_fed_by_the_core_that_goes_round_and_not_while_it_hangs() {
    let mut house = House::build("");
    let manager = Manager::of(&house);
    let watchdog = [
        ("NOTIFY_SOCKET", &*manager.path),
        ("WATCHDOG_USEC", "200000"),
    ];
    house.serve_with(&[], &watchdog);
    manager.hears("READY=1");
    for _ in 0..5 {
        manager.hears("WATCHDOG=1");
    }
    let Some(core) = hang_the_core(&house) else {
        return;
    };
    while manager.next().is_some() {}
    // All other threads live: queries are answered, and time passes for the timers.
    let hangs = clock::mono();
    while clock::mono().since(hangs) < Duration::from_secs(2) {
        assert_eq!(house.served().order, ["edge1", "edge2"]);
        assert_eq!(manager.next(), None, "the core hangs");
    }
    ptrace::detach(core, None).unwrap();
    manager.hears("WATCHDOG=1");
}

#[test]
fn a_watchdog_that_waits_for_another_process_is_not_fed() {
    let mut house = House::build("");
    let manager = Manager::abstract_of(&house);
    let other = std::process::id().to_string();
    let environment = [
        ("NOTIFY_SOCKET", &*manager.path),
        ("WATCHDOG_USEC", "100000"),
        ("WATCHDOG_PID", &other),
    ];
    house.serve_with(&[], &environment);
    manager.hears("READY=1");
    house.close(0);
    house.serves(["edge2", "edge1"]);
    house.stop();
    let words = manager.hears("STOPPING=1");
    assert!(
        !words.iter().any(|words| words == "WATCHDOG=1"),
        "{words:?}"
    );
}

#[test]
fn the_unit_is_valid_and_little_exposed() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/switchback.service");
    let text = std::fs::read_to_string(unit).unwrap();
    // What is checked is the unit, with the program where it was built.
    let house = House::build("");
    let text = text.replace("/usr/bin/switchback", env!("CARGO_BIN_EXE_switchback"));
    house.write("switchback.service", &text);
    let unit = house.path("switchback.service");
    let analyze = |words: &[&str]| {
        Command::new("systemd-analyze")
            .args(words)
            .arg(&unit)
            .output()
    };
    let verified = match analyze(&["verify", "--man=no"]) {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("left out: there is no systemd-analyze here");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");

    let security = analyze(&["security", "--offline=true", "--no-pager"]).unwrap();
    let said = String::from_utf8_lossy(&security.stdout);
    let score = said
        .rsplit_once("Overall exposure level for switchback.service: ")
        .and_then(|(_, score)| score.split(' ').next()?.parse::<f64>().ok());
    assert!(score.is_some_and(|score| score < 2.0), "{said}");
}
