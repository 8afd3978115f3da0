//! An oracle that counts looks by itself and judges what the engine does by the documented
//! rules, not by the engine's own state. Of words and proposals it knows what people are told.

use switchback::failover::{Because, Event};
use switchback::health::Verdict;
use switchback::ids::PoolName;

pub(crate) const POOLS: usize = 3;
pub(crate) const RISE: u8 = 2;
pub(crate) const FALL: u8 = 2;
/// In seconds, which are rounds.
pub(crate) const FAILBACK: u8 = 1;
pub(crate) const SETTLE: u8 = 1;
/// The TTL of the services whose planned moves wait for caches.
pub(crate) const TTL_MIN: u8 = 1;
pub(crate) const TTL_MAX: u8 = 2;

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

/// Who has the last word on what health decides, and whether planned moves wait for caches.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Rules {
    pub(crate) asks: bool,
    pub(crate) observes: bool,
    pub(crate) waits: bool,
}

/// A move that people were asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asked {
    from: usize,
    to: usize,
    failback: bool,
    /// What they said.
    approved: Option<bool>,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Oracle {
    rules: Rules,
    pools: [Rows; POOLS],
    pub(crate) active: usize,
    pub(crate) frozen: bool,
    pub(crate) pinned: Option<usize>,
    pub(crate) drained: [bool; POOLS],
    /// The failover that an operator ordered, and whether it waits for nothing.
    pub(crate) ordered: Option<usize>,
    pub(crate) hurried: bool,
    /// Whether an operator's failover has suspended failback.
    suspended: bool,
    asked: Option<Asked>,
    /// What they were asked and are no longer, in this round.
    dropped: Option<Asked>,
    /// How long ago an answer with the long TTL could be had.
    since_long: u8,
    /// How long ago an operator said anything.
    pub(crate) waited: u8,
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

fn place(pool: &PoolName) -> usize {
    pool.as_str()[1..].parse::<usize>().unwrap() - 1
}

impl Oracle {
    pub(crate) fn new(rules: Rules) -> Oracle {
        let up = Rows {
            good: RISE + if rules.waits { TTL_MAX } else { SETTLE },
            up: Some(true),
            up_for: FAILBACK,
            ..Rows::default()
        };
        Oracle {
            rules,
            pools: [up; POOLS],
            active: 0,
            frozen: false,
            pinned: None,
            drained: [false; POOLS],
            ordered: None,
            hurried: false,
            suspended: false,
            asked: None,
            dropped: None,
            since_long: TTL_MAX,
            waited: 0,
        }
    }

    pub(crate) fn waits(&self) -> bool {
        self.rules.waits
    }

    pub(crate) fn asks(&self) -> bool {
        self.rules.asks
    }

    pub(crate) fn forget(&mut self) {
        self.pools = [Rows::default(); POOLS];
    }

    /// A round begins.
    pub(crate) fn tick(&mut self) {
        for rows in &mut self.pools {
            rows.up_for = row(rows.up_for, rows.up == Some(true), FAILBACK);
        }
        self.since_long = row(self.since_long, true, TTL_MAX);
        self.waited = row(self.waited, true, TTL_MAX);
        self.dropped = None;
    }

    /// Answers can be had now, with the long TTL or not.
    pub(crate) fn answers(&mut self, long: bool) {
        if long {
            self.since_long = 0;
        }
    }

    pub(crate) fn count(&mut self, pool: usize, look: &Verdict) {
        let rows = &mut self.pools[pool];
        let kind = kind(look);
        let longest = RISE + if self.rules.waits { TTL_MAX } else { SETTLE };
        rows.good = row(rows.good, kind == Kind::Good, longest);
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

    /// Takes note of what people are told, and judges a move that begins.
    pub(crate) fn hear(&mut self, event: &Event) {
        if let Event::OperationBegan {
            from, to, because, ..
        } = event
        {
            let (from, to) = (place(from), place(to));
            self.has_its_word(to, because);
            self.judge(from, to);
            if let Because::Ordered { .. } = because {
                assert_eq!(self.ordered, Some(to), "somebody ordered it");
                self.suspended = true;
            }
            let failback = *because == Because::FailedBack;
            assert!(!failback || !self.suspended, "failback is suspended");
            self.ordered = None;
            self.active = to;
        } else if let Event::ApprovalWanted {
            from,
            to,
            because,
            reminder: false,
            ..
        } = event
        {
            assert!(self.rules.asks, "{event}");
            assert_eq!(self.asked, None, "they are asked one thing at a time");
            let asked = Asked {
                from: place(from),
                to: place(to),
                failback: *because == Because::FailedBack,
                approved: None,
            };
            let rejected = self.dropped.filter(|it| it.approved == Some(false));
            let again = rejected.map(|rejected| Asked {
                approved: None,
                ..rejected
            });
            assert_ne!(again, Some(asked), "nobody is asked twice");
            self.asked = Some(asked);
        } else if let Event::Answered { to, approved, .. } = event {
            let asked = self.asked.as_mut().unwrap();
            assert_eq!(asked.to, place(to));
            asked.approved = Some(*approved);
        } else if let Event::Withdrawn { .. } = event {
            self.dropped = self.asked.take();
        } else if let Event::OrderVoid { .. } = event {
            self.ordered = None;
        }
    }

    /// What health decides has the word that the mode asks for.
    fn has_its_word(&mut self, to: usize, because: &Because) {
        if because.is_an_operators() {
            return;
        }
        assert!(!self.rules.observes, "only observed: {because}");
        if self.rules.asks {
            let asked = self.asked.take().expect("a word on it");
            let word = (asked.from, asked.to, asked.approved);
            assert_eq!(word, (self.active, to, Some(true)), "{because}");
        }
    }

    /// Whether a move that an operator wants has to wait until no cache holds a long answer.
    fn is_in_no_hurry(&self, from: usize) -> bool {
        self.rules.waits && !self.hurried && self.pools[from].up != Some(false)
    }

    /// The move was allowed.
    fn judge(&self, from: usize, to: usize) {
        assert_eq!(from, self.active, "it moves from where it is");
        assert!(!self.frozen, "frozen: nothing moves");
        let (old, new) = (self.pools[from], self.pools[to]);
        let drained = !self.is_in_no_hurry(from) || self.since_long >= TTL_MAX;
        if let Some(pin) = self.pinned {
            assert_eq!(to, pin, "pinned: the only target");
            assert!(drained, "caches lead to the old pool: {self:?}");
            return;
        }
        assert!(!self.drained[to], "a drained pool is no target");
        if self.ordered == Some(to) {
            assert_ne!(new.up, Some(false), "where it goes it is served");
            assert!(drained, "caches lead to the old pool: {self:?}");
            return;
        }
        assert!(
            new.last == Kind::Good
                || new.last == Kind::Degraded && old.up != Some(true)
                || self.drained[from],
            "the last look at the target speaks for it: {self:?}"
        );
        if old.up == Some(false) {
            return;
        }
        if self.drained[from] {
            assert!(drained, "caches lead to the old pool: {self:?}");
            return;
        }
        // Nothing speaks against the old pool: it can only be a failback.
        assert!(to < from, "{from} to {to} without a reason: {self:?}");
        assert_eq!(new.up, Some(true), "{self:?}");
        assert!(new.up_for >= FAILBACK, "failback comes too soon: {self:?}");
    }

    /// What is wanted comes: an operator's move when the caches are empty, and no pool that is dead
    /// stays active while another one is good for longer than it takes, unless a person has to say
    /// so and was asked.
    pub(crate) fn insist(&self) {
        if self.frozen {
            return;
        }
        let active = self.active;
        let patient = self.is_in_no_hurry(active) && self.waited < TTL_MAX;
        if let Some(pin) = self.pinned {
            assert!(active == pin || patient, "it is not where it is pinned");
            return;
        }
        if let Some(to) = self.ordered {
            let known = self.pools[to].up.is_some();
            assert!(patient || !known, "the order is carried out: {self:?}");
            return;
        }
        let dead = self.pools[active].dead >= FALL;
        if !dead && (!self.drained[active] || patient) {
            return;
        }
        for (other, rows) in self.pools.iter().enumerate() {
            // Caches are waited for from when there is a pool to go to.
            let waits = self.is_in_no_hurry(active) && !dead;
            let long = RISE + if waits { TTL_MAX } else { SETTLE };
            let idle = rows.good >= long && !self.drained[other];
            if other == active || !idle || self.rules.observes && !self.drained[active] {
                continue;
            }
            assert!(
                self.rules.asks && !self.drained[active],
                "{other} stands idle: {self:?}"
            );
            let asked = self.asked.expect("people are asked");
            assert_ne!(asked.approved, Some(true), "what is approved begins");
            // Who has not answered yet may answer to a failback what is a failover by now.
            let refused = asked.failback && asked.approved.is_some();
            assert!(!refused && asked.from == active, "{self:?}");
        }
    }
}
