//! What can go wrong with the durable state: which file, what the system said, what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why the durable state cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the state directory.
    #[error(
        "{}: in use by {holder}: one daemon per state directory; stop that one, or give this one another state_dir",
        state_dir.display()
    )]
    InUse {
        /// The directory.
        state_dir: PathBuf,
        /// Who: `process 4711`, or `another process` if it did not say.
        holder: String,
    },
    /// A later release wrote the file. It is left as it is.
    #[error(
        "{}: has format {found}, this release knows formats up to {known}: run the release that wrote it, or move the file away to begin anew",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// The file is not what was written. [`super::Store::open`] sets such a file aside; while
    /// the daemon runs, it is left for the next start to do so.
    #[error(
        "{}: damaged: {why}: it is set aside at the next start; check the disk",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The version of a transferred zone is not what was written.
    #[error("{}: {why}: the zone is transferred anew; check the disk", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: crate::secondary::ImageError,
    },
    /// The system refused.
    #[error("{}: cannot {what}: {source}: {}", path.display(), remedy(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: `open the state`.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The embedded database refused.
    #[error("{}: cannot {what}: {why}: restart the daemon, and report this", path.display())]
    Engine {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

impl StoreError {
    pub(super) fn io(path: &Path, what: &'static str, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            what,
            source,
        }
    }

    pub(super) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    /// Sorts the database's errors into ours: what the disk said, what is damaged, the rest.
    pub(super) fn engine(path: &Path, what: &'static str, error: impl Into<redb::Error>) -> Self {
        let error = error.into();
        if let redb::Error::Io(source) = error {
            // A file that is too short or no database at all is damage, not a disk's refusal.
            let damage = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            return if damage.contains(&source.kind()) {
                Self::damaged(path, source.to_string())
            } else {
                Self::io(path, what, source)
            };
        }
        if let redb::Error::Corrupted(why) = error {
            return Self::damaged(path, why);
        }
        if matches!(error, redb::Error::DatabaseAlreadyOpen) {
            // Somebody has the file open without having taken our lock: a tool, not a daemon.
            return Self::InUse {
                state_dir: path.parent().unwrap_or(path).to_owned(),
                holder: "another process".to_owned(),
            };
        }
        if matches!(error, redb::Error::TableTypeMismatch { .. }) {
            return Self::damaged(path, error.to_string());
        }
        Self::Engine {
            path: path.to_owned(),
            what,
            why: error.to_string(),
        }
    }
}

/// What an operator can do about `error`.
fn remedy(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::StorageFull || error.kind() == io::ErrorKind::QuotaExceeded {
        "make room on the file system"
    } else if error.kind() == io::ErrorKind::FileTooLarge {
        "raise the limit on the size of files (ulimit -f, LimitFSIZE=)"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "give the daemon's user the right to read and write there"
    } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        "mount the file system for writing; it may have turned read-only after a fault of the disk"
    } else if error.kind() == io::ErrorKind::NotADirectory {
        "state_dir must be a directory: move the file away, or name another"
    } else {
        "check the path and the disk"
    }
}
