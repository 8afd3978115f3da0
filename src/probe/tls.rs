//! The certificate: chain, time and name, each judged for itself.
//!
//! The handshake accepts any certificate, and what is wrong with it is found out after: so a
//! flawed certificate and a handshake that fails are told apart, and the server sees no alert
//! for its log. Nothing secret ever travels on such a connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use thiserror::Error as ThisError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::scan::printable;
use super::spec::Roots;
use crate::clock;
use crate::health::Verdict;
use crate::time::Wall;

/// Why root certificates cannot be had.
#[derive(Debug, ThisError)]
pub enum RootsError {
    /// The file cannot be read or is not PEM.
    #[error(
        "ca_file `{file}`: {source}: give a file of PEM certificates that this user may read, or \
         leave `ca_file` out for the roots of the system", file = .file.display()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What the reader says.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds nothing that can be a root.
    #[error(
        "ca_file `{file}` holds no certificate that can be a root: give a file of PEM \
         certificates, or leave `ca_file` out for the roots of the system", file = .file.display()
    )]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The system has none.
    #[error(
        "this system has no root certificates ({why}): install them (the package is often called \
         ca-certificates), or name a file of your own as `ca_file`"
    )]
    System {
        /// What was tried.
        why: String,
    },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] Error),
}

/// Roots that are loaded, and the TLS configuration over them.
pub(super) struct Trust {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
    connector: TlsConnector,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} roots)", self.roots.len())
    }
}

impl PartialEq for Trust {
    /// The same roots: a look under one sees what a look under the other sees.
    fn eq(&self, other: &Trust) -> bool {
        self.roots.roots == other.roots.roots
    }
}

impl Trust {
    /// Loads the roots: files are read here, once.
    pub(super) fn load(roots: &Roots) -> Result<Trust, RootsError> {
        let mut store = RootCertStore::empty();
        match roots {
            Roots::File(file) => {
                let certificates = CertificateDer::pem_file_iter(file)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|source| RootsError::File {
                        file: file.clone(),
                        source,
                    })?;
                store.add_parsable_certificates(certificates);
                if store.is_empty() {
                    return Err(RootsError::Empty { file: file.clone() });
                }
            }
            Roots::System => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() {
                    let why = found
                        .errors
                        .first()
                        .map_or_else(|| "none found".to_owned(), ToString::to_string);
                    return Err(RootsError::System { why });
                }
            }
        }
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(JudgedLater(Arc::clone(&provider))))
            .with_no_client_auth();
        // A resumed session shows no certificate.
        config.resumption = Resumption::disabled();
        Ok(Trust {
            roots: store,
            provider,
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// When a certificate ends: what the verifier says of it at the end of time.
    fn end_of(&self, first: &CertificateDer<'_>) -> Option<Wall> {
        let certificate = ParsedCertificate::try_from(first).ok()?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let at_the_end = UnixTime::since_unix_epoch(Duration::MAX);
        let (roots, none) = (&self.roots, &[]);
        let judged = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            none,
            at_the_end,
            algorithms,
        );
        let end = judged.err().as_ref().and_then(within)?;
        Some(Wall(end.as_secs().saturating_mul(1000)))
    }

    /// What is wrong with a chain, the end entity's certificate first. Of several flaws the
    /// worst: untrusted, then another name, then its time.
    fn judge(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Verdict {
        let Some((first, others)) = chain.split_first() else {
            return Verdict::TlsFailed("the server showed no certificate".to_owned());
        };
        let certificate = match ParsedCertificate::try_from(first) {
            Ok(certificate) => certificate,
            Err(error) => return Verdict::CertificateUntrusted(plain(&error)),
        };
        let signed_at = |time| {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                others,
                time,
                algorithms,
            )
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(clock::wall().unix_seconds()));
        let mut in_time = true;
        if let Err(error) = signed_at(now) {
            // The time is checked before the issuer: look again from within it.
            let again = match within(&error) {
                Some(time) => {
                    in_time = false;
                    signed_at(time)
                }
                None => Err(error),
            };
            match again {
                Err(error) if within(&error).is_none() => {
                    return Verdict::CertificateUntrusted(plain(&error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if let Err(error) = verify_server_name(&certificate, name) {
            return Verdict::CertificateName(plain(&error));
        }
        if in_time {
            Verdict::Good
        } else {
            Verdict::CertificateExpired
        }
    }
}

/// The nearest time at which the certificate was or will be valid, if time is what is wrong.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "rustls adds variants as it pleases, and all others are treated alike"
)]
fn within(error: &Error) -> Option<UnixTime> {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Some(*not_after)
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            Some(*not_before)
        }
        _ => None,
    }
}

/// The flaw in an operator's words, bounded: names come from the far end.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "rustls adds variants as it pleases, and all others are treated alike"
)]
fn plain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "issued by none of the roots".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => {
            // They come as `DnsName("contoso.test")`.
            let names: Vec<_> = presented
                .iter()
                .take(4)
                .map(|name| {
                    name.trim_start_matches("DnsName(\"")
                        .trim_end_matches("\")")
                })
                .collect();
            let text = format!("{} is not in: {}", expected.to_str(), names.join(", "));
            printable(text.as_bytes(), 160)
        }
        other => printable(other.to_string().as_bytes(), 160),
    }
}

/// Whether the server has spoken before the handshake: then its end or silence is one of TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Features,
    Nothing,
}

/// The handshake on `tcp`, then the judgement on the certificate, and when that ends. There is no
/// deadline here: the look has one.
pub(super) async fn handshake(
    tcp: TcpStream,
    trust: &Trust,
    name: &str,
    before: Before,
) -> (Verdict, Option<Wall>) {
    let Ok(name) = ServerName::try_from(name.trim_end_matches('.').to_owned()) else {
        let why = format!("`{name}` is no name that a certificate can have");
        return (Verdict::NotMade(why), None);
    };
    match trust.connector.connect(name.clone(), tcp).await {
        Ok(stream) => {
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let verdict = trust.judge(chain, &name);
            let ends = chain.first().and_then(|first| trust.end_of(first));
            tokio::spawn(farewell(stream));
            (verdict, ends)
        }
        Err(error) => {
            let inner = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<Error>());
            let verdict = match (inner, before) {
                (Some(inner), _) => Verdict::TlsFailed(plain(inner)),
                (None, Before::Nothing) => Verdict::Closed,
                (None, Before::Features) => {
                    Verdict::TlsFailed("the connection closed in the handshake".to_owned())
                }
            };
            (verdict, None)
        }
    }
}

/// Says FIN and takes what the server still has to say (session tickets): a socket that is
/// closed over unread data sends a reset. Bounded in time and in octets.
async fn farewell(stream: TlsStream<TcpStream>) {
    let (mut tcp, session) = stream.into_inner();
    drop(session);
    let take_leave = async {
        if tcp.shutdown().await.is_ok() {
            let mut buffer = [0u8; 1024];
            for _ in 0..16 {
                match tcp.read(&mut buffer).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(500), take_leave).await;
}

/// Lets the handshake pass whatever the certificate; signatures of the handshake itself are
/// verified as always.
#[derive(Debug)]
struct JudgedLater(Arc<CryptoProvider>);

impl ServerCertVerifier for JudgedLater {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
