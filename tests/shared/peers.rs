//! Reference servers with zones of ours, each on a loopback port of its own.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use switchback::zone::Name;

#[path = "programs.rs"]
mod programs;

use programs::{Process, free_port, installed};

/// How long one answer may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// So often a query is sent again.
const TRIES: usize = 5;

/// A reference server.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: &'static str,
    config: fn(&[ZoneSource], &Path, u16) -> String,
    arguments: &'static [&'static str],
}

/// A zone as a peer loads it.
#[derive(Clone, Debug)]
pub(crate) struct ZoneSource {
    pub(crate) origin: String,
    pub(crate) text: Vec<u8>,
}

pub(crate) const NSD: Peer = Peer {
    name: "nsd",
    program: "nsd",
    config: nsd_config,
    arguments: &["-d", "-c"],
};

pub(crate) const KNOT: Peer = Peer {
    name: "knot",
    program: "knotd",
    config: knot_config,
    arguments: &["-c"],
};

#[allow(dead_code, reason = "not every test that includes this file asks it")]
pub(crate) const NAMED: Peer = Peer {
    name: "named",
    program: "named",
    config: named_config,
    arguments: &["-f", "-n", "1", "-c"],
};

/// One that runs; it ends with the value.
pub(crate) struct Running {
    // Dropped before the folder that it works in.
    _process: Process,
    port: u16,
    udp: UdpSocket,
    /// A connection that goes on from one query to the next.
    tcp: RefCell<Option<TcpStream>>,
    folder: tempfile::TempDir,
}

impl Peer {
    /// Starts it and waits until it answers for all `zones`. `None` if it is not installed.
    #[allow(
        dead_code,
        reason = "not every test that includes this file starts one so"
    )]
    pub(crate) fn start(&self, zones: &[ZoneSource]) -> Option<Running> {
        self.start_with(zones, "")
    }

    /// The same, with `more` at the end of its configuration.
    pub(crate) fn start_with(&self, zones: &[ZoneSource], more: &str) -> Option<Running> {
        let found = installed(self.program)?;
        let folder = tempfile::tempdir().unwrap();
        for (number, zone) in zones.iter().enumerate() {
            std::fs::write(folder.path().join(file_name(number)), &zone.text).unwrap();
        }
        let port = free_port();
        let config = folder.path().join("server.conf");
        std::fs::write(&config, (self.config)(zones, folder.path(), port) + more).unwrap();
        let process = Process::start(&found, self.arguments, &config, folder.path());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(("127.0.0.1", port)).unwrap();
        let running = Running {
            _process: process,
            port,
            udp,
            tcp: RefCell::new(None),
            folder,
        };
        running.wait(self.name, zones);
        Some(running)
    }
}

fn file_name(number: usize) -> String {
    format!("{number}.zone")
}

fn nsd_config(zones: &[ZoneSource], folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let mut text = format!(
        "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{folder}\"\n database: \"\"\n pidfile: \"{folder}/nsd.pid\"\n xfrdfile: \
         \"{folder}/xfrd\"\n zonelistfile: \"{folder}/list\"\n logfile: \"{folder}/log\"\n \
         server-count: 1\n xfrdir: \"{folder}\"\n rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n \
         ipv4-edns-size: 1232\nremote-control:\n control-enable: no\n"
    );
    for (number, zone) in zones.iter().enumerate() {
        let (origin, file) = (&zone.origin, file_name(number));
        text.push_str(&format!("zone:\n name: {origin}\n zonefile: {file}\n"));
    }
    text
}

fn knot_config(zones: &[ZoneSource], folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let mut text = format!(
        "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
         tcp-workers: 1\n    background-workers: 1\n    udp-max-payload: 1232\nlog:\n  - target: \
         stderr\n    any: error\ndatabase:\n    storage: {folder}\nzone:\n"
    );
    for (number, zone) in zones.iter().enumerate() {
        let (origin, file) = (&zone.origin, file_name(number));
        text.push_str(&format!(
            "  - domain: {origin}\n    storage: {folder}\n    file: {file}\n    zonefile-sync: -1\n    \
             journal-content: none\n    semantic-checks: off\n"
        ));
    }
    text
}

