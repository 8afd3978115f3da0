//! Which lines are written: a level for each module, which may change while the daemon runs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::time::Wall;

macro_rules! modules {
    ($($module:ident $word:literal)*) => {
        /// What a line is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Module {
            $(#[doc = $word] $module,)*
        }

        impl Module {
            const ALL: &'static [Module] = &[$(Module::$module),*];

            /// Its name in `switchback log` and in JSON.
            pub(super) fn word(self) -> &'static str {
                match self { $(Module::$module => $word,)* }
            }
        }

        /// Hands a line over to whoever writes it.
        pub(super) fn tell(module: Module, level: tracing::Level, what: fmt::Arguments<'_>) {
            match module {
                $(Module::$module => tell_at!(concat!("switchback::", $word), level, what),)*
            }
        }
    };
}

/// One place in the source for each level, for that is what `tracing` wants.
macro_rules! tell_at {
    ($target:expr, $level:ident, $what:ident) => {
        match $level {
            tracing::Level::ERROR => tracing::error!(target: $target, "{}", $what),
            tracing::Level::WARN => tracing::warn!(target: $target, "{}", $what),
            tracing::Level::INFO => tracing::info!(target: $target, "{}", $what),
            tracing::Level::DEBUG => tracing::debug!(target: $target, "{}", $what),
            tracing::Level::TRACE => tracing::trace!(target: $target, "{}", $what),
        }
    };
}

modules! {
    Health "health"
    Probe "probe"
    Failover "failover"
    Runbook "runbook"
    Hook "hook"
    Store "store"
    Zone "zone"
    Secondary "secondary"
    Certificate "certificate"
    Alert "alert"
    Server "server"
    Daemon "daemon"
}

/// The word for what is not ours.
const LIBRARIES: &str = "libraries";
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// A level for each module, and one for the libraries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    modules: BTreeMap<Module, LevelFilter>,
    libraries: LevelFilter,
}

/// Why a text says no levels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelsError {
    /// No such level.
    #[error("{0:?} is no level: write off, error, warn, info, debug or trace")]
    NoLevel(String),
    /// No such module.
    #[error("{0:?} is no module: known are {known} and libraries", known = words())]
    NoModule(String),
}

fn words() -> String {
    let words: Vec<&str> = Module::ALL.iter().map(|module| module.word()).collect();
    words.join(", ")
}

impl Default for Levels {
    /// `info`; of the libraries only errors, for what else they say is about what strangers do.
    fn default() -> Self {
        let all = Module::ALL.iter().copied();
        Levels {
            modules: all.map(|module| (module, LevelFilter::INFO)).collect(),
            libraries: LevelFilter::ERROR,
        }
    }
}

impl Levels {
    /// These levels with what `text` changes: `debug` for all modules, `probe=debug,hook=warn` for
    /// some.
    ///
    /// # Errors
    /// Names the word that is wrong.
    pub fn with(&self, text: &str) -> Result<Levels, LevelsError> {
        let mut levels = self.clone();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None => {
                    let level = level(part)?;
                    levels.modules.values_mut().for_each(|it| *it = level);
                }
                Some((LIBRARIES, of)) => levels.libraries = level(of)?,
                Some((word, of)) => {
                    let known = Module::ALL.iter().find(|module| module.word() == word);
                    let module = known.ok_or_else(|| LevelsError::NoModule(word.to_owned()))?;
                    levels.modules.insert(*module, level(of)?);
                }
            }
        }
        Ok(levels)
    }

    /// Each module with its level, and the libraries.
    #[must_use]
    pub fn words(&self) -> BTreeMap<String, String> {
        let modules = self.modules.iter().map(|(module, of)| (module.word(), *of));
        let all = modules.chain([(LIBRARIES, self.libraries)]);
        all.map(|(word, of)| (word.to_owned(), of.to_string()))
            .collect()
    }

    pub(super) fn targets(&self) -> Targets {
        let modules = self.modules.iter();
        let ours = modules.map(|(module, of)| (format!("switchback::{}", module.word()), *of));
        Targets::new()
            .with_default(self.libraries)
            .with_targets(ours)
    }
}

fn level(word: &str) -> Result<LevelFilter, LevelsError> {
    let known = LEVELS.iter().find(|(name, _)| *name == word);
    let known = known.map(|(_, level)| *level);
    known.ok_or_else(|| LevelsError::NoLevel(word.to_owned()))
}

impl FromStr for Levels {
    type Err = LevelsError;

    fn from_str(text: &str) -> Result<Levels, LevelsError> {
        Levels::default().with(text)
    }
}

/// How the new levels reach those who write.
type Apply = Box<dyn Fn(Targets) + Send + Sync>;

/// What is in force.
struct State {
    start: Levels,
    now: Levels,
    until: Option<Wall>,
    change: u64,
    apply: Apply,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn state() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on `apply` is told of other levels.
pub(super) fn begin(start: Levels, apply: Apply) {
    *state() = Some(State {
        now: start.clone(),
        start,
        until: None,
        change: 0,
        apply,
    });
}

/// The levels in force, and until when.
#[must_use]
pub fn current() -> (Levels, Option<Wall>) {
    let state = state();
    let known = state.as_ref();
    known.map_or_else(Default::default, |it| (it.now.clone(), it.until))
}

/// Changes the levels that the process began with as `text` says; `None` returns to those. Gives
/// the number of the change, for [`revert`]. `tell` logs it: under the old levels, unless those would
/// not let it be seen.
///
/// # Errors
/// Names the word that is wrong; nothing has changed then.
pub fn set(
    text: Option<&str>,
    until: Option<Wall>,
    tell: impl FnOnce(),
) -> Result<u64, LevelsError> {
    let mut state = state();
    let Some(state) = &mut *state else {
        return Ok(0);
    };
    let levels = match text {
        Some(text) => state.start.with(text)?,
        None => state.start.clone(),
    };
    Ok(state.change_to(levels, until, tell))
}

/// Returns to the levels of the beginning, if that change is still the latest.
pub fn revert(change: u64, tell: impl FnOnce()) {
    // Looked at and changed under one lock: what was said in between holds.
    if let Some(state) = state().as_mut().filter(|it| it.change == change) {
        state.change_to(state.start.clone(), None, tell);
    }
}

impl State {
    fn change_to(&mut self, levels: Levels, until: Option<Wall>, tell: impl FnOnce()) -> u64 {
        let is_seen = self.now.modules[&Module::Daemon] >= LevelFilter::INFO;
        if is_seen {
            tell();
            (self.apply)(levels.targets());
        } else {
            (self.apply)(levels.targets());
            tell();
        }
        self.now = levels;
        self.until = until;
        self.change += 1;
        self.change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_changes_what_it_names_and_nothing_else() {
        let of = |text: &str| Levels::default().with(text).map(|it| it.words());
        let words = of("probe=debug,libraries=warn").unwrap();
        assert_eq!(words["probe"], "debug");
        assert_eq!(words["libraries"], "warn");
        assert_eq!(words["failover"], "info");
        let words = of("off, failover=trace").unwrap();
        assert_eq!(
            (&words["hook"][..], &words["failover"][..]),
            ("off", "trace")
        );
        assert_eq!(words["libraries"], "error");
        let why = of("prob=debug").unwrap_err().to_string();
        assert!(
            why.starts_with("\"prob\" is no module: known are health, probe,"),
            "{why}"
        );
        let why = of("loud").unwrap_err().to_string();
        assert_eq!(
            why,
            "\"loud\" is no level: write off, error, warn, info, debug or trace"
        );
        assert!(of("").is_err());
    }
}
