//! From the operator's command to the changed answer on the wire, beside NSD, Knot and gdnsd:
//! `cargo bench --bench changes [-- --rounds N --names N --zones N]`.
//!
//! An SRV set changes the order of its two targets: at switchback by `pin`, which moves the
//! service to its other pool; at the others by a new zone file, written before the time begins, and
//! the command that has it read. The time runs from before the command is started to the first
//! changed answer, asked for without a pause. Each change is put to each server in turn, with a
//! small zone and with a large one. `order` is the same without a command: what switchback's control
//! socket is told. Last, a pool that many zones share is moved. It fails if a change does not come;
//! times are printed and never fail it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "changes/customers.rs"]
mod customers;
#[path = "../tests/shared/programs.rs"]
mod programs;

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use switchback::admin::client::ask;
use switchback::admin::{Claim, Request};
use switchback::clock;
use switchback::zone::Name;
use tempfile::TempDir;

use arguments::{is_bench, number};
use programs::{Process, free_port, installed};

/// No change takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const OWNER: &str = "_xmpp-server._tcp.contoso.test.";

/// One kind of server.
struct Server {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    configure: fn(&Path, u16) -> String,
    /// The command that changes the order, and whether it reads a new zone file.
    change: fn(&Path, usize) -> (&'static str, Vec<String>),
    reads_file: bool,
}

const SERVERS: [Server; 4] = [
    Server {
        name: "switchback",
        program: env!("CARGO_BIN_EXE_switchback"),
        arguments: &["serve", "--config"],
        configure: switchback_config,
        change: |folder, number| {
            let control = folder.join("control.sock").display().to_string();
            let pool = if number.is_multiple_of(2) {
                "one"
            } else {
                "two"
            };
            let command = format!("pin xmpp {pool} --reason measured --no-wait --control");
            let mut words = words(&command);
            words.push(control);
            (env!("CARGO_BIN_EXE_switchback"), words)
        },
        reads_file: false,
    },
    Server {
        name: "gdnsd",
        program: "gdnsd",
        arguments: &["start", "-c"],
        configure: gdnsd_config,
        change: |folder, _| {
            let mut words = words("-c");
            words.extend([folder.display().to_string(), "reload-zones".to_owned()]);
            ("gdnsdctl", words)
        },
        reads_file: true,
    },
    Server {
        name: "NSD",
        program: "nsd",
        arguments: &["-d", "-c"],
        configure: nsd_config,
        change: |folder, _| {
            let config = folder.join("server.conf").display().to_string();
            let mut words = words("-c");
            words.extend([config, "reload".to_owned(), "contoso.test".to_owned()]);
            ("nsd-control", words)
        },
        reads_file: true,
    },
    Server {
        name: "Knot",
        program: "knotd",
        arguments: &["-c"],
        configure: knot_config,
        change: |folder, _| {
            let config = folder.join("server.conf").display().to_string();
            let mut words = words("-c");
            words.extend([config, "zone-reload".to_owned(), "contoso.test".to_owned()]);
            ("knotc", words)
        },
        reads_file: true,
    },
];

/// One that runs.
struct Running {
    server: &'static Server,
    _process: Process,
    socket: UdpSocket,
    folder: TempDir,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn main() -> ExitCode {
    let or = |name: &str, bench: u64, short: u64| {
        let number = number(name).unwrap_or(if is_bench() { bench } else { short });
        usize::try_from(number).unwrap()
    };
    let rounds = or("--rounds", 11, 2).max(1);
    let mut whole = true;
    for names in [0, or("--names", 100_000, 500)] {
        println!(
            "\nzone of {} names: ms from the command to the changed answer",
            names + 5
        );
        println!("{:<12} {:>8} {:>8} {:>8}", "", "median", "least", "most");
        let mut running: Vec<(Running, Vec<Duration>)> = Vec::new();
        for server in &SERVERS {
            match installed(server.program) {
                Some(program) => running.push((server.start(&program, names), Vec::new())),
                None => println!("left out: {} is not installed", server.name),
            }
        }
        for round in 1..=rounds {
            for (one, times) in &mut running {
                match one.change(round, names) {
                    Some(time) => times.push(time),
                    None => {
                        println!("FAULT: {} does not change its answer", one.server.name);
                        whole = false;
                    }
                }
            }
        }
        let switchback = running.iter().find(|(one, _)| !one.server.reads_file);
        let ordered = switchback.map(|(one, _)| one.order(rounds));
        let commanded = running
            .into_iter()
            .map(|(one, times)| (one.server.name, times));
        for (name, mut times) in commanded.chain(ordered.map(|times| ("order", times))) {
            times.sort();
            let (median, least, most) = middle(&times);
            println!("{name:<12} {median:>8.2} {least:>8.2} {most:>8.2}");
        }
    }
    let (few, many) = (or("--few-zones", 1000, 10), or("--zones", 100_000, 100));
    whole &= customers::compare(few, many, rounds);
    if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Server {
    fn start(&'static self, program: &Path, names: usize) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        write_zone(folder.path(), 1, names, self.reads_file);
        let config = folder.path().join("server.conf");
        fs::write(&config, (self.configure)(folder.path(), port)).unwrap();
        // gdnsd takes the folder, whose file `config` it reads.
        let config = match self.name {
            "gdnsd" => {
                fs::rename(&config, folder.path().join("config")).unwrap();
                folder.path().to_owned()
            }
            _ => config,
        };
        let process = Process::start(program, self.arguments, &config, folder.path());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        let running = Running {
            server: self,
            _process: process,
            socket,
            folder,
        };
        let begun = clock::mono();
        while running.first_target().is_none() {
            assert!(
                clock::mono().since(begun) < PATIENCE,
                "{} does not get ready:\n{}",
                self.name,
                fs::read_to_string(running.folder.path().join("output")).unwrap_or_default()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
        running
    }
}

impl Running {
    /// Changes the order, and waits for the answer that shows it. How long that took.
    fn change(&self, round: usize, names: usize) -> Option<Duration> {
        let before = self.first_target()?;
        if self.server.reads_file {
            write_zone(self.folder.path(), round + 1, names, true);
        }
        let (program, arguments) = (self.server.change)(self.folder.path(), round);
        let begun = clock::mono();
        let mut command = Command::new(installed(program)?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut took = None;
        while took.is_none() && clock::mono().since(begun) < PATIENCE {
            let changed = self.first_target().is_some_and(|now| now != before);
            took = changed.then(|| clock::mono().since(begun));
        }
        command.wait().ok()?;
        took
    }

    /// As [`Running::change`], told to the control socket.
    fn order(&self, rounds: usize) -> Vec<Duration> {
        let control = self.folder.path().join("control.sock");
        // The last change that was commanded was that of round `rounds`.
        (rounds + 1..=2 * rounds)
            .filter_map(|round| order(&control, &self.socket, OWNER, round))
            .collect()
    }

    fn first_target(&self) -> Option<String> {
        first_target(&self.socket, OWNER)
    }
}

/// The target that clients take first, by the answer of now.
fn first_target(socket: &UdpSocket, owner: &str) -> Option<String> {
    let mut packet = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let owner: Name = owner.parse().unwrap();
    packet.extend_from_slice(owner.wire());
    packet.extend([0, 33, 0, 1]);
    socket.send(&packet).ok()?;
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).ok()?;
    let message = Message::from_vec(&answer[..length]).ok()?;
    let targets = message.answers.iter().filter_map(|record| {
        let RData::SRV(srv) = &record.data else {
            return None;
        };
        Some((srv.priority, srv.target.to_string()))
    });
    targets.min().map(|(_, target)| target)
}

/// Orders a move, and waits for the answer that shows it. How long that took.
fn order(control: &Path, socket: &UdpSocket, name: &str, round: usize) -> Option<Duration> {
    let before = first_target(socket, name)?;
    let pool = if round.is_multiple_of(2) {
        "one"
    } else {
        "two"
    };
    let request = Request::Pin {
        service: "xmpp".into(),
        pool: pool.into(),
        for_s: None,
        now: true,
        by: Claim {
            author: None,
            reason: Some("measured".to_owned()),
        },
    };
    let begun = clock::mono();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(control, &request));
        let mut took = None;
        while took.is_none() && clock::mono().since(begun) < PATIENCE {
            let changed = first_target(socket, name).is_some_and(|now| now != before);
            took = changed.then(|| clock::mono().since(begun));
        }
        asked.join().ok()?.ok()?;
        took
    })
}

/// Median, least and most of sorted times, in milliseconds.
fn middle(times: &[Duration]) -> (f64, f64, f64) {
    let at = |at: usize| times.get(at).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3);
    (
        at(times.len() / 2),
        at(0),
        at(times.len().saturating_sub(1)),
    )
}

/// Writes the zone with a serial, whose lowest bit says which target comes first.
fn write_zone(folder: &Path, serial: usize, names: usize, with_srv: bool) {
    let mut text = format!(
        "$ORIGIN contoso.test.\n$TTL 300\n@ SOA ns1 hostmaster {serial} 7200 900 1209600 300\n@ NS \
         ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n"
    );
    if with_srv {
        let (one, two) = if serial.is_multiple_of(2) {
            (20, 10)
        } else {
            (10, 20)
        };
        let _ = writeln!(
            text,
            "edge1 A 127.0.0.1\nedge2 A 127.0.0.2\n_xmpp-server._tcp SRV {one} 0 5269 edge1\n\
             _xmpp-server._tcp SRV {two} 0 5269 edge2"
        );
    }
    for at in 0..names {
        let [.., a, b, c] = at.to_be_bytes();
        let _ = writeln!(text, "h{at:06} A 10.{a}.{b}.{c}");
    }
    let zones = folder.join("zones");
    fs::create_dir_all(&zones).unwrap();
    // Renamed, so that whoever reads it sees all of the old one or of the new one.
    let fresh = folder.join("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, zones.join("contoso.test")).unwrap();
}

fn switchback_config(folder: &Path, port: u16) -> String {
    let at = folder.display();
    let mut text = format!(
        "state_dir = \"{at}\"\n[listen]\ndns = [\"127.0.0.1:{port}\"]\ncontrol = \
         \"{at}/control.sock\"\n[[zone]]\norigin = \"contoso.test.\"\nfile = \
         \"{at}/zones/contoso.test\"\n[probe]\nkind = \"tcp\"\nport = 5269\n"
    );
    for (pool, edge, last) in [("one", "edge1", 1), ("two", "edge2", 2)] {
        let _ = writeln!(
            text,
            "[[pool]]\nname = \"{pool}\"\nservers = [{{ name = \"{edge}.contoso.test.\", addresses = \
             [\"127.0.0.{last}\"] }}]"
        );
    }
    let _ = writeln!(
        text,
        "[[service]]\nname = \"xmpp\"\npools = [\"one\", \"two\"]\nrecords = [{{ srv = \"{OWNER}\", \
         port = 5269 }}]"
    );
    text
}

fn gdnsd_config(folder: &Path, port: u16) -> String {
    let at = folder.display();
    format!(
        "options => {{ dns_port = {port}, listen => [ 127.0.0.1 ], udp_threads = 1, tcp_threads = \
         1, run_dir = {at}/run, state_dir = {at}/state }}\n"
    )
}

fn nsd_config(folder: &Path, port: u16) -> String {
    let at = folder.display();
    format!(
        "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{at}/zones\"\n database: \"\"\n pidfile: \"{at}/nsd.pid\"\n xfrdfile: \
         \"{at}/xfrd\"\n zonelistfile: \"{at}/list\"\n logfile: \"{at}/log\"\n server-count: 1\n \
         xfrdir: \"{at}\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: yes\n \
         control-interface: \"{at}/control\"\nzone:\n name: contoso.test\n zonefile: contoso.test\n"
    )
}

fn knot_config(folder: &Path, port: u16) -> String {
    let at = folder.display();
    format!(
        "server:\n    rundir: {at}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
         tcp-workers: 1\n    background-workers: 1\ndatabase:\n    storage: {at}\nzone:\n  - domain: \
         contoso.test\n    storage: {at}/zones\n    file: contoso.test\n    zonefile-sync: -1\n    \
         journal-content: none\n    semantic-checks: off\n"
    )
}
