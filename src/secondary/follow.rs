//! When a zone is asked for, of whom, and how long it is good: one [`Secondary`] for each zone.
//!
//! A **round** asks each primary once, the one that answered last first, until one has word of the
//! zone. A good answer, newer or not, begins `refresh` and `expire` anew; a round without one is
//! followed by the next after `retry`, twice that, and so on. NOTIFY begins a round at once.
//!
//! Call [`Secondary::handle`] with what happened, carry out [`Secondary::poll_action`] until there
//! is none, and call again at [`Secondary::poll_timeout`].

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timers::Timers;
use crate::ids::Serial;
use crate::time::{Mono, Now, Wall};

/// However often primaries call, a visit begins this long after the one before at the earliest.
const NOTIFY_PAUSE: Duration = Duration::from_millis(500);
/// Without any data that is good, the pause grows from this …
const EMPTY_FIRST: Duration = Duration::from_secs(1);
/// … to this.
const EMPTY_MOST: Duration = Duration::from_secs(300);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing but time.
    TimePassed,
    /// A primary sent NOTIFY (RFC 1996), with the serial that it has if it said so.
    Notified {
        /// Which of the primaries.
        primary: usize,
        /// What it says; a hint.
        serial: Option<Serial>,
    },
    /// The visit under way ended.
    Visited(Outcome),
}

/// How a visit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The primary has the version that we have.
    Current,
    /// A new version is on the disk and served.
    Took {
        /// The primary's serial.
        serial: Serial,
        /// What its SOA says.
        timers: Timers,
    },
    /// Nothing came of it.
    Failed {
        /// Why: what, rule, remedy.
        why: String,
        /// Whether the changes did not fit, and the whole zone may.
        wants_whole: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask this primary for its serial, and take what is newer; [`Event::Visited`] ends it.
    Visit {
        /// Which of the primaries.
        primary: usize,
        /// Take the whole zone, not changes.
        whole: bool,
    },
    /// The data has expired: serve it no more.
    Expire,
    /// The data that expired is good again: serve it.
    Revive,
    /// Keep this over a restart.
    Remember(Memory),
    /// Say this.
    Tell(Told),
}

/// What people should know, once each time that it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A new version is served.
    Took {
        /// From which of the primaries.
        primary: usize,
        /// Its serial.
        serial: Serial,
    },
    /// A visit failed, and the one before had not failed in this way.
    Trouble {
        /// Which of the primaries.
        primary: usize,
        /// Why.
        why: String,
    },
    /// After failures a primary has answered.
    Reached {
        /// Which of the primaries.
        primary: usize,
    },
    /// No primary was reached for too long.
    Expired {
        /// Since when there is no word.
        refreshed: Wall,
    },
}

/// What is remembered over a restart, beside the data. The deadline stands as it was reckoned:
/// restarts do not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The serial of the data that it speaks of.
    pub serial: Serial,
    /// When a primary last said that it is the newest.
    pub refreshed: Wall,
    /// When it expires.
    pub expires: Wall,
}

/// What a failed visit leaves for `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which of the primaries.
    pub primary: usize,
    /// Why.
    pub why: String,
    /// When.
    pub at: Wall,
}

/// One zone that is transferred from primaries.
#[derive(Clone, Debug)]
pub struct Secondary {
    primaries: usize,
    /// So many hundredths of each pause are left out, so that many zones do not ask in step.
    spread: u32,
    version: Option<Version>,
    visit: Option<Visit>,
    /// The primary to begin the next round with.
    first: usize,
    next_round: Mono,
    latest_visit: Option<Mono>,
    /// A primary called while a visit was under way.
    called: Option<usize>,
    failed_rounds: u32,
    /// The latest failure of each primary since its last good answer.
    troubles: Vec<Option<Trouble>>,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug)]
struct Version {
    memory: Memory,
    timers: Timers,
    expires: Mono,
    expired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Visit {
    primary: usize,
    whole: bool,
    /// Primaries of this round that have been asked, this one included.
    asked: usize,
}

impl Secondary {
    /// A zone with so many primaries, one at least; `origin` in wire format. `held` is what is on
    /// the disk. The first visit is due at once.
    #[must_use]
    pub fn new(
        now: Now,
        primaries: usize,
        origin: &[u8],
        held: Option<(Memory, Timers)>,
    ) -> Secondary {
        let sum: u32 = origin.iter().map(|octet| u32::from(*octet)).sum();
        let mut secondary = Secondary {
            primaries: primaries.max(1),
            spread: sum % 10,
            version: None,
            visit: None,
            first: 0,
            next_round: now.mono,
            latest_visit: None,
            called: None,
            failed_rounds: 0,
            troubles: vec![None; primaries.max(1)],
            actions: VecDeque::new(),
        };
        secondary.version = held.map(|(memory, timers)| {
            // A clock that was set back must not make it good for longer than its SOA says.
            let left = memory.expires.since(now.wall).min(timers.expire);
            Version {
                memory,
                timers,
                expires: now.mono + left,
                expired: left.is_zero(),
            }
        });
        if let Some(version) = secondary.version.filter(|version| version.expired) {
            let refreshed = version.memory.refreshed;
            secondary.tell(Told::Expired { refreshed });
        }
        secondary
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, event: Event) {
        match event {
            Event::TimePassed => {}
            Event::Notified { primary, serial } => self.notified(now, primary, serial),
            Event::Visited(outcome) => self.visited(now, outcome),
        }
        self.pass(now);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call again if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let expires = self.version.filter(|version| !version.expired);
        let round = self.visit.is_none().then_some(self.next_round);
        expires
            .map(|version| version.expires)
            .into_iter()
            .chain(round)
            .min()
    }

    /// Whether there is data and it has not expired.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.version.is_some_and(|version| !version.expired)
    }

