//! Paths and programs that a configuration names.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::problem::{At, Notes};
use super::spec::List;
use crate::certificate::{self, CertificateFiles, CertificateProblem};
use crate::clock;
use crate::files;
use crate::runbook::Command;

/// The socket address of a unix socket holds so many octets of path, with a final zero
/// (unix(7), `sun_path`).
const MAX_SOCKET_PATH: usize = 107;

/// The directory that relative paths start from: that of the configuration file.
pub(super) struct Base {
    directory: PathBuf,
    /// What was named to be read.
    reads: RefCell<BTreeSet<PathBuf>>,
}

impl Base {
    /// The base of the configuration at `path`.
    pub(super) fn of(path: &Path) -> Base {
        let parent = path.parent().unwrap_or(Path::new(""));
        let directory = std::path::absolute(parent).unwrap_or_else(|_| {
            // Only an empty path is refused: the working directory is meant.
            std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
        });
        let itself = directory.join(path.file_name().unwrap_or_default());
        Base {
            directory,
            reads: RefCell::new(BTreeSet::from([itself])),
        }
    }

    /// `path`, which is read, as an absolute one.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let resolved = self.place(path);
        self.reads.borrow_mut().insert(resolved.clone());
        resolved
    }

    /// What was read, and is read again by a reload.
    pub(super) fn reads(&self) -> BTreeSet<PathBuf> {
        self.reads.borrow().clone()
    }

    /// `path` as an absolute one.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// A directory for state. A fault is a warning: whoever checks may have fewer rights.
    pub(super) fn writable_directory(&self, path: &At<String>, notes: &mut Notes) -> PathBuf {
        let resolved = self.place(&path.value);
        warn_unless_writable(&resolved, path.at, notes);
        resolved
    }

    /// The path of a socket that will be made.
    pub(super) fn socket(&self, path: &At<String>, notes: &mut Notes) -> PathBuf {
        let resolved = self.place(&path.value);
        if resolved.as_os_str().len() > MAX_SOCKET_PATH {
            let message = format!(
                "'{}' is longer than {MAX_SOCKET_PATH} octets, a unix socket's path has no more \
                 (unix(7)), choose a shorter one",
                resolved.display()
            );
            notes.error(path.at, message);
        }
        warn_unless_writable(resolved.parent().unwrap_or(&resolved), path.at, notes);
        resolved
    }

    /// A PEM file with at least one certificate.
    pub(super) fn certificates(&self, path: &At<String>, notes: &mut Notes) -> PathBuf {
        let resolved = self.resolve(&path.value);
        let mut count = 0;
        let fault = match files::read(&resolved, files::SMALL) {
            Err(error) => Some(error.to_string()),
            Ok(pem) => CertificateDer::pem_slice_iter(&pem)
                .inspect(|_| count += 1)
                .find_map(|item| item.err().map(|error| error.to_string())),
        };
        let shown = resolved.display();
        match fault {
            Some(error) => notes.error(
                path.at,
                format!("'{shown}' cannot be read as PEM ({error}), correct the path or the file"),
            ),
            None if count == 0 => notes.error(
                path.at,
                format!("'{shown}' holds no certificate, one at least is needed, add it"),
            ),
            None => {}
        }
        resolved
    }

    /// Certificate and key of a server of ours: they must fit. One that has expired will do, for
    /// UDP and TCP need none, but nobody wants to start with it.
    pub(super) fn pair(
        &self,
        certificate: &At<String>,
        key: &At<String>,
        notes: &mut Notes,
    ) -> CertificateFiles {
        let files = CertificateFiles {
            certificate: self.resolve(&certificate.value),
            key: self.resolve(&key.value),
        };
        match certificate::read(&files) {
            Ok(pair) if pair.has_ended(clock::wall()) => {
                let message = format!(
                    "the certificate '{}' has expired, clients refuse it, renew it",
                    files.certificate.display()
                );
                notes.refuse_in_check(certificate.at, message);
            }
            Ok(_) => {}
            Err(problems) => {
                for problem in problems {
                    let at = match problem {
                        CertificateProblem::Certificate { .. } => certificate.at,
                        CertificateProblem::Key { .. } | CertificateProblem::Pair { .. } => key.at,
                    };
                    notes.error(at, problem.to_string());
                }
            }
        }
        files
    }

    /// A program with its arguments, its path made absolute: with a slash it starts from the
    /// configuration's directory, without one it is looked for in `PATH`.
    pub(super) fn command(
        &self,
        words: &List<String>,
        at: usize,
        key: &str,
        notes: &mut Notes,
    ) -> Option<Command> {
        let Some(program) = words.first() else {
            notes.error(
                at,
                format!("'{key}' is empty, it is a program and its arguments, name the program"),
            );
            return None;
        };
        if let Some(zero) = words.iter().find(|word| word.value.contains('\0')) {
            notes.error(zero.at, "an argument cannot hold a zero octet, remove it");
            return None;
        }
        let found = if program.value.contains('/') {
            Some(self.place(&program.value))
        } else {
            in_path(&program.value)
        };
        let Some(path) = found else {
            let name = &program.value;
            let message = format!(
                "'{name}' is not in PATH, a program without a slash is looked for there, write a path"
            );
            notes.error(program.at, message);
            return None;
        };
        note_unless_executable(&path, program.at, notes);
        let Some(path) = path.to_str() else {
            notes.error(
                program.at,
                "the program's path is not UTF-8, which is needed, move it",
            );
            return None;
        };
        let arguments = words.iter().skip(1).map(|word| word.value.clone());
        Some(Command(
            std::iter::once(path.to_owned()).chain(arguments).collect(),
        ))
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file() && access(candidate, AccessFlags::X_OK).is_ok())
}

fn note_unless_executable(path: &Path, at: usize, notes: &mut Notes) {
    let shown = path.display();
    let message = match path.metadata() {
        // Another user runs it: whoever checks may have fewer rights.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let message = format!(
                "program '{shown}' cannot be seen by this user ({error}), the user that runs it \
                 must be able to, see [sandbox] hooks_user"
            );
            return notes.warn(at, message);
        }
        Err(error) => {
            format!("program '{shown}' cannot be found ({error}), correct the path or install it")
        }
        Ok(metadata) if !metadata.is_file() => {
            format!("program '{shown}' is not a file, a hook is one, correct the path")
        }
        Ok(found) => match access(path, AccessFlags::X_OK) {
            Ok(()) => return,
            Err(_) if found.permissions().mode() & 0o111 != 0 => {
                let message = format!(
                    "program '{shown}' is not executable for this user, the user that runs it \
                     must be able to, see [sandbox] hooks_user"
                );
                return notes.warn(at, message);
            }
            Err(_) => {
                format!("program '{shown}' is not executable, a hook is, run chmod +x on it")
            }
        },
    };
    notes.error(at, message);
}

/// Warns if `directory` cannot be written to, or cannot be made where it does not exist.
fn warn_unless_writable(directory: &Path, at: usize, notes: &mut Notes) {
    let existing = directory.ancestors().find(|ancestor| ancestor.exists());
    let Some(existing) = existing else {
        return;
    };
    if access(existing, AccessFlags::W_OK | AccessFlags::X_OK).is_err() || !existing.is_dir() {
        let message = format!(
            "'{}' is no directory that this user can write to, the daemon's user must be able to, \
             change its owner or the path",
            existing.display()
        );
        notes.warn(at, message);
    }
}
