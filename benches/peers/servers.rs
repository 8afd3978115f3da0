//! The servers: how each is configured and started, and what it takes.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::clock;
use tempfile::TempDir;

use crate::processes::{cpu, end, family};
use crate::programs::{free_port, installed};
use crate::workloads::{PAYLOAD, Setting, query};

/// A server has so long to get ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// A type that is asked when a server has just been started.
const SOA: u16 = 6;
/// The secret of cookies (any will do).
const SECRET: &str = "000102030405060708090a0b0c0d0e0f";

/// One kind of server.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    program: &'static str,
    /// How it says its version.
    version: &'static [&'static str],
    /// Writes its configuration into a folder; gives the arguments that it is started with.
    configure: fn(&Setting, &Path, u16) -> Vec<String>,
}

/// The first gives the limit; its place is known to those who compare.
pub(crate) const SERVERS: [Server; 6] = [
    Server {
        name: "floor",
        program: "",
        version: &[],
        configure: |_, _, port| vec!["--floor".to_owned(), port.to_string()],
    },
    Server {
        name: "switchback",
        program: env!("CARGO_BIN_EXE_switchback"),
        version: &["--version"],
        configure: switchback_config,
    },
    Server {
        name: "gdnsd",
        program: "gdnsd",
        version: &["version"],
        configure: gdnsd_config,
    },
    Server {
        name: "NSD",
        program: "nsd",
        version: &["-v"],
        configure: nsd_config,
    },
    Server {
        name: "Knot",
        program: "knotd",
        version: &["-V"],
        configure: knot_config,
    },
    Server {
        name: "hickory-dns",
        program: "hickory-dns",
        version: &["--version"],
        configure: hickory_config,
    },
];

/// A server that runs; it ends with the value.
pub(crate) struct Running {
    child: Child,
    processes: Vec<u32>,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// `None` if it is not installed.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self.program {
            "" => std::env::current_exe().ok(),
            program => installed(program),
        }
    }

    /// Whether its answers are none.
    pub(crate) fn is_floor(&self) -> bool {
        self.program.is_empty()
    }

    /// The first number with a point in it that it says of itself.
    pub(crate) fn version(&self) -> Option<String> {
        let said = Command::new(self.path()?)
            .args(self.version)
            .output()
            .ok()?;
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut words = said.split_whitespace();
        let number = words.find(|word| {
            word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
        });
        number.map(|word| word.trim_end_matches(',').to_owned())
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// What it said, if it does not answer.
    pub(crate) fn start(&self, setting: &Setting) -> Result<Running, String> {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = folder.path().join(file_name(setting));
        fs::write(file, &setting.text).unwrap();
        let arguments = (self.configure)(setting, folder.path(), port);
        let output = File::create(folder.path().join("output")).unwrap();
        let child = Command::new(self.path().ok_or("it is not installed")?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut running = Running {
            child,
            processes: Vec::new(),
            address: (Ipv4Addr::LOCALHOST, port).into(),
            folder,
        };
        running.wait(setting, self.is_floor())?;
        running.processes = family(running.child.id());
        Ok(running)
    }
}

impl Running {
    /// The CPU time that it has used up to now.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(&self.processes)
    }

    /// Until it has authority for the zone.
    fn wait(&mut self, setting: &Setting, is_floor: bool) -> Result<(), String> {
        let question = query(&format!("{}.", setting.origin), SOA, None);
        let begun = clock::mono();
        while clock::mono().since(begun) < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("it ended ({status}):\n{}", self.output()));
            }
            match self.ask(&question, Duration::from_millis(50)) {
                Some(answer) if is_floor || answer[2] & 4 != 0 && answer[7] == 1 => return Ok(()),
                Some(_) | None => std::thread::park_timeout(Duration::from_millis(5)),
            }
        }
        Err(format!("it does not get ready:\n{}", self.output()))
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Its answer to one query.
    pub(crate) fn ask(&self, query: &[u8], patience: Duration) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.set_read_timeout(Some(patience)).ok()?;
        socket.connect(self.address).ok()?;
        socket.send(query).ok()?;
        let mut answer = vec![0; 4096];
        let length = socket.recv(&mut answer).ok()?;
        answer.truncate(length);
        (length >= 12).then_some(answer)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn file_name(setting: &Setting) -> String {
    format!("{}.zone", setting.origin)
}

