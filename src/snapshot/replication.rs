//! Who may have a whole zone, who is told of its changes, and what changed lately.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use crate::history::History;
use crate::zone::Name;

/// What the secondaries of one zone need beside its records. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Replication {
    /// Whoever one of these admits may transfer the zone. Empty: nobody may.
    pub permits: Arc<[Permit]>,
    /// Who is told when the serial changes (RFC 1996).
    pub targets: Arc<[Target]>,
    /// The last changes. It ends at the serial of the generation, or is empty.
    pub history: History,
}

impl Default for Replication {
    /// Nobody may transfer the zone, nobody is told.
    fn default() -> Replication {
        Replication {
            permits: Arc::default(),
            targets: Arc::default(),
            history: History::default(),
        }
    }
}

/// A permit to transfer a zone: it admits a client that fulfils all that it asks for. It asks for
/// one thing at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The request comes from here.
    pub network: Option<Network>,
    /// The request is signed with the key of this name.
    pub key: Option<Name>,
}

impl Permit {
    /// Whether it admits a request from `client` that is signed with `key`.
    #[must_use]
    pub fn admits(&self, client: IpAddr, key: Option<&Name>) -> bool {
        let is_there = self.network.is_none_or(|network| network.has(client));
        let is_signed = self.key.is_none() || self.key.as_ref() == key;
        is_there && is_signed && (self.network.is_some() || self.key.is_some())
    }
}

/// An address, or all that share its first bits: `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why some text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address.
    #[error("an address is needed, with or without a length: 192.0.2.0/24 or 2001:db8::/32")]
    NoAddress,
    /// The length is none.
    #[error("the length of a network is 0 to 32 for IPv4 and 0 to 128 for IPv6")]
    NoLength,
    /// Bits beyond the length.
    #[error("the address has bits beyond the network's length, correct one of them")]
    BitsBeyond,
}

impl Network {
    /// The network that an address lies in, of so many bits: of IPv4, and of IPv6.
    #[must_use]
    pub fn around(address: IpAddr, ipv4_bits: u8, ipv6_bits: u8) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = ipv4_bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                let address = Ipv4Addr::from_bits(v4.to_bits() & mask).into();
                Network { address, bits }
            }
            IpAddr::V6(v6) => {
                let bits = ipv6_bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                let address = Ipv6Addr::from_bits(v6.to_bits() & mask).into();
                Network { address, bits }
            }
        }
    }

    /// Its address as a number that no other network of as many bits has, of either family.
    #[must_use]
    pub fn number(&self) -> u128 {
        match self.address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }

    /// Whether an address lies in it. An IPv4 address may come in IPv6 form (RFC 4291 section
    /// 2.5.5.2).
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = u64::from(ours.to_bits() ^ theirs.to_bits());
                differing >> (32 - u64::from(self.bits)) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing
                    .checked_shr(128 - u32::from(self.bits))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NoAddress)?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| NetworkError::NoLength)?,
            None => most,
        };
        if bits > most {
            return Err(NetworkError::NoLength);
        }
        let host_bits = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let beyond = u128::MAX
            .checked_shl(u32::from(most - bits))
            .map_or(u128::MAX, |network| !network);
        if host_bits & beyond != 0 && bits < most {
            return Err(NetworkError::BitsBeyond);
        }
        Ok(Network { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// A secondary that is told of changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// The key that it is told with.
    pub key: Option<Name>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_their_first_bits_say() {
        for (network, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.0", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::/0", "2001:db9::", true),
            ("::1", "::1", true),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.has(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
        for (text, error) in [
            ("", NetworkError::NoAddress),
            ("edge1/24", NetworkError::NoAddress),
            ("192.0.2.0/33", NetworkError::NoLength),
            ("192.0.2.0/", NetworkError::NoLength),
            ("192.0.2.1/24", NetworkError::BitsBeyond),
            ("2001:db8::1/64", NetworkError::BitsBeyond),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_permit_asks_for_all_that_it_names() {
        let (k, other): (Name, Name) = ("k.".parse().unwrap(), "o.".parse().unwrap());
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let there: IpAddr = "198.51.100.1".parse().unwrap();
        let network = "192.0.2.0/24".parse().ok();
        let both = Permit {
            network,
            key: Some(k.clone()),
        };
        assert!(both.admits(here, Some(&k)));
        assert!(!both.admits(there, Some(&k)));
        assert!(!both.admits(here, None) && !both.admits(here, Some(&other)));
        let address = Permit { network, key: None };
        assert!(address.admits(here, None) && address.admits(here, Some(&other)));
        let nothing = Permit {
            network: None,
            key: None,
        };
        assert!(!nothing.admits(here, Some(&k)));
    }
}
