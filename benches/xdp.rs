//! Past the kernel's network stack, beside Knot: `cargo bench --bench xdp`, as root.
//!
//! switchback and Knot, each with AF_XDP and with sockets, each in a network namespace of its own
//! behind a cable of its own (veth). Knot's generator `kxdpgun` asks each of them in turn, round
//! after round, as fast as it goes; the servers are on one processor, the generator on another.
//! Medians over the rounds are printed: replies a second, and the CPU time of the server for each
//! reply. It fails if an answer is not NOERROR; figures never fail it.
//!
//! What the kernel does in softirqs it does in the time of whoever runs then: with veth, the
//! receiver's work in the sender's time. That is the same for all four.
#![allow(clippy::unwrap_used, reason = "what a benchmark cannot do ends it")]
#![allow(
    dead_code,
    reason = "it uses a part of what tests and other benchmarks need"
)]

#[path = "shared/generator.rs"]
mod generator;
#[path = "../tests/federation/namespaces.rs"]
mod namespaces;
#[path = "../tests/federation/patience.rs"]
mod patience;
#[path = "shared/processes.rs"]
mod processes;
#[path = "../tests/shared/programs.rs"]
mod programs;
#[path = "peers/workloads.rs"]
mod workloads;

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use generator::real;
use namespaces::{in_namespaces, inside, run, say};
use patience::wait_for;
use processes::{cpu, end, family, pin, processors};
use programs::installed;
use workloads::{Setting, Workload, settings};

const BOUND: Duration = Duration::from_secs(300);
const ROUNDS: usize = 5;
/// What kxdpgun asks for in one turn, in seconds and queries a second: more than any server
/// gives, so that it is the server that sets the pace.
const SECONDS: &str = "2";
const RATE: &str = "2000000";

/// A server that is measured.
struct Contestant {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    configure: fn(&Setting, &str, &Path, bool) -> String,
    /// Past the kernel; else through sockets.
    xdp: bool,
}

const CONTESTANTS: [Contestant; 4] = [
    Contestant {
        name: "switchback, AF_XDP",
        program: env!("CARGO_BIN_EXE_switchback"),
        arguments: &["serve", "--config"],
        configure: switchback_config,
        xdp: true,
    },
    Contestant {
        name: "Knot, AF_XDP",
        program: "knotd",
        arguments: &["-c"],
        configure: knot_config,
        xdp: true,
    },
    Contestant {
        name: "switchback, sockets",
        program: env!("CARGO_BIN_EXE_switchback"),
        arguments: &["serve", "--config"],
        configure: switchback_config,
        xdp: false,
    },
    Contestant {
        name: "Knot, sockets",
        program: "knotd",
        arguments: &["-c"],
        configure: knot_config,
        xdp: false,
    },
];

/// One that runs; it ends with the value.
struct Running {
    contestant: &'static Contestant,
    child: Child,
    address: String,
    /// Our end of its cable.
    cable: String,
    folder: tempfile::TempDir,
}

/// One turn.
struct Sample {
    replies_per_second: f64,
    /// Microseconds for each reply.
    cpu: f64,
}

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without `--bench`; so do the namespaces.
    if inside() || std::env::args().any(|word| word == "--bench") {
        in_namespaces("xdp", BOUND, &["knotd", "kxdpgun"], bench);
    }
}

fn bench() {
    if !nix::unistd::geteuid().is_root() {
        return say("lab: left out, because AF_XDP takes root");
    }
    run("mount -t tmpfs lab /run; mkdir /run/netns; ip link set lo up");
    let all = settings(85);
    let setting = &all[0];
    let processors = processors();
    pin(processors[0]);
    let running: Vec<Running> = CONTESTANTS
        .iter()
        .enumerate()
        .map(|(number, contestant)| contestant.start(setting, number))
        .collect();
    pin(*processors.last().unwrap());
    for workload in setting.workloads.iter().filter(|it| it.dnsperf) {
        let mut samples: Vec<Vec<Sample>> = running.iter().map(|_| Vec::new()).collect();
        for round in 0..ROUNDS {
            for turn in 0..running.len() {
                let at = (turn + round) % running.len();
                samples[at].push(running[at].sample(workload));
            }
        }
        print(workload, &running, &samples);
    }
}

