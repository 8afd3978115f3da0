//! `[history]`: how much of what happens is kept.

use super::problem::{At, Notes, within};
use super::spec::HistoryTable;
use crate::store::HistoryLimits;

/// So many entries: a table that is read from end to end by every question.
const ENTRIES: std::ops::RangeInclusive<u32> = 100..=10_000_000;
const MEGABYTES: std::ops::RangeInclusive<u32> = 1..=10_000;
const MEGABYTE: u64 = 1_000_000;

/// The meaning of the table; what is wrong with it is noted.
pub(super) fn read(spec: Option<At<HistoryTable>>, notes: &mut Notes) -> HistoryLimits {
    let HistoryTable { entries, megabytes } = spec.map_or_else(Default::default, |it| it.value);
    let defaults = HistoryLimits::default();
    let entries = within("entries", entries, ENTRIES, notes).map(u64::from);
    let megabytes = within("megabytes", megabytes, MEGABYTES, notes).map(u64::from);
    HistoryLimits {
        entries: entries.unwrap_or(defaults.entries),
        octets: megabytes.map_or(defaults.octets, |megabytes| megabytes * MEGABYTE),
    }
}
