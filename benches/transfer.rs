//! Secondaries: `cargo bench --bench transfer [-- --flips N --records N --seconds N --rounds N]`.
//!
//! First, how long after a swap NSD, Knot and named serve its serial: they are told by NOTIFY and
//! fetch by IXFR, both signed. Then, what those who ask notice while a large zone is transferred,
//! again and again without a pause: rounds with and without it in turn, dnsperf as the load, once
//! at a fixed rate for the latency, once as fast as it goes for the throughput. Medians are
//! printed and never fail it; a secondary that does not follow does.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]
#![allow(
    dead_code,
    reason = "the modules of tests, of which this uses a part each"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "../tests/server/fixture.rs"]
mod fixture;
#[path = "../tests/federation/patience.rs"]
mod patience;
#[path = "../tests/secondaries/peers.rs"]
mod peers;
#[path = "../tests/secondaries/primary.rs"]
mod primary;
#[path = "../tests/shared/programs.rs"]
mod programs;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{park_timeout, scope};
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use switchback::clock;
use switchback::ids::{Generation, Serial};
use switchback::notify::Notifier;
use switchback::server::{ListenSpec, Listeners};
use switchback::snapshot::{Permit, Replication, Snapshot, SnapshotSpec, Target};
use switchback::tsig::{Key, Keys};
use switchback::zone::{self, Name};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use fixture::{ZONE, query, serial_of_soa};
use peers::{PEERS, Secondary};
use programs::free_port;

/// Between two swaps: every secondary has settled by then.
const SETTLE: Duration = Duration::from_millis(1500);
/// No secondary takes longer.
const BOUND: Duration = Duration::from_secs(20);
const BIG: &str = "big.test.";

fn main() {
    let number = |name: &str, bench, test| {
        arguments::number(name).unwrap_or(if arguments::is_bench() { bench } else { test })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let _within = runtime.enter();
    follow(number("--flips", 21, 2));
    let (records, seconds) = (
        number("--records", 1_000_000, 20_000),
        number("--seconds", 5, 1),
    );
    disturb(records, seconds, number("--rounds", 5, 1));
}

fn keys() -> Arc<Keys> {
    let keys = PEERS.into_iter().map(|peer| {
        let name = format!("{}.", peer.key.name).parse().unwrap();
        let algorithm = peer.key.algorithm.parse().unwrap();
        Key::from_base64(&name, algorithm, peer.key.secret).unwrap()
    });
    Arc::new(keys.collect())
}

/// Swaps, and waits for each secondary.
fn follow(flips: u64) {
    let installed = PEERS.into_iter().filter_map(|peer| {
        let program = peer.program();
        if program.is_none() {
            println!("left out: {} is not installed", peer.name);
        }
        Some((peer, free_port(), program?))
    });
    let installed: Vec<_> = installed.collect();
    let targets: Arc<[Target]> = installed
        .iter()
        .map(|(peer, port, _)| Target {
            address: (Ipv4Addr::LOCALHOST, *port).into(),
            key: Some(format!("{}.", peer.key.name).parse().unwrap()),
        })
        .collect();
    let snapshots = Arc::new(ArcSwap::from_pointee(equipped(1, None, &targets)));
    let spec = ListenSpec {
        dns: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        xdp: Vec::new(),
        ..ListenSpec::default()
    };
    let serving = Listeners::bind(&spec)
        .unwrap()
        .serve(Arc::clone(&snapshots));
    let server = serving.local_addrs().dns[0];
    let notifier = Notifier::start(Arc::clone(&snapshots), &[server]);
    let secondaries: Vec<Secondary> = installed
        .into_iter()
        .map(|(peer, port, program)| peer.start(&program, port, server.port()))
        .collect();
    for secondary in &secondaries {
        secondary.comes_to(1);
    }
    let mut times: Vec<Vec<Duration>> = secondaries.iter().map(|_| Vec::new()).collect();
    for generation in 2..=u16::try_from(flips + 1).unwrap() {
        park_timeout(SETTLE);
        let next = equipped(generation, Some(&snapshots.load()), &targets);
        let begun = clock::mono();
        snapshots.store(Arc::new(next));
        notifier.wake();
        scope(|scope| {
            for (secondary, times) in secondaries.iter().zip(&mut times) {
                let address = (Ipv4Addr::LOCALHOST, secondary.port).into();
                scope.spawn(move || {
                    until_serial(address, generation.into(), secondary.peer.name);
                    times.push(clock::mono().since(begun));
                });
            }
        });
    }
    println!("\nfrom the swap to the answer of a secondary, {flips} swaps");
    for (secondary, times) in secondaries.iter().zip(&mut times) {
        times.sort_unstable();
        let ms = |at: usize| times[at].as_secs_f64() * 1000.0;
        let (median, worst) = (ms(times.len() / 2), ms(times.len() - 1));
        println!(
            "  {:<6} median {median:8.1} ms   worst {worst:8.1} ms",
            secondary.peer.name
        );
    }
}

/// The snapshot of a generation, with the history that it has after `before`.
fn equipped(generation: u16, before: Option<&Snapshot>, targets: &Arc<[Target]>) -> Snapshot {
    let mut snapshot = Arc::into_inner(fixture::snapshot(generation)).unwrap();
    let origin: Name = ZONE.parse().unwrap();
    let permits = PEERS.into_iter().map(|peer| Permit {
        network: None,
        key: Some(format!("{}.", peer.key.name).parse().unwrap()),
    });
    let history = before.and_then(|before| {
        let (old, new) = (before.zone(&origin)?, snapshot.zone(&origin)?);
        let step = new.changes_since(old)?;
        Some(old.replication().history.with(Arc::new(step)))
    });
    snapshot.set_keys(keys());
    let replication = Replication {
        permits: permits.collect(),
        targets: Arc::clone(targets),
        history: history.unwrap_or_default(),
    };
    snapshot.replicate(&origin, replication);
    snapshot
}

/// Asks a server for the SOA until it has this serial.
fn until_serial(server: SocketAddr, serial: u32, name: &str) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let (question, begun) = (query(1, ZONE, RecordType::SOA, None), clock::mono());
    let mut answer = [0; 4096];
    loop {
        socket.send(&question).unwrap();
        let read = socket.recv(&mut answer).ok();
        let message = read.and_then(|length| Message::from_vec(&answer[..length]).ok());
        if message.as_ref().and_then(serial_of_soa) == Some(serial) {
            return;
        }
        assert!(clock::mono().since(begun) < BOUND, "{name} does not follow");
        park_timeout(Duration::from_millis(1));
    }
}

