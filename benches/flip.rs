//! Load while the ranking flips: `cargo bench --bench flip [-- --seconds N --rate QPS --rounds N]`.
//!
//! Real listeners on loopback, dnsperf as the load, first quiet, then with a new snapshot ten
//! times a second. All the while a checker asks for the SOA, the SRV set and the SOA again, over
//! UDP and TCP in turn. It fails if a query is lost, if one message speaks of two generations, or
//! if the SRV set is older than the SOA before it or newer than the SOA after it. Then the SRV
//! set is asked for as fast as it goes, with 100 queries outstanding, in rounds that are quiet and
//! rounds with a hundred new snapshots a second, in turn. Times and rates are printed and never
//! fail it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "../tests/server/fixture.rs"]
mod fixture;
#[path = "shared/generator.rs"]
mod generator;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{park_timeout, scope};
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use switchback::clock;
use switchback::server::{ListenSpec, Listeners};
use switchback::snapshot::Snapshot;
use tempfile::TempDir;

use arguments::{is_bench, number};
use generator::{Load, Question, ask};

use fixture::{SRV, ZONE, generation_of_srv, query, serial_of_soa, snapshot};

/// Between two flips.
const FLIP_EVERY: Duration = Duration::from_millis(100);
/// The same when queries come as fast as they go.
const SATURATED_FLIP_EVERY: Duration = Duration::from_millis(10);
/// Of the one service, a record for each server of its two pools.
const SRV_RECORDS: u8 = 2;
/// Between two rounds of the checker.
const CHECK_EVERY: Duration = Duration::from_millis(2);

/// One run under load.
#[derive(Default)]
struct Run {
    /// As dnsperf counts them.
    sent: u64,
    lost: u64,
    /// In microseconds, sorted.
    latencies: Vec<u32>,
    /// CPU time of the UDP threads, and how many queries they had, the checker's among them.
    cpu: Duration,
    served: u64,
    flips: u16,
    rounds: u64,
    faults: Vec<String>,
}

