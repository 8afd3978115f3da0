//! The serials of what is published, reserved on the disk as the daemon does it.

use std::collections::BTreeMap;

use switchback::ids::Serial;
use switchback::store::{Counters, Write};
use switchback::time::Wall;

const GROUP: &str = "contoso.test.";
/// What the zone file says.
const FLOOR: Serial = Serial(2026);

#[derive(Clone)]
pub(crate) struct Serials {
    counters: Counters,
    /// What the disk holds.
    rows: BTreeMap<String, String>,
    latest: Option<Serial>,
}

impl Serials {
    /// A process publishes at its start what it knows.
    pub(crate) fn begin(now: Wall) -> Serials {
        let mut serials = Serials {
            counters: Counters::resume([], now).unwrap(),
            rows: BTreeMap::new(),
            latest: None,
        };
        serials.publish(true);
        serials
    }

    /// Another process, whatever the calendar says.
    pub(crate) fn restart(&mut self, now: Wall) {
        self.counters = Counters::resume(self.rows.clone(), now).unwrap();
        self.publish(true);
    }

    /// Something is published: its serial is newer than all that anybody has seen.
    pub(crate) fn publish(&mut self, store_works: bool) {
        let group = self.counters.group(GROUP);
        let wanted = self.counters.reserve([(group, FLOOR)]);
        if !wanted.is_empty() && store_works {
            for write in wanted.writes() {
                if let Write::Put { key, json, .. } = write {
                    self.rows.insert(key, json);
                }
            }
            self.counters.confirm(wanted);
        }
        let serial = self.counters.next_serial(group, FLOOR).unwrap();
        let newer = self
            .latest
            .is_none_or(|latest| serial.is_newer_than(latest));
        assert!(newer, "{serial} after {:?}", self.latest);
        self.latest = Some(serial);
    }
}
