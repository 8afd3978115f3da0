//! A machine with a systemd, which nothing leads to or from: Debian in `systemd-nspawn`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engine::{finish, kept, run};
use crate::patience::{until, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
/// A mirror may be slow.
const INSTALL: Duration = Duration::from_secs(300);
/// The program confines itself, and is to be let.
const LANDLOCK: &str =
    "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self";

/// One that runs until it is dropped.
pub(crate) struct Machine {
    nspawn: Child,
    init: String,
    folder: tempfile::TempDir,
}

impl Machine {
    /// Starts it and waits until it has come up. `debian.tar` is among what is kept.
    pub(crate) fn start() -> Machine {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        fs::create_dir(&root).expect("a folder");
        let mut unpack = Command::new("tar");
        unpack.arg("-C").arg(&root).arg("-xf").arg(with_systemd());
        finish(&mut unpack, PATIENCE);
        // It ends with this thread, should that be gone first.
        let nspawn = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "systemd-nspawn", "--quiet", "--boot"])
            .args(["--private-network", "--register=no", "--keep-unit"])
            .args(["--console=pipe", LANDLOCK, "--machine=switchback-test"])
            .arg("--directory")
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setpriv was found a moment ago");
        let pid = nspawn.id();
        let mut machine = Machine {
            nspawn,
            init: String::new(),
            folder,
        };
        wait_for("a systemd", PATIENCE, || {
            let children = format!("/proc/{pid}/task/{pid}/children");
            let children = fs::read_to_string(children).ok()?;
            machine.init = children.split_whitespace().last()?.to_owned();
            let state = machine.run(&["systemctl", "is-system-running"]);
            ["running", "degraded"]
                .contains(&state.1.trim())
                .then_some(())
        });
        machine
    }

    /// A path on it, as this machine sees it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    /// Runs a command on it; whether it succeeded, and what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> (bool, String) {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target", &self.init, "--mount", "--uts", "--ipc", "--net", "--pid",
            ])
            .args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            .args(words);
        let output = run(&mut command, PATIENCE);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.success(), said)
    }

    /// The same; it has to succeed.
    pub(crate) fn finish(&self, words: &[&str]) -> String {
        let (succeeded, said) = self.run(words);
        assert!(succeeded, "{words:?}:\n{said}\n{}", self.journal());
        said
    }

    /// A program of this machine on the network of that one.
    pub(crate) fn beside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--net", program]);
        command
    }

    /// What systemd and the daemon said.
    pub(crate) fn journal(&self) -> String {
        self.run(&[
            "journalctl",
            "--no-pager",
            "--lines",
            "100",
            "-u",
            "switchback*",
        ])
        .1
    }
}

impl Drop for Machine {
    /// All that runs on it ends with its first process.
    fn drop(&mut self) {
        if let Ok(init) = self.init.parse() {
            let _ = kill(Pid::from_raw(init), Signal::SIGKILL);
        }
        if until(PATIENCE, || self.nspawn.try_wait().ok().flatten()).is_none() {
            let _ = self.nspawn.kill();
            let _ = self.nspawn.wait();
        }
    }
}

/// Debian with a systemd; made if it is not there.
fn with_systemd() -> PathBuf {
    let made = kept().join("systemd.tar");
    if made.exists() {
        return made;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", INSTALL_SYSTEMD]);
    command
        .arg(kept().join("debian.tar"))
        .arg(folder.path())
        .arg(&made);
    finish(&mut command, INSTALL);
    made
}

/// With what the package depends on.
const INSTALL_SYSTEMD: &str = r#"
tar -C "$1" -xf "$0"
cp /etc/resolv.conf "$1/etc/"
mount -t proc proc "$1/proc"
chroot "$1" sh -ec 'apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends systemd systemd-sysv adduser
  rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*'
umount "$1/proc"
tar -C "$1" --one-file-system -cf "$2.part" .
mv "$2.part" "$2"
"#;
