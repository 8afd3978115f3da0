//! NSD and Knot with the zones of a script, on a loopback port of their own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::question::Question;
use super::script::Script;

/// A reference server.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: &'static str,
    config: fn(&Script, &Path, &Path, u16) -> String,
    arguments: &'static [&'static str],
}

pub(crate) const PEERS: [Peer; 2] = [
    Peer {
        name: "nsd",
        program: "nsd",
        config: nsd_config,
        arguments: &["-d", "-c"],
    },
    Peer {
        name: "knot",
        program: "knotd",
        config: knot_config,
        arguments: &["-c"],
    },
];

/// One that runs; it ends with the value.
pub(crate) struct Running {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// `None` if it is not installed.
    pub(crate) fn start(&self, script: &Script, zones: &Path) -> Option<Running> {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
            .map(|folder| folder.join(self.program))
            .find(|path| path.exists())?;
        let folder = tempfile::tempdir().unwrap();
        for (_, file) in &script.zones {
            std::fs::copy(zones.join(file), folder.path().join(file)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = folder.path().join("server.conf");
        std::fs::write(&config, (self.config)(script, folder.path(), &config, port)).unwrap();
        let child = Command::new(found)
            .args(self.arguments)
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running {
            child,
            port,
            _folder: folder,
        };
        running.wait(script);
        Some(running)
    }
}

fn nsd_config(script: &Script, folder: &Path, _: &Path, port: u16) -> String {
    let folder = folder.display();
    let mut text = format!(
        "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{folder}\"\n database: \"\"\n pidfile: \"{folder}/nsd.pid\"\n xfrdfile: \
         \"{folder}/xfrd\"\n zonelistfile: \"{folder}/list\"\n logfile: \"{folder}/log\"\n \
         server-count: 1\n xfrdir: \"{folder}\"\nremote-control:\n control-enable: no\n"
    );
    for (origin, file) in &script.zones {
        text.push_str(&format!("zone:\n name: {origin}\n zonefile: {file}\n"));
    }
    text
}

fn knot_config(script: &Script, folder: &Path, _: &Path, port: u16) -> String {
    let folder = folder.display();
    let mut text = format!(
        "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    \
         udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\ndatabase:\n    storage: \
         {folder}\nzone:\n"
    );
    for (origin, file) in &script.zones {
        text.push_str(&format!(
            "  - domain: {origin}\n    storage: {folder}\n    file: {file}\n    zonefile-sync: -1\n    \
             journal-content: none\n    semantic-checks: off\n"
        ));
    }
    text
}

impl Running {
    /// Until it answers with authority for each of its zones, 20 seconds at most.
    fn wait(&self, script: &Script) {
        for (origin, _) in &script.zones {
            let text = format!("? {origin} SOA\n");
            let probe = Script::read(&text);
            let question = probe.lines[0].question.as_ref().unwrap();
            let ready = (0..200).any(|_| {
                let answered = self.ask_within(question, Duration::from_millis(100));
                answered.is_some_and(|response| response[2] & 4 != 0)
            });
            assert!(ready, "the reference server does not come up with {origin}");
        }
    }

    pub(crate) fn ask(&self, question: &Question) -> Option<Vec<u8>> {
        self.ask_within(question, Duration::from_secs(2))
    }

    fn ask_within(&self, question: &Question, limit: Duration) -> Option<Vec<u8>> {
        let to = ("127.0.0.1", self.port);
        if question.stream {
            let mut stream = TcpStream::connect(to).ok()?;
            stream.set_read_timeout(Some(limit)).unwrap();
            let length = u16::try_from(question.packet.len()).unwrap();
            stream.write_all(&length.to_be_bytes()).ok()?;
            stream.write_all(&question.packet).ok()?;
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut response).ok()?;
            return Some(response);
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(limit)).unwrap();
        socket.connect(to).unwrap();
        let mut response = vec![0; 65_535];
        // A port that is not open yet refuses at once: wait then, for the state asked for.
        let sent = socket.send(&question.packet);
        match sent.and_then(|_| socket.recv(&mut response)) {
            Ok(length) => {
                response.truncate(length);
                Some(response)
            }
            Err(error) => {
                if error.kind() == std::io::ErrorKind::ConnectionRefused {
                    // Nobody sends here: this is a bounded wait of one tenth of a second.
                    let idle = UdpSocket::bind("127.0.0.1:0").unwrap();
                    idle.set_read_timeout(Some(Duration::from_millis(100)))
                        .unwrap();
                    let _ = idle.recv(&mut response);
                }
                None
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
