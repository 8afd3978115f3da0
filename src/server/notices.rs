//! What primaries have said, until the daemon asks for it: one entry for each zone and primary, so
//! that no flood makes it grow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::answer::Notice;
use crate::zone::Name;

/// Notices that wait.
#[derive(Debug, Default)]
pub struct Notices {
    /// Locked for a notice of a primary, never for a query.
    waiting: Mutex<HashMap<(Name, IpAddr), Notice>>,
    some: Notify,
}

impl Notices {
    /// Takes a notice. Of two from the same primary the one that says more remains: no serial is
    /// "ask", and a newer one counts more than an older.
    pub(super) fn put(&self, notice: Notice) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (notice.origin.clone(), notice.from);
        let entry = waiting.entry(key).or_insert_with(|| notice.clone());
        entry.serial = match (entry.serial, notice.serial) {
            (Some(before), Some(now)) if now.is_newer_than(before) => Some(now),
            (Some(before), Some(_)) => Some(before),
            (None, _) | (_, None) => None,
        };
        drop(waiting);
        self.some.notify_one();
    }

    /// Waits for notices and takes them all. Nothing is lost if the future is dropped.
    pub async fn take(&self) -> Vec<Notice> {
        loop {
            self.some.notified().await;
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiting.is_empty() {
                return waiting.drain().map(|(_, notice)| notice).collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Serial;

    fn notice(last: u8, serial: Option<u32>) -> Notice {
        Notice {
            origin: "z.".parse().unwrap(),
            from: IpAddr::from([192, 0, 2, last]),
            serial: serial.map(Serial),
        }
    }

    #[tokio::test]
    async fn a_flood_is_one_notice_of_each_primary_and_hides_no_newer_one() {
        let notices = Notices::default();
        for _ in 0..1000 {
            notices.put(notice(1, Some(9)));
            notices.put(notice(1, Some(3)));
            notices.put(notice(2, Some(3)));
            notices.put(notice(2, None));
        }
        let mut taken = notices.take().await;
        taken.sort_by_key(|notice| notice.from);
        assert_eq!(taken, [notice(1, Some(9)), notice(2, None)]);
    }
}
