//! A network of its own for each test: the test runs itself again inside new network, mount and
//! process namespaces, and all that it starts there ends with it, however it ends.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, geteuid};

use crate::patience::until;

/// Set in the copy of the test that runs inside.
const INSIDE: &str = "SWITCHBACK_TEST_NAMESPACES";

/// Says something that the test harness does not swallow.
pub(crate) fn say(line: &str) {
    // Nobody to tell if standard error is gone.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether this is the copy that runs in namespaces of its own.
pub(crate) fn inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs `body` in namespaces of its own, for at most `bound`. `test` is the name of the test that
/// calls this. Without `tools`, or where namespaces cannot be had, it says so and returns.
pub(crate) fn in_namespaces(test: &str, bound: Duration, tools: &[&str], body: impl FnOnce()) {
    if inside() {
        return body();
    }
    if let Some(reason) = why_not(tools) {
        return say(&format!("left out: {test}, because {reason}"));
    }
    let folder = tempfile::tempdir().expect("a folder for the output");
    let output = folder.path().join("output");
    let mut inside = unshare()
        .arg(env::current_exe().expect("the test knows its own file"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("PATH", path_with_sbin())
        .stdin(Stdio::null())
        // Both append: what one says does not lie over what the other said.
        .stdout(appending(&output))
        .stderr(appending(&output))
        .spawn()
        .expect("unshare was found a moment ago");
    let ended = until(bound, || inside.try_wait().expect("it is our child"));
    if ended.is_none() {
        // `--kill-child`: all inside dies with it.
        let _ = inside.kill();
        let _ = inside.wait();
    }
    let text = fs::read_to_string(&output).unwrap_or_default();
    for line in text.lines() {
        // The harness may have begun the line.
        if let Some(at) = line.find("lab: ") {
            say(&line[at..]);
        }
    }
    assert!(
        ended.is_some_and(|status| status.success()),
        "inside ({ended:?}):\n{text}"
    );
}

fn appending(path: &Path) -> File {
    let mut options = File::options();
    let file = options.create(true).append(true).open(path);
    file.expect("a file for the output")
}

/// Why no lab can be built here, if so.
fn why_not(tools: &[&str]) -> Option<String> {
    let path = path_with_sbin();
    let found = |tool: &&str| env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let missing: Vec<&str> = ["unshare", "ip", "nft"]
        .iter()
        .chain(tools)
        .filter(|tool| !found(tool))
        .copied()
        .collect();
    if !missing.is_empty() {
        return Some(format!("not installed: {}", missing.join(", ")));
    }
    let trial = unshare()
        .args([
            "sh",
            "-ec",
            "mount -t tmpfs lab /run; mkdir /run/netns; ip netns add a",
        ])
        .env("PATH", &path)
        .output();
    match trial {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr)
                .trim()
                .replace('\n', "; ");
            Some(format!("network namespaces cannot be made here: {why}"))
        }
        Err(error) => Some(format!("unshare does not run: {error}")),
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.env("PATH", path_with_sbin());
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    // Processes are told apart by `/proc`, which has to be the one of their own namespace.
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command
}

/// Debian keeps servers where a user's `PATH` does not look.
fn path_with_sbin() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// Runs a command to its end; it has to succeed.
pub(crate) fn run(line: &str) {
    let output = Command::new("sh")
        .args(["-ec", line])
        .output()
        .expect("sh runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {stderr}");
}

/// Hosts on one bridge, `10.77.0.0/24`. The test itself stands on the bridge as `.1`.
pub(crate) struct Network;

impl Network {
    /// Lays the bridge. `resolver` becomes the name server of everything in here.
    pub(crate) fn new(folder: &Path, resolver: &str) -> Network {
        let resolv_conf = folder.join("resolv.conf");
        fs::write(&resolv_conf, format!("nameserver {resolver}\n")).expect("written");
        // The system's own may be a link into /run, which is about to be hidden.
        let at = fs::canonicalize("/etc/resolv.conf").unwrap_or("/etc/resolv.conf".into());
        run("mount -t tmpfs lab /run && mkdir /run/netns");
        run(&format!(
            "mkdir -p {}; test -e {at} || touch {at}; mount --bind {} {at}",
            at.parent().unwrap_or(Path::new("/")).display(),
            resolv_conf.display(),
            at = at.display(),
        ));
        run("ip link set lo up; ip link add bridge0 type bridge; ip link set bridge0 up");
        run("ip address add 10.77.0.1/24 dev bridge0");
        Network
    }

    /// Puts a host on the bridge.
    pub(crate) fn add(&self, name: &str, address: &str) {
        run(&format!(
            "ip netns add {name}
             ip link add v-{name} type veth peer name eth0 netns {name}
             ip link set v-{name} master bridge0 up
             ip -n {name} link set lo up
             ip -n {name} link set eth0 up
             ip -n {name} address add {address}/24 dev eth0"
        ));
    }

    /// From now on every packet to the host is lost, without a word to the sender.
    pub(crate) fn blackhole(&self, name: &str) {
        run(&format!(
            "ip netns exec {name} nft 'add table inet dark; \
             add chain inet dark nothing {{ type filter hook input priority 0; policy drop; }}'"
        ));
    }

    /// Ends [`Network::blackhole`].
    pub(crate) fn reconnect(&self, name: &str) {
        run(&format!("ip netns exec {name} nft delete table inet dark"));
    }
}

/// A program that runs on a host until it is dropped.
pub(crate) struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Daemon {
    /// Starts `argv` on `host`, with its output in `folder`.
    pub(crate) fn start(host: &str, folder: &Path, argv: &[&str]) -> Daemon {
        let program = Path::new(argv[0])
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let name = format!("{host}-{program}");
        let log = folder.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        // `ip netns exec` becomes the program: the child's pid is the program's.
        let child = Command::new("ip")
            .args(["netns", "exec", host])
            .args(argv)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the same file"))
            .stderr(output)
            .spawn()
            .expect("ip runs");
        Daemon { child, name, log }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has not ended by itself.
    pub(crate) fn runs(&self) -> bool {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        matches!(waitid(Id::Pid(pid), flags), Ok(WaitStatus::StillAlive))
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().nth(3000).map_or(0, |(at, _)| at);
            say(&format!(
                "--- the end of {}:\n{}",
                self.log.display(),
                &log[from..]
            ));
        }
    }
}
