//! The figures as tables for people, and as a section of README.md.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use switchback::clock;

use crate::measure::{Examined, OUTSTANDING, Sample};
use crate::servers::Server;
use crate::workloads::Workload;

/// What is between these lines of README.md is written by [`write_readme`].
const BEGIN: &str = "<!-- performance: written by `cargo bench --bench peers -- --readme` -->";
const END: &str = "<!-- end of performance -->";
/// The servers that others are compared with.
const MEASURES: [&str; 3] = ["floor", "NSD", "Knot"];

/// One workload: a row for each server.
pub(crate) struct Table {
    title: String,
    rows: Vec<Row>,
}

/// Medians over the rounds.
struct Row {
    server: &'static str,
    cpu: f64,
    per_second: f64,
    /// Over all rounds.
    lost: u64,
    median: f64,
    p99: f64,
    octets: usize,
    additional: usize,
    dnsperf: Option<[f64; 3]>,
}

impl Table {
    pub(crate) fn of(workload: &Workload) -> Table {
        Table {
            title: workload.title.clone(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, server: &'static str, examined: &Examined, samples: &[Sample]) {
        let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
        let dnsperf: Vec<_> = samples
            .iter()
            .filter_map(|it| it.dnsperf.as_ref())
            .collect();
        self.rows.push(Row {
            server,
            cpu: of(|sample| sample.cpu),
            per_second: of(|sample| sample.per_second),
            lost: samples.iter().map(|sample| sample.lost).sum(),
            median: of(|sample| sample.median),
            p99: of(|sample| sample.p99),
            octets: examined.octets,
            additional: examined.additional,
            dnsperf: (!dnsperf.is_empty()).then(|| {
                [
                    median(dnsperf.iter().map(|it| it.per_second)),
                    dnsperf
                        .iter()
                        .map(|it| crate::generator::real(it.lost))
                        .sum(),
                    median(dnsperf.iter().map(|it| it.latency)),
                ]
            }),
        });
    }

    /// What a server takes for one query, in microseconds.
    fn cpu_of(&self, server: &str) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.server == server);
        row.map(|row| row.cpu)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        write!(f, "{:<12} {:>7}", "", "CPU µs")?;
        for measure in MEASURES {
            write!(f, " {:>7}", format!("× {measure}"))?;
        }
        write!(f, "     q/s  lost  p50 µs  p99 µs  octets  additional")?;
        let has_dnsperf = self.rows.iter().any(|row| row.dnsperf.is_some());
        if has_dnsperf {
            write!(f, "   dnsperf: q/s  lost  mean µs")?;
        }
        for row in &self.rows {
            write!(f, "\n{:<12} {:>7.2}", row.server, row.cpu)?;
            for measure in MEASURES {
                match self.cpu_of(measure) {
                    Some(theirs) => write!(f, " {:>7.2}", row.cpu / theirs)?,
                    None => write!(f, " {:>7}", "–")?,
                }
            }
            write!(
                f,
                " {:>7.0} {:>5} {:>7.0} {:>7.0} {:>7} {:>11}",
                row.per_second, row.lost, row.median, row.p99, row.octets, row.additional
            )?;
            if let Some([per_second, lost, latency]) = row.dnsperf {
                write!(f, " {per_second:>14.0} {lost:>5.0} {latency:>8.0}")?;
            }
        }
        Ok(())
    }
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Writes the section between the two markers of README.md.
pub(crate) fn write_readme(tables: &[Table], servers: &[&Server], rounds: u64) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("README.md has the markers");
    let (_, after) = rest.split_once(END).expect("README.md has the markers");
    let section = section(tables, servers, rounds);
    fs::write(&path, format!("{before}{BEGIN}\n{section}{END}{after}")).unwrap();
    println!("\nwritten: the performance section of README.md");
}

fn section(tables: &[Table], servers: &[&Server], rounds: u64) -> String {
    let now = clock::wall().to_string();
    let date = now.split('T').next().unwrap_or_default();
    let versions: Vec<String> = servers
        .iter()
        .filter(|server| !server.is_floor())
        .filter_map(|server| Some(format!("{} {}", server.name, server.version()?)))
        .collect();
    let mut text =
        "CPU time that a server spends on one answered query, in microseconds, user and \
                    system, and its ratio\nto the *floor*, a responder that does nothing: what the \
                    kernel's UDP takes. Less is better.\n\n| workload |"
            .to_owned();
    for server in servers {
        let _ = write!(text, " {} |", server.name);
    }
    let _ = write!(text, "\n| --- |{}", " --- |".repeat(servers.len()));
    for table in tables {
        let _ = write!(text, "\n| {} |", table.title);
        let floor = table.cpu_of("floor");
        for server in servers {
            let _ = match (table.cpu_of(server.name), floor) {
                (Some(cpu), Some(floor)) => write!(text, " {cpu:.2} ({:.2}) |", cpu / floor),
                (Some(cpu), None) => write!(text, " {cpu:.2} |"),
                (None, _) => write!(text, " – |"),
            };
        }
    }
    let _ = write!(
        text,
        "\n\nMeasured {date} on {}. {}.\nUDP on loopback, one worker on one core, the generator on \
         another, {OUTSTANDING} queries outstanding, EDNS in each;\nmedians of {rounds} rounds in \
         turn. Only the ratios within one run mean anything: `cargo bench --bench peers`\ngives \
         yours, with rates, losses and latencies. gdnsd leaves out the additional records of SRV.\n",
        machine(),
        versions.join(", ")
    );
    text
}

/// The processor and the kernel.
fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: String = release
        .chars()
        .take_while(|at| at.is_ascii_digit() || *at == '.')
        .collect();
    format!(
        "{} cores of {}, Linux {}",
        processors
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count(),
        model.unwrap_or_else(|| "an unknown processor".to_owned()),
        kernel.trim_end_matches('.')
    )
}
