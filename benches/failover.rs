//! From the fault to the first changed answer on the wire, against real edges: `cargo bench
//! --bench failover`. A service without steps; probes every second, timeout 1 s, `fall` 2.

#![allow(
    dead_code,
    reason = "the lab is the one of tests/federation, and a benchmark uses a part of it"
)]

#[path = "../tests/federation/certificates.rs"]
mod certificates;
#[path = "../tests/federation/dns.rs"]
mod dns;
#[path = "../tests/federation/lab.rs"]
mod lab;
#[path = "../tests/federation/namespaces.rs"]
mod namespaces;
#[path = "../tests/federation/patience.rs"]
mod patience;
#[path = "../tests/federation/switchback.rs"]
mod switchback;

use std::time::Duration;

use lab::{Lab, in_a_lab_for, served};
use namespaces::{inside, say};
use patience::{let_pass, now, wait_for};
use switchback::{ALL_UP_OF_THREE, Setup, Switchback};

/// Runs of each fault.
const RUNS: u32 = 20;
/// One run takes some 6 s: the fault, the way back, and the time that a failback waits.
const BOUND: Duration = Duration::from_secs(900);
/// The only edge of the first pool.
const EDGE: &str = "edge1a";

/// One way to lose an edge, how to get it back, and what is promised.
struct Fault {
    name: &'static str,
    strike: fn(&mut Lab),
    mend: fn(&mut Lab),
    median: Duration,
    maximum: Option<Duration>,
}

const FAULTS: [Fault; 2] = [
    Fault {
        name: "process killed",
        strike: |lab| lab.kill_edge(EDGE),
        mend: |lab| lab.revive_edge(EDGE),
        median: Duration::from_millis(50),
        maximum: None,
    },
    Fault {
        name: "packets dropped",
        strike: |lab| lab.blackhole_edge(EDGE),
        mend: |lab| lab.reconnect_edge(EDGE),
        median: Duration::from_millis(2200),
        maximum: Some(Duration::from_millis(2800)),
    },
];

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without `--bench`; so does the lab.
    if inside() || std::env::args().any(|arg| arg == "--bench") {
        in_a_lab_for(BOUND, "failover", bench);
    }
}

fn bench(lab: &mut Lab) {
    let setup = Setup {
        failback: "{ after = \"1s\" }",
        one_server: true,
        ..Setup::default()
    };
    let switchback = Switchback::start(lab, setup);
    say("lab: fault             runs    median   maximum    target");
    for fault in &FAULTS {
        let mut times: Vec<Duration> = (0..RUNS).map(|run| strike(lab, fault, run)).collect();
        times.sort();
        let median = times[times.len() / 2];
        let maximum = times.last().copied().unwrap_or_default();
        let kept = median <= fault.median && fault.maximum.is_none_or(|bound| maximum <= bound);
        say(&format!(
            "lab: {:<18}{RUNS:>4} {:>6.1} ms {:>6.1} ms  median {:?}{} {}",
            fault.name,
            median.as_secs_f64() * 1e3,
            maximum.as_secs_f64() * 1e3,
            fault.median,
            fault
                .maximum
                .map(|bound| format!(", maximum {bound:?}"))
                .unwrap_or_default(),
            if kept { "kept" } else { "MISSED" },
        ));
    }
    drop(switchback);
}

/// One fault, from the moment before it to the first answer that differs; then all as before.
fn strike(lab: &mut Lab, fault: &Fault, run: u32) -> Duration {
    // Not always at the same moment of the second: probes keep their own time.
    let_pass(Duration::from_millis(u64::from(run * 137 % 1000)));
    let begin = now();
    (fault.strike)(lab);
    let taken = wait_for("another answer", Duration::from_secs(20), || {
        served()
            .filter(|order| order.to_string() != ALL_UP_OF_THREE)
            .map(|_| begin.elapsed())
    });
    (fault.mend)(lab);
    wait_for("the way back", Duration::from_secs(30), || {
        served().filter(|order| order.to_string() == ALL_UP_OF_THREE)
    });
    taken
}