/// What dnsperf measured in one round.
#[derive(Clone, Copy, Default)]
struct Round {
    p99_us: u32,
    per_second: f64,
}

/// Asks while a large zone is transferred, and while it is not.
fn disturb(records: u64, seconds: u64, rounds: u64) {
    let snapshot = Arc::new(ArcSwap::from_pointee(large(records)));
    let spec = ListenSpec {
        dns: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        xdp: Vec::new(),
        ..ListenSpec::default()
    };
    let serving = Listeners::bind(&spec).unwrap().serve(snapshot);
    let server = serving.local_addrs().dns[0];
    let alone = clock::mono();
    let octets = fetch(server, &AtomicBool::new(false));
    let alone = clock::mono().since(alone);
    println!(
        "\n{records} records: {:.1} MB on the wire, {:.2} s when nobody asks",
        f64::from(u32::try_from(octets).unwrap()) / 1e6,
        alone.as_secs_f64()
    );
    let files = tempfile::tempdir().unwrap();
    let questions = files.path().join("questions");
    std::fs::write(
        &questions,
        "h1.big.test A\nh77777.big.test A\nbig.test SOA\nno.big.test A\n",
    )
    .unwrap();
    let (mut quiet, mut loaded, mut transfers) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        for rate in [Some(10_000), None] {
            quiet.push(load(server, &questions, seconds, rate));
            let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
            scope(|scope| {
                scope.spawn(|| {
                    give_way();
                    while !over.load(Relaxed) {
                        fetch(server, &over);
                        done.fetch_add(1, Relaxed);
                    }
                });
                loaded.push(load(server, &questions, seconds, rate));
                over.store(true, Relaxed);
            });
            transfers += done.into_inner();
        }
    }
    // Rounds at a fixed rate tell the latency, the others the throughput.
    let medians = |all: &[Round]| {
        let mut p99: Vec<u32> = all.iter().step_by(2).map(|round| round.p99_us).collect();
        let mut rate: Vec<f64> = all
            .iter()
            .skip(1)
            .step_by(2)
            .map(|r| r.per_second)
            .collect();
        p99.sort_unstable();
        rate.sort_by(f64::total_cmp);
        (p99[p99.len() / 2], rate[rate.len() / 2])
    };
    let ((p99, rate), (p99_under, rate_under)) = (medians(&quiet), medians(&loaded));
    println!("{rounds} rounds of {seconds} s, {transfers} transfers begun meanwhile, medians");
    println!("                      alone  beside a transfer   ratio");
    println!(
        "p99 µs at 10,000/s {p99:>8} {p99_under:>18} {:>7.2}",
        f64::from(p99_under) / f64::from(p99.max(1))
    );
    println!(
        "queries a second   {rate:>8.0} {rate_under:>18.0} {:>7.2}",
        rate_under / rate.max(1.0)
    );
    drop(serving);
}

