//! A flood in the names of others, from many addresses, in network namespaces of its own: what
//! switchback sends them is no more than what Knot with `mod-rrl` and the same limit sends, and who
//! asks in earnest from among them gets its answers.
//!
//! Each server stands in a namespace behind a cable of its own; the test holds the addresses of the
//! victims. Nothing is lost on the way: the test waits for the server's socket to be empty.
#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, not what they call"
)]

#[allow(dead_code, reason = "this uses a part of what other tests need")]
#[path = "../federation/namespaces.rs"]
mod namespaces;
#[allow(dead_code, reason = "this uses a part of what other tests need")]
#[path = "../federation/patience.rs"]
mod patience;
#[path = "../shared/programs.rs"]
mod programs;
mod shapes;

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use namespaces::{Daemon, in_namespaces, run, say};
use patience::wait_for;
use programs::{Process, installed};
use shapes::{ZONE, shapes};

const BOUND: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(10);
/// Responses a second, for both servers.
const LIMIT: u32 = 5;
/// The networks of the victims, and how many addresses each has.
const VICTIMS: [&str; 5] = [
    "198.18.1.",
    "198.18.2.",
    "198.18.3.",
    "2001:db8:1::",
    "2001:db8:2::",
];
const EACH: usize = 12;
/// So many datagrams are sent before the server has to have taken them: no buffer loses any.
const CHUNK: usize = 60;

/// One response over the limit of so many is sent with TC, by both servers.
const SLIPS: [u8; 2] = [1, 2];

/// A server in a namespace, at `address` and `address6`.
struct Server {
    _daemon: Daemon,
    name: &'static str,
    addresses: [IpAddr; 2],
}

impl Server {
    /// Lays its cable, starts it there and waits until it answers.
    fn start(
        number: u8,
        name: &'static str,
        folder: &Path,
        config: impl Fn(&str, &str, &Path) -> (Vec<String>, String),
    ) -> Server {
        let (v4, v6) = (format!("10.78.{number}.1"), format!("fd78:{number}::1"));
        run(&format!(
            "ip netns add {name}
             ip link add c{number} type veth peer name eth0 netns {name}
             ip address add 10.78.{number}.2/24 dev c{number}
             ip address add fd78:{number}::2/64 dev c{number} nodad; ip link set c{number} up
             ip -n {name} address add {v4}/24 dev eth0
             ip -n {name} address add {v6}/64 dev eth0 nodad
             ip -n {name} link set lo up; ip -n {name} link set eth0 up
             ip -n {name} route add 198.18.0.0/15 via 10.78.{number}.2
             ip -n {name} route add 2001:db8::/32 via fd78:{number}::2"
        ));
        let at = folder.join(name);
        fs::create_dir(&at).unwrap();
        fs::write(at.join("amp.zone"), ZONE).unwrap();
        let (argv, text) = config(&v4, &v6, &at);
        fs::write(at.join("config"), text).unwrap();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let daemon = Daemon::start(name, &at, &argv);
        let server = Server {
            _daemon: daemon,
            name,
            addresses: [v4.parse().unwrap(), v6.parse().unwrap()],
        };
        // Over TCP: what is limited has not begun.
        wait_for(name, PATIENCE, || {
            let said = kdig(&[&format!("@{v4}"), "+tcp", "+retry=0", "amp.", "SOA"]);
            said.contains("AUTHORITY: 0").then_some(())
        });
        server
    }

    fn address_for(&self, client: IpAddr) -> SocketAddr {
        let at = usize::from(client.is_ipv6());
        SocketAddr::new(self.addresses[at], 53)
    }

    /// Waits until it has taken all that was sent. Gives how many datagrams its sockets lost.
    fn has_taken_all(&self) -> u64 {
        wait_for("the server takes what was sent", PATIENCE, || {
            let sockets = self.sockets();
            let waiting: u64 = sockets.iter().map(|(waiting, _)| waiting).sum();
            (waiting == 0).then(|| sockets.iter().map(|(_, lost)| lost).sum())
        })
    }

    /// What waits in the UDP sockets of its namespace, and what they lost.
    fn sockets(&self) -> Vec<(u64, u64)> {
        let command = [
            "netns",
            "exec",
            self.name,
            "cat",
            "/proc/net/udp",
            "/proc/net/udp6",
        ];
        let said = Command::new("ip").args(command).output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let of_line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (_, queue) = words.get(4)?.split_once(':')?;
            let lost = words.last()?.parse().ok()?;
            Some((u64::from_str_radix(queue, 16).ok()?, lost))
        };
        text.lines().filter_map(of_line).collect()
    }
}

