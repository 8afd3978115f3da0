//! A Docker engine of the test's own: it takes no other's images, and nothing of it stays but the
//! base images, which are worth keeping.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::patience::{until, wait_for};
use crate::programs::installed;

/// An engine that is not there within this is not coming, and one that does not end within this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which network the engine and its containers stand on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// The machine's: builds reach what the machine reaches. There are no bridges, and nothing is
    /// changed in the machine's own network.
    Machine,
    /// One of its own, which leads nowhere: bridges, addresses and rules end with it.
    Own,
}

/// One that runs until it is dropped.
pub(crate) struct Engine {
    child: Child,
    folder: tempfile::TempDir,
}

/// Why there can be none here, if so.
pub(crate) fn why_not(tools: &[&str]) -> Option<String> {
    if !geteuid().is_root() {
        return Some("a Docker engine of its own takes root".to_owned());
    }
    let all = [
        "docker",
        "dockerd",
        "unshare",
        "setpriv",
        "ip",
        "debootstrap",
    ];
    let missing: Vec<&str> = all
        .iter()
        .chain(tools)
        .filter(|tool| installed(tool).is_none())
        .copied()
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!("not installed: {}", missing.join(", ")))
}

/// Debian keeps what an administrator calls where a user's `PATH` does not look.
fn path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// Where images and what they are made of are kept.
pub(crate) fn kept() -> PathBuf {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/containers");
    fs::create_dir_all(&kept).expect("a folder");
    kept
}

impl Engine {
    /// Starts it and waits until it answers.
    pub(crate) fn start(network: Network) -> Engine {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        let log = File::create(here.join("log")).expect("a log");
        let serve = format!(
            "exec dockerd --host unix://{here}/socket --exec-root {here}/run \
             --pidfile {here}/pid --data-root {kept}/docker --log-level warn",
            here = here.display(),
            kept = kept().display(),
        );
        // It is asked to end should this thread be gone; as none of these forks, the pid is dockerd's.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "unshare", "--mount"]);
        if network == Network::Own {
            command.args(["--net", "sh", "-ec"]);
            command.arg(format!("ip link set lo up; {serve}"));
        } else {
            command.args(["sh", "-ec"]);
            command.arg(format!(
                "{serve} --bridge none --iptables=false --ip-forward=false"
            ));
        }
        let child = command
            .env("PATH", path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the same file"))
            .stderr(log)
            .spawn()
            .expect("setpriv was found a moment ago");
        let mut engine = Engine { child, folder };
        let answers = until(PATIENCE, || {
            let ended = engine.child.try_wait().expect("it is our child").is_some();
            (ended || engine.answers()).then_some(!ended)
        });
        assert!(answers == Some(true), "no engine:\n{}", engine.log());
        engine
    }

    fn answers(&self) -> bool {
        let socket = fs::metadata(self.folder.path().join("socket"));
        socket.is_ok_and(|found| found.file_type().is_socket())
            && self
                .command("docker")
                .arg("version")
                .output()
                .is_ok_and(|output| output.status.success())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `program`, which speaks to this engine, in the top folder of the project.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("PATH", path())
            .env("DOCKER_HOST", format!("unix://{}/socket", self.folder.path().display()))
            // The builder that every engine has.
            .env("DOCKER_BUILDKIT", "0")
            .env("COMPOSE_DOCKER_CLI_BUILD", "0")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    /// `program` on the engine's own network.
    pub(crate) fn beside(&self, program: &str) -> Command {
        let mut command = self.command("nsenter");
        command.args(["--net", "--target", &self.child.id().to_string(), program]);
        command
    }
}

impl Drop for Engine {
    /// Containers that still run are stopped.
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        // It may have ended by itself.
        let _ = kill(pid, Signal::SIGTERM);
        if until(PATIENCE, || self.child.try_wait().ok().flatten()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a command to its end, within `bound`; what it printed.
pub(crate) fn run(command: &mut Command, bound: Duration) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let file = |path| File::create(path).expect("a file for the output");
    let mut child = command
        .stdout(file(&out))
        .stderr(file(&err))
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let ended = until(bound, || child.try_wait().expect("it is our child"));
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} takes longer than {bound:?}:\n{}", read(&err));
    };
    Output {
        status,
        stdout: read(&out).into_bytes(),
        stderr: read(&err).into_bytes(),
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The same; it has to succeed. What it printed on standard output.
pub(crate) fn finish(command: &mut Command, bound: Duration) -> String {
    let output = run(command, bound);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}:\n{out}\n{err}");
    out.into_owned()
}

/// Waits until `engine` prints `expected` for `docker` with `words`.
pub(crate) fn comes_to(engine: &Engine, words: &[&str], expected: &str) {
    wait_for(&format!("{words:?} to say {expected:?}"), PATIENCE, || {
        let output = engine.command("docker").args(words).output().ok()?;
        (String::from_utf8_lossy(&output.stdout).trim() == expected).then_some(())
    });
}
