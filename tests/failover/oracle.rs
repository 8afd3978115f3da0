//! An oracle that counts looks by itself and judges what the engine does by the documented
//! rules, not by the engine's own state.

use switchback::health::Verdict;

pub(crate) const POOLS: usize = 3;
pub(crate) const RISE: u8 = 2;
pub(crate) const FALL: u8 = 2;
/// In seconds, which are rounds.
pub(crate) const FAILBACK: u8 = 1;
pub(crate) const SETTLE: u8 = 1;

/// What the oracle knows of one pool: rows of looks, no further than they matter.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Rows {
    good: u8,
    not_good: u8,
    /// Looks in a row that found it dead, in whatever way.
    dead: u8,
    last: Kind,
    up: Option<bool>,
    up_for: u8,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Oracle {
    pools: [Rows; POOLS],
    pub(crate) frozen: bool,
    pub(crate) pinned: Option<usize>,
    pub(crate) drained: [bool; POOLS],
}

/// What one look says, in the words of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    #[default]
    Good,
    Degraded,
    Dead,
}

fn kind(look: &Verdict) -> Kind {
    if *look == Verdict::Good {
        Kind::Good
    } else if *look == Verdict::CertificateExpired {
        Kind::Degraded
    } else {
        Kind::Dead
    }
}

fn row(before: u8, goes_on: bool, most: u8) -> u8 {
    if goes_on { most.min(before + 1) } else { 0 }
}

impl Oracle {
    pub(crate) fn new() -> Oracle {
        let up = Rows {
            good: RISE + SETTLE,
            up: Some(true),
            up_for: FAILBACK,
            ..Rows::default()
        };
        Oracle {
            pools: [up; POOLS],
            frozen: false,
            pinned: None,
            drained: [false; POOLS],
        }
    }

    pub(crate) fn forget(&mut self) {
        self.pools = [Rows::default(); POOLS];
    }

    /// A round begins.
    pub(crate) fn tick(&mut self) {
        for rows in &mut self.pools {
            rows.up_for = row(rows.up_for, rows.up == Some(true), FAILBACK);
        }
    }

    pub(crate) fn count(&mut self, pool: usize, look: &Verdict) {
        let rows = &mut self.pools[pool];
        let kind = kind(look);
        rows.good = row(rows.good, kind == Kind::Good, RISE + SETTLE);
        rows.not_good = row(rows.not_good, kind != Kind::Good, FALL);
        rows.dead = row(rows.dead, kind == Kind::Dead, FALL);
        rows.last = kind;
        if rows.good >= RISE {
            rows.up = Some(true);
        } else if rows.not_good >= FALL {
            rows.up = Some(false);
        }
        if rows.up != Some(true) {
            rows.up_for = 0;
        }
    }

    /// A move, if there was one, was allowed.
    pub(crate) fn judge(&self, from: usize, to: usize) {
        if from == to {
            return;
        }
        assert!(!self.frozen, "frozen: nothing moves");
        if let Some(pin) = self.pinned {
            assert_eq!(to, pin, "pinned: the only target");
            return;
        }
        assert!(!self.drained[to], "a drained pool is no target");
        let (old, new) = (self.pools[from], self.pools[to]);
        assert!(
            new.last == Kind::Good
                || new.last == Kind::Degraded && old.up != Some(true)
                || self.drained[from],
            "the last look at the target speaks for it: {self:?}"
        );
        if self.drained[from] || old.up == Some(false) {
            return;
        }
        // Nothing speaks against the old pool: it can only be a failback.
        assert!(to < from, "{from} to {to} without a reason: {self:?}");
        assert_eq!(new.up, Some(true), "{self:?}");
        assert!(new.up_for >= FAILBACK, "failback comes too soon: {self:?}");
    }

    /// No pool that is dead stays active while another one is good for longer than it takes.
    pub(crate) fn insist(&self, active: usize) {
        if self.frozen {
            return;
        }
        if let Some(pin) = self.pinned {
            assert_eq!(active, pin);
            return;
        }
        if self.pools[active].dead < FALL && !self.drained[active] {
            return;
        }
        for (other, rows) in self.pools.iter().enumerate() {
            let idle = rows.good >= RISE + SETTLE && !self.drained[other];
            assert!(other == active || !idle, "{other} stands idle: {self:?}");
        }
    }
}