fn switchback(limit: &str) -> impl Fn(&str, &str, &Path) -> (Vec<String>, String) + use<'_> {
    move |v4, v6, at| {
        let at = at.display();
        let program = env!("CARGO_BIN_EXE_switchback");
        let argv = [program, "serve", "--config", "config"].map(str::to_owned);
        let text = format!(
            "state_dir = \"{at}\"\n[listen]\ndns = [\"{v4}:53\", \"[{v6}]:53\"]\ncontrol = \
             \"{at}/control.sock\"\n[rate_limit]\n{limit}\n[[zone]]\norigin = \"amp.\"\nfile = \
             \"amp.zone\"\n"
        );
        (argv.to_vec(), text)
    }
}

fn knot(slip: u8) -> impl Fn(&str, &str, &Path) -> (Vec<String>, String) {
    move |v4, v6, at| {
        let at = at.display();
        let argv = ["knotd", "-c", "config"].map(str::to_owned).to_vec();
        let text = format!(
            "server:\n  rundir: {at}\n  listen: [ {v4}@53, {v6}@53 ]\n  udp-max-payload: \
             1232\nlog:\n  - target: stderr\n    any: warning\ndatabase:\n  storage: \
             {at}\nmod-cookies:\n  - id: default\nmod-rrl:\n  - id: default\n    rate-limit: \
             {LIMIT}\n    slip: {slip}\ntemplate:\n  - id: default\n    global-module: [ \
             mod-cookies/default, mod-rrl/default ]\nzone:\n  - domain: amp.\n    storage: \
             {at}\n    file: amp.zone\n    zonefile-sync: -1\n    journal-content: none\n    \
             semantic-checks: off\n"
        );
        (argv, text)
    }
}

fn limit(slip: u8) -> String {
    format!("per_second = {LIMIT}\nslip = {slip}")
}

/// The addresses of the victims are the test's.
fn lay_ground() {
    run("mount -t tmpfs lab /run; mkdir /run/netns; ip link set lo up");
    let mut batch = String::new();
    for client in victims() {
        let length = if client.is_ipv4() { 32 } else { 128 };
        let nodad = if client.is_ipv4() { "" } else { " nodad" };
        batch.push_str(&format!("address add {client}/{length} dev lo{nodad}\n"));
    }
    for extra in ["198.18.1.200", "198.18.1.201", "198.18.1.202"] {
        batch.push_str(&format!("address add {extra}/32 dev lo\n"));
    }
    fs::write("/run/addresses", batch).unwrap();
    run("ip -batch /run/addresses");
}

fn victims() -> Vec<IpAddr> {
    let of = |prefix: &str| {
        let parse = |host: usize| format!("{prefix}{host}").parse().unwrap();
        (1..=EACH).map(parse).collect::<Vec<IpAddr>>()
    };
    VICTIMS.iter().flat_map(|prefix| of(prefix)).collect()
}

fn sockets(server: &Server) -> Vec<UdpSocket> {
    let of = |client: IpAddr| {
        let socket = UdpSocket::bind((client, 0)).unwrap();
        socket.connect(server.address_for(client)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    victims().into_iter().map(of).collect()
}

/// Every shape in the name of every victim. Gives the octets sent, and those that came back.
fn flood(server: &Server) -> (usize, usize) {
    let sockets = sockets(server);
    let lost_before = server.has_taken_all();
    let (mut sent, mut received, mut datagrams) = (0, 0, 0);
    for shape in shapes() {
        for socket in &sockets {
            socket.send(&shape).unwrap();
            sent += shape.len();
            datagrams += 1;
            if datagrams % CHUNK == 0 {
                server.has_taken_all();
                received += received_by(&sockets);
            }
        }
    }
    let lost = server.has_taken_all() - lost_before;
    assert_eq!(lost, 0, "{}: the comparison is of all", server.name);
    // The last ones are being answered: until nothing has come for a while.
    let mut silent = 0;
    while silent < 20 {
        std::thread::park_timeout(Duration::from_millis(10));
        let more = received_by(&sockets);
        silent = if more == 0 { silent + 1 } else { 0 };
        received += more;
    }
    (sent, received)
}

fn received_by(sockets: &[UdpSocket]) -> usize {
    let mut buffer = [0; 4096];
    let of = |socket: &UdpSocket| {
        let mut octets = 0;
        while let Ok(length) = socket.recv(&mut buffer) {
            octets += length;
        }
        octets
    };
    sockets.iter().map(of).sum()
}

fn kdig(arguments: &[&str]) -> String {
    let said = Command::new("kdig").args(arguments).output().unwrap();
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[test]
fn a_flood_draws_no_more_than_from_knot_with_its_limit() {
    let name = "a_flood_draws_no_more_than_from_knot_with_its_limit";
    in_namespaces(name, BOUND, &["knotd", "kdig"], || {
        let folder = tempfile::tempdir().unwrap();
        lay_ground();
        let without = Server::start(9, "open", folder.path(), switchback("mode = \"off\""));
        let (sent, unlimited) = flood(&without);
        for (number, slip) in (1..).zip(SLIPS) {
            let names = [["ours1", "knot1"], ["ours2", "knot2"]][usize::from(number) - 1];
            let limits = limit(slip);
            let ours = Server::start(2 * number, names[0], folder.path(), switchback(&limits));
            let theirs = Server::start(2 * number + 1, names[1], folder.path(), knot(slip));
            let (_, mine) = flood(&ours);
            let (_, other) = flood(&theirs);
            say(&format!(
                "lab: slip {slip}: {sent} octets sent; back from us {mine}, without a limit \
                 {unlimited}, from Knot {other}"
            ));
            assert!(mine <= other, "slip {slip}: {mine}, Knot {other}");
            assert!(mine < sent, "slip {slip}: nobody gains by it");
            assert!(unlimited > 2 * mine, "the limit does something");
        }
    });
}

#[test]
fn who_asks_in_earnest_from_among_the_victims_gets_its_answers() {
    let name = "who_asks_in_earnest_from_among_the_victims_gets_its_answers";
    in_namespaces(name, BOUND, &["kdig", "unbound"], || {
        let folder = tempfile::tempdir().unwrap();
        lay_ground();
        let limits = limit(1);
        let server = Server::start(1, "ours", folder.path(), switchback(&limits));
        let resolver = resolver(folder.path(), server.addresses[0]);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| keep_flooding(&server, &done));
            let outcome = std::panic::catch_unwind(|| ask_in_earnest(&server));
            done.store(true, Ordering::Relaxed);
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
        });
        drop(resolver);
    });
}

