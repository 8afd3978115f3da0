//! `switchback simulate`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::Exit;
use super::args::Simulate;
use super::ask::write_json;
use super::output::{CommandError, Out};
use super::when::local;
use crate::admin::text::{Paint, duration, tame};
use crate::failover::Failback;
use crate::ids::{PoolName, ServiceName};
use crate::scenario::{self, Moved, Replay, Scenario, Settings, show_span};
use crate::time::Wall;

/// No scenario is longer than this.
const OCTETS_MAX: u64 = 65 << 20;

/// What a replay came to, as `--json` writes it.
#[derive(Debug, Serialize)]
struct Outcome {
    /// The settings that stood in for those of the scenario: none, in the first of two.
    settings: Vec<String>,
    /// How many looks decided.
    looks: u64,
    /// The changes of an active pool.
    moves: Vec<Move>,
    /// For each service how long its first pool was one that did not serve, in milliseconds.
    misdirected_ms: BTreeMap<ServiceName, u64>,
    /// The expectations that do not hold, with their lines.
    unmet: Vec<Unmet>,
}

#[derive(Debug, Serialize)]
struct Move {
    at: Wall,
    service: ServiceName,
    from: PoolName,
    to: PoolName,
    /// Whether it is back to a more preferred pool.
    back: bool,
    because: String,
}

#[derive(Debug, Serialize)]
struct Unmet {
    line: usize,
    at: Wall,
    message: String,
}

pub(super) fn run(arguments: &Simulate, out: &mut Out) -> Result<Exit, CommandError> {
    let scenario = read(&arguments.file)?;
    let settings = Settings {
        rise: arguments.rise,
        fall: arguments.fall,
        failover_after: arguments.failover_after,
        failback: arguments.failback_after,
        settle: arguments.settle,
        cap_per_hour: arguments.cap,
    };
    let replay =
        |settings: &Settings| scenario::replay(&scenario, settings).map_err(CommandError::failed);
    let with = replay(&settings)?;
    let without = match settings.are_none() {
        true => None,
        false => Some(replay(&Settings::default())?),
    };
    if arguments.json {
        let mut outcomes = Vec::new();
        outcomes.extend(without.as_ref().map(|it| outcome(it, &Settings::default())));
        outcomes.push(outcome(&with, &settings));
        write_json(&outcomes, out)?;
    } else {
        let file = arguments.file.display().to_string();
        let page = page(
            &file,
            &scenario,
            &with,
            without.as_ref(),
            &settings,
            out.paint(),
        );
        out.write_all(page.as_bytes())?;
    }
    Ok(if with.unmet.is_empty() {
        Exit::Well
    } else {
        Exit::NotWell
    })
}

fn read(file: &Path) -> Result<Scenario, CommandError> {
    let mut text = String::new();
    let shown = file.display();
    let fault = |error: std::io::Error| {
        CommandError::Failed(format!("cannot read the scenario {shown}: {error}"))
    };
    if file == Path::new("-") {
        let stdin = std::io::stdin().lock();
        stdin
            .take(OCTETS_MAX)
            .read_to_string(&mut text)
            .map_err(fault)?;
    } else {
        let opened = std::fs::File::open(file).map_err(fault)?;
        opened
            .take(OCTETS_MAX)
            .read_to_string(&mut text)
            .map_err(fault)?;
    }
    scenario::parse(&text).map_err(|faults| {
        let lines: Vec<String> = faults
            .0
            .iter()
            .map(|fault| format!("{shown}:{fault}"))
            .collect();
        CommandError::Failed(format!("no scenario:\n{}", lines.join("\n")))
    })
}

fn outcome(replay: &Replay, settings: &Settings) -> Outcome {
    let ms = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Outcome {
        settings: words(settings),
        looks: replay.looks,
        moves: replay
            .moves
            .iter()
            .map(|moved| Move {
                at: moved.at,
                service: moved.service.clone(),
                from: moved.from.clone(),
                to: moved.to.clone(),
                back: moved.back,
                because: moved.because.to_string(),
            })
            .collect(),
        misdirected_ms: replay
            .misdirected
            .iter()
            .map(|(service, time)| (service.clone(), ms(time)))
            .collect(),
        unmet: replay
            .unmet
            .iter()
            .map(|unmet| Unmet {
                line: unmet.line,
                at: unmet.at,
                message: unmet.message.clone(),
            })
            .collect(),
    }
}

