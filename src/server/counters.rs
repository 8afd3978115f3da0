//! Counts instead of log lines: nothing that a stranger sends makes a log grow.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::connections::Connections;
use super::limiter::Limiter;
use super::measure::{Measured, Measures};
use super::notices::Notices;
use super::seen::{Seen, Sighting};
use super::tap::{Carrier, Tap};
use crate::limit::Class;
use crate::zone::Name;

/// What one transport has seen since it was bound. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Messages received, garbage among them.
    pub queries: u64,
    /// Answers handed to the system.
    pub responses: u64,
    /// Messages that got no answer: not a query, too long, over the rate limit, or the answer could
    /// not be sent.
    pub dropped: u64,
    /// Answers with the TC bit.
    pub truncated: u64,
    /// Queries at which the answer engine panicked; each is also in `dropped`. Always 0 unless
    /// there is a defect to be reported.
    pub panics: u64,
    /// Connections open now.
    pub connections: u64,
    /// Connections closed to make room for a newer one.
    pub evicted: u64,
    /// Connections closed at once because their network had its share.
    pub refused: u64,
}

/// The counts of all transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// DNS over UDP, which has no connections.
    pub udp: Count,
    /// DNS over TCP.
    pub tcp: Count,
    /// DNS over TLS.
    pub tls: Count,
    /// DNS over HTTPS; a request that carries no query is a query that was dropped.
    pub https: Count,
    /// DNS over QUIC.
    pub quic: Count,
    /// What response rate limiting did, over UDP, by class.
    pub limits: [LimitCount; Class::ALL.len()],
}

/// Responses of one class over the limit of their network. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitCount {
    /// All of them, those too that are only counted.
    pub limited: u64,
    /// In their place went the way to a stream, or an error as short.
    pub slipped: u64,
    /// Nothing was sent; each is also in [`Count::dropped`].
    pub dropped: u64,
}

impl LimitCount {
    /// Adds other counts to these.
    pub fn add(&mut self, other: LimitCount) {
        let LimitCount {
            limited,
            slipped,
            dropped,
        } = other;
        self.limited += limited;
        self.slipped += slipped;
        self.dropped += dropped;
    }
}

impl Counters {
    /// What response rate limiting did with responses of a class.
    #[must_use]
    pub fn limits_of(&self, class: Class) -> LimitCount {
        self.limits[usize::from(class.number())]
    }

    /// All transports together.
    #[must_use]
    pub fn total(&self) -> Count {
        let Counters {
            udp: mut total,
            tcp,
            tls,
            https,
            quic,
            limits: _,
        } = *self;
        for other in [tcp, tls, https, quic] {
            total.add(other);
        }
        total
    }
}

impl Count {
    fn add(&mut self, other: Count) {
        let Count {
            queries,
            responses,
            dropped,
            truncated,
            panics,
            connections,
            evicted,
            refused,
        } = other;
        self.queries += queries;
        self.responses += responses;
        self.dropped += dropped;
        self.truncated += truncated;
        self.panics += panics;
        self.connections += connections;
        self.evicted += evicted;
        self.refused += refused;
    }
}

/// The same of each transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByTransport<T> {
    /// DNS over UDP.
    pub udp: T,
    /// DNS over TCP.
    pub tcp: T,
    /// DNS over TLS.
    pub tls: T,
    /// DNS over HTTPS.
    pub https: T,
    /// DNS over QUIC.
    pub quic: T,
}

impl<T> ByTransport<T> {
    /// Each with the name of its transport.
    pub fn named(&self) -> [(&'static str, &T); 5] {
        let ByTransport {
            udp,
            tcp,
            tls,
            https,
            quic,
        } = self;
        [
            ("udp", udp),
            ("tcp", tcp),
            ("tls", tls),
            ("https", https),
            ("quic", quic),
        ]
    }
}

/// The live form of [`Count`]. One writer each for UDP, so that no cache line is fought over.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally {
    pub(super) queries: AtomicU64,
    pub(super) responses: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) truncated: AtomicU64,
    pub(super) panics: AtomicU64,
    /// By type, by RCODE, and how long it took.
    pub(super) measures: Measures,
    /// Copies, for those who want to see them.
    pub(super) tap: Tap,
    /// In the order of [`Class::ALL`].
    pub(super) limits: [LimitTally; Class::ALL.len()],
    /// Shared by all tallies of one set of listeners.
    pub(super) notices: Arc<Notices>,
    /// What secondaries asked for.
    pub(super) seen: Seen,
}

