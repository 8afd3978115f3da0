//! How a line is written: for people, for programs, for the journal.

use std::fmt;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use nix::sys::stat::fstat;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt as lines, reload};

use super::levels::{self, Levels, Module, tell};
use crate::clock;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: the time, the level, the sentence.
    #[default]
    Human,
    /// One JSON object a line, for programs.
    Json,
}

/// Writes log lines to standard error. `SWITCHBACK_LOG` sets the levels, as `switchback log` does.
/// Only the first call counts.
pub fn init(format: Format) {
    let asked = std::env::var("SWITCHBACK_LOG").ok();
    let read = asked.as_deref().map(str::parse::<Levels>);
    let (start, problem) = match read {
        Some(Ok(levels)) => (levels, None),
        Some(Err(problem)) => (Levels::default(), Some(problem)),
        None => (Levels::default(), None),
    };
    let in_journal = is_journal();
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = Style {
        format,
        in_journal,
        colours: colours && !in_journal,
    };
    let (filter, handle) = reload::Layer::new(start.targets());
    let lines = lines::layer()
        .with_writer(std::io::stderr)
        .with_ansi(style.colours)
        // A line that cannot be written (full disk, reader gone) is lost. Telling standard error
        // of it, which is what failed, would be a panic.
        .log_internal_errors(false)
        .event_format(style);
    let registry = tracing_subscriber::registry().with(filter).with(lines);
    // Somebody else's subscriber is as good.
    if registry.try_init().is_ok() {
        levels::begin(
            start,
            Box::new(move |targets| {
                // An error means that nobody writes any more.
                let _ = handle.reload(targets);
            }),
        );
    }
    if let Some(problem) = problem {
        warn(Module::Daemon, format_args!("SWITCHBACK_LOG: {problem}"));
    }
}

/// Whether standard error leads to systemd's journal (systemd.exec(5), `JOURNAL_STREAM`): it has
/// the time itself, and the level from `<N>` before a line (sd-daemon(3)).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let here = fstat(std::io::stderr().as_fd());
    here.is_ok_and(|here| stream == format!("{}:{}", here.st_dev, here.st_ino))
}

pub(super) fn error(module: Module, what: fmt::Arguments<'_>) {
    tell(module, Level::ERROR, what);
}

pub(super) fn warn(module: Module, what: fmt::Arguments<'_>) {
    tell(module, Level::WARN, what);
}

pub(super) fn info(module: Module, what: fmt::Arguments<'_>) {
    tell(module, Level::INFO, what);
}

pub(super) fn debug(module: Module, what: fmt::Arguments<'_>) {
    tell(module, Level::DEBUG, what);
}

/// How lines are written here.
#[derive(Clone, Copy, Debug)]
struct Style {
    format: Format,
    in_journal: bool,
    colours: bool,
}

impl<S, N> FormatEvent<S, N> for Style
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let about = event.metadata();
        let mut said = Said::default();
        event.record(&mut said);
        let module = about.target();
        let module = module.strip_prefix("switchback::").unwrap_or(module);
        self.write(writer, *about.level(), module, &said.0)
    }
}

impl Style {
    fn write(
        &self,
        mut writer: impl fmt::Write,
        level: Level,
        module: &str,
        said: &str,
    ) -> fmt::Result {
        let (word, colour, priority) = looks(level);
        let before = match self.in_journal {
            true => format!("<{priority}>"),
            false => String::new(),
        };
        match self.format {
            Format::Json => {
                let line = json!({
                    "at": clock::wall().to_string(),
                    "level": word.trim().to_lowercase(),
                    "module": module,
                    "message": said,
                });
                writeln!(writer, "{before}{line}")
            }
            // Each line of the journal has its own level.
            Format::Human if self.in_journal => {
                let mut lines = said.lines();
                lines.try_for_each(|line| writeln!(writer, "{before}{line}"))
            }
            Format::Human if self.colours => {
                let at = clock::wall();
                writeln!(writer, "\x1b[2m{at}\x1b[0m {colour}{word}\x1b[0m {said}")
            }
            Format::Human => writeln!(writer, "{} {word} {said}", clock::wall()),
        }
    }
}

/// A level's word, colour, and priority in syslog(3).
fn looks(level: Level) -> (&'static str, &'static str, u8) {
    match level {
        Level::ERROR => ("ERROR", "\x1b[31m", 3),
        Level::WARN => (" WARN", "\x1b[33m", 4),
        Level::INFO => (" INFO", "\x1b[32m", 6),
        Level::DEBUG => ("DEBUG", "\x1b[34m", 7),
        Level::TRACE => ("TRACE", "\x1b[35m", 7),
    }
}

/// What an event says, and the fields of those of libraries behind it.
#[derive(Default)]
struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "message" => format!("{value:?}"),
            // How the `log` crate comes through.
            name if name.starts_with("log.") => return,
            name => format!("{name}={value:?}"),
        };
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, in_journal: bool) -> String {
        let style = Style {
            format,
            in_journal,
            colours: false,
        };
        let mut text = String::new();
        let said = "two\n\"lines\"";
        style.write(&mut text, Level::WARN, "zone", said).unwrap();
        text
    }

    #[test]
    fn the_journal_gets_a_priority_for_each_line_and_no_time() {
        assert_eq!(written(Format::Human, true), "<4>two\n<4>\"lines\"\n");
    }

    #[test]
    fn a_program_gets_one_object_a_line() {
        for (in_journal, before) in [(false, ""), (true, "<4>")] {
            let text = written(Format::Json, in_journal);
            let object = text.strip_prefix(before).unwrap();
            assert_eq!(object.matches('\n').count(), 1);
            let object: serde_json::Value = serde_json::from_str(object).unwrap();
            assert_eq!(object["level"], "warn");
            assert_eq!(object["module"], "zone");
            assert_eq!(object["message"], "two\n\"lines\"");
            assert!(crate::time::Wall::parse(object["at"].as_str().unwrap()).is_some());
        }
    }

    #[test]
    fn people_get_the_time_and_the_level() {
        let text = written(Format::Human, false);
        let (at, rest) = text.split_once(' ').unwrap();
        assert!(crate::time::Wall::parse(at).is_some());
        assert_eq!(rest, " WARN two\n\"lines\"\n");
    }
}
