//! **IO.** The certificate that we show, and its key: two PEM files that must fit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};

use crate::files;
use crate::time::Wall;

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// A PEM file: the server's certificate, then its issuers.
    pub certificate: PathBuf,
    /// A PEM file: the certificate's private key.
    pub key: PathBuf,
}

/// Certificate and key, which belong together.
#[derive(Clone, Debug)]
pub struct Pair {
    /// As TLS takes them.
    pub key: Arc<CertifiedKey>,
    /// When the certificate ends.
    pub not_after: Option<Wall>,
}

/// What is wrong with them.
#[derive(Debug, thiserror::Error)]
pub enum CertificateProblem {
    /// The certificate's file.
    #[error("{path}: {why}: name a PEM file with the server's certificate first, then its issuers", path = path.display())]
    Certificate {
        /// As configured.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key's file.
    #[error("{path}: {why}: name a readable PEM file with one unencrypted private key (PKCS#8, PKCS#1 or SEC1)", path = path.display())]
    Key {
        /// As configured.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Both files were read, but TLS will not have them together.
    #[error("{certificate} with {key}: {why}: the key must be the one that the certificate was made for", certificate = certificate.display(), key = key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the TLS library said.
        why: String,
    },
}

impl Pair {
    /// Whether the certificate has expired by `now`.
    #[must_use]
    pub fn has_ended(&self, now: Wall) -> bool {
        self.not_after.is_some_and(|end| end < now)
    }
}

/// Reads both files, and makes sure that they fit.
///
/// # Errors
/// All that is wrong with them.
pub fn read(files: &CertificateFiles) -> Result<Pair, Vec<CertificateProblem>> {
    let certificates = files::read(&files.certificate, files::SMALL)
        .map_err(PemError::Io)
        .and_then(|pem| CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>())
        .and_then(|found| match found.is_empty() {
            true => Err(PemError::NoItemsFound),
            false => Ok(found),
        })
        .map_err(|error| CertificateProblem::Certificate {
            path: files.certificate.clone(),
            why: in_words(&error, "a certificate"),
        });
    let key = files::read(&files.key, files::SMALL)
        .map_err(PemError::Io)
        .and_then(|pem| PrivateKeyDer::from_pem_slice(&pem))
        .map_err(|error| CertificateProblem::Key {
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
        vec![CertificateProblem::Pair {
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
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
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
