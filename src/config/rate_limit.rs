//! `[rate_limit]`: how many responses a network gets over UDP.

use std::ops::RangeInclusive;

use super::problem::{At, Notes, within};
use super::reader::{Fields, FromToml, Item, one_of};
use super::spec::List;
use crate::limit::Rate;
use crate::snapshot::{Network, RateLimit};

/// Far more than a resolver asks for that keeps what it gets, far less than floods anybody.
const PER_SECOND: u32 = 200;
/// Each of those over the limit: a dropped one leaves whoever asked in earnest waiting, and a forger
/// of answers the time to guess.
const SLIP: u8 = 1;
const IPV4_PREFIX: u8 = 24;
const IPV6_PREFIX: u8 = 56;
/// Nobody elsewhere can ask in the name of loopback: the system takes no such datagram from outside.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];
/// Each is compared with each client.
const MOST_ALLOWED: usize = 64;

/// `[rate_limit]`, as it is written.
#[derive(Default)]
pub(super) struct RateLimitTable {
    mode: Option<At<ModeWord>>,
    per_second: Option<At<u32>>,
    slip: Option<At<u16>>,
    ipv4_prefix: Option<At<u16>>,
    ipv6_prefix: Option<At<u16>>,
    allow: Option<At<List<String>>>,
}

/// What is done with responses over the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ModeWord {
    Off,
    Log,
    On,
}

impl FromToml for RateLimitTable {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[rate_limit]", notes)?;
        let spec = RateLimitTable {
            mode: fields.get("mode"),
            per_second: fields.get("per_second"),
            slip: fields.get("slip"),
            ipv4_prefix: fields.get("ipv4_prefix"),
            ipv6_prefix: fields.get("ipv6_prefix"),
            allow: fields.get("allow"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for ModeWord {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = [
            ("off", ModeWord::Off),
            ("log", ModeWord::Log),
            ("on", ModeWord::On),
        ];
        one_of(item, &words, notes)
    }
}

/// The meaning of the table; what is wrong with it is noted.
pub(super) fn read(spec: Option<At<RateLimitTable>>, notes: &mut Notes) -> Option<RateLimit> {
    let RateLimitTable {
        mode,
        per_second,
        slip,
        ipv4_prefix,
        ipv6_prefix,
        allow,
    } = spec.map_or_else(Default::default, |it| it.value);
    let per_second = within("per_second", per_second, 1..=Rate::MOST, notes);
    let mut small = |key: &str, value: Option<At<u16>>, range: RangeInclusive<u16>| {
        within(key, value, range, notes).and_then(|value| u8::try_from(value).ok())
    };
    let slip = small("slip", slip, 0..=10);
    let ipv4_prefix = small("ipv4_prefix", ipv4_prefix, 8..=32);
    let ipv6_prefix = small("ipv6_prefix", ipv6_prefix, 16..=128);
    let allow = match allow {
        Some(list) => allowed(&list, notes),
        None => LOOPBACK.iter().filter_map(|it| it.parse().ok()).collect(),
    };
    let mode = mode.map_or(ModeWord::On, |word| word.value);
    let limit = RateLimit {
        only_counts: mode == ModeWord::Log,
        rate: Rate::per_second(per_second.unwrap_or(PER_SECOND)),
        slip: slip.unwrap_or(SLIP),
        ipv4_bits: ipv4_prefix.unwrap_or(IPV4_PREFIX),
        ipv6_bits: ipv6_prefix.unwrap_or(IPV6_PREFIX),
        allow,
    };
    (mode != ModeWord::Off).then_some(limit)
}

fn allowed(list: &At<List<String>>, notes: &mut Notes) -> Vec<Network> {
    if list.value.len() > MOST_ALLOWED {
        let message = format!(
            "'allow' has {} networks, each is compared with each client, write {MOST_ALLOWED} at \
             most, or larger ones",
            list.value.len()
        );
        notes.error(list.at, message);
    }
    let mut networks = Vec::new();
    for text in &list.value {
        match text.value.parse() {
            Ok(network) => networks.push(network),
            Err(error) => notes.error(text.at, format!("'{}' is no network: {error}", text.value)),
        }
    }
    networks
}
