//! What is counted of each query and answer: by type, by RCODE, and how long it took.
//!
//! Every UDP thread has its own counts, and is their only writer: to add is to load and to store,
//! which costs no more than with plain numbers. The transports with connections share theirs
//! between the threads of the runtime, and add atomically. All of it has the size that it has at
//! the start, whatever strangers ask for: what has no place of its own is counted as "other".

use std::array;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::zone::rdata::rtype;
use crate::zone::skip_name;

const HEADER: usize = 12;

/// The types that are counted apart, and two more: any other, and messages without a question that
/// can be read.
pub const TYPES: [&str; 21] = [
    "A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA", "SRV", "NAPTR", "DS", "DNSKEY", "TLSA",
    "SVCB", "HTTPS", "CAA", "IXFR", "AXFR", "ANY", "other", "none",
];
const OTHER_TYPE: usize = 19;
const NO_TYPE: usize = 20;

/// The RCODEs that are counted apart, and any other.
pub const RCODES: [&str; 10] = [
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "NOTAUTH",
    "BADVERS",
    "BADCOOKIE",
    "other",
];

/// The upper bounds of the times that are counted together; above the last there is one more.
pub const LATENCY_BOUNDS: [Duration; 14] = [
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_secs(1),
];
const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

/// What one transport has been asked and has answered. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Messages by the type of their question, in the order of [`TYPES`].
    pub types: [u64; TYPES.len()],
    /// Answers by RCODE, in the order of [`RCODES`].
    pub rcodes: [u64; RCODES.len()],
    /// Octets of answers, without what carries them.
    pub octets: u64,
    /// Answers by the time that they took: each up to a bound of [`LATENCY_BOUNDS`], and beyond.
    pub latency: [u64; BUCKETS],
    /// All these times together, nanoseconds.
    pub latency_ns: u64,
    /// Transfers that were begun: whole zones, then changes.
    pub transfers: [u64; 2],
    /// Requests for a transfer that were not granted.
    pub transfers_refused: u64,
}

impl Measured {
    /// Adds the counts of another thread.
    pub(super) fn add(&mut self, other: &Measured) {
        let add = |to: &mut [u64], from: &[u64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        let Measured {
            types,
            rcodes,
            octets,
            latency,
            latency_ns,
            transfers,
            transfers_refused,
        } = other;
        add(&mut self.types, types);
        add(&mut self.rcodes, rcodes);
        add(&mut self.latency, latency);
        add(&mut self.transfers, transfers);
        self.octets += octets;
        self.latency_ns += latency_ns;
        self.transfers_refused += transfers_refused;
    }
}

/// The live form of [`Measured`].
#[derive(Debug, Default)]
pub(super) struct Measures {
    /// Whether one thread alone adds.
    alone: bool,
    types: [AtomicU64; TYPES.len()],
    rcodes: [AtomicU64; RCODES.len()],
    octets: AtomicU64,
    latency: [AtomicU64; BUCKETS],
    latency_ns: AtomicU64,
    transfers: [AtomicU64; 2],
    transfers_refused: AtomicU64,
}

impl Measures {
    /// Counts that one thread alone adds to.
    pub(super) fn of_one_thread() -> Measures {
        Measures {
            alone: true,
            ..Measures::default()
        }
    }

    /// Counts a message that was answered with `response`; `None` if with nothing.
    pub(super) fn exchange(&self, query: &[u8], response: Option<&[u8]>) {
        self.add(&self.types[type_of(query)], 1);
        if let Some(response) = response {
            self.add(&self.rcodes[rcode_of(response)], 1);
            self.add(&self.octets, length(response.len()));
        }
    }

    /// Counts the time that each of so many answers took.
    pub(super) fn took(&self, answers: usize, took: Duration) {
        if answers == 0 {
            return;
        }
        let answers = length(answers);
        let bucket = LATENCY_BOUNDS.iter().position(|bound| took <= *bound);
        self.add(&self.latency[bucket.unwrap_or(BUCKETS - 1)], answers);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.add(&self.latency_ns, ns.saturating_mul(answers));
    }

    /// Counts a request for a transfer: of a whole zone, or of changes.
    pub(super) fn transfer(&self, whole: bool) {
        self.add(&self.transfers[usize::from(!whole)], 1);
    }

    /// Counts a request for a transfer that is not granted.
    pub(super) fn transfer_refused(&self) {
        self.add(&self.transfers_refused, 1);
    }

    pub(super) fn read(&self) -> Measured {
        Measured {
            types: array::from_fn(|at| self.types[at].load(Relaxed)),
            rcodes: array::from_fn(|at| self.rcodes[at].load(Relaxed)),
            octets: self.octets.load(Relaxed),
            latency: array::from_fn(|at| self.latency[at].load(Relaxed)),
            latency_ns: self.latency_ns.load(Relaxed),
            transfers: array::from_fn(|at| self.transfers[at].load(Relaxed)),
            transfers_refused: self.transfers_refused.load(Relaxed),
        }
    }

