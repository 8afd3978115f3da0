//! From a name to a connection: look-up, TCP, TLS.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::exchange::within;
use super::{HttpError, Roots, Stage, Target};
use crate::clock;
use crate::time::Mono;

/// So many addresses of a name are tried.
const ADDRESSES: usize = 8;

/// Connects to one address of the target: each that is left gets an equal part of the time that
/// is left, so that one that drops packets does not use it up.
///
/// `known` is where it is; without that the system is asked.
pub(super) async fn connect(
    target: &Target,
    known: &[IpAddr],
    deadline: Mono,
) -> Result<TcpStream, HttpError> {
    let nameless = |why: String| HttpError::Name {
        host: target.host().to_owned(),
        why,
    };
    let port = target.port();
    let addresses: Vec<SocketAddr> = if known.is_empty() {
        let found = within(deadline, Stage::Name, lookup_host((target.host(), port)));
        let found = found.await?.map_err(|error| nameless(error.to_string()))?;
        found.take(ADDRESSES).collect()
    } else {
        let known = known.iter().take(ADDRESSES);
        known
            .map(|address| SocketAddr::new(*address, port))
            .collect()
    };
    let mut failed = nameless("the resolver knows none".to_owned());
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(1);
        let now = clock::mono();
        let part = now + deadline.since(now) / left;
        match within(part, Stage::Connection, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is one write; what answers it must not wait for another.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => {
                failed = HttpError::Connection {
                    address: *address,
                    why: error.to_string(),
                }
            }
            Err(timed_out) => failed = timed_out,
        }
    }
    Err(failed)
}

/// Sets up TLS, and believes only a certificate that one of `roots` vouches for.
pub(super) async fn secure(
    stream: TcpStream,
    target: &Target,
    roots: &Roots,
    deadline: Mono,
) -> Result<TlsStream<TcpStream>, HttpError> {
    let failed = |why: String| HttpError::Tls {
        host: target.host().to_owned(),
        why,
    };
    let roots = roots.clone();
    // The system's are hundreds of files: they are read where waiting holds up nobody.
    let store = tokio::task::spawn_blocking(move || load(&roots));
    let store = within(deadline, Stage::Tls, store)
        .await?
        .map_err(|error| HttpError::Roots(error.to_string()))?
        .map_err(HttpError::Roots)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(target.host().to_owned())
        .map_err(|error| failed(error.to_string()))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    within(deadline, Stage::Tls, handshake)
        .await?
        .map_err(|error| failed(error.to_string()))
}

fn load(roots: &Roots) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                return Err("this system has no root certificates: install them (the package is often called ca-certificates), or name a file as 'ca_file'".to_owned());
            }
        }
        Roots::File(file) => from_file(file, &mut store)?,
    }
    Ok(store)
}

fn from_file(file: &Path, store: &mut RootCertStore) -> Result<(), String> {
    let shown = file.display();
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("ca_file '{shown}': {error}: give a file of PEM certificates that this user may read"))?;
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        return Err(format!(
            "ca_file '{shown}' holds no certificate that can be a root: give a file of PEM certificates"
        ));
    }
    Ok(())
}