fn large(records: u64) -> Snapshot {
    let origin: Name = BIG.parse().unwrap();
    let mut text = "@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n".to_owned();
    for number in 0..records {
        let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
        text.push_str(&format!("h{number} 60 A 10.{a}.{b}.{c}\n"));
    }
    let mut none = |_: &str| Err(String::new());
    let file = zone::parse(BIG, text.as_bytes(), &origin, &mut none).unwrap();
    let mut snapshot = Snapshot::build(&SnapshotSpec {
        generation: Generation(1),
        zones: vec![(file.zone, Serial(1))],
        services: Vec::new(),
        servers: Vec::new(),
        settings: Arc::default(),
    })
    .unwrap();
    let permit = Permit {
        network: "127.0.0.0/8".parse().ok(),
        key: None,
    };
    let replication = Replication {
        permits: [permit].into(),
        ..Replication::default()
    };
    snapshot.replicate(&origin, replication);
    snapshot
}

/// Lets the thread run only while nobody else wants its core: a secondary has a machine of its own.
fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle).unwrap();
}

/// Transfers the large zone, and throws it away; how many octets it had.
fn fetch(server: SocketAddr, over: &AtomicBool) -> u64 {
    let mut stream = TcpStream::connect(server).unwrap();
    let question = query(1, BIG, RecordType::AXFR, None);
    let length = u16::try_from(question.len()).unwrap();
    stream
        .write_all(&[&length.to_be_bytes(), &question[..]].concat())
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut octets, mut buffer) = (0, vec![0; 1 << 16]);
    while !over.load(Relaxed) {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            read => octets += u64::try_from(read).unwrap(),
        }
    }
    octets
}

/// dnsperf for a while, at a rate or as fast as it goes.
fn load(server: SocketAddr, questions: &std::path::Path, seconds: u64, rate: Option<u64>) -> Round {
    let mut command = Command::new("dnsperf");
    command
        .args(["-s", "127.0.0.1", "-c", "8", "-T", "1"])
        .args(["-p", &server.port().to_string(), "-l", &seconds.to_string()])
        .arg("-d")
        .arg(questions)
        .stderr(Stdio::null());
    if let Some(rate) = rate {
        command.args(["-v", "-Q", &rate.to_string()]);
    }
    let Ok(output) = command.output() else {
        println!("left out: the load (dnsperf is not installed)");
        park_timeout(Duration::from_secs(seconds));
        return Round::default();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut latencies: Vec<u32> = text
        .lines()
        .filter(|line| line.starts_with("> "))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .filter_map(|seconds| u32::try_from(Duration::from_secs_f64(seconds).as_micros()).ok())
        .collect();
    latencies.sort_unstable();
    let rate = text
        .lines()
        .find(|line| line.contains("Queries per second:"));
    Round {
        p99_us: latencies
            .get(latencies.len() * 99 / 100)
            .copied()
            .unwrap_or(0),
        per_second: rate
            .and_then(|line| line.split_whitespace().last()?.parse().ok())
            .unwrap_or(0.0),
    }
}