/// The live form of [`LimitCount`].
#[derive(Debug, Default)]
pub(super) struct LimitTally {
    pub(super) limited: AtomicU64,
    pub(super) slipped: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl LimitTally {
    fn count(&self) -> LimitCount {
        LimitCount {
            limited: self.limited.load(Relaxed),
            slipped: self.slipped.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}

impl Tally {
    fn sharing(notices: &Arc<Notices>, is_on: &Arc<AtomicBool>, carrier: Carrier) -> Tally {
        Tally {
            notices: Arc::clone(notices),
            tap: Tap::new(is_on, carrier),
            ..Tally::default()
        }
    }

    fn count(&self) -> Count {
        Count {
            queries: self.queries.load(Relaxed),
            responses: self.responses.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            truncated: self.truncated.load(Relaxed),
            panics: self.panics.load(Relaxed),
            ..Count::default()
        }
    }
}

/// One transport with connections: what it counts, and who is connected.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) tally: Tally,
    pub(super) connections: Arc<Connections>,
}

impl Lane {
    fn count(&self) -> Count {
        Count {
            connections: u64::try_from(self.connections.open()).unwrap_or(u64::MAX),
            evicted: self.connections.evicted.load(Relaxed),
            refused: self.connections.refused.load(Relaxed),
            ..self.tally.count()
        }
    }
}

/// Adds to a counter; no order is implied.
pub(super) fn bump(counter: &AtomicU64, by: usize) {
    counter.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Relaxed);
}

/// All tallies of one set of listeners, and what their threads share beside.
pub(super) struct Tallies {
    /// One per UDP thread. Locked when a thread is made and when somebody reads the counters.
    pub(super) udp: Mutex<Vec<Arc<Tally>>>,
    pub(super) tcp: Lane,
    pub(super) tls: Lane,
    pub(super) https: Lane,
    pub(super) quic: Lane,
    pub(super) notices: Arc<Notices>,
    pub(super) limiter: Arc<Limiter>,
    /// Whether exchanges are copied.
    pub(super) tap_is_on: Arc<AtomicBool>,
}

impl Default for Tallies {
    fn default() -> Self {
        let notices = Arc::default();
        let tap_is_on = Arc::default();
        let lane = |carrier| Lane {
            tally: Tally::sharing(&notices, &tap_is_on, carrier),
            connections: Arc::default(),
        };
        Tallies {
            udp: Mutex::default(),
            tcp: lane(Carrier::Tcp),
            tls: lane(Carrier::Tls),
            https: lane(Carrier::Https),
            quic: lane(Carrier::Quic),
            tap_is_on: Arc::clone(&tap_is_on),
            notices: Arc::clone(&notices),
            limiter: Arc::default(),
        }
    }
}

impl Tallies {
    /// The latest question of each secondary, over all transports.
    pub(super) fn seen(&self) -> BTreeMap<(Name, IpAddr), Sighting> {
        let mut all = BTreeMap::new();
        for tally in &*self.udp.lock().unwrap_or_else(PoisonError::into_inner) {
            tally.seen.merge_into(&mut all);
        }
        self.tcp.tally.seen.merge_into(&mut all);
        self.tls.tally.seen.merge_into(&mut all);
        all
    }

    /// A tally for one more UDP thread.
    pub(super) fn for_udp_thread(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally {
            measures: Measures::of_one_thread(),
            ..Tally::sharing(&self.notices, &self.tap_is_on, Carrier::Udp)
        });
        self.udp
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&tally));
        tally
    }

    /// All of them, now.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            udp: self.udp(),
            tcp: self.tcp.count(),
            tls: self.tls.count(),
            https: self.https.count(),
            quic: self.quic.count(),
            limits: self.limits(),
        }
    }

    /// What was asked and answered, now.
    pub(super) fn measured(&self) -> ByTransport<Measured> {
        let mut udp = Measured::default();
        for tally in &*self.udp.lock().unwrap_or_else(PoisonError::into_inner) {
            udp.add(&tally.measures.read());
        }
        let of = |lane: &Lane| lane.tally.measures.read();
        ByTransport {
            udp,
            tcp: of(&self.tcp),
            tls: of(&self.tls),
            https: of(&self.https),
            quic: of(&self.quic),
        }
    }

    fn limits(&self) -> [LimitCount; Class::ALL.len()] {
        let mut sum = [LimitCount::default(); Class::ALL.len()];
        for tally in &*self.udp.lock().unwrap_or_else(PoisonError::into_inner) {
            for (sum, one) in sum.iter_mut().zip(&tally.limits) {
                sum.add(one.count());
            }
        }
        sum
    }

    /// Every place that exchanges are copied to.
    pub(super) fn each_tap(&self, mut each: impl FnMut(&Tap)) {
        let udp = self
            .udp
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        udp.iter().for_each(|tally| each(&tally.tap));
        let lanes = [&self.tcp, &self.tls, &self.https, &self.quic];
        lanes.iter().for_each(|lane| each(&lane.tally.tap));
    }

    /// The sum over all UDP threads.
    pub(super) fn udp(&self) -> Count {
        let mut sum = Count::default();
        for tally in &*self.udp.lock().unwrap_or_else(PoisonError::into_inner) {
            sum.add(tally.count());
        }
        sum
    }
}