fn main() -> ExitCode {
    let or = |name: &str, bench: u64, short: u64| {
        number(name).unwrap_or(if is_bench() { bench } else { short })
    };
    let (seconds, rounds) = (or("--seconds", 30, 2), or("--rounds", 5, 1));
    let rate = or("--rate", 20_000, 20_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let _within = runtime.enter();
    let spec = ListenSpec {
        dns: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        xdp: Vec::new(),
        encrypted: None,
    };
    let snapshots = Arc::new(ArcSwap::new(snapshot(1)));
    let serving = Listeners::bind(&spec)
        .unwrap()
        .serve(Arc::clone(&snapshots));
    let house = House {
        server: serving.local_addrs().dns[0],
        snapshots: &snapshots,
        files: tempfile::tempdir().unwrap(),
        seconds,
        rate,
    };
    let served = || serving.counters().udp.queries;
    let quiet = house.run(false, &served);
    let flipping = house.run(true, &served);
    let saturated = house.saturate(rounds);
    let counters = runtime.block_on(serving.shut_down());

    println!("\n{seconds} s each at {rate} queries a second, UDP on loopback");
    println!("                     quiet    flipping");
    let row = |name: &str, of: fn(&Run) -> String| {
        println!("{name:<16} {:>10}  {:>10}", of(&quiet), of(&flipping));
    };
    row("queries", |run| run.sent.to_string());
    row("lost", |run| run.lost.to_string());
    row("p50 µs", |run| run.percentile(500).to_string());
    row("p99 µs", |run| run.percentile(990).to_string());
    row("p99.9 µs", |run| run.percentile(999).to_string());
    row("CPU µs a query", Run::cpu_per_query);
    row("flips", |run| run.flips.to_string());
    row("checks", |run| run.rounds.to_string());
    row("faults", |run| run.faults.len().to_string());
    let ratio = f64::from(flipping.percentile(999)) / f64::from(quiet.percentile(999).max(1));
    println!("p99.9 flipping / quiet: {ratio:.2}");
    saturated.print(rounds);
    println!("server: {counters:?}");
    let faults = [&quiet, &flipping].map(|run| &run.faults[..]).concat();
    for fault in faults.iter().take(20) {
        println!("FAULT: {fault}");
    }
    let lost = quiet.lost + flipping.lost + saturated.lost;
    if lost > 0 {
        println!("FAULT: {lost} queries were lost");
    }
    let wrong = saturated.wrong;
    if wrong > 0 {
        println!("FAULT: {wrong} answers were wrong");
    }
    if faults.is_empty() && lost + wrong == 0 && counters.total().panics == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct House<'a> {
    server: SocketAddr,
    snapshots: &'a ArcSwap<Snapshot>,
    files: TempDir,
    seconds: u64,
    rate: u64,
}

impl House<'_> {
    fn run(&self, flip: bool, served: &dyn Fn() -> u64) -> Run {
        let over = AtomicBool::new(false);
        let (cpu, queries) = (cpu_of_udp_threads(), served());
        let mut run = scope(|scope| {
            let flipper = scope.spawn(|| {
                if flip {
                    self.flip(FLIP_EVERY, &over)
                } else {
                    0
                }
            });
            let checker = scope.spawn(|| Checker::new(self.server).check(&over));
            let mut run = self.load();
            over.store(true, Relaxed);
            run.flips = flipper.join().unwrap();
            (run.rounds, run.faults) = checker.join().unwrap();
            run
        });
        run.cpu = cpu_of_udp_threads().saturating_sub(cpu);
        run.served = served() - queries;
        run
    }

    /// Publishes a new generation each time that `every` has passed. Returns how many.
    fn flip(&self, every: Duration, over: &AtomicBool) -> u16 {
        let mut generation = 1;
        while !over.load(Relaxed) {
            generation += 1;
            self.snapshots.store(snapshot(generation));
            park_timeout(every);
        }
        generation - 1
    }

    /// Asks for the SRV set as fast as it goes, quiet and flipping in turn.
    fn saturate(&self, rounds: u64) -> Saturated {
        let questions = [Question {
            wire: query(0, SRV, RecordType::SRV, Some(0)),
            random: 0..0,
            rcode: 0,
            answers: SRV_RECORDS,
        }];
        let load = Load {
            server: self.server,
            questions: &questions,
            outstanding: 100,
            lasts: Duration::from_secs(self.seconds.min(3)),
            checked: true,
        };
        let mut all = Saturated::default();
        for _ in 0..rounds {
            let quiet = ask(&load);
            let over = AtomicBool::new(false);
            let (flipping, flips) = scope(|scope| {
                let flipper = scope.spawn(|| self.flip(SATURATED_FLIP_EVERY, &over));
                let flipping = ask(&load);
                over.store(true, Relaxed);
                (flipping, flipper.join().unwrap())
            });
            all.quiet.push(quiet.per_second());
            all.flipping.push(flipping.per_second());
            all.flips += u64::from(flips);
            all.lost += quiet.lost + flipping.lost;
            all.wrong += quiet.wrong + flipping.wrong;
        }
        all
    }

    /// Lets dnsperf ask for the whole time, or waits if it is not installed.
    fn load(&self) -> Run {
        let questions = self.files.path().join("questions");
        let report = self.files.path().join("report");
        let text = format!(
            "{SRV} SRV\n{ZONE} SOA\nedge1.contoso.test A\nnowhere.contoso.test A\nwww.contoso.test A\n"
        );
        std::fs::write(&questions, text).unwrap();
        let started = Command::new("dnsperf")
            .args(["-s", "127.0.0.1", "-c", "8", "-T", "1", "-v"])
            .args(["-p", &self.server.port().to_string()])
            .args(["-l", &self.seconds.to_string()])
            .args(["-Q", &self.rate.to_string()])
            .arg("-d")
            .arg(&questions)
            .stdout(File::create(&report).unwrap())
            .stderr(Stdio::null())
            .status();
        match started {
            Ok(_) => read_report(&report),
            Err(error) => {
                println!("left out: the load (dnsperf: {error}); the checker runs alone");
                park_timeout(Duration::from_secs(self.seconds));
                Run::default()
            }
        }
    }
}

/// The rounds at the limit: queries a second in each, and over all of them the rest.
#[derive(Default)]
struct Saturated {
    quiet: Vec<f64>,
    flipping: Vec<f64>,
    flips: u64,
    lost: u64,
    wrong: u64,
}

impl Saturated {
    fn print(&self, rounds: u64) {
        let median = |all: &[f64]| {
            let mut all = all.to_vec();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let (quiet, flipping) = (median(&self.quiet), median(&self.flipping));
        println!(
            "as fast as it goes, medians of {rounds} rounds in turn: {quiet:.0} queries a second \
             quiet, {flipping:.0} with {} flips in all: {:.2}; lost {}",
            self.flips,
            flipping / quiet,
            self.lost
        );
    }
}

/// dnsperf's lines `> NOERROR contoso.test SOA 0.000123` and its counts.
fn read_report(report: &Path) -> Run {
    let mut run = Run::default();
    for line in std::fs::read_to_string(report).unwrap().lines() {
        let last = line.rsplit(' ').next();
        let word = |from_colon: usize| line.split_whitespace().nth(from_colon)?.parse().ok();
        if line.starts_with("> ") {
            let seconds: Option<f64> = last.and_then(|word| word.parse().ok());
            run.latencies.extend(seconds.map(|seconds| {
                u32::try_from(Duration::from_secs_f64(seconds).as_micros()).unwrap_or(u32::MAX)
            }));
        } else if line.contains("Queries sent:") {
            run.sent = word(2).unwrap_or(0);
        } else if line.contains("Queries lost:") {
            run.lost = word(2).unwrap_or(0);
        }
    }
    run.latencies.sort_unstable();
    run
}

impl Run {
    fn percentile(&self, per_mille: usize) -> u32 {
        let at = self.latencies.len() * per_mille / 1000;
        self.latencies.get(at).copied().unwrap_or(0)
    }

