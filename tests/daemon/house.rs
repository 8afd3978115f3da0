//! A running `switchback serve` on loopback, two edges that it watches, and an operator's shell.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use switchback::clock;
use tempfile::TempDir;

/// No test waits longer for anything that should happen.
const BOUND: Duration = Duration::from_secs(20);
pub(crate) const SRV: &str = "_xmpp-server._tcp.contoso.test.";
pub(crate) const ZONE: &str = "contoso.test.";

/// The files, the edges, and the daemon if it runs.
pub(crate) struct House {
    files: TempDir,
    port: u16,
    edges: [Option<TcpListener>; 2],
    daemon: Option<Child>,
    dns: SocketAddr,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The first labels of the SRV targets, by priority.
    pub(crate) order: Vec<String>,
    pub(crate) ttl: u32,
}

fn address(edge: usize) -> SocketAddr {
    let last = u8::try_from(edge + 1).unwrap();
    (Ipv4Addr::new(127, 0, 2, last), 0).into()
}

/// The same free port at both addresses.
fn edges() -> (u16, [Option<TcpListener>; 2]) {
    for _ in 0..100 {
        let first = TcpListener::bind(address(0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = TcpListener::bind((address(1).ip(), port)) {
            return (port, [Some(first), Some(second)]);
        }
    }
    panic!("no port is free at two addresses");
}

impl House {
    /// Writes the files; `steps` is the runbook, as TOML.
    pub(crate) fn build(steps: &str) -> House {
        let (port, edges) = edges();
        let house = House {
            files: tempfile::tempdir().unwrap(),
            port,
            edges,
            daemon: None,
            dns: (Ipv4Addr::LOCALHOST, 0).into(),
        };
        house.write("contoso.test.zone", &zone(1, "192.0.2.80"));
        house.write("switchback.toml", &house.config(steps));
        house
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.files.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    /// The configuration: two pools of one edge each, and `more`.
    pub(crate) fn config(&self, more: &str) -> String {
        let port = self.port;
        format!(
            r#"
state_dir = "state"
[listen]
dns     = ["127.0.0.1:0"]
control = "control.sock"
[[zone]]
origin = "contoso.test."
file   = "contoso.test.zone"
[probe]
kind     = "tcp"
port     = {port}
interval = "100ms"
timeout  = "200ms"
[[pool]]
name    = "edgepool1"
servers = [{{ name = "edge1.contoso.test.", addresses = ["127.0.2.1"] }}]
[[pool]]
name    = "edgepool2"
servers = [{{ name = "edge2.contoso.test.", addresses = ["127.0.2.2"] }}]
[[service]]
name     = "xmpp-federation"
pools    = ["edgepool1", "edgepool2"]
records  = [{{ srv = "_xmpp-server._tcp.contoso.test.", port = {port} }}]
failover = {{ after = "0s" }}
failback = "manual"
{more}"#
        )
    }

    /// Nothing listens at this edge any more.
    pub(crate) fn close(&mut self, edge: usize) {
        self.edges[edge] = None;
    }

    /// Something does again.
    pub(crate) fn open(&mut self, edge: usize) {
        let at = SocketAddr::new(address(edge).ip(), self.port);
        self.edges[edge] = Some(TcpListener::bind(at).unwrap());
    }

    /// Starts the daemon; returns when it answers.
    pub(crate) fn serve(&mut self) {
        self.serve_with(&[], &[]);
    }

    /// The same, and waits until both edges were seen to be up.
    pub(crate) fn serve_well(&mut self) {
        self.serve();
        eventually("both pools are up", || {
            let status = self.status();
            let up = |pool: usize| status["pools"][pool]["health"] == "up";
            (up(0) && up(1)).then_some(())
        });
    }

    /// The same with more words, and an environment.
    pub(crate) fn serve_with(&mut self, words: &[&str], environment: &[(&str, &str)]) {
        let config = self.path("switchback.toml").display().to_string();
        let serve = ["serve", "--config", &config];
        self.start_with(&[&serve, words].concat(), environment, Vec::new());
        self.dns = self.listens();
    }

    fn listens(&self) -> SocketAddr {
        eventually("it answers", || {
            let status = self.status();
            status["listening"][0]["address"].as_str()?.parse().ok()
        })
    }

    /// The same with descriptors that a service manager hands over, each with its name.
    pub(crate) fn serve_handed(
        &mut self,
        handed: Vec<(OwnedFd, &str)>,
        environment: &[(&str, &str)],
    ) {
        self.start_handed(handed, environment);
        self.dns = self.listens();
    }

    /// The same, whether it comes to serve or not.
    pub(crate) fn start_handed(
        &mut self,
        handed: Vec<(OwnedFd, &str)>,
        environment: &[(&str, &str)],
    ) {
        let config = self.path("switchback.toml").display().to_string();
        self.start_with(&["serve", "--config", &config], environment, handed);
    }

    /// Starts a daemon that kills itself at one of its writes; see `store::failpoint`.
    pub(crate) fn serve_until(&mut self, dies: &str) {
        let config = self.path("switchback.toml").display().to_string();
        let environment = [("SWITCHBACK_DIE", dies)];
        self.start_with(&["serve", "--config", &config], &environment, Vec::new());
    }

    /// Whether the daemon has ended by itself.
    pub(crate) fn is_dead(&mut self) -> bool {
        let Some(daemon) = &mut self.daemon else {
            return true;
        };
        let ended = daemon.try_wait().unwrap().is_some();
        if ended {
            self.daemon = None;
        }
        ended
    }

    /// The same without a configuration.
    pub(crate) fn serve_plain(&mut self) {
        let zone = format!("{ZONE}={}", self.path("contoso.test.zone").display());
        self.start(&["serve", "--listen", "127.0.0.1:0", "--zone", &zone]);
        self.dns = eventually("it answers", || {
            let log = self.log();
            let (_, address) = log.split_once("answering at ")?;
            address.lines().next()?.parse().ok()
        });
    }

    /// A file that outgrows a limit fails to be written, as on a full disk, and ends nothing.
    fn start(&mut self, words: &[&str]) {
        self.start_with(words, &[], Vec::new());
    }

    fn start_with(
        &mut self,
        words: &[&str],
        environment: &[(&str, &str)],
        handed: Vec<(OwnedFd, &str)>,
    ) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let names: Vec<&str> = handed.iter().map(|(_, name)| *name).collect();
        let descriptors = (3..)
            .zip(handed)
            .map(|(child_fd, (parent_fd, _))| FdMapping {
                parent_fd,
                child_fd,
            });
        let mut daemon = Command::new("sh");
        daemon
            .args(["-c", "trap '' XFSZ; LISTEN_PID=$$ exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_switchback"))
            .args(words)
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .fd_mappings(descriptors.collect())
            .unwrap();
        self.daemon = Some(daemon.spawn().unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// SIGTERM, and the end.
    pub(crate) fn stop(&mut self) {
        let kill = Command::new("kill").args(["-TERM", &self.pid()]).status();
        assert!(kill.unwrap().success());
        eventually("it has ended", || self.is_dead().then_some(()));
    }

    pub(crate) fn pid(&self) -> String {
        self.daemon.as_ref().unwrap().id().to_string()
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        let kill = Command::new("kill").args(["-HUP", &self.pid()]).status();
        assert!(kill.unwrap().success());
    }

    /// From now on no file of the daemon may be longer than so many octets. `None`: any length.
    pub(crate) fn limit_files(&self, octets: Option<u64>) {
        let limit = octets.map_or("unlimited".to_owned(), |octets| octets.to_string());
        let prlimit = Command::new("prlimit")
            .args(["--pid", &self.pid()])
            .arg(format!("--fsize={limit}:"))
            .status();
        assert!(prlimit.unwrap().success());
    }

    /// A command of the operator's.
    pub(crate) fn switchback(&self, words: &[&str]) -> Output {
        self.shell(words).wait_with_output().unwrap()
    }

    /// The same, while it runs.
    pub(crate) fn shell(&self, words: &[&str]) -> Child {
        let child = Command::new(env!("CARGO_BIN_EXE_switchback"))
            .args(words)
            .arg("--config")
            .arg(self.path("switchback.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        child.unwrap()
    }

    /// `switchback reload`: whether it was taken, and what was said.
    pub(crate) fn reload(&self) -> (bool, String) {
        let output = self.switchback(&["reload"]);
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// `switchback status --json`; nothing while nobody answers.
    pub(crate) fn status(&self) -> serde_json::Value {
        let output = self.switchback(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Where it answers.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.dns
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn ask(&self, name: &str, kind: RecordType) -> Option<Message> {
        Message::from_vec(&self.exchange(&query(1, name, kind))?).ok()
    }

    /// The response to a packet.
    pub(crate) fn exchange(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(self.dns).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        socket.send(packet).unwrap();
        let mut answer = vec![0; 4096];
        let length = socket.recv(&mut answer).ok()?;
        answer.truncate(length);
        Some(answer)
    }

    /// The SRV set.
    pub(crate) fn served(&self) -> Served {
        let message = self.ask(SRV, RecordType::SRV).expect("an answer");
        let mut targets = Vec::new();
        for record in &message.answers {
            if let RData::SRV(srv) = &record.data {
                let target = srv.target.to_string();
                let label = target.split('.').next().unwrap_or_default().to_owned();
                targets.push((srv.priority, label));
            }
        }
        targets.sort();
        Served {
            order: targets.into_iter().map(|(_, label)| label).collect(),
            ttl: message.answers.first().map_or(0, |record| record.ttl),
        }
    }

    /// Waits until this is the order.
    pub(crate) fn serves(&self, order: [&str; 2]) {
        eventually(&format!("it serves {order:?}"), || {
            (self.served().order == order).then_some(())
        });
    }

    pub(crate) fn serial(&self) -> u32 {
        let message = self.ask(ZONE, RecordType::SOA).expect("an answer");
        match message.answers.first().map(|record| &record.data) {
            Some(RData::SOA(soa)) => soa.serial,
            other => panic!("no SOA but {other:?}"),
        }
    }

    /// The address of `www`.
    pub(crate) fn www(&self) -> IpAddr {
        let message = self.ask("www.contoso.test.", RecordType::A);
        let message = message.expect("an answer");
        match message.answers.first().map(|record| &record.data) {
            Some(RData::A(at)) => IpAddr::V4(at.0),
            other => panic!("no address but {other:?}"),
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log:\n{}", self.log());
        }
    }
}

/// A query.
pub(crate) fn query(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    query.to_vec().unwrap()
}

/// A zone with this serial, in which `www` has this address.
pub(crate) fn zone(serial: u32, www: &str) -> String {
    format!(
        "$TTL 300\n@ SOA ns hostmaster {serial} 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
         www A {www}\n"
    )
}

/// Waits until there is something to see.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = clock::mono();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(clock::mono().since(begun) < BOUND, "never so: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
