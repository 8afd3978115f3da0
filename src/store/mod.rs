//! **IO.** The durable state: one file, one writer, every commit on the disk before it returns.
//!
//! # What is in it
//!
//! `state.redb` in the state directory: a table per [`Table`], key → JSON text; of operations the
//! last [`OPERATIONS`]. What the JSON says, and the octets of the histories of zones, is the
//! business of whoever writes it. In `zones` lie the versions of transferred zones ([`Images`]).
//! `history.redb` tells what happened ([`Chronicle`]). Beside them lies `state.lock`, which names
//! the process that holds the directory, and, if there was damage, `state.redb.damaged-<time>`.
//!
//! # What holds
//!
//! - A commit is all or nothing, and on the disk when [`Store::commit`] returns `Ok`. After an
//!   `Err` nobody knows whether it is there; nothing of it is there in part.
//! - A file that is damaged is never written to: it is set aside, and a fresh one begun.
//! - A file of a later format is refused, and stays as it is.
//! - After an error of the disk, the next call opens the file again: once there is room, the
//!   store works, without a restart.
//! - A fresh file appears under its name only when it is complete.

mod chronicle;
mod counters;
mod error;
#[cfg(debug_assertions)]
mod failpoint;
mod file;
mod histories;
mod images;
mod reserve;

pub use chronicle::{Chronicle, HistoryLimits};
pub use counters::{Counters, Exhausted, GroupNumber, Reservation};
pub use error::StoreError;
pub use histories::{HistoryWrite, StoredHistory};
pub use images::Images;
pub use reserve::{BLOCK, LOW};

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
};

use crate::time::Wall;

/// What is decided and under way, in the state directory.
pub const STATE_FILE: &str = "state.redb";
/// What happened, beside it.
pub const HISTORY_FILE: &str = "history.redb";

/// The operations kept: those with the last so many keys.
pub const OPERATIONS: u64 = 1_000;

/// What a key belongs to. All tables map a key to JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Published rankings and what stands about each service.
    Services,
    /// Operations that ended, with their journals, by number: keys in the order of time.
    Operations,
    /// What operators have ordered.
    Overrides,
    /// About the file itself and the daemon; the key `format` is the store's own.
    Meta,
    /// Serials and generations reserved: [`Counters`] writes it.
    Counters,
    /// The deadlines of zones that are transferred from primaries.
    Secondaries,
}

impl Table {
    const ALL: [Table; 6] = [
        Table::Services,
        Table::Operations,
        Table::Overrides,
        Table::Meta,
        Table::Counters,
        Table::Secondaries,
    ];

    fn definition(self) -> TableDefinition<'static, &'static str, &'static str> {
        TableDefinition::new(match self {
            Table::Services => "services",
            Table::Operations => "operations",
            Table::Overrides => "overrides",
            Table::Meta => "meta",
            Table::Counters => "counters",
            Table::Secondaries => "secondaries",
        })
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key, new or not.
    Put {
        /// Where.
        table: Table,
        /// The key.
        key: String,
        /// Its value, JSON text.
        json: String,
    },
    /// Removes a key; it need not be there.
    Delete {
        /// Where.
        table: Table,
        /// The key.
        key: String,
    },
    /// Changes the history of a zone.
    History {
        /// The zone: its origin in lower case.
        zone: String,
        /// What changes.
        write: HistoryWrite,
    },
}

/// What [`Store::open`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Nothing: the first start ever, or the disk was lost.
    Fresh,
    /// The state of before.
    Existing,
    /// A damaged file, which now lies here; a fresh one is begun. The caller raises an alarm.
    SetAside(PathBuf),
}

/// The durable state, open. It is `Send`; the daemon keeps it on a thread that may block.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// `None` after an error of the disk: the database wants to be opened again.
    database: Mutex<Option<Database>>,
    /// Held for as long as the store lives, also while the database is closed.
    _lock: file::Lock,
}

