//! Whether it is the others who are gone, or we.
//!
//! A server that does not answer looks like an uplink of ours that is down. So a verdict that
//! could be either waits until reference targets of the same address family have been looked
//! at, by looks that began after the suspicious one. If one of them answers, the verdict
//! counts; if none does, we are isolated: verdicts count for nothing until one answers again.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::health::Observation;
use crate::time::Mono;

/// A verdict waits no longer than this: if nobody tells what the references say, it counts.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// References are looked at so often while verdicts wait or we are isolated.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So many verdicts wait at once. Later ones push out the oldest.
const HELD_MAX: usize = 4096;

/// What a look at a reference target said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceLook {
    /// The target.
    pub target: SocketAddr,
    /// When the look began.
    pub begun: Mono,
    /// Whether it answered, open or refused.
    pub reachable: bool,
}

/// The uplink of one address family.
#[derive(Clone, Debug)]
pub(super) struct Uplink {
    targets: Vec<SocketAddr>,
    isolated_since: Option<Mono>,
    waiting_since: Option<Mono>,
    asked: Option<Mono>,
    answered: BTreeMap<SocketAddr, ReferenceLook>,
    held: Vec<Observation>,
}

/// What follows from an input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UplinkNews {
    /// These verdicts count now.
    pub(super) released: Vec<Observation>,
    /// The uplink went down (`false`) or came back (`true`).
    pub(super) changed: Option<bool>,
}

impl Uplink {
    /// The uplink of the family of `like` with the reference targets of that family. With
    /// fewer than two of them it never judges.
    pub(super) fn new(references: &[SocketAddr], like: IpAddr) -> Uplink {
        let same = |target: &&SocketAddr| target.is_ipv4() == like.is_ipv4();
        Uplink {
            targets: references.iter().filter(same).copied().collect(),
            isolated_since: None,
            waiting_since: None,
            asked: None,
            answered: BTreeMap::new(),
            held: Vec::new(),
        }
    }

    /// Whether it is down.
    pub(super) fn is_isolated(&self) -> bool {
        self.isolated_since.is_some()
    }

    /// Since when it is down.
    pub(super) fn isolated_since(&self) -> Option<Mono> {
        self.isolated_since
    }

    /// Takes a verdict that could be our uplink's fault: gives it back if it counts, keeps it
    /// if it has to wait.
    pub(super) fn hold(&mut self, now: Mono, look: Observation) -> Option<Observation> {
        if self.targets.len() < 2 {
            return Some(look);
        }
        let vouched = self
            .answered
            .values()
            .any(|seen| seen.reachable && seen.begun >= look.begun);
        if vouched {
            return Some(look);
        }
        if self.held.len() >= HELD_MAX {
            self.held.remove(0);
        }
        self.held.push(look);
        self.waiting_since.get_or_insert(now);
        None
    }

    /// Takes what a look at a reference target said.
    pub(super) fn handle_reference(&mut self, now: Mono, look: ReferenceLook) -> UplinkNews {
        if !self.targets.contains(&look.target) {
            return UplinkNews::default();
        }
        self.answered.insert(look.target, look);
        if look.reachable {
            return self.vouch(look.begun);
        }
        let Some(waiting_since) = self.waiting_since else {
            return UplinkNews::default();
        };
        let all_failed = self.targets.iter().all(|target| {
            self.answered
                .get(target)
                .is_some_and(|seen| !seen.reachable && seen.begun >= waiting_since)
        });
        if !all_failed || self.is_isolated() {
            return UplinkNews::default();
        }
        self.isolated_since = Some(now);
        self.waiting_since = None;
        self.held.clear();
        UplinkNews {
            changed: Some(false),
            ..UplinkNews::default()
        }
    }

    /// A reference answered a look begun at `begun`: what was suspicious before counts.
    fn vouch(&mut self, begun: Mono) -> UplinkNews {
        if self.isolated_since.take().is_some() {
            self.held.clear();
            self.waiting_since = None;
            return UplinkNews {
                changed: Some(true),
                ..UplinkNews::default()
            };
        }
        let (released, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|look| look.begun <= begun);
        self.held = held;
        self.waiting_since = self.held.first().map(|look| look.ended);
        UplinkNews {
            released,
            changed: None,
        }
    }

    /// Verdicts that have waited for too long, because nobody looks at the references.
    pub(super) fn handle_timeout(&mut self, now: Mono) -> Vec<Observation> {
        match self.waiting_since {
            Some(since) if since + WAIT_MAX <= now => {
                self.waiting_since = None;
                std::mem::take(&mut self.held)
            }
            _ => Vec::new(),
        }
    }

    /// The targets to look at now, if it is time.
    pub(super) fn poll_look(&mut self, now: Mono) -> Option<&[SocketAddr]> {
        let needed = self.waiting_since.is_some() || self.is_isolated();
        let fresh = self.asked.is_some_and(|at| at + LOOK_AGAIN > now);
        let after_waiting = self
            .waiting_since
            .is_none_or(|since| self.asked >= Some(since));
        if !needed || fresh && after_waiting {
            return None;
        }
        self.asked = Some(now);
        Some(&self.targets)
    }

    /// When to call again, if nothing happens until then.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let look = self.asked.map(|at| at + LOOK_AGAIN);
        let release = self.waiting_since.map(|since| since + WAIT_MAX);
        match (
            self.waiting_since.is_some() || self.is_isolated(),
            look,
            release,
        ) {
            (false, ..) => None,
            (true, look, release) => look.into_iter().chain(release).min(),
        }
    }
}
