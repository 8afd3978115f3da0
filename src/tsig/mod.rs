//! **Pure.** Transaction signatures (RFC 8945): who sent a message, and that nobody changed it.
//!
//! | who | calls |
//! | --- | --- |
//! | a server, for each message that it receives | [`read_request`], then [`Signer::sign`] for each message of its response, or [`Rejection::write`] |
//! | a client | [`sign_request`], then [`Verifier::verify`] for each message of the response, and [`Verifier::is_complete`] at its end |
//!
//! Messages are octets in wire format; time is an argument. The signature is computed by `ring`.
//! The `tsig` module of `domain` 0.12 was the first choice; it answers a wrong signature with
//! FORMERR in place of BADSIG, and signs eight octets of the time in a BADTIME response of which
//! it sends six, so nobody can verify that.
//!
//! Invariants: signatures are compared in constant time; nothing of a message is believed before
//! its signature is verified, but for what finds the key; a key's secret is never shown.

mod client;
mod key;
mod record;
mod server;

pub use client::{Verifier, VerifyError, sign_request};
pub use key::{Algorithm, Key, KeyError, Keys};
pub use server::{Rejection, Request, SignedRequest, Signer, read_request};

/// How far two clocks may be apart, in seconds (RFC 8945 section 10: 300 is recommended).
const FUDGE: u16 = 300;

/// What the error field of a TSIG record says (RFC 8945 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TsigError {
    /// BADSIG: the signature is not that of the message under this key.
    BadSignature,
    /// BADKEY: no such key, or not with this algorithm.
    BadKey,
    /// BADTIME: signed too long ago, or in the future.
    BadTime,
    /// BADTRUNC: less of the signature than the key asks for.
    BadTruncation,
}

impl TsigError {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            TsigError::BadSignature => 16,
            TsigError::BadKey => 17,
            TsigError::BadTime => 18,
            TsigError::BadTruncation => 22,
        }
    }

    /// The mnemonic of the registry.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            TsigError::BadSignature => "BADSIG",
            TsigError::BadKey => "BADKEY",
            TsigError::BadTime => "BADTIME",
            TsigError::BadTruncation => "BADTRUNC",
        }
    }
}

#[cfg(test)]
mod tests;
