//! Beside the peers: `cargo bench --bench peers [-- --rounds N --milliseconds N --names N
//! --only WORKLOAD --readme]`.
//!
//! switchback, gdnsd, NSD, Knot and hickory-dns, as far as they are installed, and a responder
//! that does nothing (`floor`) serve the same zone on loopback, one worker each, all on one
//! processor; the generator has another one. Each workload is put to each of them in turn, round
//! after round, so that all have the same weather; medians over the rounds are printed, and
//! their ratios to the floor's, NSD's and Knot's. **Only ratios of one run mean anything.**
//!
//! - `CPU µs` is what the server's processes used, user and system, for each answered query,
//!   with 100 queries outstanding over 8 sockets from a generator that is never the bottleneck
//!   (`shared/generator.rs`).
//! - `dnsperf` asks some of them as well, with as many outstanding: one thread of it ends near
//!   150,000 queries a second, so its rate is a bound from below.
//!
//! It fails if a server does not come up, or if one gives a wrong answer: each answer's rcode and
//! number of records is looked at, and before each workload what the answers carry. Figures never
//! fail it. `--readme` writes them into README.md between its two markers.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a program for people: it prints, and what it cannot do ends it"
)]

#[path = "shared/arguments.rs"]
mod arguments;
#[path = "peers/floor.rs"]
mod floor;
#[path = "shared/generator.rs"]
mod generator;
#[path = "peers/measure.rs"]
mod measure;
#[path = "shared/processes.rs"]
mod processes;
#[path = "../tests/shared/programs.rs"]
mod programs;
#[path = "peers/report.rs"]
mod report;
#[path = "peers/servers.rs"]
mod servers;
#[path = "peers/workloads.rs"]
mod workloads;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{has, is_bench, number};
use measure::{Contestant, Sample, examine, sample};
use processes::{pin, processors};
use report::Table;
use servers::{SERVERS, Server};
use workloads::{Setting, settings};

/// What one run is to do.
struct Plan {
    rounds: u64,
    /// How long each server is asked in each round.
    lasts: Duration,
    only: Option<String>,
    /// Where the servers are, and where we are.
    processors: (usize, usize),
}

fn main() -> ExitCode {
    if let Some(port) = number("--floor") {
        floor::run(u16::try_from(port).unwrap());
        return ExitCode::FAILURE;
    }
    let or = |name: &str, bench: u64, short: u64| {
        number(name).unwrap_or(if is_bench() { bench } else { short })
    };
    let allowed = processors();
    let plan = Plan {
        rounds: or("--rounds", 5, 1).max(1),
        lasts: Duration::from_millis(or("--milliseconds", 800, 100)),
        only: std::env::args().skip_while(|word| word != "--only").nth(1),
        processors: (allowed[0], *allowed.last().unwrap()),
    };
    if allowed.len() == 1 {
        println!("one processor only: the generator takes from what the servers have");
    }
    let installed: Vec<&Server> = SERVERS
        .iter()
        .filter(|server| {
            let is_there = server.path().is_some();
            if !is_there {
                println!("left out: {} is not installed", server.name);
            }
            is_there
        })
        .collect();
    let names = usize::try_from(or("--names", 100_000, 2000)).unwrap();
    let (mut tables, mut faults) = (Vec::new(), Vec::new());
    for setting in settings(names) {
        run(&setting, &installed, &plan, &mut tables, &mut faults);
    }
    for table in &tables {
        println!("\n{table}");
    }
    for fault in &faults {
        println!("FAULT: {fault}");
    }
    if has("--readme") && faults.is_empty() {
        report::write_readme(&tables, &installed, plan.rounds);
    }
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// All workloads of one setting.
fn run(
    setting: &Setting,
    installed: &[&'static Server],
    plan: &Plan,
    tables: &mut Vec<Table>,
    faults: &mut Vec<String>,
) {
    let wanted = |name: &str| plan.only.as_ref().is_none_or(|only| only == name);
    let workloads: Vec<_> = setting
        .workloads
        .iter()
        .filter(|workload| wanted(workload.name))
        .collect();
    if workloads.is_empty() {
        return;
    }
    // What is started from here stays there.
    pin(plan.processors.0);
    let mut contestants: Vec<Contestant> = Vec::new();
    for server in installed {
        match server.start(setting) {
            Ok(running) => contestants.push(Contestant { server, running }),
            Err(fault) => faults.push(format!("{}: {fault}", server.name)),
        }
    }
    pin(plan.processors.1);
    for workload in workloads {
        let mut table = Table::of(workload);
        let mut asked = Vec::new();
        for contestant in &contestants {
            match examine(contestant, workload) {
                Ok(examined) => asked.push((contestant, examined)),
                Err(fault) => {
                    faults.push(format!(
                        "{}: {}: {fault}",
                        workload.title, contestant.server.name
                    ));
                }
            }
        }
        let mut samples: Vec<Vec<Sample>> = asked.iter().map(|_| Vec::new()).collect();
        for round in 0..usize::try_from(plan.rounds).unwrap() {
            // Each begins a round as often as the others.
            for turn in 0..asked.len() {
                let at = (turn + round) % asked.len();
                let (contestant, examined) = &asked[at];
                samples[at].push(sample(contestant, workload, examined, plan.lasts));
            }
        }
        for ((contestant, examined), samples) in asked.iter().zip(samples) {
            faults.extend(samples.iter().find_map(|sample| {
                let (name, fault) = (contestant.server.name, sample.fault.as_ref()?);
                Some(format!("{}: {name}: {fault}", workload.title))
            }));
            table.add(contestant.server.name, examined, &samples);
        }
        tables.push(table);
    }
}
