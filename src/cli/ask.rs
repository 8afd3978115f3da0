//! `status`, `explain` and `reload`: questions to the running daemon.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::{Daemon, Dnstap, Explain, Log, Reload, Status, Switch};
use super::output::{CommandError, Out};
use super::{Exit, watch};
use crate::admin::{self, Answer, ClientError, Request, text};
use crate::files;

/// Where the daemon's control socket lies if the configuration does not say.
const CONTROL: &str = "/run/switchback/control.sock";

pub(super) fn status(arguments: &Status, out: &mut Out) -> Result<Exit, CommandError> {
    if arguments.watch
        && let Some(exit) = watch::run(&socket_of(&arguments.daemon)?, out)?
    {
        return Ok(exit);
    }
    let Answer::Status(status) = ask(&arguments.daemon, &Request::Status)? else {
        return Err(other_answer());
    };
    if arguments.alive {
        writeln!(out, "generation {} serves", status.generation)?;
        return Ok(Exit::Well);
    }
    if arguments.json {
        write_json(&*status, out)?;
    } else {
        out.write_all(text::status(&status, out.paint()).as_bytes())?;
    }
    Ok(if status.needs_a_human() {
        Exit::NotWell
    } else {
        Exit::Well
    })
}

pub(super) fn explain(arguments: &Explain, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Explain {
        service: arguments.service.as_str().into(),
    };
    let Answer::Explain(answer) = ask(&arguments.daemon, &request)? else {
        return Err(other_answer());
    };
    if arguments.json {
        write_json(&answer, out)?;
    } else {
        out.write_all(text::explain(&answer, out.paint()).as_bytes())?;
    }
    Ok(Exit::Well)
}

pub(super) fn reload(arguments: &Reload, out: &mut Out) -> Result<Exit, CommandError> {
    let Answer::Reloaded {
        generation,
        warnings,
    } = ask(&arguments.daemon, &Request::Reload)?
    else {
        return Err(other_answer());
    };
    for warning in warnings {
        writeln!(out, "{} {warning}", out.paint().odd("warning:"))?;
    }
    writeln!(out, "reloaded: generation {generation} serves")?;
    Ok(Exit::Well)
}

pub(super) fn log(arguments: &Log, out: &mut Out) -> Result<Exit, CommandError> {
    let request = Request::Log {
        set: arguments.levels.clone(),
        for_s: arguments.period.map(|period| period.as_secs()),
    };
    let Answer::Log { levels, until } = ask(&arguments.daemon, &request)? else {
        return Err(other_answer());
    };
    for (module, level) in levels {
        writeln!(out, "{module:<12} {level}")?;
    }
    if let Some(until) = until {
        writeln!(out, "until {until}")?;
    }
    Ok(Exit::Well)
}

pub(super) fn dnstap(arguments: &Dnstap, out: &mut Out) -> Result<Exit, CommandError> {
    let on = arguments.switch.map(|switch| match switch {
        Switch::On => true,
        Switch::Off => false,
    });
    let Answer::Dnstap {
        target,
        on,
        written,
        lost,
        failed,
    } = ask(&arguments.daemon, &Request::Dnstap { on })?
    else {
        return Err(other_answer());
    };
    let word = if on { "on" } else { "off" };
    writeln!(out, "{word}: {target}, {written} written, {lost} lost")?;
    match failed {
        Some(why) => {
            writeln!(out, "{} {why}", out.paint().odd("failing:"))?;
            Ok(Exit::NotWell)
        }
        None => Ok(Exit::Well),
    }
}

pub(super) fn write_json(value: &impl serde::Serialize, out: &mut Out) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(value).map_err(CommandError::failed)?;
    writeln!(out, "{json}")?;
    Ok(())
}

pub(super) fn other_answer() -> CommandError {
    CommandError::failed(
        "the daemon answered another question: use the switchback command of its release",
    )
}

pub(super) fn ask(daemon: &Daemon, request: &Request) -> Result<Answer, CommandError> {
    admin::ask(&socket_of(daemon)?, request).map_err(|error| {
        if let ClientError::Refused(why) = error {
            CommandError::Refused(why)
        } else {
            CommandError::failed(error)
        }
    })
}

/// The control socket of a daemon.
pub(super) fn socket_of(daemon: &Daemon) -> Result<PathBuf, CommandError> {
    match &daemon.control {
        Some(control) => Ok(control.clone()),
        None => control_of(&daemon.config),
    }
}

/// The control socket that a configuration names. Nothing else of the file is looked at: a
/// daemon can be asked while somebody edits its configuration.
fn control_of(config: &Path) -> Result<PathBuf, CommandError> {
    let text = files::read_text(config, files::SMALL).map_err(|error| {
        CommandError::Failed(format!(
            "cannot read {}, which names the control socket: {error}; name another with \
             --config, or the socket itself with --control",
            config.display()
        ))
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        CommandError::Failed(format!(
            "{} is no TOML, so the control socket is not known from it: {}; name the socket with \
             --control",
            config.display(),
            error.message()
        ))
    })?;
    let named = table
        .get("listen")
        .and_then(|listen| listen.get("control"))
        .and_then(toml::Value::as_str);
    let beside = config.parent().unwrap_or(Path::new(""));
    Ok(named.map_or_else(|| PathBuf::from(CONTROL), |path| beside.join(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_socket_is_found_in_a_file_that_check_would_refuse() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("switchback.toml");
        let named = |text: &str| {
            std::fs::write(&file, text).unwrap();
            control_of(&file)
        };
        let found = named("[listen]\ncontrol = \"/run/x.sock\"\n[[pool]]\nnam = 1\n").unwrap();
        assert_eq!(found, Path::new("/run/x.sock"));
        let relative = named("[listen]\ncontrol = \"x.sock\"\n").unwrap();
        assert_eq!(relative, dir.path().join("x.sock"));
        assert_eq!(named("").unwrap(), Path::new(CONTROL));
        assert!(
            named("[listen")
                .unwrap_err()
                .to_string()
                .contains("--control")
        );
    }
}
