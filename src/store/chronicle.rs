//! The history: what happened, in a file of its own beside the state, so that nothing that is
//! written here makes a failover wait. It is lost without loss of state.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition,
};

use super::file;
use super::{HISTORY_FILE, Opened, StoreError};
use crate::time::Wall;

/// Sequence number → (milliseconds since 1970, JSON text).
const ENTRIES: TableDefinition<'static, u64, (u64, &'static str)> = TableDefinition::new("entries");

/// What an entry takes beside its text: its number, its time, its place in a page.
const OVERHEAD: u64 = 32;

/// How much is kept. Past either bound the oldest entries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// So many entries.
    pub entries: u64,
    /// So many octets of them. The file itself may be up to twice as long.
    pub octets: u64,
}

impl Default for HistoryLimits {
    fn default() -> HistoryLimits {
        HistoryLimits {
            entries: 100_000,
            octets: 32_000_000,
        }
    }
}

/// The history, open. One thread writes; others may read meanwhile, and neither waits.
#[derive(Debug)]
pub struct Chronicle {
    path: PathBuf,
    limits: HistoryLimits,
    /// `None` after an error of the disk: the file wants to be opened again.
    open: Mutex<Option<Open>>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Open {
    database: Arc<Database>,
    octets: u64,
}

impl Chronicle {
    /// Opens `history.redb` in `state_dir`, which the caller has locked by opening its
    /// [`super::Store`].
    ///
    /// # Errors
    /// What the system said.
    pub fn open(
        state_dir: &Path,
        limits: HistoryLimits,
        now: Wall,
    ) -> Result<(Chronicle, Opened), StoreError> {
        let path = state_dir.join(HISTORY_FILE);
        let (database, opened) = file::open_or_begin(&path, now)?;
        let chronicle = Chronicle {
            open: Mutex::new(Some(Open::begin(&path, database)?)),
            limits,
            path,
            closed: AtomicBool::new(false),
        };
        Ok((chronicle, opened))
    }

    /// Closes the file, so that another process can have it: nothing is written or read any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        drop(
            self.open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Appends `entries`, in their order, and lets go of the oldest past the limits. It returns
    /// after the fsync.
    ///
    /// # Errors
    /// What the disk said. Whether the entries are there is then unknown.
    pub fn append(&self, entries: &[(Wall, String)]) -> Result<(), StoreError> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut open = match slot.take() {
            Some(open) => open,
            None => Open::begin(&self.path, file::open_existing(&self.path)?)?,
        };
        // The slot stays empty meanwhile: after an error the file is opened again.
        open.octets = append(&open, entries, self.limits)
            .map_err(|error| StoreError::engine(&self.path, "write the history", error))?;
        *slot = Some(open);
        Ok(())
    }

    /// Hands entries to `take`, the newest first, until it says `false`.
    ///
    /// # Errors
    /// What the disk said.
    pub fn read(&self, mut take: impl FnMut(Wall, &str) -> bool) -> Result<(), StoreError> {
        let database = {
            let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() && !self.closed.load(Ordering::Relaxed) {
                let database = file::open_existing(&self.path)?;
                *slot = Some(Open::begin(&self.path, database)?);
            }
            slot.as_ref().map(|open| Arc::clone(&open.database))
        };
        let Some(database) = database else {
            return Ok(());
        };
        let mut rows = || -> Result<(), redb::Error> {
            let entries = match database.begin_read()?.open_table(ENTRIES) {
                Ok(entries) => entries,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for row in entries.iter()?.rev() {
                let (_, entry) = row?;
                let (at, json) = entry.value();
                if !take(Wall(at), json) {
                    break;
                }
            }
            Ok(())
        };
        rows().map_err(|error| StoreError::engine(&self.path, "read the history", error))
    }
}

impl Open {
    /// Counts what is there.
    fn begin(path: &Path, database: Database) -> Result<Open, StoreError> {
        let count = || -> Result<u64, redb::Error> {
            let entries = match database.begin_read()?.open_table(ENTRIES) {
                Ok(entries) => entries,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(0),
                Err(error) => return Err(error.into()),
            };
            let mut octets = 0;
            for row in entries.iter()? {
                octets += size(row?.1.value().1);
            }
            Ok(octets)
        };
        let octets =
            count().map_err(|error| StoreError::engine(path, "read the history", error))?;
        Ok(Open {
            database: Arc::new(database),
            octets,
        })
    }
}

fn append(
    open: &Open,
    entries: &[(Wall, String)],
    limits: HistoryLimits,
) -> Result<u64, redb::Error> {
    let mut transaction = open.database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut octets = open.octets;
    {
        let mut rows = transaction.open_table(ENTRIES)?;
        let next = rows.last()?.map_or(0, |(at, _)| at.value() + 1);
        for (number, (at, json)) in (next..).zip(entries) {
            rows.insert(number, (at.0, json.as_str()))?;
            octets += size(json);
        }
        let mut count = rows.len()?;
        while count > limits.entries || octets > limits.octets {
            let Some(gone) = pop(&mut rows)? else { break };
            octets = octets.saturating_sub(gone);
            count -= 1;
        }
    }
    transaction.commit()?;
    Ok(octets)
}

/// Lets the oldest entry go. Says how large it was.
fn pop(rows: &mut Table<'_, u64, (u64, &'static str)>) -> Result<Option<u64>, redb::Error> {
    let gone = rows.pop_first()?;
    Ok(gone.map(|(_, entry)| size(entry.value().1)))
}

fn size(json: &str) -> u64 {
    OVERHEAD + u64::try_from(json.len()).unwrap_or(u64::MAX / 2)
}
