//! A wait step under way.

use super::verification::LOOK_AGAIN;
use crate::runbook::Pause;
use crate::time::Mono;

/// What a wait step waits for, and what has been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The task that it is for.
    task: usize,
    what: Pause,
    /// What was asked earlier does not count.
    since: Mono,
    /// When it is over: for secondaries that has failed, for all else it is what was waited for.
    until: Mono,
    /// When to ask again.
    next_look: Mono,
    /// Since when its time stands still.
    paused: Option<Mono>,
    /// Each secondary, and whether it serves what is published.
    seen: Vec<(String, bool)>,
}

impl Waiting {
    pub(super) fn new(task: usize, what: Pause, now: Mono, until: Mono) -> Waiting {
        Waiting {
            task,
            what,
            since: now,
            until,
            next_look: now,
            paused: None,
            seen: Vec::new(),
        }
    }

    /// While we are isolated nobody can be asked, and the time for asking stands still. Caches
    /// and clocks do not.
    pub(super) fn stands_still(&mut self, now: Mono, isolated: bool) -> bool {
        let Pause::Secondaries { .. } = self.what else {
            return false;
        };
        match (isolated, self.paused) {
            (true, None) => self.paused = Some(now),
            (false, Some(since)) => {
                self.until = self.until + now.since(since);
                self.next_look = now;
                self.paused = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
        isolated
    }

    /// What came of it, if it is over.
    pub(super) fn end(&self, now: Mono) -> Option<(usize, Result<(), String>)> {
        let over = self.until <= now;
        match self.what {
            Pause::For(_) | Pause::Ttl => over.then_some((self.task, Ok(()))),
            Pause::Secondaries { at_least } => {
                let needed = at_least.unwrap_or(self.seen.len());
                let current = self.seen.iter().filter(|(_, current)| *current).count();
                if !self.seen.is_empty() && current >= needed {
                    return Some((self.task, Ok(())));
                }
                let why = format!("{current} of {needed} secondaries serve what is published");
                over.then_some((self.task, Err(why)))
            }
        }
    }

    /// Whether the secondaries are to be asked now.
    pub(super) fn asks(&mut self, now: Mono) -> bool {
        let asks = matches!(self.what, Pause::Secondaries { .. }) && self.next_look <= now;
        if asks {
            self.next_look = now + LOOK_AGAIN;
        }
        asks
    }

    /// When something is to be done at the latest.
    pub(super) fn wake(&self) -> Mono {
        match self.what {
            Pause::For(_) | Pause::Ttl => self.until,
            Pause::Secondaries { .. } => self.until.min(self.next_look),
        }
    }

    pub(super) fn saw(&mut self, asked: Mono, seen: Vec<(String, bool)>) {
        if asked >= self.since {
            self.seen = seen;
        }
    }

    /// What was seen, for people.
    pub(super) fn summary(&self) -> String {
        let Pause::Secondaries { .. } = self.what else {
            return String::new();
        };
        let lines = self.seen.iter().map(|(name, current)| {
            let word = if *current {
                "current"
            } else {
                "behind, or silent"
            };
            format!("{name}: {word}")
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            "none was asked".to_owned()
        } else {
            lines.join("; ")
        }
    }
}