    fn add(&self, counter: &AtomicU64, by: u64) {
        if self.alone {
            counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
        } else {
            counter.fetch_add(by, Relaxed);
        }
    }
}

fn length(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

/// The place of a message's question in [`TYPES`].
fn type_of(query: &[u8]) -> usize {
    let question = || {
        if query.get(4..6)? == [0, 0] {
            return None;
        }
        let at = skip_name(query, HEADER)?;
        Some(u16::from_be_bytes(*query.get(at..)?.first_chunk()?))
    };
    match question() {
        Some(rtype::A) => 0,
        Some(rtype::NS) => 1,
        Some(rtype::CNAME) => 2,
        Some(rtype::SOA) => 3,
        Some(rtype::PTR) => 4,
        Some(rtype::MX) => 5,
        Some(rtype::TXT) => 6,
        Some(rtype::AAAA) => 7,
        Some(rtype::SRV) => 8,
        Some(rtype::NAPTR) => 9,
        Some(rtype::DS) => 10,
        Some(rtype::DNSKEY) => 11,
        Some(rtype::TLSA) => 12,
        Some(rtype::SVCB) => 13,
        Some(rtype::HTTPS) => 14,
        Some(rtype::CAA) => 15,
        Some(rtype::IXFR) => 16,
        Some(rtype::AXFR) => 17,
        Some(rtype::ANY) => 18,
        Some(_) => OTHER_TYPE,
        None => NO_TYPE,
    }
}

/// The place of a response of ours in [`RCODES`].
fn rcode_of(response: &[u8]) -> usize {
    match response.get(3).map(|flags| flags & 0x0f) {
        Some(0) if is_bad_version(response) => 7,
        Some(0) => 0,
        Some(1) => 1,
        Some(2) => 2,
        Some(3) => 3,
        Some(4) => 4,
        Some(5) => 5,
        // BADCOOKIE is 23, of which the header holds 7; the 7 of its own, YXRRSET, is for updates.
        Some(7) => 8,
        Some(9) => 6,
        Some(_) | None => 9,
    }
}

/// Whether a response whose header says 0 says 16 in all: the upper bits of the RCODE stand in the
/// OPT record (RFC 6891 section 6.1.3), which then is the only one.
fn is_bad_version(response: &[u8]) -> bool {
    if response.get(6..12) != Some(&[0, 0, 0, 0, 0, 1]) {
        return false;
    }
    let upper = || {
        let question = match response.get(4..6)? {
            [0, 0] => HEADER,
            _ => skip_name(response, HEADER)? + 4,
        };
        // The root, the type, the payload; then the bits.
        response.get(question + 5)
    };
    upper() == Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(rcode: u8, question: &[u8], opt: &[u8]) -> Vec<u8> {
        let count = u8::from(!question.is_empty());
        let opts = u8::from(!opt.is_empty());
        let header = [0, 7, 0x80, rcode, 0, count, 0, 0, 0, 0, 0, opts];
        [&header[..], question, opt].concat()
    }

    #[test]
    fn every_type_with_a_name_has_its_place_and_the_others_share_one() {
        let of = |rtype: u16| {
            let question = [&[1, b'a', 0][..], &rtype.to_be_bytes(), &[0, 1]].concat();
            TYPES[type_of(&message(0, &question, &[]))]
        };
        let known = [
            (1, "A"),
            (2, "NS"),
            (5, "CNAME"),
            (6, "SOA"),
            (12, "PTR"),
            (15, "MX"),
            (16, "TXT"),
            (28, "AAAA"),
            (33, "SRV"),
            (35, "NAPTR"),
            (43, "DS"),
            (48, "DNSKEY"),
            (52, "TLSA"),
            (64, "SVCB"),
            (65, "HTTPS"),
            (251, "IXFR"),
            (252, "AXFR"),
            (255, "ANY"),
            (257, "CAA"),
        ];
        for rtype in 0..=u16::MAX {
            let name = known.iter().find(|(number, _)| *number == rtype);
            assert_eq!(of(rtype), name.map_or("other", |it| it.1), "{rtype}");
        }
        assert_eq!(TYPES[type_of(&message(0, &[], &[]))], "none");
        assert_eq!(TYPES[type_of(&[])], "none");
        assert_eq!(TYPES[type_of(&message(0, &[9, b'a'], &[]))], "none");
    }

    #[test]
    fn an_rcode_of_more_than_four_bits_is_read_with_its_upper_ones() {
        let question = [1, b'a', 0, 0, 1, 0, 1];
        let opt = |upper| [0, 0, 41, 4, 208, upper, 0, 0, 0, 0, 0];
        let of = |message: &[u8]| RCODES[rcode_of(message)];
        assert_eq!(of(&message(0, &question, &opt(0))), "NOERROR");
        assert_eq!(of(&message(0, &question, &opt(1))), "BADVERS");
        assert_eq!(of(&message(7, &question, &opt(1))), "BADCOOKIE");
        assert_eq!(of(&message(3, &question, &[])), "NXDOMAIN");
        assert_eq!(of(&message(9, &question, &[])), "NOTAUTH");
        assert_eq!(of(&[]), "other");
    }

    #[test]
    fn a_time_is_counted_at_its_bound_and_once_for_each_answer() {
        for measures in [Measures::default(), Measures::of_one_thread()] {
            measures.took(3, Duration::from_micros(5));
            measures.took(2, Duration::from_micros(6));
            measures.took(1, Duration::from_secs(9));
            measures.took(0, Duration::from_secs(9));
            let read = measures.read();
            assert_eq!(read.latency[..2], [3, 2]);
            assert_eq!(read.latency[BUCKETS - 1], 1);
            assert_eq!(read.latency_ns, 3 * 5000 + 2 * 6000 + 9_000_000_000);
        }
    }
}
