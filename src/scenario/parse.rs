//! Text to a scenario, or all that is wrong with it.

use std::fmt;
use std::time::Duration;

use super::head::Head;
use super::model::{Happening, Scenario, Timed};
use super::timed;
use super::words::{Fault, Words, time};

/// So many faults are told; who has more has another kind of file.
const FAULTS_MAX: usize = 50;
/// The longest text, in octets: some months of a busy installation.
const OCTETS_MAX: usize = 64 << 20;

/// All that is wrong with a scenario. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Reads a scenario.
///
/// # Errors
/// What is wrong, each with its line and column, the first fifty.
pub fn parse(text: &str) -> Result<Scenario, Faults> {
    if text.len() > OCTETS_MAX {
        return Err(Faults(vec![Fault {
            line: 1,
            column: 1,
            message: "the scenario is longer than 64 MiB, export a shorter time (--since)".into(),
        }]));
    }
    let mut reading = Reading {
        head: Head::default(),
        scenario: None,
        faults: Vec::new(),
    };
    for (number, line) in (1..).zip(text.lines()) {
        if let Err(fault) = reading.line(number, line) {
            reading.faults.push(fault);
            if reading.faults.len() >= FAULTS_MAX {
                break;
            }
        }
    }
    reading.finish(text.lines().count().max(1))
}

struct Reading {
    head: Head,
    /// Once the first timed line has come: what stands above it is complete.
    scenario: Option<Scenario>,
    faults: Vec<Fault>,
}

impl Reading {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Fault> {
        let mut words = Words::of(number, line)?;
        if words.is_empty() {
            return Ok(());
        }
        let is_timed = line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        if !is_timed && self.scenario.is_none() {
            return self.head.line(&mut words);
        }
        if !is_timed {
            return Err(words.fault_here(
                "this line has no time, what is configured and known stands above the first time, \
                 move it there",
            ));
        }
        if self.scenario.is_none() {
            let head = std::mem::take(&mut self.head);
            let (scenario, faults) = head.finish(number);
            self.scenario = Some(scenario);
            self.faults.extend(faults);
        }
        let Some(scenario) = &mut self.scenario else {
            return Ok(());
        };
        let word = words.need("a time")?;
        let at = time(&word.text, scenario.start).ok_or_else(|| {
            let message = format!(
                "'{}' is no time, write the time since the start (1m30s), or one in UTC that is \
                 not before the start (2026-11-24T02:13:07Z)",
                word.text
            );
            words.fault(&word, message)
        })?;
        let before = scenario.lines.last().map_or(Duration::ZERO, |last| last.at);
        if at < before {
            let message = "this time is before that of the line above, time only goes forward";
            return Err(words.fault(&word, message));
        }
        let what = timed::happening(&mut words, scenario, at)?;
        words.finish()?;
        scenario.lines.push(Timed {
            at,
            line: number,
            what,
        });
        Ok(())
    }

    fn finish(mut self, lines: usize) -> Result<Scenario, Faults> {
        let scenario = match self.scenario {
            Some(scenario) => scenario,
            None => {
                let (scenario, faults) = self.head.finish(lines);
                self.faults.extend(faults);
                scenario
            }
        };
        if self.faults.is_empty() && scenario.lines.is_empty() {
            self.faults.push(Fault {
                line: lines,
                column: 1,
                message: "nothing happens in this scenario, write at least when it ends ('1m end')"
                    .into(),
            });
        }
        let starts = |line: &Timed| matches!(line.what, Happening::Start | Happening::Stop);
        let mut runs = true;
        for line in scenario.lines.iter().filter(|line| starts(line)) {
            let start = line.what == Happening::Start;
            if start == runs {
                let message = if start {
                    "it runs already, write 'stop' before"
                } else {
                    "it does not run, write 'start' before"
                };
                self.faults.push(Fault {
                    line: line.line,
                    column: 1,
                    message: message.into(),
                });
            }
            runs = start;
        }
        if self.faults.is_empty() {
            return Ok(scenario);
        }
        self.faults.truncate(FAULTS_MAX);
        Err(Faults(self.faults))
    }
}
