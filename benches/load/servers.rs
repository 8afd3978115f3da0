//! The servers: how each is configured, started, asked and measured.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::clock;
use switchback::zone::Name;
use tempfile::TempDir;

use super::processes::{end, family};
use super::programs::{free_port, installed};
use super::zones::Zones;

/// A server has so long to get ready.
const PATIENCE: Duration = Duration::from_secs(300);
/// So many questions are under way at a time.
const WINDOW: usize = 50;

/// One kind of server.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    program: &'static str,
    config: fn(&Zones, &Path, u16) -> String,
    arguments: &'static [&'static str],
}

pub(crate) const SERVERS: [Server; 3] = [
    Server {
        name: "switchback",
        program: env!("CARGO_BIN_EXE_switchback"),
        config: switchback_config,
        arguments: &["serve", "--config"],
    },
    Server {
        name: "nsd",
        program: "nsd",
        config: nsd_config,
        arguments: &["-d", "-c"],
    },
    Server {
        name: "knot",
        program: "knotd",
        config: knot_config,
        arguments: &["-c"],
    },
];

/// A server that runs; it ends with the value.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
    /// Its configuration and state.
    pub(crate) folder: TempDir,
}

/// What the processes of a server take, in KiB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident, pages that several of them share counted once.
    pub(crate) pss: u32,
    /// Resident, counted for each process.
    pub(crate) rss: u32,
    /// The most that any one of them ever had.
    pub(crate) peak: u32,
}

impl Server {
    /// `None` if it is not installed.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        installed(self.program)
    }

    pub(crate) fn start(&self, zones: &Zones) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = folder.path().join("server.conf");
        fs::write(&config, (self.config)(zones, folder.path(), port)).unwrap();
        let child = Command::new(self.program().unwrap())
            .args(self.arguments)
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Running {
            child,
            port,
            folder,
        }
    }
}

fn switchback_config(zones: &Zones, folder: &Path, port: u16) -> String {
    let (folder, directory) = (folder.display(), zones.directory.display());
    format!(
        "state_dir = \"{folder}\"\n[listen]\ndns = [\"127.0.0.1:{port}\"]\ncontrol = \
         \"{folder}/control.sock\"\n[[zone]]\ngroup = \"all\"\ndirectory = \"{directory}\"\n"
    )
}

fn nsd_config(zones: &Zones, folder: &Path, port: u16) -> String {
    let (folder, directory) = (folder.display(), zones.directory.display());
    let mut text = format!(
        "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{directory}\"\n database: \"\"\n pidfile: \"{folder}/nsd.pid\"\n xfrdfile: \
         \"{folder}/xfrd\"\n zonelistfile: \"{folder}/list\"\n logfile: \"{folder}/log\"\n \
         server-count: 1\n xfrdir: \"{folder}\"\nremote-control:\n control-enable: no\n"
    );
    for origin in &zones.origins {
        text.push_str(&format!(
            "zone:\n name: {origin}\n zonefile: {origin}.zone\n"
        ));
    }
    text
}

fn knot_config(zones: &Zones, folder: &Path, port: u16) -> String {
    let (folder, directory) = (folder.display(), zones.directory.display());
    let mut text = format!(
        "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
         tcp-workers: 1\n    background-workers: 2\ndatabase:\n    storage: {folder}\n\
         template:\n  - id: default\n    storage: {directory}\n    file: \"%s.zone\"\n    \
         zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\nzone:\n"
    );
    for origin in &zones.origins {
        text.push_str(&format!("  - domain: {origin}\n"));
    }
    text
}

impl Running {
    /// Until it answers for the whole sample. Says whether it came to that.
    pub(crate) fn wait(&self, zones: &Zones) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        let mut missing: BTreeSet<usize> = (0..zones.sample.len()).collect();
        let begun = clock::mono();
        while !missing.is_empty() && clock::mono().since(begun) < PATIENCE {
            let window: Vec<usize> = missing.iter().copied().take(WINDOW).collect();
            for at in window {
                // Nothing listens there yet, perhaps.
                let _ = socket.send(&question(at, &zones.sample[at].0));
            }
            let mut response = [0; 512];
            loop {
                let length = match socket.recv(&mut response) {
                    Ok(length) => length,
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                        std::thread::park_timeout(Duration::from_millis(2));
                        break;
                    }
                    Err(_) => break,
                };
                let at = usize::from(u16::from_be_bytes([response[0], response[1]]));
                let expected = zones.sample.get(at).map(|(_, address)| address);
                if expected.is_some_and(|it| is_answer(&response[..length], it)) {
                    missing.remove(&at);
                }
                if length > 0 && missing.is_empty() {
                    break;
                }
            }
        }
        missing.is_empty()
    }

    /// The address that it has for a name, if any.
    pub(crate) fn address(&self, name: &str) -> Option<[u8; 4]> {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        socket.connect(("127.0.0.1", self.port)).ok()?;
        socket.send(&question(1, name)).ok()?;
        let mut response = [0; 512];
        let length = socket.recv(&mut response).ok()?;
        response[..length].last_chunk().copied()
    }

    pub(crate) fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for process in family(self.child.id()) {
            let of = |file: &str, field: &str| {
                let text =
                    fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
                let line = text.lines().find(|line| line.starts_with(field));
                let number = line.and_then(|line| line.split_whitespace().nth(1));
                number
                    .and_then(|number| number.parse::<u32>().ok())
                    .unwrap_or(0)
            };
            sum.pss += of("smaps_rollup", "Pss:");
            sum.rss += of("status", "VmRSS:");
            sum.peak = sum.peak.max(of("status", "VmHWM:"));
        }
        sum
    }
}

/// A question for the address of a name, with its number as the ID.
fn question(at: usize, name: &str) -> Vec<u8> {
    let mut packet = u16::try_from(at).unwrap().to_be_bytes().to_vec();
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let name: Name = format!("{name}.").parse().unwrap();
    packet.extend_from_slice(name.wire());
    packet.extend([0, 1, 0, 1]);
    packet
}

/// NOERROR with authority and this address in its one answer.
fn is_answer(response: &[u8], address: &[u8; 4]) -> bool {
    let is_sound = response.len() > 12 && response[2] & 0x84 == 0x84 && response[3] & 0xf == 0;
    is_sound && response[6..8] == [0, 1] && response.windows(4).any(|four| four == address)
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
