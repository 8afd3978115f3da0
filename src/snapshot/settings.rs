//! What answers depend on beside the zones: how this server names itself, its cookies, its sizes.

use std::fmt;

use super::Network;
use crate::limit::Rate;

/// The greatest UDP payload that we send and say that we take, unless it is set otherwise: it
/// fits every path without fragments (RFC 9715 section 3).
pub const UDP_PAYLOAD: u16 = 1232;

/// All that a response takes from the server itself. Nothing of it is a stranger's business, so
/// what is not set is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The answer to `version.bind` and `version.server`.
    pub version: Option<ShortText>,
    /// The answer to `hostname.bind`.
    pub hostname: Option<ShortText>,
    /// The answer to `id.server` (RFC 4892), and the name server identifier (RFC 5001).
    pub id: Option<ShortText>,
    /// The cookies (RFC 7873); `None` leaves them unanswered.
    pub cookies: Option<Cookies>,
    /// The greatest UDP payload in octets, 512 at least.
    pub udp_payload: u16,
    /// How many responses a network gets over UDP; `None` is any number.
    pub rate_limit: Option<RateLimit>,
}

impl Default for Settings {
    /// Nothing told, no cookies, [`UDP_PAYLOAD`], no limit.
    fn default() -> Settings {
        Settings {
            version: None,
            hostname: None,
            id: None,
            cookies: None,
            udp_payload: UDP_PAYLOAD,
            rate_limit: None,
        }
    }
}

/// How many responses a network gets over UDP while nobody has shown that it asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Whether those over the limit are only counted.
    pub only_counts: bool,
    /// So many of each class.
    pub rate: Rate,
    /// One of so many over the limit is answered with the way to a stream; none if it is 0.
    pub slip: u8,
    /// So many first bits of an IPv4 address are a network.
    pub ipv4_bits: u8,
    /// The same for IPv6.
    pub ipv6_bits: u8,
    /// Who is not limited.
    pub allow: Vec<Network>,
}

/// Server cookies as other servers make them too (RFC 9018).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookies {
    /// What new cookies are made with.
    pub active: CookieSecret,
    /// Whose cookies are good too: the secrets of before and of after a change.
    pub others: Vec<CookieSecret>,
    /// Whether UDP is only for clients that show a good cookie.
    pub required: bool,
}

/// The secret of server cookies: 128 bits. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret(pub [u8; 16]);

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret")
    }
}

/// A text that fits into one character string of DNS (RFC 1035 section 3.3), kept as the RDATA
/// of a TXT record with its length in front, as [`crate::zone::Rrset::from_packed`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortText(Box<[u8]>);

impl ShortText {
    /// `text`, of 1 to 128 octets: with it, OPT still fits beside the longest question into 512.
    #[must_use]
    pub fn new(text: &str) -> Option<ShortText> {
        let length = u8::try_from(text.len()).ok()?;
        if !(1..=Self::LONGEST).contains(&length) {
            return None;
        }
        let head = [0, length + 1, length];
        Some(ShortText([&head, text.as_bytes()].concat().into()))
    }

    /// The greatest number of octets.
    pub const LONGEST: u8 = 128;

    /// The text.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.0.get(3..).unwrap_or(&[])
    }

    /// The TXT record.
    #[must_use]
    pub fn packed(&self) -> &[u8] {
        &self.0
    }
}