/// The settings as the command line has them.
fn words(settings: &Settings) -> Vec<String> {
    let Settings {
        rise,
        fall,
        failover_after,
        failback,
        settle,
        cap_per_hour,
    } = settings;
    let span = |time: &Duration| show_span(*time);
    let failback = failback.map(|failback| match failback {
        Failback::After(after) => show_span(after),
        Failback::Manual => "manual".to_owned(),
    });
    let words = [
        ("--rise", rise.map(|it| it.to_string())),
        ("--fall", fall.map(|it| it.to_string())),
        ("--failover-after", failover_after.as_ref().map(span)),
        ("--failback-after", failback),
        ("--settle", settle.as_ref().map(span)),
        ("--cap", cap_per_hour.map(|it| it.to_string())),
    ];
    let said = words
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value?)));
    said.map(|(flag, value)| format!("{flag} {value}"))
        .collect()
}

fn page(
    file: &str,
    scenario: &Scenario,
    with: &Replay,
    without: Option<&Replay>,
    settings: &Settings,
    paint: Paint,
) -> String {
    let mut page = String::new();
    let title = match scenario.title.as_str() {
        "" => file.to_owned(),
        title => format!("{file}: {}", tame(title)),
    };
    let _ = writeln!(page, "{}", paint.head(&title));
    let _ = writeln!(
        page,
        "{}, {} servers, {} looks",
        duration(scenario.end()),
        scenario
            .policy
            .pools
            .values()
            .map(|pool| pool.servers.len())
            .sum::<usize>(),
        with.looks
    );
    let said = words(settings).join(" ");
    if let Some(without) = without {
        write_replay(&mut page, "as the scenario says", scenario, without, paint);
        write_replay(&mut page, &format!("with {said}"), scenario, with, paint);
        page += "\n";
        for service in scenario.policy.services.keys() {
            let (now, then) = (Count::of(with, service), Count::of(without, service));
            let line = format!(
                "with {said}, {service} would have had {}",
                now.compared(then)
            );
            let _ = writeln!(page, "{}", paint.head(&line));
        }
    } else {
        write_replay(&mut page, "what happens", scenario, with, paint);
    }
    for unmet in &with.unmet {
        let place = format!("{file}:{}:", unmet.line);
        let words = format!("{} at {}", tame(&unmet.message), local(unmet.at));
        let _ = writeln!(page, "{} {words}", paint.loud(&place));
    }
    match with.unmet.len() {
        0 => page += "every expectation holds\n",
        1 => page += "1 expectation does not hold\n",
        many => {
            let _ = writeln!(page, "{many} expectations do not hold");
        }
    }
    page
}

fn write_replay(
    page: &mut String,
    title: &str,
    scenario: &Scenario,
    replay: &Replay,
    paint: Paint,
) {
    let _ = writeln!(page, "\n{}:", paint.head(title));
    for moved in &replay.moves {
        let _ = writeln!(page, "  {}", move_line(moved, paint));
    }
    for service in scenario.policy.services.keys() {
        let count = Count::of(replay, service);
        let _ = writeln!(page, "  {service}: {}", count.words());
    }
}

fn move_line(moved: &Moved, paint: Paint) -> String {
    let what = if moved.back {
        paint.good("failback")
    } else {
        paint.odd("failover")
    };
    format!(
        "{}  {what}  {}: {} -> {}: {}",
        paint.quiet(&local(moved.at)),
        moved.service,
        moved.from,
        moved.to,
        tame(&moved.because.to_string())
    )
}

/// What a service went through.
#[derive(Clone, Copy)]
struct Count {
    failovers: usize,
    failbacks: usize,
    misdirected: Duration,
}

impl Count {
    fn of(replay: &Replay, service: &ServiceName) -> Count {
        let moves = replay
            .moves
            .iter()
            .filter(|moved| moved.service == *service);
        let (back, away): (Vec<&Moved>, Vec<&Moved>) = moves.partition(|moved| moved.back);
        Count {
            failovers: away.len(),
            failbacks: back.len(),
            misdirected: replay.misdirected.get(service).copied().unwrap_or_default(),
        }
    }

    fn words(self) -> String {
        format!(
            "{} and {}; the first pool did not serve for {}",
            counted(self.failovers, "failover"),
            counted(self.failbacks, "failback"),
            duration(self.misdirected)
        )
    }

    /// `1 failover, not 4, and no failback, not 3; the first pool would not have served for 40s,
    /// not 12s`.
    fn compared(self, then: Count) -> String {
        let not = |now: usize, then: usize| match now == then {
            true => String::new(),
            false => format!(", not {then},"),
        };
        let mut words = format!(
            "{}{} and {}{}; its first pool would not have served for {}",
            counted(self.failovers, "failover"),
            not(self.failovers, then.failovers),
            counted(self.failbacks, "failback"),
            not(self.failbacks, then.failbacks).trim_end_matches(','),
            duration(self.misdirected)
        );
        if duration(self.misdirected) == duration(then.misdirected) {
            words += ", as it did";
        } else {
            let _ = write!(words, ", not {}", duration(then.misdirected));
        }
        words
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}