impl Store {
    /// Opens the state in `state_dir`, which is created (mode 0700) if it is missing. `now`
    /// names a damaged file that has to be set aside.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Newer`], or what the system said.
    pub fn open(state_dir: &Path, now: Wall) -> Result<(Store, Opened), StoreError> {
        file::create_directory(state_dir)?;
        let lock = file::lock(state_dir)?;
        let path = state_dir.join(STATE_FILE);
        let (database, opened) = file::open_or_begin(&path, now)?;
        let store = Store {
            path,
            database: Mutex::new(Some(database)),
            _lock: lock,
        };
        Ok((store, opened))
    }

    /// Makes all of `writes` durable, or none, in their order. It returns after the fsync.
    ///
    /// # Errors
    /// What the disk said. Whether the writes are there is then unknown, until a read says so.
    pub fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        #[cfg(debug_assertions)]
        failpoint::pass(failpoint::When::Before);
        let written = self.with(|path, database| {
            let what = "write the state";
            let fault = |error: redb::Error| StoreError::engine(path, what, error);
            let mut transaction = database
                .begin_write()
                .map_err(|error| fault(error.into()))?;
            transaction
                .set_durability(Durability::Immediate)
                .map_err(|error| fault(error.into()))?;
            apply(&transaction, writes).map_err(fault)?;
            transaction.commit().map_err(|error| fault(error.into()))
        });
        #[cfg(debug_assertions)]
        failpoint::pass(failpoint::When::After);
        written
    }

    /// All of `table`, in the order of its keys.
    ///
    /// # Errors
    /// What the disk said.
    pub fn scan(&self, table: Table) -> Result<Vec<(String, String)>, StoreError> {
        self.with(|path, database| {
            let rows = || -> Result<_, redb::Error> {
                let rows = match database.begin_read()?.open_table(table.definition()) {
                    Ok(rows) => rows,
                    // A state that an earlier release began has no such table yet.
                    Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                    Err(error) => return Err(error.into()),
                };
                rows.iter()?
                    .map(|row| {
                        let (key, json) = row?;
                        Ok((key.value().to_owned(), json.value().to_owned()))
                    })
                    .collect()
            };
            let mut rows: Vec<(String, String)> =
                rows().map_err(|error| StoreError::engine(path, "read the state", error))?;
            if table == Table::Meta {
                rows.retain(|(key, _)| key != file::FORMAT_KEY);
            }
            Ok(rows)
        })
    }

    /// The row of `key`.
    ///
    /// # Errors
    /// What the disk said.
    pub fn get(&self, table: Table, key: &str) -> Result<Option<String>, StoreError> {
        self.with(|path, database| {
            let row = || -> Result<_, redb::Error> {
                let rows = match database.begin_read()?.open_table(table.definition()) {
                    Ok(rows) => rows,
                    Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                Ok(rows.get(key)?.map(|json| json.value().to_owned()))
            };
            row().map_err(|error| StoreError::engine(path, "read the state", error))
        })
    }

    /// Runs `work` on the open database, opening it again first if an error had closed it.
    fn with<T>(
        &self,
        work: impl FnOnce(&Path, &Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot: MutexGuard<'_, Option<Database>> =
            self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match slot.take() {
            Some(database) => database,
            None => file::open_existing(&self.path)?,
        };
        // The slot stays empty while the work is done: after an error, or a panic, the
        // database is dropped, and opened again by the next call.
        let done = work(&self.path, &database)?;
        *slot = Some(database);
        Ok(done)
    }
}

fn apply(transaction: &WriteTransaction, writes: &[Write]) -> Result<(), redb::Error> {
    for write in writes {
        match write {
            Write::Put { table, key, json } => {
                let mut rows = transaction.open_table(table.definition())?;
                rows.insert(key.as_str(), json.as_str())?;
                while *table == Table::Operations && rows.len()? > OPERATIONS {
                    rows.pop_first()?;
                }
            }
            Write::Delete { table, key } => {
                transaction
                    .open_table(table.definition())?
                    .remove(key.as_str())?;
            }
            Write::History { zone, write } => histories::apply(transaction, zone, write)?,
        }
    }
    Ok(())
}
