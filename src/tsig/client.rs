//! The client's side: requests signed, responses verified (RFC 8945 sections 5.1 and 5.4).

use std::sync::Arc;

use ring::hmac;

use super::key::Key;
use super::record::{Cover, Found, Variables, after, append, digest, is_beginning, seconds};
use super::{FUDGE, TsigError};
use crate::time::Wall;

/// So many messages may go unsigned between two signed ones (RFC 8945 section 5.3.1).
const UNSIGNED_IN_A_ROW: u32 = 99;

/// Why a message of a response is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No signature where there must be one.
    #[error("the answer is not signed, the request was, give the server the same key")]
    Unsigned,
    /// What stands there is no signature.
    #[error("the answer's signature cannot be read (RFC 8945 section 4.2)")]
    Malformed,
    /// The server says that it cannot verify ours. Nobody has signed that.
    #[error(
        "the server answers {}, both sides need the same key name, algorithm and secret",
        .0.word()
    )]
    Refused(TsigError),
    /// The server says so, and has signed it.
    #[error("the server answers {}, both clocks and key lengths must agree", .0.word())]
    RefusedSigned(TsigError),
    /// Signed with another key or algorithm.
    #[error("the answer is signed with another key, both sides need the same one")]
    OtherKey,
    /// The signature is wrong.
    #[error("the answer's signature is wrong, both sides need the same secret")]
    BadSignature,
    /// The signature is right and old.
    #[error("the answer's signature is too old or from the future, set both clocks")]
    BadTime,
}

/// Verifies the messages of one response, one after another.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: Arc<Key>,
    /// The digest up to here: the signature before, and what came unsigned since.
    context: hmac::Context,
    cover: Cover,
    unsigned: u32,
}

/// Signs a request.
pub fn sign_request(key: &Arc<Key>, message: &mut Vec<u8>, now: Wall) -> Verifier {
    let variables = Variables {
        time: seconds(now),
        fudge: FUDGE,
        error: 0,
        other: &[],
    };
    let tag = digest(key.context(), key, message, &[], &variables, Cover::All);
    let mac = tag.as_ref().get(..key.algorithm().sent());
    let mac = mac.unwrap_or(tag.as_ref());
    let (name, algorithm) = (key.name().wire(), key.algorithm().wire());
    append(message, name, algorithm, &variables, mac);
    Verifier {
        key: Arc::clone(key),
        context: after(key, mac),
        cover: Cover::All,
        unsigned: 0,
    }
}

impl Verifier {
    /// Verifies the next message and takes its signature off. Later messages of a response may
    /// go unsigned for a while: believe nothing of them until [`Verifier::is_complete`].
    ///
    /// # Errors
    /// Why the message is not believed. The message and what was verified before it stay as
    /// they were, so over UDP one may wait for another.
    pub fn verify(&mut self, message: &mut Vec<u8>, now: Wall) -> Result<(), VerifyError> {
        let found = Found::find(message).map_err(|_| VerifyError::Malformed)?;
        let Some(found) = found else {
            return self.take_unsigned(message);
        };
        if let Some(refused) = unsigned_refusal(&found) {
            return Err(VerifyError::Refused(refused));
        }
        let algorithm = self.key.algorithm();
        let is_ours = found.key == *self.key.name()
            && found
                .algorithm
                .wire()
                .eq_ignore_ascii_case(algorithm.wire());
        if !is_ours {
            return Err(VerifyError::OtherKey);
        }
        if found.mac.len() > algorithm.whole() || found.mac.len() < algorithm.sent() {
            return Err(VerifyError::BadSignature);
        }
        let context = self.context.clone();
        let expected = found.expected(message, context, &self.key, self.cover);
        if !is_beginning(&expected, found.mac) {
            return Err(VerifyError::BadSignature);
        }
        if let Some(refused) = error_of(found.variables.error) {
            return Err(VerifyError::RefusedSigned(refused));
        }
        if !found.variables.is_timely(now) {
            return Err(VerifyError::BadTime);
        }
        self.context = after(&self.key, found.mac);
        self.cover = Cover::Timers;
        self.unsigned = 0;
        let stripped = found.stripped(message);
        *message = stripped;
        Ok(())
    }

    fn take_unsigned(&mut self, message: &[u8]) -> Result<(), VerifyError> {
        if self.cover == Cover::All || self.unsigned >= UNSIGNED_IN_A_ROW {
            return Err(VerifyError::Unsigned);
        }
        self.context.update(message);
        self.unsigned += 1;
        Ok(())
    }

    /// Whether the last message was signed: the response may end here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.cover == Cover::Timers && self.unsigned == 0
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }
}

/// BADKEY and BADSIG come without a signature.
fn unsigned_refusal(found: &Found<'_>) -> Option<TsigError> {
    match error_of(found.variables.error) {
        Some(error @ (TsigError::BadKey | TsigError::BadSignature)) if found.mac.is_empty() => {
            Some(error)
        }
        _ => None,
    }
}

fn error_of(number: u16) -> Option<TsigError> {
    [
        TsigError::BadSignature,
        TsigError::BadKey,
        TsigError::BadTime,
        TsigError::BadTruncation,
    ]
    .into_iter()
    .find(|error| error.number() == number)
}
