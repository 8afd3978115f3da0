//! Our certificate: what clients are shown, and its files read again when they change, so that
//! a renewal takes neither a restart nor a signal.
//!
//! What is broken is never taken: the old certificate is shown on, and [`Certificate::state`]
//! says what is wrong with the new one.

use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};

use super::error::BindProblem;
use crate::time::Wall;

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// A PEM file: the server's certificate, then its issuers.
    pub certificate: PathBuf,
    /// A PEM file: the certificate's private key.
    pub key: PathBuf,
}

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

/// Certificate and key, which belong together.
#[derive(Clone, Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    not_after: Option<Wall>,
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
    pub(super) fn open(files: &CertificateFiles) -> Result<Certificate, Vec<BindProblem>> {
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
        let pair = match found.and_then(|pair| shown.pair.yields_to(pair, now)) {
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

impl Pair {
    /// `new`, unless it has ended and this one has not: somebody put back an old file.
    fn yields_to(&self, new: Pair, now: Wall) -> Result<Pair, String> {
        let ended = |pair: &Pair| pair.not_after.is_some_and(|end| end < now);
        if ended(&new) && !ended(self) {
            return Err("the certificate has expired: renew it".to_owned());
        }
        Ok(new)
    }
}

/// Reads both files, and makes sure that they fit.
fn read(files: &CertificateFiles) -> Result<Pair, Vec<BindProblem>> {
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|found| match found.is_empty() {
            true => Err(PemError::NoItemsFound),
            false => Ok(found),
        })
        .map_err(|error| BindProblem::Certificate {
            path: files.certificate.clone(),
            why: in_words(&error, "a certificate"),
        });
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| BindProblem::Key {
        path: files.key.clone(),
        why: in_words(&error, "a private key"),
    });
    let (certificates, key) = match (certificates, key) {
        (Ok(certificates), Ok(key)) => (certificates, key),
        (certificates, key) => {
            return Err(certificates.err().into_iter().chain(key.err()).collect());
        }
    };
    let provider = provider();
    let not_after = certificates
        .first()
        .and_then(|certificate| end_of(certificate, &provider));
    let key = CertifiedKey::from_der(certificates, key, &provider).map_err(|error| {
        vec![BindProblem::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            why: error.to_string(),
        }]
    })?;
    Ok(Pair {
        key: Arc::new(key),
        not_after,
    })
}

/// The cryptography of all our TLS.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// When `certificate` ends: what the verifier that clients use says about it at the end of time.
fn end_of(certificate: &CertificateDer<'_>, provider: &Arc<CryptoProvider>) -> Option<Wall> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
        .build()
        .ok()?;
    let name = ServerName::try_from("any.invalid").ok()?;
    let at_the_end = UnixTime::since_unix_epoch(Duration::MAX);
    match verifier.verify_server_cert(certificate, &[], &name, &[], at_the_end) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(Wall(not_after.as_secs().saturating_mul(1000)))
        }
        Ok(_) | Err(_) => None,
    }
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

/// What is wrong with a PEM file that should hold `wanted`.
fn in_words(error: &PemError, wanted: &str) -> String {
    if let PemError::Io(error) = error {
        return error.to_string();
    }
    if matches!(error, PemError::NoItemsFound) {
        return format!("does not contain {wanted}");
    }
    format!("is not PEM: {error}")
}

fn in_one_line(problems: &[BindProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
