//! TLS to a primary (RFC 9103 section 9.3.1: the primary is authenticated by name, always).

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::VisitError;
use crate::secondary::PrimaryTls;

/// Secures `stream`: the certificate must be good for the name, and the protocol be DNS.
pub(super) async fn connect(
    tls: &PrimaryTls,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, VisitError> {
    let fault = |error: &dyn std::fmt::Display| VisitError::Tls(error.to_string());
    let name = ServerName::try_from(tls.name.clone()).map_err(|error| fault(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // RFC 9103 section 7.1: TLS 1.3 or later.
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| fault(&error))?
        .with_root_certificates(roots(tls.ca_file.as_deref())?)
        .with_no_client_auth();
    // RFC 9103 section 7.1.
    config.alpn_protocols = vec![b"dot".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| fault(&error))
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, VisitError> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| VisitError::Tls(format!("'{}': {error}", file.display())))?;
            store.add_parsable_certificates(certificates);
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(VisitError::Tls("there is no root certificate".to_owned()));
    }
    Ok(store)
}
