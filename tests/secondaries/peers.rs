//! NSD, Knot and named as secondaries of one zone, each on a loopback port of its own.

use std::path::{Path, PathBuf};

use crate::patience::until;
use crate::primary::{BOUND, Key, ORIGIN, dig};
use crate::programs::{Process, installed};

/// A name server that can be a secondary.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    config: fn(&Path, u16, u16, &Key) -> String,
    pub(crate) key: Key,
}

/// Each follows with a key of its own, and they have all algorithms between them.
pub(crate) const PEERS: [Peer; 3] = [
    Peer {
        name: "nsd",
        program: "nsd",
        arguments: &["-d", "-c"],
        config: nsd,
        key: Key {
            name: "nsd.key",
            algorithm: "hmac-sha256",
            secret: "c2VjcmV0IG9mIHRoZSBuc2Qgc2Vjb25kYXJ5IGhlcmU=",
        },
    },
    Peer {
        name: "knot",
        program: "knotd",
        arguments: &["-c"],
        config: knot,
        key: Key {
            name: "knot.key",
            algorithm: "hmac-sha384",
            secret: "c2VjcmV0IG9mIHRoZSBrbm90IHNlY29uZGFyeSBoZXJl",
        },
    },
    Peer {
        name: "named",
        program: "named",
        arguments: &["-f", "-c"],
        config: named,
        key: Key {
            name: "named.key",
            algorithm: "hmac-sha512",
            secret: "c2VjcmV0IG9mIHRoZSBuYW1lZCBzZWNvbmRhcnkgaGVyZSE=",
        },
    },
];

/// A secondary at work; it ends with the value.
pub(crate) struct Secondary {
    pub(crate) peer: Peer,
    pub(crate) port: u16,
    // Dropped before the folder that it works in.
    _process: Process,
    folder: tempfile::TempDir,
}

impl Peer {
    /// Where its program is, if it is installed.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        installed(self.program)
    }

    /// Starts it on `port`, as a secondary of the primary on another.
    pub(crate) fn start(self, program: &Path, port: u16, primary: u16) -> Secondary {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("server.conf");
        let text = (self.config)(folder.path(), port, primary, &self.key);
        std::fs::write(&config, text).unwrap();
        Secondary {
            peer: self,
            port,
            _process: Process::start(program, self.arguments, &config, folder.path()),
            folder,
        }
    }
}

fn nsd(folder: &Path, port: u16, primary: u16, key: &Key) -> String {
    let folder = folder.display();
    let Key {
        name,
        algorithm,
        secret,
    } = key;
    format!(
        "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{folder}\"\n database: \"\"\n pidfile: \"{folder}/nsd.pid\"\n xfrdfile: \
         \"{folder}/xfrd\"\n zonelistfile: \"{folder}/list\"\n logfile: \"{folder}/log\"\n \
         server-count: 1\n xfrdir: \"{folder}\"\n xfrd-reload-timeout: 0\nremote-control:\n \
         control-enable: no\nkey:\n name: {name}\n algorithm: {algorithm}\n secret: \"{secret}\"\n\
         zone:\n name: {ORIGIN}\n zonefile: zone\n allow-notify: 127.0.0.1 {name}\n request-xfr: \
         127.0.0.1@{primary} {name}\n provide-xfr: 127.0.0.1 NOKEY\n"
    )
}

fn knot(folder: &Path, port: u16, primary: u16, key: &Key) -> String {
    let folder = folder.display();
    let Key {
        name,
        algorithm,
        secret,
    } = key;
    format!(
        "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
         tcp-workers: 1\n    background-workers: 1\ndatabase:\n    storage: {folder}\nkey:\n  - \
         id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\nremote:\n  - id: primary\n    \
         address: 127.0.0.1@{primary}\n    key: {name}\nacl:\n  - id: notify\n    address: \
         127.0.0.1\n    key: {name}\n    action: notify\n  - id: transfer\n    address: \
         127.0.0.1\n    action: transfer\nzone:\n  - domain: {ORIGIN}\n    storage: {folder}\n    \
         file: zone\n    zonefile-sync: -1\n    master: primary\n    acl: [notify, transfer]\n"
    )
}

fn named(folder: &Path, port: u16, primary: u16, key: &Key) -> String {
    let folder = folder.display();
    let Key {
        name,
        algorithm,
        secret,
    } = key;
    format!(
        "key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\noptions {{ directory \
         \"{folder}\"; pid-file \"{folder}/pid\"; session-keyfile \"{folder}/session\"; listen-on \
         port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation \
         no; notify no; allow-transfer {{ 127.0.0.1; }}; serial-query-rate 1000; }};\ncontrols {{ \
         }};\nzone \"{ORIGIN}\" {{ type secondary; file \"zone\"; primaries {{ 127.0.0.1 port \
         {primary} key \"{name}\"; }}; allow-notify {{ key \"{name}\"; }}; }};\n"
    )
}

impl Secondary {
    /// Waits until it has this serial.
    pub(crate) fn comes_to(&self, serial: u32) {
        let mut last = None;
        let found = until(BOUND, || {
            last = self.serial();
            last.filter(|last| *last == serial)
        });
        if found.is_none() {
            let output = std::fs::read_to_string(self.folder.path().join("output"));
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            panic!(
                "{} has serial {last:?}, not {serial}: {} {}",
                self.peer.name,
                output.unwrap_or_default(),
                log.unwrap_or_default()
            );
        }
    }

    /// The serial that it serves.
    pub(crate) fn serial(&self) -> Option<u32> {
        let answer = dig(
            self.port,
            None,
            &["+norec", "+short", "+tries=1", "+time=1", ORIGIN, "SOA"],
        );
        answer.split_whitespace().nth(2)?.parse().ok()
    }

    /// All that it serves, a line for each record, sorted.
    pub(crate) fn contents(&self) -> Vec<String> {
        crate::primary::records(&dig(self.port, None, &["+onesoa", ORIGIN, "AXFR"]))
    }
}