    fn cpu_per_query(&self) -> String {
        let each = self.cpu.as_nanos() / u128::from(self.served.max(1));
        format!("{}.{:02}", each / 1000, each % 1000 / 10)
    }
}

/// The CPU time that the server's UDP threads have used, from the scheduler's books.
fn cpu_of_udp_threads() -> Duration {
    let mut sum = Duration::ZERO;
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    for task in tasks.flatten().map(|entry| entry.path()) {
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        let books = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        let nanoseconds = books.split(' ').next().and_then(|word| word.parse().ok());
        if name.trim() == "udp" {
            sum += Duration::from_nanos(nanoseconds.unwrap_or(0));
        }
    }
    sum
}

/// Asks SOA, SRV, SOA, one after the other.
struct Checker {
    udp: UdpSocket,
    tcp: TcpStream,
    id: u16,
}

impl Checker {
    fn new(server: SocketAddr) -> Checker {
        let patience = Some(Duration::from_secs(2));
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        udp.connect(server).unwrap();
        udp.set_read_timeout(patience).unwrap();
        let tcp = TcpStream::connect(server).unwrap();
        tcp.set_read_timeout(patience).unwrap();
        tcp.set_nodelay(true).unwrap();
        Checker { udp, tcp, id: 0 }
    }

    /// Checks until it is over: how many rounds, and what was wrong.
    fn check(mut self, over: &AtomicBool) -> (u64, Vec<String>) {
        let (mut rounds, mut faults) = (0, Vec::new());
        let mut newest = 0;
        while !over.load(Relaxed) {
            match self.round(rounds) {
                Ok((before, generation, after)) => {
                    if !(newest <= before && before <= generation && generation <= after) {
                        faults.push(format!(
                            "seen {newest}, then SOA {before}, SRV {generation}, SOA {after}"
                        ));
                    }
                    newest = after;
                }
                Err(fault) => faults.push(fault),
            }
            rounds += 1;
            let begun = clock::mono();
            while clock::mono().since(begun) < CHECK_EVERY {
                park_timeout(CHECK_EVERY);
            }
        }
        (rounds, faults)
    }

    fn round(&mut self, number: u64) -> Result<(u32, u32, u32), String> {
        let over_tcp = |at: u64| number >> at & 1 == 1;
        let no_soa = || "no SOA".to_owned();
        let before = self.ask(ZONE, RecordType::SOA, over_tcp(0))?;
        let before = serial_of_soa(&before).ok_or_else(no_soa)?;
        let set = self.ask(SRV, RecordType::SRV, over_tcp(1))?;
        let generation = u32::from(generation_of_srv(&set)?);
        let after = self.ask(ZONE, RecordType::SOA, over_tcp(2))?;
        let after = serial_of_soa(&after).ok_or_else(no_soa)?;
        Ok((before, generation, after))
    }

    fn ask(&mut self, name: &str, rtype: RecordType, over_tcp: bool) -> Result<Message, String> {
        self.id = self.id.wrapping_add(1);
        let question = query(self.id, name, rtype, Some(0));
        let answer = match over_tcp {
            true => self.ask_tcp(&question),
            false => self.ask_udp(&question),
        };
        let answer = answer.map_err(|error| format!("lost: {name} {rtype}: {error}"))?;
        let message = Message::from_vec(&answer).map_err(|error| error.to_string())?;
        match message.metadata.id == self.id {
            true => Ok(message),
            false => Err(format!(
                "the answer to another question than {name} {rtype}"
            )),
        }
    }

    fn ask_udp(&self, question: &[u8]) -> std::io::Result<Vec<u8>> {
        self.udp.send(question)?;
        let mut answer = vec![0; 4096];
        let length = self.udp.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }

    fn ask_tcp(&mut self, question: &[u8]) -> std::io::Result<Vec<u8>> {
        let length = u16::try_from(question.len()).unwrap();
        self.tcp
            .write_all(&[&length.to_be_bytes(), question].concat())?;
        let mut length = [0; 2];
        self.tcp.read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.tcp.read_exact(&mut answer)?;
        Ok(answer)
    }
}
