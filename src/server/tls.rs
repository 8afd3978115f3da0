//! DNS over TLS (RFC 7858): the streams of DNS over TCP within TLS, from our own answer engine
//! octet for octet.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::TlsSpec;
use super::accept::{Speaker, Stop};
use super::connections::Seat;
use super::counters::Lane;
use super::error::BindProblem;
use super::stream::{Client, Shared};
use crate::answer::Transport;

/// Speaks to TLS clients.
pub(super) struct Tls {
    pub(super) shared: Arc<Shared>,
    pub(super) acceptor: TlsAcceptor,
}

impl Speaker for Tls {
    fn lane(&self) -> &Lane {
        &self.shared.tallies.tls
    }

    async fn talk(&self, stream: TcpStream, peer: SocketAddr, seat: &Seat, mut stop: Stop) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let handshake = timeout(self.shared.patience.query, self.acceptor.accept(stream));
        let accepted = tokio::select! {
            biased;
            accepted = handshake => accepted,
            // Whoever is not through with it has asked nothing yet.
            () = stop.wait() => return,
        };
        let Ok(Ok(mut stream)) = accepted else {
            return;
        };
        let client = Client {
            transport: Transport::Encrypted,
            address: peer.ip(),
            seat,
            tally: &self.lane().tally,
            shared: &self.shared,
        };
        let _ = client.converse(&mut stream, stop).await;
    }
}

/// Reads the certificate and the key, and makes sure that they fit.
pub(super) fn server_config(spec: &TlsSpec) -> Result<ServerConfig, Vec<BindProblem>> {
    let certificates = CertificateDer::pem_file_iter(&spec.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|found| match found.is_empty() {
            true => Err(PemError::NoItemsFound),
            false => Ok(found),
        })
        .map_err(|error| BindProblem::Certificate {
            path: spec.certificate.clone(),
            why: in_words(&error, "a certificate"),
        });
    let key = PrivateKeyDer::from_pem_file(&spec.key).map_err(|error| BindProblem::Key {
        path: spec.key.clone(),
        why: in_words(&error, "a private key"),
    });
    let (certificates, key) = match (certificates, key) {
        (Ok(certificates), Ok(key)) => (certificates, key),
        (certificates, key) => {
            return Err(certificates.err().into_iter().chain(key.err()).collect());
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(|error| {
            vec![BindProblem::Pair {
                certificate: spec.certificate.clone(),
                key: spec.key.clone(),
                why: error.to_string(),
            }]
        })?;
    config.alpn_protocols = vec![b"dot".to_vec()];
    Ok(config)
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