/// In the order of the zone: in another each time, an answer is not always as long, for it is not
/// always as well compressed.
fn named_config(zones: &[ZoneSource], folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let mut text = format!(
        "options {{\n directory \"{folder}\";\n pid-file \"{folder}/pid\";\n listen-on port {port} \
         {{ 127.0.0.1; }};\n listen-on-v6 {{ none; }};\n recursion no;\n dnssec-validation no;\n \
         allow-query {{ any; }};\n notify no;\n empty-zones-enable no;\n minimal-responses no;\n \
         session-keyfile none;\n check-names primary ignore;\n check-integrity no;\n check-mx \
         ignore;\n check-mx-cname ignore;\n check-srv-cname ignore;\n check-sibling no;\n \
         check-wildcard no;\n edns-udp-size 1232;\n max-udp-size 1232;\n zero-no-soa-ttl no;\n \
         rrset-order {{ order none; }};\n max-cache-size 8m;\n}};\n\
         controls {{ }};\nlogging {{ channel all {{ stderr; severity warning; }}; category default \
         {{ all; }}; }};\n"
    );
    for (number, zone) in zones.iter().enumerate() {
        let (origin, file) = (&zone.origin, file_name(number));
        text.push_str(&format!(
            "zone \"{origin}\" {{ type primary; file \"{file}\"; }};\n"
        ));
    }
    text
}

impl Running {
    /// Until it answers with authority for each of its zones, 30 seconds at most.
    fn wait(&self, name: &str, zones: &[ZoneSource]) {
        let pause = Duration::from_millis(50);
        for zone in zones {
            let origin: Name = zone.origin.parse().unwrap();
            let mut packet = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            packet.extend_from_slice(origin.wire());
            packet.extend_from_slice(&[0, 6, 0, 1]);
            let ready = (0..600).any(|_| {
                let answered = self.ask_udp(&packet, pause);
                let ready = answered.is_some_and(|response| response[2] & 4 != 0);
                if !ready {
                    wait_for(pause);
                }
                ready
            });
            assert!(
                ready,
                "{name} does not come up with {}:\n{}{}\n{}",
                zone.origin,
                self.log("output"),
                self.log("log"),
                String::from_utf8_lossy(&zone.text)
            );
        }
    }

    fn log(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    /// Its response; `None` if it gives none.
    pub(crate) fn ask(&self, packet: &[u8], stream: bool) -> Option<Vec<u8>> {
        (0..TRIES).find_map(|_| {
            if stream {
                self.ask_tcp(packet)
            } else {
                self.ask_udp(packet, PATIENCE)
            }
        })
    }

    fn ask_tcp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut kept = self.tcp.borrow_mut();
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                stream
            }
        };
        let mut framed = u16::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(packet);
        stream.write_all(&framed).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut response).ok()?;
        *kept = Some(stream);
        Some(response)
    }

    fn ask_udp(&self, packet: &[u8], limit: Duration) -> Option<Vec<u8>> {
        let mut response = vec![0; 65_535];
        self.udp.set_read_timeout(Some(limit)).unwrap();
        self.udp.send(packet).ok()?;
        loop {
            let length = self.udp.recv(&mut response).ok()?;
            response.truncate(length);
            if is_of(&response, packet) {
                return Some(response);
            }
            response.resize(65_535, 0);
        }
    }
}

/// Whether a response is one to this query: an answer to an earlier one may come late.
fn is_of(response: &[u8], packet: &[u8]) -> bool {
    let (Some(theirs), Some(ours)) = (response.get(12..), packet.get(12..)) else {
        return false;
    };
    let asked = Name::wire_prefix(ours).map_or(0, |name| name.len() + 4);
    let echoed = theirs.starts_with(ours.get(..asked).unwrap_or_default());
    response[..2] == packet[..2] && (response[4..6] == [0, 0] || echoed)
}

/// Nobody sends here: a bounded wait for a state that has no event.
fn wait_for(limit: Duration) {
    let idle = UdpSocket::bind("127.0.0.1:0").unwrap();
    idle.set_read_timeout(Some(limit)).unwrap();
    let _ = idle.recv(&mut [0]);
}
