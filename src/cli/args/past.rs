//! What is asked about the past.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::Daemon;
use super::values::{failback, since, span};
use crate::failover::Failback;
use crate::time::Wall;

/// `switchback history`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Exit codes:
  0  the daemon answered
  1  no daemon answered, or it knows no such service
  2  the command line is wrong",
    after_long_help = "\
A line for each thing that happened, the latest last, in local time: changes of health, decisions
with their reasons, operations, orders with who gave them and why. --all adds every change of what
the looks saw and every word of an operation. How much is kept says [history] of the configuration.

Examples:
  switchback history --since 8h                  the night
  switchback history xmpp-federation --limit 20  one service
  switchback history --since 03:00 --all         everything since three o'clock, as it was seen
  switchback history export --since 8h > night.scenario
                                                 the night as a text to replay: see simulate

Exit codes:
  0  the daemon answered
  1  no daemon answered, or it knows no such service
  2  the command line is wrong"
)]
pub struct History {
    /// Another form of it
    #[command(subcommand)]
    pub form: Option<HistoryForm>,
    /// Only what concerns this service
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// From when on: 2h, 1d12h, 03:00, '2026-11-24 03:00', 2026-11-24T02:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Wall>,
    /// So many entries, the latest
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub limit: u32,
    /// Every change of what the looks saw too, and every word of an operation
    #[arg(long)]
    pub all: bool,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}

/// The other forms of history.
#[derive(Debug, Subcommand)]
pub enum HistoryForm {
    /// Write what happened as a scenario, which `switchback simulate` replays
    Export(Export),
}

/// `switchback history export`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The scenario begins where the history last says how everything stood before that time, so it may
begin earlier. docs/scenario.md says what is exact in it and what is not.

Example:
  switchback history export --since 8h > night.scenario
  switchback simulate night.scenario --fall 3

Exit codes:
  0  the scenario was written
  1  no daemon answered, or there is nothing to write
  2  the command line is wrong")]
pub struct Export {
    /// From when on: 2h, 1d12h, 03:00, '2026-11-24 03:00', 2026-11-24T02:00:00Z
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = since)]
    pub since: Wall,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
}

/// `switchback show`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Who or what began it and why, each step with its attempts, how long they took and what they
printed, and what came of it. The last 1000 operations are kept.

Example:
  switchback show op-7

Exit codes:
  0  here it is
  1  no daemon answered, or it knows no such operation
  2  the command line is wrong")]
pub struct Show {
    /// The operation, as `history` and `status` name it
    #[arg(value_name = "OPERATION", value_parser = operation)]
    pub operation: u64,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}

/// `switchback simulate`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The real engine decides, in virtual time, from what the scenario says was seen. With settings, it
is replayed twice, as the scenario says and with them, and the difference is told. Nothing is
asked of a daemon and nothing is changed.

Examples:
  switchback simulate night.scenario             what the settings of that night made of it
  switchback simulate night.scenario --fall 3    what a threshold of three would have made of it
  switchback simulate night.scenario --failover-after 30s --failback-after manual

Exit codes:
  0  every expectation of the scenario holds, with the settings that were given
  1  one does not, or the scenario cannot be read
  2  the command line is wrong")]
pub struct Simulate {
    /// The scenario; - reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// So many good looks in a row make a server up
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rise: Option<u32>,
    /// So many bad looks in a row make a server down
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub fall: Option<u32>,
    /// How long trouble lasts before a failover
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub failover_after: Option<Duration>,
    /// How long the preferred pool is up before a failback, or 'manual'
    #[arg(long, value_name = "TIME", value_parser = failback)]
    pub failback_after: Option<Failback>,
    /// How long the first pool back holds after all were down
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub settle: Option<Duration>,
    /// So many failbacks and returns an hour
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub cap: Option<u32>,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}

/// `op-7`, or `7`.
fn operation(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix("op-").unwrap_or(text);
    number
        .parse()
        .map_err(|_| format!("{text:?} is no operation: write op-7"))
}
