//! The lab's certificate authority.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Issues what the servers of the lab show each other.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority; its own certificate is `ca.pem` in `folder`.
    pub(crate) fn new(folder: &Path) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "switchback lab");
        let own = params.self_signed(&key).expect("a certificate");
        fs::write(folder.join("ca.pem"), own.pem()).expect("written");
        Authority {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes `FILE.pem` and `FILE.key` for `names`, valid to the end of `last_year`.
    pub(crate) fn issue(&self, file: &str, names: &[&str], last_year: i32) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.folder.join(format!("{file}.key")), key.serialize_pem()).expect("written");
        fs::write(self.folder.join(format!("{file}.pem")), leaf.pem()).expect("written");
    }
}
