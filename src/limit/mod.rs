//! **Pure.** Response rate limiting: how many responses of a class a network gets, and what is
//! done with those that are too many.
//!
//! Whoever asks over UDP may ask in the name of a victim, and every response goes to the victim.
//! So each network has a bucket for each [`Class`] of responses. A bucket is the *generic cell rate
//! algorithm* in one word ([`Bucket`]): the time at which all that was sent will be paid for, if
//! each response costs the same share of a second. Who is less than a second in debt is answered.
//!
//! The name asked is no part of it, as in Knot 3.4 and unlike BIND, NSD and Knot before: a zone has
//! as many names as whoever asks likes, and each would come with a limit of its own.
//!
//! Invariants: time is an argument; a bucket of a time long past is empty, whatever it says; of the
//! buckets of a [`Set`](choose) the one that owes the least gives way, never the one in debt.

mod bucket;
mod class;

pub use bucket::{Bucket, Spent, Ticks, WAYS, choose};
pub use class::Class;

/// How many responses of a class a network gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What a response costs.
    price: u64,
    /// What a network may owe: about a second.
    most: u64,
}

impl Rate {
    /// So many in a second can be told apart from more.
    pub const MOST: u32 = 1_000_000;

    /// So many in a second, 1 to [`Rate::MOST`], and as many at once after a second without any.
    #[must_use]
    pub fn per_second(count: u32) -> Rate {
        let count = u64::from(count.clamp(1, Rate::MOST));
        let price = ((Ticks::SECOND + count / 2) / count).max(1);
        Rate {
            price,
            most: price * count,
        }
    }
}

/// What becomes of a response over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The way to a stream is sent in its place: whoever asked in earnest comes back over TCP.
    Slip,
    /// Nothing is sent.
    Drop,
}

/// Lets one of `slip` responses slip; none if it is 0. `random` is any number.
#[must_use]
pub fn over(slip: u8, random: u64) -> Over {
    match random.checked_rem(u64::from(slip)) {
        Some(0) => Over::Slip,
        Some(_) | None => Over::Drop,
    }
}

#[cfg(test)]
mod tests;
