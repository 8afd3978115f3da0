//! What the demo is played on: a directory with the configuration, zone and hooks of this
//! repository, ports that are free, and the edges as processes.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::edge::LISTENING;
use crate::cli::output::CommandError;

/// The ports of `examples/demo.toml`.
const DNS_PORT: u16 = 5300;
const EDGE_PORT: u16 = 15269;

/// The domain that the demo's edges serve.
pub(super) const DOMAIN: &str = "contoso.test";

/// The edges, in the order of `examples/demo.toml`.
pub(super) const EDGES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(127, 0, 1, 1),
    Ipv4Addr::new(127, 0, 1, 2),
    Ipv4Addr::new(127, 0, 1, 3),
];

/// Every file, as it lies in the repository.
const FILES: [(&str, &str); 5] = [
    (
        "examples/demo.toml",
        include_str!("../../../examples/demo.toml"),
    ),
    (
        "zones/demo.contoso.test.zone",
        include_str!("../../../zones/demo.contoso.test.zone"),
    ),
    (
        "examples/hooks/demo/stop-services.sh",
        include_str!("../../../examples/hooks/demo/stop-services.sh"),
    ),
    (
        "examples/hooks/demo/set-route.sh",
        include_str!("../../../examples/hooks/demo/set-route.sh"),
    ),
    (
        "examples/hooks/demo/start-services.sh",
        include_str!("../../../examples/hooks/demo/start-services.sh"),
    ),
];

/// The directory and the ports. Dropping it removes the directory.
#[derive(Debug)]
pub(super) struct Stage {
    dir: PathBuf,
    /// Where the daemon listens.
    pub(super) dns: SocketAddr,
    /// The port of all edges.
    pub(super) edge_port: u16,
}

impl Stage {
    /// Picks ports and writes the files.
    pub(super) fn set() -> Result<Stage, CommandError> {
        let failed = |error: io::Error| {
            CommandError::Failed(format!("cannot prepare the demo's directory: {error}"))
        };
        let dns_port = free_dns_port().map_err(failed)?;
        let edge_port = free_edge_port().map_err(failed)?;
        let stage = Stage {
            dir: make_dir(dns_port).map_err(failed)?,
            dns: SocketAddr::from((Ipv4Addr::LOCALHOST, dns_port)),
            edge_port,
        };
        stage.write_files().map_err(failed)?;
        Ok(stage)
    }

    /// The configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("examples/demo.toml")
    }

    /// The control socket that the configuration names.
    pub(super) fn control(&self) -> PathBuf {
        self.dir.join("examples/demo-state/control.sock")
    }

    fn write_files(&self) -> io::Result<()> {
        for (name, text) in FILES {
            let path = self.dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let text = if name.ends_with(".toml") {
                self.adapt(text)
            } else {
                text.to_owned()
            };
            fs::write(&path, text)?;
            if name.ends_with(".sh") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
        fs::create_dir_all(self.dir.join("examples/demo-state"))
    }

    /// The configuration with this stage's ports, and with places that do not depend on the
    /// directory that the demo was started in.
    fn adapt(&self, config: &str) -> String {
        let state = self.dir.join("examples/demo-state");
        config
            .replace("\"demo-state", &format!("\"{}", state.display()))
            .replace(
                &format!(":{DNS_PORT}\""),
                &format!(":{}\"", self.dns.port()),
            )
            .replace(&format!("= {EDGE_PORT}"), &format!("= {}", self.edge_port))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own care of its temporary directory.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A directory of our own, whatever lies about in the temporary directory.
fn make_dir(salt: u16) -> io::Result<PathBuf> {
    let base = std::env::temp_dir();
    for attempt in 0..100 {
        let dir = base.join(format!(
            "switchback-demo-{}-{salt}-{attempt}",
            std::process::id()
        ));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The documented port, else one that is free for UDP and TCP.
fn free_dns_port() -> io::Result<u16> {
    let free = |port: u16| -> io::Result<u16> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = tcp.local_addr()?.port();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        Ok(port)
    };
    free(DNS_PORT).or_else(|_| free(0)).or_else(|_| free(0))
}

/// The documented port, else one that is free on the addresses of all edges.
fn free_edge_port() -> io::Result<u16> {
    let free = |port: u16| -> io::Result<u16> {
        let first = TcpListener::bind((EDGES[0], port))?;
        let port = first.local_addr()?.port();
        for edge in &EDGES[1..] {
            TcpListener::bind((*edge, port))?;
        }
        Ok(port)
    };
    free(EDGE_PORT).or_else(|_| free(0)).or_else(|_| free(0))
}

/// One edge as a process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Edge {
    child: Child,
}

impl Edge {
    /// Starts one and waits until it listens.
    pub(super) async fn start(program: &Path, address: SocketAddr) -> Result<Edge, CommandError> {
        let failed =
            |what: &str| CommandError::Failed(format!("the demo's edge {address}: {what}"));
        let mut child = Command::new(program)
            .arg("demo-edge")
            .arg(address.to_string())
            .args(["--domain", DOMAIN])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            // Its own group: ctrl-C is for the demo, which ends its edges itself.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&format!("cannot be started: {error}")))?;
        let stdout = child.stdout.take().ok_or_else(|| failed("has no output"))?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        match timeout(Duration::from_secs(10), reader.read_line(&mut line)).await {
            Ok(Ok(_)) if line.trim() == LISTENING => Ok(Edge { child }),
            Ok(_) => Err(failed("did not listen; its own words stand above")),
            Err(_) => Err(failed("did not listen within 10 s")),
        }
    }

    /// SIGKILL, as a crash would.
    pub(super) async fn kill(mut self) -> Result<(), CommandError> {
        self.child.kill().await.map_err(|error| {
            CommandError::Failed(format!("the demo's edge cannot be killed: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_is_the_repository_with_other_ports() {
        let stage = Stage::set().unwrap();
        let config = fs::read_to_string(stage.config()).unwrap();
        assert!(config.contains(&format!("dns     = [\"{}\"]", stage.dns)));
        assert!(config.contains(&format!("control = \"{}\"", stage.control().display())));
        let times = |text: String| config.matches(&text).count();
        assert_eq!(times(format!("port     = {}", stage.edge_port)), 1);
        assert_eq!(times(format!("port = {} }}", stage.edge_port)), 1);
        for edge in EDGES {
            assert!(config.contains(&format!("\"{edge}\"")));
        }
        let dir = stage.dir.clone();
        drop(stage);
        assert!(!dir.exists());
    }
}
