//! NSD, Knot and named as primaries on loopback, with a zone that a test changes.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hickory_proto::rr::RecordType;
use nix::sys::signal::Signal;

use crate::dns::ask;
use crate::patience::wait_for;
use crate::programs::{Process, free_port, installed};

/// The zone of all tests.
pub(crate) const ORIGIN: &str = "contoso.test.";
/// The secret of all keys, and its name.
pub(crate) const SECRET: &str = "c3dpdGNoYmFjayBzZWNvbmRhcnkgdGVzdCBrZXkgMDE=";

/// A program that has zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Nsd,
    Knot,
    Named,
}

/// How a primary is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) program: Program,
    /// Where it sends NOTIFY.
    pub(crate) secondary: u16,
    /// Whether transfers and NOTIFY are signed with the key `transfer`.
    pub(crate) signed: bool,
    /// Where it answers over TLS too, with `server.pem` and `server.key` of the folder above its
    /// own; named only.
    pub(crate) tls: Option<u16>,
}

/// A primary that runs; it ends with the value.
pub(crate) struct Primary {
    setup: Setup,
    folder: PathBuf,
    pub(crate) port: u16,
    process: Option<Process>,
    serial: Cell<u32>,
}

impl Program {
    pub(crate) const ALL: [Program; 3] = [Program::Nsd, Program::Knot, Program::Named];

    fn file(self) -> &'static str {
        match self {
            Program::Nsd => "nsd",
            Program::Knot => "knotd",
            Program::Named => "named",
        }
    }

    /// Whether it is installed; if not, says that `test` is left out with it.
    pub(crate) fn is_there(self, test: &str) -> bool {
        let found = installed(self.file()).is_some();
        if !found {
            eprintln!("left out: {test} with {self:?}, because it is not installed");
        }
        found
    }
}

impl Primary {
    /// Starts it in `folder` with a zone of these records beside SOA and NS; `timers` are refresh,
    /// retry and expire.
    pub(crate) fn start(setup: Setup, folder: &Path, timers: &str, records: &str) -> Primary {
        let folder = folder.join(format!("{:?}", setup.program).to_lowercase());
        fs::create_dir_all(&folder).unwrap();
        let mut primary = Primary {
            setup,
            folder,
            port: free_port(),
            process: None,
            serial: Cell::new(0),
        };
        primary.write(timers, records);
        primary.run();
        primary
    }

    /// Starts the program on what is there.
    pub(crate) fn run(&mut self) {
        let path = self.folder.join("server.conf");
        let (config, arguments) = match self.setup.program {
            Program::Nsd => (self.nsd(), vec!["-d", "-c"]),
            Program::Knot => (self.knot(), vec!["-c"]),
            Program::Named => (self.named(), vec!["-g", "-n", "1", "-c"]),
        };
        fs::write(&path, config).unwrap();
        let program = installed(self.setup.program.file()).unwrap();
        let process = Process::start(&program, &arguments, &path, &self.folder);
        self.process = Some(process);
        self.answers();
    }

    /// Ends the program; its data stays.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Gives the zone other records, and the next serial; the program takes it and sends NOTIFY.
    pub(crate) fn change(&self, timers: &str, records: &str) {
        self.write(timers, records);
        match self.setup.program {
            Program::Nsd | Program::Named => {
                let process = self.process.as_ref().unwrap();
                process.signal(Signal::SIGHUP);
            }
            Program::Knot => {
                let control = self.folder.join("knot.sock");
                let done = Command::new(installed("knotc").unwrap())
                    .arg("-s")
                    .arg(control)
                    .args(["zone-reload", ORIGIN])
                    .output()
                    .unwrap();
                assert!(done.status.success(), "{done:?}");
            }
        }
        self.answers();
    }

    /// The serial that the zone has.
    pub(crate) fn serial(&self) -> u32 {
        self.serial.get()
    }

