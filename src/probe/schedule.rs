//! When one assignment is looked at: a state machine without a clock.
//!
//! Its driver calls [`Schedule::poll_start`] until it says `None`, begins those looks, and
//! sleeps until [`Schedule::poll_timeout`]; it reports what happens by the `handle_*` methods.
//!
//! | occasion | when |
//! | --- | --- |
//! | regular | every interval, on a grid that begins at the assignment's own phase; while one is pending the next waits for its end |
//! | second | a regular look has not succeeded by half of its timeout since its beginning, unless that is no news |
//! | confirming | at once after a held stream broke, back to back until one is good or `fall` are bad |
//! | asked | somebody wants to know now; goes to the full depth |
//! | renewal | the held stream is missing or old; never goes on to TLS, so that its stream can be held |
//!
//! Of each occasion at most one look is under way.

use std::time::Duration;

use crate::health::{Layer, Verdict};
use crate::time::Mono;

/// A timer that fires later than this is not our schedule any more: the process was stopped or
/// the machine suspended, and what a look saw across that says nothing about the server.
pub(crate) const LATE: Duration = Duration::from_secs(1);

/// A held stream is renewed at this age: ejabberd closes idle ones after 30 s, Lync after 60 s,
/// Prosody after 90 s.
pub(crate) const HOLD_FOR: Duration = Duration::from_secs(25);

/// The longest pause before a server that keeps cutting idle streams is held again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The first looks are spread over this much at most, so that health is known soon.
const START_WITHIN: Duration = Duration::from_secs(1);

/// Why a look is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    Regular,
    Second,
    Confirming,
    Asked,
    Renewal,
}

impl Occasion {
    pub(crate) const ALL: [Occasion; 5] = [
        Occasion::Regular,
        Occasion::Second,
        Occasion::Confirming,
        Occasion::Asked,
        Occasion::Renewal,
    ];

    /// Its place in a table of five.
    pub(crate) fn slot(self) -> usize {
        match self {
            Occasion::Regular => 0,
            Occasion::Second => 1,
            Occasion::Confirming => 2,
            Occasion::Asked => 3,
            Occasion::Renewal => 4,
        }
    }

    /// Whether it waits for its turn at the server's address. A second look overlaps by its
    /// nature, and a confirming look takes the place of the stream that broke.
    pub(crate) fn waits_its_turn(self) -> bool {
        match self {
            Occasion::Regular | Occasion::Asked | Occasion::Renewal => true,
            Occasion::Second | Occasion::Confirming => false,
        }
    }
}

/// A look to begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) occasion: Occasion,
    /// Whether it goes on to the certificate.
    pub(crate) full: bool,
}

/// How a held stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The server said `connection-timeout`: its own housekeeping.
    Clean,
    /// The end of the stream, a reset, silence under keepalive, or another stream error.
    Broken,
    /// It sent more than an idle stream has any reason to; we hung up.
    Flooded,
}

/// The numbers of a probe that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) interval: Duration,
    pub(crate) tls_interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) rise: u32,
    pub(crate) fall: u32,
    /// Only some looks go on to the certificate.
    pub(crate) deep: bool,
    /// This assignment keeps the one idle stream of its address.
    pub(crate) hold: bool,
}

/// Bad looks in a row with the same fault.
#[derive(Clone, Copy, Debug)]
struct BadRun {
    layer: Layer,
    count: u32,
    /// The last of them was still pending at half of its timeout.
    slow: bool,
}

/// The regular look under way or just ended, as far as a second look depends on it.
#[derive(Clone, Copy, Debug)]
struct Watched {
    second_due: Mono,
    full: bool,
    /// The layer at which it failed, once it has.
    failed: Option<Layer>,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    timing: Timing,
    /// Where the next regular look stands on the grid.
    planned: Mono,
    under_way: [bool; 5],
    watched: Option<Watched>,
    bad_run: Option<BadRun>,
    /// So many full looks in a row were good.
    full_good: u32,
    /// The grid point of the last regular full look.
    last_full: Option<Mono>,
    asked: bool,
    /// Bad confirming looks that may still follow; `None` outside a confirmation.
    confirming: Option<u32>,
    speaks: bool,
    held_since: Option<Mono>,
    /// No stream is held again before this.
    hold_from: Mono,
    pause: Duration,
}

