//! The state's file: its lock, its format, how a fresh one is begun and a damaged one set aside.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::{Builder, Database, ReadableDatabase};

use crate::time::Wall;

use super::{Opened, StoreError, Table};

/// The format that this release writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// Its key in [`Table::Meta`].
pub(super) const FORMAT_KEY: &str = "format";

/// The state is a few megabytes; redb's own default would let its cache grow to 1 GiB.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

pub(super) fn create_directory(state_dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
        .map_err(|error| StoreError::io(state_dir, "create the state directory", error))
}

/// How often the lock is tried, and the pause between: a daemon that has just been killed may
/// live on for a moment in a child that it had forked and that has not become its program yet.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The directory, taken for this process. A lock of our own, not the database's, because it has
/// to hold while the database is closed, renamed or begun anew. It goes at the latest with the
/// process: there are no stale locks.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a child that is just being forked.
        let _ = self.0.unlock();
    }
}

pub(super) fn lock(state_dir: &Path) -> Result<Lock, StoreError> {
    let path = state_dir.join("state.lock");
    let fault = |error| StoreError::io(&path, "lock the state directory", error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(fault)?;
    let mut tries = 1;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    state_dir: state_dir.to_owned(),
                    holder: holder(&file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
    }
    // Who holds it is a courtesy: on a full disk the daemon starts all the same.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock(file))
}

/// Who holds the lock, as they wrote into it.
fn holder(mut file: &File) -> String {
    let mut pid = String::new();
    let told = Read::by_ref(&mut file)
        .take(32)
        .read_to_string(&mut pid)
        .is_ok();
    let pid = pid.trim();
    if told && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("process {pid}")
    } else {
        "another process".to_owned()
    }
}

/// Opens what is there, sets it aside if it is damaged, begins a fresh one if there is none.
pub(super) fn open_or_begin(path: &Path, now: Wall) -> Result<(Database, Opened), StoreError> {
    let size = match fs::metadata(path) {
        Ok(found) => Some(found.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(StoreError::io(path, "open the state", error)),
    };
    if size.is_none() {
        return Ok((begin(path)?, Opened::Fresh));
    }
    match open_existing(path) {
        Ok(database) => Ok((database, Opened::Existing)),
        Err(StoreError::Damaged { .. }) => {
            let aside = set_aside(path, now)?;
            Ok((begin(path)?, Opened::SetAside(aside)))
        }
        Err(error) => Err(error),
    }
}

/// Opens a file that must be there, and checks every page and the format.
pub(super) fn open_existing(path: &Path) -> Result<Database, StoreError> {
    fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|error| StoreError::io(path, "open the state", error))?;
    // redb meets some altered files with a panic (its `set_check_integrity_on_open` says so):
    // for us that is damage like any other.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .open(path)
            .map_err(|error| StoreError::engine(path, "open the state", error))?;
        check_format(path, &database)?;
        Ok(database)
    }));
    opened.unwrap_or_else(|_| Err(StoreError::damaged(path, "its pages contradict each other")))
}

fn check_format(path: &Path, database: &Database) -> Result<(), StoreError> {
    let read = || -> Result<Option<String>, redb::Error> {
        let meta = database
            .begin_read()?
            .open_table(Table::Meta.definition())?;
        let format = meta.get(FORMAT_KEY)?;
        Ok(format.map(|format| format.value().to_owned()))
    };
    let found = match read() {
        Ok(found) => found,
        Err(redb::Error::TableDoesNotExist(_)) => None,
        Err(error) => return Err(StoreError::engine(path, "read the state", error)),
    };
    let Some(found) = found.and_then(|text| text.parse::<u32>().ok()) else {
        return Err(StoreError::damaged(path, "it does not say its format"));
    };
    if found > FORMAT {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: FORMAT,
        });
    }
    Ok(())
}

/// Builds a file with empty tables under another name, and gives it its own when it is durable.
fn begin(path: &Path) -> Result<Database, StoreError> {
    let building = path.with_extension("redb.new");
    let fault = |error| StoreError::io(&building, "begin the state", error);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&building)
        .map_err(fault)?;
    let fill = || -> Result<(), redb::Error> {
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create(&building)?;
        let transaction = database.begin_write()?;
        for table in Table::ALL {
            transaction.open_table(table.definition())?;
        }
        transaction
            .open_table(Table::Meta.definition())?
            .insert(FORMAT_KEY, FORMAT.to_string().as_str())?;
        transaction.commit()?;
        Ok(database.close()?)
    };
    fill().map_err(|error| StoreError::engine(&building, "begin the state", error))?;
    fs::rename(&building, path).map_err(fault)?;
    sync_directory(path)?;
    open_existing(path)
}

fn set_aside(path: &Path, now: Wall) -> Result<PathBuf, StoreError> {
    let mut aside = PathBuf::from(format!("{}.damaged-{now}", path.display()));
    let mut another = 1;
    while aside.exists() {
        another += 1;
        aside = PathBuf::from(format!("{}.damaged-{now}-{another}", path.display()));
    }
    fs::rename(path, &aside)
        .map_err(|error| StoreError::io(path, "set the damaged state aside", error))?;
    sync_directory(path)?;
    Ok(aside)
}

/// A rename is durable when the directory is.
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StoreError::io(directory, "write the state directory", error))
}
