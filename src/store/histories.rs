//! What changed in each zone lately, and what it held at the end of that: in octets, which whoever
//! writes them understands.

use std::collections::BTreeMap;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::{Store, StoreError};

/// (Zone, sequence number) → one difference.
const DIFFERENCES: TableDefinition<'static, (&'static str, u64), &'static [u8]> =
    TableDefinition::new("differences");
/// Zone → what it held after the last difference.
const CHECKPOINTS: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("checkpoints");

/// A change of the history of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryWrite {
    /// One more difference; the oldest go until `keep` are left.
    Append {
        /// What to append.
        difference: Vec<u8>,
        /// How many are left.
        keep: usize,
    },
    /// What the zone holds now.
    Checkpoint(Vec<u8>),
    /// Everything about the zone goes.
    Forget,
}

/// What is stored of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredHistory {
    /// The differences, the oldest first.
    pub differences: Vec<Vec<u8>>,
    /// What it held after the last.
    pub checkpoint: Option<Vec<u8>>,
}

pub(super) fn apply(
    transaction: &WriteTransaction,
    zone: &str,
    write: &HistoryWrite,
) -> Result<(), redb::Error> {
    match write {
        HistoryWrite::Append { difference, keep } => {
            let mut table = transaction.open_table(DIFFERENCES)?;
            let (mut count, mut newest) = (0, None);
            for row in table.range((zone, 0)..=(zone, u64::MAX))? {
                newest = Some(row?.0.value().1);
                count += 1;
            }
            let next = newest.map_or(0, |newest| newest + 1);
            table.insert((zone, next), difference.as_slice())?;
            let surplus = (count + 1_usize).saturating_sub(*keep);
            let oldest: Vec<u64> = table
                .range((zone, 0)..=(zone, u64::MAX))?
                .take(surplus)
                .map(|row| Ok(row?.0.value().1))
                .collect::<Result<_, redb::Error>>()?;
            for sequence in oldest {
                table.remove((zone, sequence))?;
            }
        }
        HistoryWrite::Checkpoint(octets) => {
            transaction
                .open_table(CHECKPOINTS)?
                .insert(zone, octets.as_slice())?;
        }
        HistoryWrite::Forget => {
            let mut table = transaction.open_table(DIFFERENCES)?;
            table.retain_in((zone, 0)..=(zone, u64::MAX), |_, _| false)?;
            transaction.open_table(CHECKPOINTS)?.remove(zone)?;
        }
    }
    Ok(())
}

impl Store {
    /// The histories of all zones.
    ///
    /// # Errors
    /// What the disk said.
    pub fn histories(&self) -> Result<BTreeMap<String, StoredHistory>, StoreError> {
        self.with(|path, database| {
            let rows = || -> Result<_, redb::Error> {
                let mut zones: BTreeMap<String, StoredHistory> = BTreeMap::new();
                let read = database.begin_read()?;
                // A file of before has neither table.
                match read.open_table(CHECKPOINTS) {
                    Ok(table) => {
                        for row in table.iter()? {
                            let (zone, octets) = row?;
                            let stored = zones.entry(zone.value().to_owned()).or_default();
                            stored.checkpoint = Some(octets.value().to_vec());
                        }
                    }
                    Err(redb::TableError::TableDoesNotExist(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                match read.open_table(DIFFERENCES) {
                    Ok(table) => {
                        for row in table.iter()? {
                            let (key, octets) = row?;
                            let stored = zones.entry(key.value().0.to_owned()).or_default();
                            stored.differences.push(octets.value().to_vec());
                        }
                    }
                    Err(redb::TableError::TableDoesNotExist(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                Ok(zones)
            };
            rows().map_err(|error| StoreError::engine(path, "read the histories of zones", error))
        })
    }
}
