//! switchback as the primary, with a zone that changes, and `dig` to look at it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::admin::{self, Answer, Request, Status};

use crate::patience::{until, wait_for};
use crate::peers::PEERS;
use crate::programs::free_port;

pub(crate) const ORIGIN: &str = "contoso.test.";
/// No test waits longer for anything that should happen.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// A shared secret as the configurations of all servers have it.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) algorithm: &'static str,
    pub(crate) secret: &'static str,
}

/// What `dig` takes after `-y`.
impl Key {
    pub(crate) fn for_dig(&self) -> String {
        format!("{}:{}:{}", self.algorithm, self.name, self.secret)
    }
}

/// A running `switchback serve`; it ends with the value.
pub(crate) struct Primary {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    child: Child,
    version: u32,
}

impl Primary {
    /// Starts to serve the first version of the zone, and to tell `secondaries`, ports of
    /// loopback with the key of each.
    pub(crate) fn start(secondaries: &[(u16, Key)]) -> Primary {
        Primary::start_with(secondaries, "")
    }

    /// The same, with `more` at the end of the configuration.
    pub(crate) fn start_with(secondaries: &[(u16, Key)], more: &str) -> Primary {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["edge.test".to_owned()]).unwrap();
        fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        fs::write(folder.path().join("key.pem"), key).unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let config = folder.path().join("switchback.toml");
        fs::write(&config, text_of(port, tls_port, secondaries) + more).unwrap();
        fs::write(folder.path().join("zone"), zone(0)).unwrap();
        let primary = Primary {
            child: spawn(&config),
            folder,
            port,
            tls_port,
            version: 0,
        };
        primary.is_ready();
        primary
    }

    fn is_ready(&self) {
        wait_for("the primary to answer", BOUND, || self.try_status());
        wait_for("the primary to serve", BOUND, || self.serial());
    }

    /// Ends it in order, then starts it again on the state that it left.
    pub(crate) fn restart(&mut self) {
        terminate(&mut self.child);
        self.child = spawn(&self.folder.path().join("switchback.toml"));
        self.is_ready();
    }

    /// The next version of the zone: a few records come, go and change.
    pub(crate) fn change(&mut self) {
        self.version += 1;
        fs::write(self.folder.path().join("zone"), zone(self.version)).unwrap();
        admin::ask(&self.socket(), &Request::Reload).expect("the new zone is taken");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn try_status(&self) -> Option<Status> {
        match admin::ask(&self.socket(), &Request::Status) {
            Ok(Answer::Status(status)) => Some(*status),
            Ok(_) | Err(_) => None,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.try_status().expect("a status")
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
        records(&self.dig(&PEERS[0].key, &["+onesoa", ORIGIN, "AXFR"]))
    }

    /// The output of `dig`, with a key.
    pub(crate) fn dig(&self, key: &Key, arguments: &[&str]) -> String {
        dig(self.port, Some(&key.for_dig()), arguments)
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

fn spawn(config: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_switchback"))
        .args(["serve", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn terminate(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let _ = child.wait();
}

fn text_of(port: u16, tls_port: u16, secondaries: &[(u16, Key)]) -> String {
    let mut text = format!(
        "state_dir = \"state\"\n[listen]\ndns = [\"127.0.0.1:{port}\"]\ntls = \
         [\"127.0.0.1:{tls_port}\"]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\ncontrol = \
         \"control.sock\"\n"
    );
    for peer in PEERS {
        let Key {
            name,
            algorithm,
            secret,
        } = peer.key;
        text.push_str(&format!(
            "[[key]]\nname = \"{name}\"\nalgorithm = \"{algorithm}\"\nsecret = \"{secret}\"\n"
        ));
    }
    let notify: Vec<String> = secondaries
        .iter()
        .map(|(port, key)| {
            format!(
                "{{ address = \"127.0.0.1:{port}\", key = \"{}\" }}",
                key.name
            )
        })
        .collect();
    text.push_str(&format!(
        "[[zone]]\norigin = \"{ORIGIN}\"\nfile = \"zone\"\nnotify = [{}]\ntransfer = [{{ key = \
         \"nsd.key\" }}, {{ address = \"127.0.0.0/8\", key = \"knot.key\" }}, {{ key = \
         \"named.key.\" }}]\n",
        notify.join(", ")
    ));
    text
}

/// One version of the zone: some records stay, and what the number says of the others.
fn zone(version: u32) -> String {
    let mut text = "\
$TTL 300
@ SOA ns1 hostmaster 1 60 5 86400 5
@ NS ns1
@ MX 10 mail
ns1 A 127.0.0.1
mail A 192.0.2.25
mail AAAA 2001:db8::25
*.wild TXT \"any\" \"thing\"
cut NS ns.cut
ns.cut A 192.0.2.53
deep.cut TXT \"occluded\"
alias CNAME mail
odd TYPE65280 \\# 4 00010203
"
    .to_owned();
    text.push_str(&format!("version TXT \"{version}\"\n"));
    // Every hundred versions all TTLs change: whoever lacks that is better off with the whole zone.
    let ttl = 60 + (version + 50) / 100 % 2;
    for host in 0..40_u32 {
        // With each version, one host is not as it was.
        let age = (version + host) / 40 + host;
        if !age.is_multiple_of(4) {
            text.push_str(&format!("host{host} {ttl} A 192.0.2.{}\n", age * 7 % 200));
        }
        if age % 4 > 2 {
            text.push_str(&format!("host{host} {ttl} A 198.51.100.{host}\n"));
            text.push_str(&format!("_x._tcp.host{host} SRV {age} 1 5269 host{host}\n"));
        }
    }
    text
}

/// The output of `dig` against a port of loopback.
pub(crate) fn dig(port: u16, key: Option<&str>, arguments: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.args(["@127.0.0.1", "-p", &port.to_string()]);
    if let Some(key) = key {
        command.args(["-y", key]);
    }
    let output = command.args(arguments).output().expect("dig runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The records in the output of `dig`, sorted, with single blanks.
pub(crate) fn records(output: &str) -> Vec<String> {
    let mut lines = in_order(output);
    lines.sort();
    lines
}

/// The records in the output of `dig`, as they came.
pub(crate) fn in_order(output: &str) -> Vec<String> {
    let lines = output.lines().filter(|line| !line.starts_with(';'));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        // A signature is no record of the zone.
        .filter(|line| !line.is_empty() && !line.contains(" ANY TSIG "))
        .collect()
}

/// Waits until `primary` knows that all its secondaries have its serial.
pub(crate) fn all_acknowledged(primary: &Primary) {
    let found = until(BOUND, || {
        let status = primary.status();
        let zone = status.zones.first()?;
        let all = zone.secondaries.iter().all(|secondary| {
            secondary
                .acknowledged
                .is_some_and(|said| said.serial == zone.serial)
        });
        all.then_some(())
    });
    assert!(found.is_some(), "{:#?}", primary.status().zones);
}
