//! Keys: a name, an algorithm and a secret that both sides know.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ring::hmac;

use crate::zone::Name;

/// The shortest signature of any algorithm, in octets (RFC 8945 section 5.2.2.1).
const LEAST_MAC: usize = 10;

/// A hash, and how much of it is sent (RFC 8945 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Algorithm {
    hash: Hash,
    mac_octets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const ALL: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

    fn word(self) -> &'static str {
        match self {
            Hash::Sha256 => "hmac-sha256",
            Hash::Sha384 => "hmac-sha384",
            Hash::Sha512 => "hmac-sha512",
        }
    }

    fn octets(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }

    /// The name on the wire, in lower case.
    fn wire(self) -> &'static [u8] {
        match self {
            Hash::Sha256 => b"\x0bhmac-sha256\0",
            Hash::Sha384 => b"\x0bhmac-sha384\0",
            Hash::Sha512 => b"\x0bhmac-sha512\0",
        }
    }
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No such algorithm.
    #[error(
        "'{0}' is no algorithm for a key, write hmac-sha256, hmac-sha384 or hmac-sha512, or one \
         of them with the bits of a truncated signature: hmac-sha256-128"
    )]
    Algorithm(String),
    /// The secret is too short to keep anything.
    #[error(
        "the secret has {0} octets, fewer than 16 can be guessed, make one with \
         'openssl rand -base64 32'"
    )]
    ShortSecret(usize),
    /// The secret is no base64.
    #[error("the secret is not base64 (RFC 4648 section 4), copy it whole, with its '=' signs")]
    NotBase64,
}

impl FromStr for Algorithm {
    type Err = KeyError;

    /// `hmac-sha256`, or `hmac-sha256-128` for signatures cut to 128 bits.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let unknown = || KeyError::Algorithm(text.to_owned());
        let lower = text.trim_end_matches('.').to_ascii_lowercase();
        let hash = Hash::ALL
            .into_iter()
            .find(|hash| lower.starts_with(hash.word()))
            .ok_or_else(unknown)?;
        let mac_octets = match lower.strip_prefix(hash.word()) {
            Some("") => hash.octets(),
            Some(rest) => {
                let bits: usize = rest
                    .strip_prefix('-')
                    .and_then(|bits| bits.parse().ok())
                    .filter(|bits| bits % 8 == 0)
                    .ok_or_else(unknown)?;
                bits / 8
            }
            None => return Err(unknown()),
        };
        let algorithm = Algorithm { hash, mac_octets };
        if mac_octets < algorithm.least() || mac_octets > hash.octets() {
            return Err(unknown());
        }
        Ok(algorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.word())?;
        if self.mac_octets < self.hash.octets() {
            write!(f, "-{}", self.mac_octets * 8)?;
        }
        Ok(())
    }
}

impl Algorithm {
    /// The name on the wire, in lower case.
    pub(super) fn wire(self) -> &'static [u8] {
        self.hash.wire()
    }

    /// The octets of a whole signature.
    pub(super) fn whole(self) -> usize {
        self.hash.octets()
    }

    /// The octets that a signature has at least to be one (RFC 8945 section 5.2.2.1).
    pub(super) fn least(self) -> usize {
        LEAST_MAC.max(self.hash.octets() / 2)
    }

    /// The octets of a signature that are sent, and wanted.
    pub(super) fn sent(self) -> usize {
        self.mac_octets
    }
}

/// A shared secret with its name.
#[derive(Clone)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: hmac::Key,
}

impl Key {
    /// A key. The name is that which both sides call it by.
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`].
    pub fn new(name: &Name, algorithm: Algorithm, secret: &[u8]) -> Result<Key, KeyError> {
        if secret.len() < 16 {
            return Err(KeyError::ShortSecret(secret.len()));
        }
        let hash = match algorithm.hash {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha384 => hmac::HMAC_SHA384,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        Ok(Key {
            // The signature covers the name in canonical form (RFC 8945 section 4.3.3).
            name: name.to_lower(),
            algorithm,
            secret: hmac::Key::new(hash, secret),
        })
    }

    /// A key whose secret is written in base64.
    ///
    /// # Errors
    /// [`KeyError::NotBase64`], [`KeyError::ShortSecret`].
    pub fn from_base64(name: &Name, algorithm: Algorithm, secret: &str) -> Result<Key, KeyError> {
        let secret: Vec<u8> =
            domain::utils::base64::decode(secret.trim()).map_err(|_| KeyError::NotBase64)?;
        Key::new(name, algorithm, &secret)
    }

    /// Its name, in lower case.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The octets that a signature adds to a message at the most.
    #[must_use]
    pub fn room(&self) -> usize {
        // Type, class, TTL, length; time, fudge, two sizes, id, error, and a time of the server.
        self.name.wire().len() + 10 + self.algorithm.wire().len() + 16 + self.algorithm.sent() + 6
    }

    pub(super) fn context(&self) -> hmac::Context {
        hmac::Context::with_key(&self.secret)
    }
}

impl fmt::Debug for Key {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm)
    }
}

/// All keys that a server knows, by name.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<Name, Arc<Key>>);

impl Keys {
    /// The key of this name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Arc<Key>> {
        self.0.get(name)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<T: IntoIterator<Item = Key>>(keys: T) -> Keys {
        let named = |key: Key| (key.name.clone(), Arc::new(key));
        Keys(keys.into_iter().map(named).collect())
    }
}
