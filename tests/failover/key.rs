//! When two lives have come to the same state.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use switchback::failover::Proposal;
use switchback::time::Now;

use crate::oracle::{FAILBACK, FALL, RISE, SETTLE, TTL_MAX};

/// A hash of the debug text of a state, without what makes no difference: the policy, rows past
/// the thresholds, times further back than any limit reaches, the reasons told, the numbers of
/// operations and proposals, when people are reminded, and past moves, which count for a cap that
/// is never reached here.
pub(crate) struct Key {
    hashes: [DefaultHasher; 2],
    now: Now,
    named: &'static str,
    field: &'static str,
    /// How deep in a value that makes no difference.
    left_out: Option<usize>,
    /// The TTL has one value only.
    ttl_stands: bool,
}

const REDUCED: [&str; 10] = [
    "good",
    "not_bad",
    "not_good",
    "bad",
    "fit_since",
    "serving_since",
    "trouble_since",
    "tense_until",
    "drained_at",
    "lowered",
];

const LEFT_OUT: [&str; 15] = [
    "policy",
    "home",
    "uplinks",
    "servers",
    "endpoint",
    "moves",
    "because",
    "latest",
    "active_since",
    "cached_until",
    "next_operation",
    "proposal",
    "remind_at",
    "wake",
    "last",
];

impl Key {
    pub(crate) fn new(now: Now, ttl_stands: bool) -> Key {
        let mut hashes = [DefaultHasher::new(), DefaultHasher::new()];
        hashes[1].write_u8(1);
        Key {
            hashes,
            now,
            named: "",
            field: "",
            left_out: None,
            ttl_stands,
        }
    }

    pub(crate) fn finish(&self) -> u128 {
        let [high, low] = [0, 1].map(|half: usize| u128::from(self.hashes[half].finish()));
        high << 64 | low
    }

    /// Takes in what a proposal is about. Its number and its age make no difference.
    pub(crate) fn proposes(&mut self, proposal: Option<&Proposal>) {
        let Some(proposal) = proposal else { return };
        let about = format!(
            "{} {} {:?} {:?}",
            proposal.from, proposal.to, proposal.because, proposal.word
        );
        self.takes(&about);
    }

    pub(crate) fn takes(&mut self, value: &impl Hash) {
        self.hashes.iter_mut().for_each(|hash| value.hash(hash));
    }

    /// The number of this field as far as it matters.
    fn reduce(&self, number: u64) -> u64 {
        let past = |limit: u8| number.max(self.now.mono.0.as_secs() - u64::from(limit));
        match self.field {
            "good" | "not_bad" | "not_good" | "bad" => number.min(u64::from(RISE.max(FALL))),
            "fit_since" => past(FAILBACK),
            "serving_since" => past(SETTLE),
            "trouble_since" | "drained_at" => past(0),
            "tense_until" => past(TTL_MAX),
            "lowered" => number.max(self.now.wall.0 - 1000 * u64::from(TTL_MAX)),
            _ => number,
        }
    }

    /// Whether this piece belongs to a value that is left out.
    fn leaves_out(&mut self, text: &str) -> bool {
        let Some(depth) = self.left_out else {
            return false;
        };
        let closes = text.ends_with(['}', ')', ']']);
        if depth == 0 && (closes || text == ", ") {
            self.left_out = None;
            return false;
        }
        let opens = text.trim_end().ends_with(['(', '[', '{']);
        self.left_out = Some(depth + usize::from(opens) - usize::from(closes));
        true
    }
}

impl Write for Key {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The derived text comes in pieces: the name of a field, ": ", its value.
        if self.leaves_out(text) {
            return Ok(());
        }
        if text == ": " {
            self.field = self.named;
            let of_ttl = self.ttl_stands && self.field == "tense_until";
            if of_ttl || LEFT_OUT.contains(&self.field) {
                self.left_out = Some(0);
            }
        } else if text == ", " || text.ends_with('}') {
            self.field = "";
        }
        let known = REDUCED.iter().chain(&LEFT_OUT);
        self.named = known.copied().find(|name| *name == text).unwrap_or("");
        let number = (!self.field.is_empty())
            .then(|| text.parse::<u64>().ok())
            .flatten();
        if let Some(number) = number {
            let reduced = self.reduce(number);
            self.hashes
                .iter_mut()
                .for_each(|hash| hash.write_u64(reduced));
        } else {
            let bytes = text.as_bytes();
            self.hashes.iter_mut().for_each(|hash| hash.write(bytes));
        }
        Ok(())
    }
}