/// The victim's network is flooded as long as it takes.
fn keep_flooding(server: &Server, done: &AtomicBool) {
    let sockets = sockets(server);
    let query = shapes().remove(0);
    while !done.load(Ordering::Relaxed) {
        for socket in sockets.iter().take(EACH) {
            let _ = socket.send(&query);
        }
        server.has_taken_all();
        received_by(&sockets);
    }
}

fn ask_in_earnest(server: &Server) {
    let at = format!("@{}", server.addresses[0]);
    // It is limited: the way to TCP and nothing else.
    let cut = || kdig(&[&at, "-b", "198.18.1.200", "+ignore", "_s._tcp.amp.", "SRV"]);
    wait_for("the limit begins", PATIENCE, || {
        cut().contains("Flags: qr tc").then_some(())
    });
    // kdig takes that way by itself.
    for _ in 0..5 {
        let whole = kdig(&[&at, "-b", "198.18.1.200", "_s._tcp.amp.", "SRV"]);
        assert!(whole.contains("ANSWER: 8;"), "{whole}");
    }
    // The way to TCP has a cookie in it, which opens the way over UDP.
    let ask = |cookie: &str| {
        let cookie = format!("+cookie={cookie}");
        let more = [&cookie, "+ignore", "+nobadcookie", "_s._tcp.amp.", "SRV"];
        kdig(&[&[&at[..], "-b", "198.18.1.202"], &more[..]].concat())
    };
    let first = ask("0011223344556677");
    assert!(first.contains("Flags: qr tc"), "{first}");
    let cookie = first.split_once("COOKIE: ").map(|(_, after)| after);
    let cookie = cookie.and_then(|after| after.split_whitespace().next());
    let cookie = cookie.unwrap_or_else(|| panic!("a cookie:\n{first}"));
    for _ in 0..30 {
        let proven = ask(cookie);
        assert!(
            proven.contains("ANSWER: 8;") && !proven.contains("Flags: qr tc"),
            "{proven}"
        );
    }
    // A resolver, for names that it has never asked for.
    for number in 0..40 {
        let name = format!("h{number}.wild.amp.");
        let said = kdig(&["@127.0.0.1", "-p", "5300", "+timeout=5", &name, "TXT"]);
        assert!(said.contains("ANSWER: 1;"), "{said}");
    }
}

/// Unbound at 127.0.0.1 port 5300, which asks from among the victims.
fn resolver(folder: &Path, server: IpAddr) -> Process {
    let config = folder.join("unbound.conf");
    let text = format!(
        "server:\n interface: 127.0.0.1@5300\n do-ip6: no\n username: \"\"\n chroot: \"\"\n \
         directory: \"{at}\"\n pidfile: \"\"\n use-syslog: no\n outgoing-interface: \
         198.18.1.201\n module-config: \"iterator\"\n do-not-query-localhost: no\n \
         num-threads: 1\nremote-control:\n control-enable: no\nstub-zone:\n name: \"amp.\"\n \
         stub-addr: {server}\n",
        at = folder.display()
    );
    fs::write(&config, text).unwrap();
    let daemon = Process::start(
        &installed("unbound").unwrap(),
        &["-d", "-c"],
        &config,
        folder,
    );
    wait_for("unbound", PATIENCE, || {
        let said = kdig(&["@127.0.0.1", "-p", "5300", "+retry=0", "amp.", "SOA"]);
        said.contains("ANSWER: 1;").then_some(())
    });
    daemon
}
