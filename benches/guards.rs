//! What the guards of the hot path cost, alone and together: `cargo bench --bench guards [-- --rounds N
//! --milliseconds N --beside PROGRAM]`.
//!
//! The same program serves the same zone once for each row, all on one processor; the generator has
//! another one. In each round each of them is asked in turn, and a round begins with another one
//! than the round before. For each of them the CPU time for an answered query is printed, the median
//! over the rounds, and the median of its ratios to the first row *of the same round*: that is what
//! the weather of a machine leaves as it is.
//!
//! - `nothing`: neither the rate limit nor the sandbox. Metrics are counted in every row: nothing
//!   switches that off.
//! - `sandbox`: as it is by default.
//! - `sandbox, loopback allowed`: the limit as it is by default; the client is in `allow`.
//! - `sandbox, limit`: each response is counted in the table, none is over the limit.
//! - `all over it`: nearly each response is over the limit, and the way to TCP goes out instead.
//! - `--beside PROGRAM`: another build of switchback, with neither `[rate_limit]` nor `[sandbox]` in
//!   its configuration, with which it can be told what anything that came later costs, metrics too.
//!
//! It fails if an answer is wrong; figures never fail it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]
#![allow(
    dead_code,
    reason = "it uses a part of what tests and other benchmarks need"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "shared/generator.rs"]
mod generator;
#[path = "shared/processes.rs"]
mod processes;
#[path = "../tests/shared/programs.rs"]
mod programs;
#[path = "peers/workloads.rs"]
mod workloads;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::clock;
use tempfile::TempDir;

use arguments::{is_bench, number};
use generator::{Load, ask, real};
use processes::{cpu, end, family, pin, processors};
use programs::free_port;
use workloads::{Setting, settings};

const PATIENCE: Duration = Duration::from_secs(30);
/// So many queries are under way at a time, as in `peers`.
const OUTSTANDING: usize = 100;

/// A row: what it is called, its guards, and whether each response is what was asked for.
struct Row {
    name: &'static str,
    guards: &'static str,
    is_whole: bool,
}

const ROWS: [Row; 5] = [
    Row {
        name: "nothing",
        guards: "[rate_limit]\nmode = \"off\"\n[sandbox]\nlandlock = \"off\"\nseccomp = \"off\"\n",
        is_whole: true,
    },
    Row {
        name: "sandbox",
        guards: "[rate_limit]\nmode = \"off\"\n",
        is_whole: true,
    },
    Row {
        name: "sandbox, loopback allowed",
        guards: "",
        is_whole: true,
    },
    Row {
        name: "sandbox, limit",
        guards: "[rate_limit]\nper_second = 1000000\nallow = []\n",
        is_whole: true,
    },
    Row {
        name: "all over it",
        guards: "[rate_limit]\nper_second = 1\nallow = []\n",
        is_whole: false,
    },
];
const BESIDE: Row = Row {
    name: "the other build",
    guards: "",
    is_whole: true,
};

/// A server at work; it ends with the value.
struct Running {
    row: &'static Row,
    child: Child,
    address: SocketAddr,
    processes: Vec<u32>,
    _folder: TempDir,
}

fn main() {
    let or = |name: &str, bench: u64, short: u64| {
        number(name).unwrap_or(if is_bench() { bench } else { short })
    };
    let rounds = usize::try_from(or("--rounds", 21, 1).max(1)).unwrap();
    let lasts = Duration::from_millis(or("--milliseconds", 400, 50));
    let beside = std::env::args()
        .skip_while(|word| word != "--beside")
        .nth(1);
    let allowed = processors();
    let all = settings(85);
    let setting = &all[0];
    pin(allowed[0]);
    let ours = env!("CARGO_BIN_EXE_switchback");
    let mut running: Vec<Running> = ROWS.iter().map(|row| start(row, ours, setting)).collect();
    running.extend(beside.map(|program| start(&BESIDE, &program, setting)));
    pin(*allowed.last().unwrap());
    for workload in setting.workloads.iter().filter(|it| it.name != "wildcard") {
        let questions = workload.questions(None);
        let mut samples: Vec<Vec<f64>> = Vec::new();
        for round in 0..rounds {
            let mut of_round = vec![0.0; running.len()];
            for turn in 0..running.len() {
                let at = (turn + round) % running.len();
                of_round[at] = running[at].sample(&questions, lasts);
            }
            samples.push(of_round);
        }
        println!("{:<36} CPU µs    × nothing", workload.title);
        for (at, one) in running.iter().enumerate() {
            let cpu = median(samples.iter().map(|round| round[at]));
            let ratio = median(samples.iter().map(|round| round[at] / round[0]));
            println!("  {:<34} {cpu:>6.3}  {ratio:>11.4}", one.row.name);
        }
    }
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Starts a server and waits until it answers.
fn start(row: &'static Row, program: &str, setting: &Setting) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let (at, port, origin) = (folder.path().display(), free_port(), setting.origin);
    fs::write(folder.path().join("zone"), &setting.text).unwrap();
    let config = folder.path().join("switchback.toml");
    let text = format!(
        "state_dir = \"{at}\"\n[listen]\ndns = [\"127.0.0.1:{port}\"]\ncontrol = \
         \"{at}/control.sock\"\n{}[[zone]]\norigin = \"{origin}.\"\nfile = \"{at}/zone\"\n",
        row.guards
    );
    fs::write(&config, text).unwrap();
    let output = File::create(folder.path().join("output")).unwrap();
    let child = Command::new(program)
        .args(["serve", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut running = Running {
        row,
        child,
        address,
        processes: Vec::new(),
        _folder: folder,
    };
    running.wait(setting);
    running.processes = family(running.child.id());
    running
}

impl Running {
    fn wait(&self, setting: &Setting) {
        let question = &setting.workloads[0].questions(None)[0];
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        socket.connect(self.address).unwrap();
        let begun = clock::mono();
        let mut answer = [0; 1500];
        while clock::mono().since(begun) < PATIENCE {
            let _ = socket.send(&question.wire);
            if socket.recv(&mut answer).is_ok() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("{} does not answer", self.row.name);
    }

    /// Microseconds for each answered query.
    fn sample(&self, questions: &[generator::Question], lasts: Duration) -> f64 {
        let load = Load {
            server: self.address,
            questions,
            outstanding: OUTSTANDING,
            lasts,
            checked: self.row.is_whole,
        };
        let before = cpu(&self.processes);
        let outcome = ask(&load);
        let cpu = cpu(&self.processes).saturating_sub(before);
        assert_eq!(outcome.fault, None, "{}", self.row.name);
        cpu.as_secs_f64() * 1e6 / real(outcome.answered.max(1))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
