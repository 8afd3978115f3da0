//! The timers of an SOA, bounded (RFC 1035 section 3.3.13).

use std::time::Duration;

use crate::zone::Zone;
use crate::zone::rdata::{rtype, soa_timers};

/// How often a zone is asked for, and how long it is good without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// From one good answer to the next question.
    pub refresh: Duration,
    /// From a failed question to the next; doubled with each failure in a row, up to `refresh`.
    pub retry: Duration,
    /// From the last good answer to the end of the data.
    pub expire: Duration,
}

/// A zone is asked for no more often than this, whatever its SOA says.
const REFRESH: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(28 * 86_400)];
/// And after a failure no more often than this.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(14 * 86_400)];
/// Nothing is good for longer than this without word from a primary.
const EXPIRE_MOST: Duration = Duration::from_secs(168 * 86_400);

impl Timers {
    /// The timers of `refresh`, `retry` and `expire` in seconds, each within its bounds. A zone
    /// that is reached at every refresh does not expire: its expire is refresh and retry at least.
    #[must_use]
    pub fn bounded(refresh: u32, retry: u32, expire: u32) -> Timers {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let [least, most] = REFRESH;
        let refresh = seconds(refresh).clamp(least, most);
        let [least, most] = RETRY;
        let retry = seconds(retry).clamp(least, most);
        Timers {
            refresh,
            retry,
            expire: seconds(expire).clamp(refresh + retry, EXPIRE_MOST),
        }
    }

    /// The timers of a zone.
    #[must_use]
    pub fn of(zone: &Zone) -> Timers {
        let node = zone.tree().get(&zone.origin().key());
        let soa = node.and_then(|node| node.rrset(rtype::SOA));
        let timers = soa.and_then(|soa| soa.records().next().and_then(soa_timers));
        let [refresh, retry, expire] = timers.unwrap_or_default();
        Timers::bounded(refresh, retry, expire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_soa_makes_us_ask_without_pause_or_never() {
        let hostile = Timers::bounded(0, 0, 0);
        assert_eq!(hostile.refresh, Duration::from_secs(2));
        assert_eq!(hostile.retry, Duration::from_secs(1));
        assert_eq!(hostile.expire, Duration::from_secs(3));
        let lazy = Timers::bounded(u32::MAX, u32::MAX, u32::MAX);
        assert_eq!(lazy.refresh, Duration::from_secs(28 * 86_400));
        assert_eq!(lazy.expire, EXPIRE_MOST);
        let plain = Timers::bounded(7200, 900, 1_209_600);
        assert_eq!(plain.expire, Duration::from_secs(1_209_600));
    }
}
