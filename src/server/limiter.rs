//! Response rate limiting over UDP: the table that all threads share, and what each thread does
//! with a response. What a response costs is decided in [`crate::limit`].
//!
//! One table, and not one with a share of the limit for each thread: which thread a datagram
//! comes to follows from its port here and from its network card's taste there, so that a network may
//! meet all of them or one. A thread that answers within the limit writes one word, and one that
//! does not writes nothing; no lock is taken, and nothing from the heap.

use std::array::from_fn;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use super::counters::{Tally, bump};
use crate::answer::{Asker, Standing, slip};
use crate::clock;
use crate::limit::{Bucket, Class, Over, Rate, Spent, Ticks, WAYS, choose, over};
use crate::snapshot::{Network, RateLimit, Snapshot};
use crate::time::Mono;

/// 2 MiB, for 262,144 networks and classes. A million responses a second with a limit of 200 leave
/// 5,000 of them in debt at a time.
const SETS: usize = 1 << 15;
/// So often a thread looks again because another one wrote to the same set in between.
const TRIES: usize = 4;
/// What an error may be longer than its query, in octets, to be sent as it is: an extended error
/// (RFC 8914) and the server's part of a cookie.
const SLACK: usize = 22;
/// So many networks are known by name at a time.
const MOST_NAMED: usize = 32;

/// A cache line of buckets.
#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// The buckets of all networks, and the names of some that are limited.
pub struct Limiter {
    table: Box<[Set]>,
    /// Keyed at random, anew at each start: nobody can find a network whose bucket is his victim's.
    keys: RandomState,
    /// Locked when a limit begins, by those who need not wait for it, and by whoever looks.
    named: Mutex<Vec<Limited>>,
}

/// A network that gets no more responses of a class than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Who.
    pub network: Network,
    /// Of which class.
    pub class: Class,
    /// Since when.
    pub since: Mono,
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter {
            table: (0..SETS).map(|_| Set::default()).collect(),
            keys: RandomState::new(),
            named: Mutex::new(Vec::with_capacity(MOST_NAMED)),
        }
    }
}

impl Limiter {
    /// Who is limited now, the first ones of them.
    #[must_use]
    pub fn limited(&self) -> Vec<Limited> {
        let now = Ticks::at(clock::mono().0);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget(&mut named, now);
        named.clone()
    }

    fn place(&self, network: Network, class: Class, now: Ticks) -> (&Set, Bucket) {
        let hash = self.keys.hash_one((network.number(), class.number()));
        // A set for each value of the lowest bits; the bucket keeps others.
        let set = usize::try_from(hash).unwrap_or(usize::MAX) % SETS;
        (&self.table[set], Bucket::of(hash, now))
    }

    /// Counts a response.
    fn spend(&self, network: Network, class: Class, now: Ticks, rate: Rate) -> Spent {
        let (set, own) = self.place(network, class, now);
        for _ in 0..TRIES {
            let buckets = set.buckets();
            let at = choose(&buckets, own, now);
            let found = buckets[at];
            let (next, spent) = if found.is_of(own) { found } else { own }.spend(now, rate);
            if next == found
                || set.0[at]
                    .compare_exchange_weak(found.0, next.0, Relaxed, Relaxed)
                    .is_ok()
            {
                return spent;
            }
        }
        // So many write to it: all of them within the limit.
        Spent::Within
    }

    /// Keeps the name of a network whose limit has just begun, if nobody else is at it.
    fn name(&self, network: Network, class: Class, now: Ticks) {
        let Ok(mut named) = self.named.try_lock() else {
            return;
        };
        let is_it = |it: &Limited| (it.network, it.class) == (network, class);
        if named.len() >= MOST_NAMED {
            self.forget(&mut named, now);
        }
        if named.len() < MOST_NAMED && !named.iter().any(is_it) {
            named.push(Limited {
                network,
                class,
                since: clock::mono(),
            });
        }
    }

    /// Takes out those who are limited no longer.
    fn forget(&self, named: &mut Vec<Limited>, now: Ticks) {
        named.retain(|it| {
            let (set, own) = self.place(it.network, it.class, now);
            let mut buckets = set.buckets().into_iter();
            buckets.any(|bucket| bucket.is_of(own) && bucket.is_limited(now))
        });
    }
}

impl Set {
    fn buckets(&self) -> [Bucket; WAYS] {
        from_fn(|at| Bucket(self.0[at].load(Relaxed)))
    }
}

/// What one thread needs to limit.
pub(super) struct Guard {
    limiter: Arc<Limiter>,
    tally: Arc<Tally>,
    now: Ticks,
    /// For the choice of what slips; never 0.
    random: u64,
}

impl Guard {
    pub(super) fn new(limiter: Arc<Limiter>, tally: Arc<Tally>) -> Guard {
        // Another number for each thread.
        let random = limiter.keys.hash_one(Arc::as_ptr(&tally).addr()) | 1;
        Guard {
            limiter,
            tally,
            now: Ticks::at(clock::mono().0),
            random,
        }
    }

    /// A batch of queries has been received.
    pub(super) fn begin(&mut self, now: Mono) {
        self.now = Ticks::at(now.0);
    }

    /// Whether the response in `out` may be sent. It may be another one afterwards.
    pub(super) fn admits(
        &mut self,
        snapshot: &Snapshot,
        query: &[u8],
        asker: &Asker,
        standing: Standing,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(limit) = &snapshot.settings().rate_limit else {
            return true;
        };
        let client = asker.client;
        if standing == Standing::Proven || limit.allow.iter().any(|network| network.has(client)) {
            return true;
        }
        let class = Class::of(out);
        let network = Network::around(client, limit.ipv4_bits, limit.ipv6_bits);
        match self.limiter.spend(network, class, self.now, limit.rate) {
            Spent::Within => return true,
            Spent::Over => {}
            Spent::OverNow => self.limiter.name(network, class, self.now),
        }
        match self.is_over(limit, class) {
            None => true,
            Some(Over::Drop) => false,
            // Too short to be worth a lie: whoever asked in earnest gets its error.
            Some(Over::Slip) if class == Class::Error && out.len() <= query.len() + SLACK => true,
            Some(Over::Slip) => self.slip(snapshot, query, asker, out),
        }
    }

    /// Counts a response over the limit, and says what becomes of it; `None` if it is only counted.
    #[cold]
    fn is_over(&mut self, limit: &RateLimit, class: Class) -> Option<Over> {
        let counts = &self.tally.limits[usize::from(class.number())];
        bump(&counts.limited, 1);
        if limit.only_counts {
            return None;
        }
        // xorshift64.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let over = over(limit.slip, self.random >> 16);
        match over {
            Over::Slip => bump(&counts.slipped, 1),
            Over::Drop => bump(&counts.dropped, 1),
        }
        Some(over)
    }

    fn slip(&self, snapshot: &Snapshot, query: &[u8], asker: &Asker, out: &mut Vec<u8>) -> bool {
        // As for every other response: a defect costs this one, never the thread.
        let slipped = catch_unwind(AssertUnwindSafe(|| slip(snapshot, query, asker, out)));
        if slipped.is_err() {
            bump(&self.tally.panics, 1);
        }
        slipped.unwrap_or(false)
    }
}