/// A row for each; the ratios are to Knot of the same kind.
fn print(workload: &Workload, running: &[Running], samples: &[Vec<Sample>]) {
    let median = |of: fn(&Sample) -> f64, samples: &[Sample]| {
        let mut all: Vec<f64> = samples.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let rates: Vec<f64> = samples
        .iter()
        .map(|samples| median(|it| it.replies_per_second, samples))
        .collect();
    let cpu: Vec<f64> = samples
        .iter()
        .map(|samples| median(|it| it.cpu, samples))
        .collect();
    say(&format!(
        "lab: {:<36} replies/s  × Knot  CPU µs  × Knot",
        workload.title
    ));
    for (at, one) in running.iter().enumerate() {
        let knot = at | 1;
        say(&format!(
            "lab: {:<36} {:>9.0} {:>7.2} {:>7.2} {:>7.2}",
            one.contestant.name,
            rates[at],
            rates[at] / rates[knot],
            cpu[at],
            cpu[at] / cpu[knot]
        ));
    }
}

impl Contestant {
    /// Starts it behind a cable of its own, and waits until it answers.
    fn start(&'static self, setting: &Setting, number: usize) -> Running {
        let (host, cable) = (format!("host{number}"), format!("cable{number}"));
        let address = format!("10.78.{number}.1");
        run(&format!(
            "ip netns add {host}
             ip link add {cable} type veth peer name eth0 netns {host}
             ip address add 10.78.{number}.2/24 dev {cable}; ip link set {cable} up
             ip -n {host} address add {address}/24 dev eth0
             ip -n {host} link set lo up; ip -n {host} link set eth0 up"
        ));
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join(format!("{}.zone", setting.origin)),
            &setting.text,
        )
        .unwrap();
        let config = folder.path().join("server.conf");
        let text = (self.configure)(setting, &address, folder.path(), self.xdp);
        fs::write(&config, text).unwrap();
        let output = File::create(folder.path().join("output")).unwrap();
        let child = Command::new("ip")
            .args(["netns", "exec", &host])
            .arg(installed(self.program).unwrap())
            .args(self.arguments)
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let running = Running {
            contestant: self,
            child,
            address,
            cable,
            folder,
        };
        running.wait(setting);
        running
    }
}

impl Running {
    /// Until it gives the right answer.
    fn wait(&self, setting: &Setting) {
        let question = &setting.workloads[0].questions(None)[0];
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let patience = Some(Duration::from_millis(100));
        socket.set_read_timeout(patience).unwrap();
        socket.connect((self.address.as_str(), 53)).unwrap();
        wait_for(self.contestant.name, Duration::from_secs(30), || {
            socket.send(&question.wire).ok()?;
            let mut answer = [0; 1500];
            let length = socket.recv(&mut answer).ok()?;
            (length > 12 && answer[7] == question.answers).then_some(())
        });
        let output = fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
        let past = ["native mode", "generic mode"];
        let past = past.iter().any(|words| output.contains(words));
        assert_eq!(
            past, self.contestant.xdp,
            "{}:\n{output}",
            self.contestant.name
        );
    }

    fn sample(&self, workload: &Workload) -> Sample {
        let questions = self.folder.path().join("questions");
        let lines = workload.lines();
        let lines = lines.lines().map(|line| format!("{line} E\n"));
        fs::write(&questions, lines.collect::<String>()).unwrap();
        let processes = family(self.child.id());
        let before = cpu(&processes);
        let said = Command::new("kxdpgun")
            .args(["-t", SECONDS, "-Q", RATE, "-I", &self.cable, "-i"])
            .arg(&questions)
            .arg(&self.address)
            .output()
            .unwrap();
        let cpu = cpu(&processes).saturating_sub(before);
        let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        let number = |label: &str| -> u64 {
            let after = said.split_once(label).map_or("", |(_, after)| after);
            let word = after.split_whitespace().next();
            word.and_then(|word| word.parse().ok())
                .unwrap_or_else(|| panic!("{}: no '{label}' in\n{said}", self.contestant.name))
        };
        let replies = number("total replies:");
        assert_eq!(replies, number("responded NOERROR:"), "{said}");
        Sample {
            replies_per_second: real(replies) / SECONDS.parse::<f64>().unwrap(),
            cpu: cpu.as_secs_f64() * 1e6 / real(replies.max(1)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn switchback_config(setting: &Setting, address: &str, folder: &Path, xdp: bool) -> String {
    let (at, origin) = (folder.display(), setting.origin);
    let xdp = if xdp { "xdp = [\"eth0\"]\n" } else { "" };
    format!(
        "state_dir = \"{at}\"\n[listen]\ndns = [\"{address}:53\"]\n{xdp}control = \
         \"{at}/control.sock\"\n[rate_limit]\nmode = \"off\"\n[[zone]]\norigin = \"{origin}.\"\nfile = \"{at}/{origin}.zone\"\n"
    )
}

fn knot_config(setting: &Setting, address: &str, folder: &Path, xdp: bool) -> String {
    let (at, origin) = (folder.display(), setting.origin);
    let xdp = if xdp {
        "xdp:\n    listen: eth0@53\n"
    } else {
        ""
    };
    format!(
        "server:\n    rundir: {at}\n    listen: {address}@53\n    udp-workers: 1\n    tcp-workers: \
         1\n    background-workers: 1\n    udp-max-payload: 1232\n{xdp}log:\n  - target: stderr\n    \
         any: info\ndatabase:\n    storage: {at}\nzone:\n  - domain: {origin}\n    storage: {at}\n    \
         file: {origin}.zone\n    zonefile-sync: -1\n    journal-content: none\n    \
         semantic-checks: off\n"
    )
}
