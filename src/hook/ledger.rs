//! The runner's lock, and the process groups that are alive on its account.
//!
//! `runner.groups` is for the next runner, should this one be killed: written before a hook
//! begins, rewritten when its group is gone. It need not reach the disk: when the machine goes
//! down, the groups go with it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock;
use crate::failover::ProcessGroup;

use super::{GRACE, end_group};

/// So long the runner before us may take to end its groups. (SIGTERM, 2 s, SIGKILL.)
const LOCK_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    alive: Vec<ProcessGroup>,
    /// Goes with the process, and hooks do not inherit it.
    _lock: File,
}

impl Ledger {
    /// Takes the lock, and ends whatever an earlier runner left behind. `Err` says why not, for
    /// the operator.
    pub(super) async fn open(state_dir: &Path) -> Result<Ledger, String> {
        let path = state_dir.join("runner.groups");
        let lock = lock(state_dir, &path).await?;
        let alive = read(&path).map_err(|error| {
            format!(
                "{}: {error}: check that no earlier hook runs, then remove it",
                path.display()
            )
        })?;
        let mut ledger = Ledger {
            path,
            alive,
            _lock: lock,
        };
        for group in ledger.alive.clone() {
            if !end_group(&group, GRACE).await {
                return Err(format!(
                    "process group {} of an earlier hook is alive and cannot be ended: end it by hand",
                    group.pgid
                ));
            }
        }
        ledger.alive.clear();
        ledger.write().map_err(|error| {
            format!(
                "{}: {error}: give the daemon's user room and the right to write there",
                ledger.path.display()
            )
        })?;
        Ok(ledger)
    }

    /// Writes `group` down. The hook may begin after `Ok`.
    pub(super) fn note(&mut self, group: &ProcessGroup) -> Result<(), String> {
        self.alive.push(group.clone());
        self.write().map_err(|error| {
            self.alive.retain(|alive| alive != group);
            format!(
                "{}: its process group could not be written down: {error}: make room on the file system",
                self.path.display()
            )
        })
    }

    /// `group` is gone.
    pub(super) fn strike(&mut self, group: &ProcessGroup) {
        self.alive.retain(|alive| alive != group);
        // A group too many in the file is harmless: whoever reads it finds that it is gone.
        let _ = self.write();
    }

    /// The groups that are alive, as far as we know.
    pub(super) fn alive(&self) -> &[ProcessGroup] {
        &self.alive
    }

    fn write(&self) -> io::Result<()> {
        let building = self.path.with_extension("groups.new");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&building)?
            .write_all(&serde_json::to_vec(&self.alive)?)?;
        fs::rename(&building, &self.path)
    }
}

fn read(path: &Path) -> io::Result<Vec<ProcessGroup>> {
    match fs::read(path) {
        // No kill of ours leaves such a file, only the end of the machine, and with it of all
        // that it might have named.
        Ok(text) if text.iter().all(|byte| *byte == 0) => Ok(Vec::new()),
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn lock(state_dir: &Path, groups: &Path) -> Result<File, String> {
    let path = state_dir.join("runner.lock");
    let fault = |error: io::Error| {
        format!(
            "{}: {error}: give the daemon's user the right to write there",
            path.display()
        )
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(fault)?;
    let deadline = clock::mono() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
            Err(TryLockError::WouldBlock) if clock::mono() >= deadline => break,
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    let alive: Vec<String> = read(groups)
        .unwrap_or_default()
        .iter()
        .map(|group| group.pgid.to_string())
        .collect();
    Err(format!(
        "{}: held by an earlier hook runner, whose hooks have not ended (process groups: {}): end them by hand",
        path.display(),
        if alive.is_empty() {
            "none known".to_owned()
        } else {
            alive.join(", ")
        }
    ))
}