    fn write(&self, timers: &str, records: &str) {
        self.serial.set(self.serial.get() + 1);
        let serial = self.serial.get();
        let text = format!(
            "$ORIGIN {ORIGIN}\n$TTL 300\n@ SOA ns1 hostmaster {serial} {timers} 60\n@ NS ns1\n\
             ns1 A 127.0.0.1\n{records}"
        );
        // A program that reads at the moment must see one or the other.
        let zone = self.folder.join("zone");
        fs::write(zone.with_extension("new"), text).unwrap();
        fs::rename(zone.with_extension("new"), zone).unwrap();
    }

    /// Waits until it answers with the serial that the zone has.
    fn answers(&self) {
        let serial = self.serial.get().to_string();
        wait_for(
            &format!("{:?} to have serial {serial}", self.setup.program),
            || {
                let answer = ask(self.port, ORIGIN, RecordType::SOA)?;
                let soa = answer.data.first()?;
                (soa.split(' ').nth(2) == Some(&serial)).then_some(())
            },
        );
    }

    fn nsd(&self) -> String {
        let (folder, port, to) = (self.folder.display(), self.port, self.setup.secondary);
        let key = if self.setup.signed {
            "transfer"
        } else {
            "NOKEY"
        };
        format!(
            "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
             zonesdir: \"{folder}\"\n database: \"\"\n pidfile: \"{folder}/pid\"\n xfrdfile: \
             \"{folder}/xfrd\"\n zonelistfile: \"{folder}/list\"\n server-count: 1\n xfrdir: \
             \"{folder}\"\nremote-control:\n control-enable: no\nkey:\n name: transfer\n \
             algorithm: hmac-sha256\n secret: \"{SECRET}\"\nzone:\n name: {ORIGIN}\n zonefile: \
             zone\n provide-xfr: 127.0.0.1 {key}\n notify: 127.0.0.1@{to} {key}\n store-ixfr: \
             yes\n create-ixfr: yes\n"
        )
    }

    fn knot(&self) -> String {
        let (folder, port, to) = (self.folder.display(), self.port, self.setup.secondary);
        let key = if self.setup.signed {
            "    key: transfer.\n"
        } else {
            ""
        };
        format!(
            "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
             tcp-workers: 1\n    background-workers: 1\ncontrol:\n    listen: \
             {folder}/knot.sock\ndatabase:\n    storage: {folder}\nkey:\n  - id: transfer.\n    \
             algorithm: hmac-sha256\n    secret: {SECRET}\nremote:\n  - id: secondary\n    \
             address: 127.0.0.1@{to}\n{key}acl:\n  - id: transfer\n    address: 127.0.0.1\n    \
             action: transfer\n{key}zone:\n  - domain: {ORIGIN}\n    storage: {folder}\n    file: \
             zone\n    zonefile-sync: -1\n    zonefile-load: difference\n    journal-content: \
             changes\n    acl: transfer\n    notify: secondary\n"
        )
    }

    fn named(&self) -> String {
        let (folder, port, to) = (self.folder.display(), self.port, self.setup.secondary);
        // Beside TCP also over TLS (RFC 9103).
        let (tls, local) = match self.setup.tls {
            Some(tls) => (
                format!(" listen-on port {tls} tls local {{ 127.0.0.1; }};"),
                format!(
                    "tls local {{ cert-file \"{folder}/../server.pem\"; key-file \
                     \"{folder}/../server.key\"; }};\n"
                ),
            ),
            None => (String::new(), String::new()),
        };
        let (who, with) = if self.setup.signed {
            ("key transfer", " key transfer")
        } else {
            ("127.0.0.1", "")
        };
        format!(
            "key transfer {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\noptions {{ directory \
             \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             pid-file \"{folder}/pid\"; session-keyfile \"{folder}/session\"; recursion no; \
             notify-rate 1000; startup-notify-rate 1000; notify-delay 0;{tls} }};\n{local}controls {{ }};\nzone \"{ORIGIN}\" \
             {{ type primary; file \"{folder}/zone\"; ixfr-from-differences yes; journal \
             \"{folder}/journal\"; allow-transfer {{ {who}; }}; notify explicit; also-notify {{ \
             127.0.0.1 port {to}{with}; }}; }};\n"
        )
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        self.stop();
    }
}
