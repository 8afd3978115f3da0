//! Where a zone comes from.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::tsig::Key;

/// One primary server of a zone.
#[derive(Clone, Debug)]
pub struct Primary {
    /// Where it answers over TCP.
    pub address: SocketAddr,
    /// The key that signs what we ask and what it answers, and its NOTIFY.
    pub key: Option<Arc<Key>>,
    /// Transfer over TLS (RFC 9103), if wanted.
    pub tls: Option<PrimaryTls>,
}

/// How a primary proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryTls {
    /// The name in its certificate, without a final dot.
    pub name: String,
    /// A PEM file with the certificates that the chain may end at; else the system's.
    pub ca_file: Option<PathBuf>,
}

impl PartialEq for Primary {
    /// The same server under the same key.
    fn eq(&self, other: &Primary) -> bool {
        let same_key = match (&self.key, &other.key) {
            // A key that was read anew may have another secret.
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.address == other.address && self.tls == other.tls && same_key
    }
}

impl fmt::Display for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tls {
            Some(tls) => write!(f, "{} ({})", self.address, tls.name),
            None => self.address.fmt(f),
        }
    }
}
