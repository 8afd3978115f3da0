//! Our certificate: what clients are shown, and its files read again when they change, so that
//! a renewal takes neither a restart nor a signal.
//!
//! What is broken is never taken: the old certificate is shown on, and [`Certificate::state`]
//! says what is wrong with the new one.

use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::{CertificateFiles, CertificateProblem, Pair, read};
use crate::time::Wall;

/// The certificate that clients are shown.
#[derive(Debug)]
pub struct Certificate {
    files: CertificateFiles,
    /// Locked for the instant of a handshake's first step, or of a change.
    shown: RwLock<Shown>,
}

#[derive(Debug)]
struct Shown {
    pair: Pair,
    /// The files as they were when they were last read.
    read: Print,
    /// The files as they were at the last look.
    looked: Print,
    /// Why they were not taken when they were last read.
    refused: Option<String>,
}

/// What tells two states of a file apart without reading it; `None` if it cannot be asked.
type Print = [Option<(u64, u64, u64, i64, i64, i64, i64)>; 2];

/// How it stands with the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// The certificate's file.
    pub path: PathBuf,
    /// When the certificate that is shown ends.
    pub not_after: Option<Wall>,
    /// Why what the files hold now is not shown, if it is not.
    pub refused: Option<String>,
}

/// What came of reading the files again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// They hold what is shown.
    Same,
    /// What they hold is shown from now on.
    Taken {
        /// When it ends.
        not_after: Option<Wall>,
    },
    /// What they hold is broken; the old certificate is shown on.
    Refused(String),
}

impl Certificate {
    /// Reads the files and makes sure that certificate and key fit.
    pub(super) fn open(files: &CertificateFiles) -> Result<Certificate, Vec<CertificateProblem>> {
        let print = print(files);
        let pair = read(files)?;
        Ok(Certificate {
            files: files.clone(),
            shown: RwLock::new(Shown {
                pair,
                read: print,
                looked: print,
                refused: None,
            }),
        })
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> CertificateState {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        CertificateState {
            path: self.files.certificate.clone(),
            not_after: shown.pair.not_after,
            refused: shown.refused.clone(),
        }
    }

    /// Reads the files again if they have changed and have stood still since the last look: a
    /// renewal replaces two files, one after the other, and in between they do not fit. Cheap
    /// while nothing changes; it may wait for the disk. `None` if there was nothing to do.
    pub fn look(&self, now: Wall) -> Option<Renewal> {
        let print = print(&self.files);
        {
            let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
            let stood_still = shown.looked == print;
            shown.looked = print;
            if shown.read == print || !stood_still {
                return None;
            }
        }
        Some(self.renew(now))
    }

    /// Reads the files again, changed or not. It may wait for the disk.
    pub fn renew(&self, now: Wall) -> Renewal {
        let print = print(&self.files);
        let found = read(&self.files).map_err(|problems| in_one_line(&problems));
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        shown.read = print;
        shown.looked = print;
        let pair = match found.and_then(|pair| yields_to(&shown.pair, pair, now)) {
            Ok(pair) => pair,
            Err(why) => {
                shown.refused = Some(why.clone());
                return Renewal::Refused(why);
            }
        };
        shown.refused = None;
        if shown.pair.key.cert == pair.key.cert {
            return Renewal::Same;
        }
        let not_after = pair.not_after;
        shown.pair = pair;
        Renewal::Taken { not_after }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown.pair.key))
    }
}

/// `new` in the place of `old`, unless it has ended and that one has not: somebody put back an old
/// file.
fn yields_to(old: &Pair, new: Pair, now: Wall) -> Result<Pair, String> {
    if new.has_ended(now) && !old.has_ended(now) {
        return Err("the certificate has expired: renew it".to_owned());
    }
    Ok(new)
}

fn print(files: &CertificateFiles) -> Print {
    [&files.certificate, &files.key].map(|path| print_of(path))
}

fn print_of(path: &Path) -> Option<(u64, u64, u64, i64, i64, i64, i64)> {
    let file = metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ))
}

fn in_one_line(problems: &[CertificateProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
