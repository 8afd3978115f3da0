//! One word for each network and class, and the few words among which it is looked for.

use std::time::Duration;

use super::Rate;

/// Words of a set: a cache line.
pub const WAYS: usize = 8;

const DUE_BITS: u32 = 40;
const DUE: u64 = (1 << DUE_BITS) - 1;
const IS_LIMITED: u64 = 1 << DUE_BITS;
const TAG_SHIFT: u32 = DUE_BITS + 1;

/// A time, in units of 2⁻²⁰ seconds from some beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks(u64);

impl Ticks {
    /// So many are a second.
    pub(super) const SECOND: u64 = 1 << 20;

    /// The time so long after the beginning.
    #[must_use]
    pub fn at(since: Duration) -> Ticks {
        let parts = u64::from(since.subsec_nanos()) * Ticks::SECOND / 1_000_000_000;
        Ticks((since.as_secs() << 20).wrapping_add(parts))
    }
}

/// What a network owes for the responses of a class that it got: who it is (23 bits of a hash),
/// whether it is over its limit (1 bit), and when all will be paid for (40 bits of [`Ticks`], which
/// come around every twelve days).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(pub u64);

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It is within the limit.
    Within,
    /// It is over the limit, as the one before it was.
    Over,
    /// It is the first over the limit after a while within it.
    OverNow,
}

impl Bucket {
    /// The bucket of whoever has this hash and owes nothing. A set is found by bits that are not in it: the
    /// lower ones.
    #[must_use]
    pub fn of(hash: u64, now: Ticks) -> Bucket {
        Bucket(hash >> TAG_SHIFT << TAG_SHIFT | now.0 & DUE)
    }

    /// Whether it is of whoever `other` is of.
    #[must_use]
    pub fn is_of(self, other: Bucket) -> bool {
        self.0 >> TAG_SHIFT == other.0 >> TAG_SHIFT
    }

    /// Whether it was over its limit lately, and has not paid the half of it since.
    #[must_use]
    pub fn is_limited(self, now: Ticks) -> bool {
        self.0 & IS_LIMITED != 0 && self.debt(now) > Ticks::SECOND / 2
    }

    /// What is left to pay. Nobody ever owes much more than a second, so whatever looks like two was
    /// paid long ago.
    #[must_use]
    pub fn debt(self, now: Ticks) -> u64 {
        match self.0.wrapping_sub(now.0) & DUE {
            debt if debt <= 2 * Ticks::SECOND => debt,
            _ => 0,
        }
    }

    /// Takes one more response, if there is room for it: the bucket after it, and how it went.
    #[must_use]
    pub fn spend(self, now: Ticks, rate: Rate) -> (Bucket, Spent) {
        let (debt, was_limited) = (self.debt(now), self.is_limited(now));
        let with_debt = |debt: u64, is_limited: bool| {
            let due = now.0.wrapping_add(debt) & DUE;
            let flag = if is_limited { IS_LIMITED } else { 0 };
            Bucket(self.0 >> TAG_SHIFT << TAG_SHIFT | flag | due)
        };
        if debt + rate.price <= rate.most {
            (with_debt(debt + rate.price, was_limited), Spent::Within)
        } else if was_limited {
            (with_debt(debt, true), Spent::Over)
        } else {
            (with_debt(debt, true), Spent::OverNow)
        }
    }
}

/// The place in a set for whoever has the bucket `wanted`: where it is, or else where the one is
/// that owes the least. The number of buckets that owe anything is never greater than the responses
/// of a second divided by the limit, so in a table that is much larger whoever is limited stays so,
/// however many others come.
#[must_use]
pub fn choose(set: &[Bucket; WAYS], wanted: Bucket, now: Ticks) -> usize {
    let is_there = set.iter().position(|bucket| bucket.is_of(wanted));
    is_there.unwrap_or_else(|| {
        let debts = set.iter().map(|bucket| bucket.debt(now)).enumerate();
        debts.min_by_key(|(_, debt)| *debt).map_or(0, |(at, _)| at)
    })
}