fn switchback_config(setting: &Setting, folder: &Path, port: u16) -> Vec<String> {
    let (at, origin, file) = (folder.display(), setting.origin, file_name(setting));
    let text = format!(
        "state_dir = \"{at}\"\n[listen]\ndns = [\"127.0.0.1:{port}\"]\ncontrol = \
         \"{at}/control.sock\"\n[rate_limit]\nmode = \"off\"\n[[zone]]\norigin = \"{origin}.\"\nfile = \"{at}/{file}\"\n"
    );
    let config = write(folder, "switchback.toml", &text);
    ["serve", "--config", &config].map(str::to_owned).to_vec()
}

fn gdnsd_config(setting: &Setting, folder: &Path, port: u16) -> Vec<String> {
    let at = folder.display();
    let zones = folder.join("zones");
    fs::create_dir(&zones).unwrap();
    fs::write(zones.join(setting.origin), &setting.text).unwrap();
    // It answers with cookies unless told not to, as switchback does.
    let text = format!(
        "options => {{ dns_port = {port}, listen => [ 127.0.0.1 ], udp_threads = 1, tcp_threads = \
         1, run_dir = {at}/run, state_dir = {at}/state }}\n"
    );
    write(folder, "config", &text);
    ["-c", &at.to_string(), "start"].map(str::to_owned).to_vec()
}

fn nsd_config(setting: &Setting, folder: &Path, port: u16) -> Vec<String> {
    let (at, origin, file) = (folder.display(), setting.origin, file_name(setting));
    let cookies = if setting.cookies { "yes" } else { "no" };
    let text = format!(
        "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{at}\"\n database: \"\"\n pidfile: \"{at}/nsd.pid\"\n xfrdfile: \
         \"{at}/xfrd\"\n zonelistfile: \"{at}/list\"\n logfile: \"{at}/log\"\n server-count: 1\n \
         xfrdir: \"{at}\"\n rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n ipv4-edns-size: \
         {PAYLOAD}\n answer-cookie: {cookies}\n cookie-secret: \"{SECRET}\"\nremote-control:\n \
         control-enable: no\nzone:\n name: {origin}\n zonefile: {file}\n"
    );
    let config = write(folder, "nsd.conf", &text);
    ["-d", "-c", &config].map(str::to_owned).to_vec()
}

fn knot_config(setting: &Setting, folder: &Path, port: u16) -> Vec<String> {
    let (at, origin, file) = (folder.display(), setting.origin, file_name(setting));
    let cookies = if setting.cookies {
        format!(
            "mod-cookies:\n  - id: default\n    secret: 0x{SECRET}\ntemplate:\n  - id: default\n    \
             global-module: mod-cookies/default\n"
        )
    } else {
        String::new()
    };
    let text = format!(
        "server:\n    rundir: {at}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
         tcp-workers: 1\n    background-workers: 1\n    udp-max-payload: {PAYLOAD}\ndatabase:\n    \
         storage: {at}\n{cookies}zone:\n  - domain: {origin}\n    storage: {at}\n    file: {file}\n    \
         zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n"
    );
    let config = write(folder, "knot.conf", &text);
    ["-c", &config].map(str::to_owned).to_vec()
}

fn hickory_config(setting: &Setting, folder: &Path, port: u16) -> Vec<String> {
    let (at, origin, file) = (folder.display(), setting.origin, file_name(setting));
    let text = format!(
        "listen_addrs_ipv4 = [\"127.0.0.1\"]\nlisten_port = {port}\ndirectory = \"{at}\"\n\
         [[zones]]\nzone = \"{origin}\"\nzone_type = \"Primary\"\nfile = \"{file}\"\n"
    );
    let config = write(folder, "hickory.toml", &text);
    ["--quiet", "--config", &config].map(str::to_owned).to_vec()
}

/// Writes a file; gives its path.
fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}