impl Schedule {
    /// A schedule whose first look stands at `now` plus a share of the start that `phase`
    /// picks: the same number always picks the same share.
    pub(crate) fn new(timing: Timing, now: Mono, phase: u64) -> Schedule {
        let spread = timing.interval.min(START_WITHIN);
        // Sixteen bits of phase: a granularity of 15 µs within a second.
        let share = u32::from(u16::try_from(phase & 0xffff).unwrap_or_default());
        Schedule {
            planned: now + spread * share / 0x1_0000,
            under_way: [false; 5],
            watched: None,
            bad_run: None,
            full_good: 0,
            last_full: None,
            asked: false,
            confirming: None,
            speaks: false,
            held_since: None,
            hold_from: now,
            pause: timing.interval,
            timing,
        }
    }

    /// When to call [`Schedule::poll_start`] again at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        let regular = (!self.is_under_way(Occasion::Regular)).then_some(self.planned);
        [regular, self.second_due(), self.renewal_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next look to begin at `now`. Call it until it says `None`.
    pub(crate) fn poll_start(&mut self, now: Mono) -> Option<Start> {
        let start = if self.confirming.is_some() && !self.is_under_way(Occasion::Confirming) {
            Start {
                occasion: Occasion::Confirming,
                full: false,
            }
        } else if self.asked && !self.is_under_way(Occasion::Asked) {
            self.asked = false;
            Start {
                occasion: Occasion::Asked,
                full: true,
            }
        } else if now >= self.planned && !self.is_under_way(Occasion::Regular) {
            self.start_regular(now)
        } else if self.second_due().is_some_and(|due| now >= due) {
            let full = self.watched.take()?.full;
            Start {
                occasion: Occasion::Second,
                full,
            }
        } else if self.renewal_due().is_some_and(|due| now >= due) {
            Start {
                occasion: Occasion::Renewal,
                full: false,
            }
        } else {
            return None;
        };
        self.under_way[start.occasion.slot()] = true;
        Some(start)
    }

    /// The look begins, having had its turn at the address.
    pub(crate) fn handle_begun(&mut self, start: Start, now: Mono) {
        if start.occasion == Occasion::Regular {
            self.watched = Some(Watched {
                second_due: now + self.timing.timeout / 2,
                full: start.full,
                failed: None,
            });
        }
    }

    /// The look ended. `verdict` is `None` if the look is discarded.
    pub(crate) fn handle_ended(
        &mut self,
        start: Start,
        begun: Mono,
        ended: Mono,
        verdict: Option<&Verdict>,
    ) {
        self.under_way[start.occasion.slot()] = false;
        let about = verdict.filter(|verdict| verdict.is_about_the_server());
        let fault = about.and_then(Verdict::fault).map(|(layer, _)| layer);
        if start.occasion == Occasion::Regular {
            match (about.is_some(), fault, &mut self.watched) {
                (true, Some(layer), Some(watched)) => watched.failed = Some(layer),
                _ => self.watched = None,
            }
        }
        if start.occasion == Occasion::Confirming {
            self.confirming = match (fault, self.confirming) {
                (Some(_), Some(left)) if left > 1 => Some(left - 1),
                _ => None,
            };
            if fault.is_some() {
                // It crashed: it did not cut an idle stream. It is held again once it speaks.
                self.pause = self.timing.interval;
                self.hold_from = ended;
            }
        }
        if about.is_none() {
            return;
        }
        if start.full || fault.is_some() {
            self.full_good = if fault.is_none() {
                self.full_good.saturating_add(1)
            } else {
                0
            };
        }
        self.speaks = fault.is_none_or(|layer| layer > Layer::Speech);
        self.count_bad(fault, ended.since(begun) >= self.timing.timeout / 2, start);
    }

    /// Somebody wants a full look now. Wishes made before it begins are one.
    pub(crate) fn handle_asked(&mut self) {
        self.asked = true;
    }

    /// Whether the stream of a good look that ends at `now` is to be held.
    pub(crate) fn wants_stream(&self, now: Mono) -> bool {
        self.timing.hold
            && now >= self.hold_from
            && self
                .held_since
                .is_none_or(|since| now + self.timing.interval >= since + HOLD_FOR)
    }

    /// A stream is held from `now` on, in place of any before it.
    pub(crate) fn handle_held(&mut self, now: Mono) {
        if self.held_since.is_some() {
            self.pause = self.timing.interval;
        }
        self.held_since = Some(now);
    }

    /// The held stream ended. A server that keeps cutting idle streams while it goes on to
    /// speak is held less and less often: confirming looks must not become a loop.
    pub(crate) fn handle_lost(&mut self, now: Mono, loss: Loss) {
        self.held_since = None;
        self.hold_from = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        match loss {
            Loss::Broken => self.confirming = Some(self.timing.fall.max(1)),
            Loss::Clean | Loss::Flooded => {}
        }
    }

    fn is_under_way(&self, occasion: Occasion) -> bool {
        self.under_way[occasion.slot()]
    }

    fn start_regular(&mut self, now: Mono) -> Start {
        let at = if now.since(self.planned) > LATE.max(self.timing.timeout) {
            now
        } else {
            // Of the grid points that went by while the last look was pending, the latest.
            let mut at = self.planned;
            while at + self.timing.interval <= now && !self.timing.interval.is_zero() {
                at = at + self.timing.interval;
            }
            at
        };
        self.planned = at + self.timing.interval;
        let full = self.timing.deep
            && (self.full_good < self.timing.rise.max(1)
                || self
                    .last_full
                    .is_none_or(|last| at >= last + self.timing.tls_interval));
        if full {
            self.last_full = Some(at);
        }
        Start {
            occasion: Occasion::Regular,
            full: full || !self.timing.deep,
        }
    }

    /// When a second look is due. None follows where it would repeat what `fall` looks in a
    /// row have said already.
    fn second_due(&self) -> Option<Mono> {
        let watched = self.watched?;
        if self.is_under_way(Occasion::Second) {
            return None;
        }
        let no_news = self.bad_run.is_some_and(|run| {
            run.count >= self.timing.fall && watched.failed.map_or(run.slow, |at| at == run.layer)
        });
        (!no_news).then_some(watched.second_due)
    }

    fn renewal_due(&self) -> Option<Mono> {
        let busy = [Occasion::Regular, Occasion::Renewal, Occasion::Confirming]
            .into_iter()
            .any(|occasion| self.is_under_way(occasion));
        if !self.timing.hold || !self.speaks || busy || self.confirming.is_some() {
            return None;
        }
        // Two intervals of grace: most often a regular look leaves its stream before.
        Some(match self.held_since {
            Some(since) => since + HOLD_FOR,
            None => self.hold_from + (self.timing.interval * 2).min(HOLD_FOR),
        })
    }

    fn count_bad(&mut self, fault: Option<Layer>, slow: bool, start: Start) {
        self.bad_run = match (fault, self.bad_run) {
            (Some(layer), Some(run)) if run.layer == layer => Some(BadRun {
                layer,
                count: run.count.saturating_add(1),
                slow,
            }),
            (Some(layer), _) => Some(BadRun {
                layer,
                count: 1,
                slow,
            }),
            // A shallow success does not end a run of bad certificates.
            (None, Some(run)) if run.layer == Layer::Tls && !start.full => Some(run),
            (None, _) => None,
        };
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