    /// What is remembered of the version that we hold, expired or not.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        self.version.map(|version| version.memory)
    }

    /// Of each primary, the latest failure since its last good answer.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.troubles.iter().flatten()
    }

    /// When the next round begins; `None` while one is under way.
    #[must_use]
    pub fn next_round(&self) -> Option<Mono> {
        self.visit.is_none().then_some(self.next_round)
    }

    fn notified(&mut self, now: Now, primary: usize, serial: Option<Serial>) {
        let ours = self.version.filter(|version| !version.expired);
        let known = match (ours, serial) {
            (Some(version), Some(serial)) => !serial.is_newer_than(version.memory.serial),
            (None, _) | (_, None) => false,
        };
        if known || primary >= self.primaries {
            return;
        }
        if self.visit.is_some() {
            self.called = Some(primary);
            return;
        }
        self.first = primary;
        self.next_round = self.next_round.min(self.soon(now));
    }

    /// As soon as the pause between visits allows.
    fn soon(&self, now: Now) -> Mono {
        let pause = self.latest_visit.map(|latest| latest + NOTIFY_PAUSE);
        pause.map_or(now.mono, |pause| pause.max(now.mono))
    }

    fn visited(&mut self, now: Now, outcome: Outcome) {
        let Some(visit) = self.visit.take() else {
            return;
        };
        match outcome {
            Outcome::Current => {
                if let Some(version) = self.version {
                    self.good(now, visit.primary, version.memory.serial, version.timers);
                } else {
                    // No version to be current: take it as any other failure of the shell.
                    self.end_round(now);
                }
            }
            Outcome::Took { serial, timers } => {
                self.tell(Told::Took {
                    primary: visit.primary,
                    serial,
                });
                // What is new is served already: nothing expired is left to revive.
                self.version = None;
                self.good(now, visit.primary, serial, timers);
            }
            Outcome::Failed { why, wants_whole } => {
                self.note_trouble(now, visit.primary, why);
                if wants_whole && !visit.whole {
                    return self.begin_visit(
                        now,
                        Visit {
                            whole: true,
                            ..visit
                        },
                    );
                }
                if visit.asked >= self.primaries {
                    return self.end_round(now);
                }
                self.begin_visit(
                    now,
                    Visit {
                        primary: (visit.primary + 1) % self.primaries,
                        whole: false,
                        asked: visit.asked + 1,
                    },
                );
            }
        }
    }

    /// A primary has word of the zone: all deadlines begin anew.
    fn good(&mut self, now: Now, primary: usize, serial: Serial, timers: Timers) {
        if self.version.is_some_and(|version| version.expired) {
            self.actions.push_back(Action::Revive);
        }
        let memory = Memory {
            serial,
            refreshed: now.wall,
            expires: now.wall + timers.expire,
        };
        self.version = Some(Version {
            memory,
            timers,
            expires: now.mono + timers.expire,
            expired: false,
        });
        self.actions.push_back(Action::Remember(memory));
        let trouble = self.troubles.get_mut(primary).and_then(Option::take);
        if trouble.is_some() || self.failed_rounds > 0 {
            self.tell(Told::Reached { primary });
        }
        self.failed_rounds = 0;
        self.first = primary;
        self.next_round = now.mono + self.spread(timers.refresh);
        self.answer_call(now);
    }

    fn end_round(&mut self, now: Now) {
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        self.next_round = now.mono + self.spread(self.pause());
        self.answer_call(now);
    }

    /// A primary that called during the visit is asked next.
    fn answer_call(&mut self, now: Now) {
        if let Some(primary) = self.called.take() {
            self.first = primary;
            self.next_round = self.next_round.min(self.soon(now));
        }
    }

    /// From a failed round to the next.
    fn pause(&self) -> Duration {
        let (first, most) = match self.version {
            Some(version) if !version.expired => (
                version.timers.retry,
                version.timers.refresh.max(version.timers.retry),
            ),
            Some(version) => (version.timers.retry.min(EMPTY_MOST), EMPTY_MOST),
            None => (EMPTY_FIRST, EMPTY_MOST),
        };
        let doubled = 1_u32 << self.failed_rounds.saturating_sub(1).min(20);
        first.saturating_mul(doubled).min(most)
    }

    fn spread(&self, pause: Duration) -> Duration {
        pause - pause / 100 * self.spread
    }

    fn note_trouble(&mut self, now: Now, primary: usize, why: String) {
        let Some(place) = self.troubles.get_mut(primary) else {
            return;
        };
        let is_new = place.as_ref().is_none_or(|trouble| trouble.why != why);
        *place = Some(Trouble {
            primary,
            why: why.clone(),
            at: now.wall,
        });
        if is_new {
            self.tell(Told::Trouble { primary, why });
        }
    }

    fn pass(&mut self, now: Now) {
        if let Some(version) = &mut self.version
            && !version.expired
            && now.mono >= version.expires
        {
            version.expired = true;
            let refreshed = version.memory.refreshed;
            self.actions.push_back(Action::Expire);
            self.tell(Told::Expired { refreshed });
        }
        if self.visit.is_none() && now.mono >= self.next_round {
            self.begin_visit(
                now,
                Visit {
                    primary: self.first % self.primaries,
                    whole: false,
                    asked: 1,
                },
            );
        }
    }

    fn begin_visit(&mut self, now: Now, visit: Visit) {
        self.visit = Some(visit);
        self.latest_visit = Some(now.mono);
        self.actions.push_back(Action::Visit {
            primary: visit.primary,
            whole: visit.whole,
        });
    }

    fn tell(&mut self, told: Told) {
        self.actions.push_back(Action::Tell(told));
    }
}

#[cfg(test)]
mod tests;
