//! The server's side: requests verified, responses signed (RFC 8945 sections 5.2 and 5.3).

use std::sync::Arc;

use super::key::{Key, Keys};
use super::record::{
    Cover, Found, Malformed, Variables, after, append, digest, is_beginning, seconds, six,
};
use super::{FUDGE, TsigError};
use crate::time::Wall;
use crate::zone::{Name, skip_name};

const HEADER: usize = 12;
/// RFC 2136 section 2.2.
const NOTAUTH: u8 = 9;
const FORMERR: u8 = 1;

/// What a message that was received is, as far as its signature goes.
#[derive(Debug)]
pub enum Request {
    /// It has no signature.
    Plain,
    /// Its signature is right.
    Signed(SignedRequest),
    /// It is to be answered with this and nothing else.
    Rejected(Rejection),
}

/// A request with a right signature.
#[derive(Debug)]
pub struct SignedRequest {
    /// The request without its signature.
    pub message: Vec<u8>,
    /// Who signs the response.
    pub signer: Signer,
}

/// Signs the messages of one response, one after another.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Arc<Key>,
    /// The signature before the next one: the request's, then the last message's.
    mac: Vec<u8>,
    cover: Cover,
}

impl Signer {
    /// The key that the request was signed with.
    #[must_use]
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// The octets that [`Signer::sign`] adds to a message at the most.
    #[must_use]
    pub fn room(&self) -> usize {
        self.key.room()
    }

    /// Signs the next message of the response. Every message of a response of several is
    /// signed.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: Wall) {
        let variables = Variables {
            time: seconds(now),
            fudge: FUDGE,
            error: 0,
            other: &[],
        };
        self.sign_with(message, &variables);
    }

    fn sign_with(&mut self, message: &mut Vec<u8>, variables: &Variables<'_>) {
        let key = &self.key;
        let context = after(key, &self.mac);
        let tag = digest(context, key, message, &[], variables, self.cover);
        let mac = tag.as_ref().get(..key.algorithm().sent());
        let mac = mac.unwrap_or(tag.as_ref());
        let (name, algorithm) = (key.name().wire(), key.algorithm().wire());
        append(message, name, algorithm, variables, mac);
        self.mac = mac.to_vec();
        self.cover = Cover::Timers;
    }
}

/// A request that is answered with an error and no more.
#[derive(Debug)]
pub struct Rejection(Why);

#[derive(Debug)]
enum Why {
    /// FORMERR, with no signature.
    Malformed,
    /// BADKEY or BADSIG: there is nothing to sign with (RFC 8945 section 5.3.2).
    Unsigned {
        error: TsigError,
        key: Name,
        algorithm: Name,
        time: u64,
        fudge: u16,
    },
    /// BADTIME or BADTRUNC: the sender has the key, so the response is signed.
    Signed {
        error: TsigError,
        time: u64,
        fudge: u16,
        signer: Signer,
    },
}

impl Rejection {
    /// The error, unless the message is malformed.
    #[must_use]
    pub fn error(&self) -> Option<TsigError> {
        match &self.0 {
            Why::Malformed => None,
            Why::Unsigned { error, .. } | Why::Signed { error, .. } => Some(*error),
        }
    }

    /// Fills `out` with the response to `request`, the message that was rejected. It is hardly
    /// larger than the request.
    pub fn write(self, request: &[u8], now: Wall, out: &mut Vec<u8>) {
        out.clear();
        let header = request.first_chunk::<HEADER>().copied().unwrap_or_default();
        let [id0, id1, asked, _, q0, q1, ..] = header;
        let rcode = match self.0 {
            Why::Malformed => FORMERR,
            Why::Unsigned { .. } | Why::Signed { .. } => NOTAUTH,
        };
        // QR, the opcode and RD as asked.
        out.extend_from_slice(&[id0, id1, 0x80 | (asked & 0x79), rcode]);
        out.extend_from_slice(&[0; 8]);
        // RFC 9619: there is one question, or none that could go back.
        let question = skip_name(request, HEADER).and_then(|end| request.get(HEADER..end + 4));
        if let (Some(question), [0, 1]) = (question, [q0, q1]) {
            out.extend_from_slice(question);
            if let Some(count) = out.get_mut(5) {
                *count = 1;
            }
        }
        match self.0 {
            Why::Malformed => {}
            Why::Unsigned {
                error,
                key,
                algorithm,
                time,
                fudge,
            } => {
                let variables = Variables {
                    time,
                    fudge,
                    error: error.number(),
                    other: &[],
                };
                append(out, key.wire(), algorithm.wire(), &variables, &[]);
            }
            Why::Signed {
                error,
                time,
                fudge,
                mut signer,
            } => {
                // RFC 8945 section 5.2.3: the server's time, so that the client may see by how
                // much its clock is wrong.
                let server = six(seconds(now));
                let variables = match error {
                    TsigError::BadTime => Variables {
                        time,
                        fudge,
                        error: error.number(),
                        other: &server,
                    },
                    TsigError::BadTruncation | TsigError::BadSignature | TsigError::BadKey => {
                        Variables {
                            time: seconds(now),
                            fudge: FUDGE,
                            error: error.number(),
                            other: &[],
                        }
                    }
                };
                signer.sign_with(out, &variables);
            }
        }
    }
}

/// Reads the signature of a message that was received: key, signature, time and truncation, in
/// the order of RFC 8945 section 5.2.
#[must_use]
pub fn read_request(message: &[u8], keys: &Keys, now: Wall) -> Request {
    let found = match Found::find(message) {
        Ok(None) => return Request::Plain,
        Ok(Some(found)) => found,
        Err(Malformed) => return Request::Rejected(Rejection(Why::Malformed)),
    };
    let unsigned = |error| {
        Request::Rejected(Rejection(Why::Unsigned {
            error,
            key: found.key.clone(),
            algorithm: found.algorithm.clone(),
            time: found.variables.time,
            fudge: found.variables.fudge,
        }))
    };
    let same_algorithm = |key: &&Arc<Key>| {
        let wire = key.algorithm().wire();
        found.algorithm.wire().eq_ignore_ascii_case(wire)
    };
    let Some(key) = keys.get(&found.key).filter(same_algorithm) else {
        return unsigned(TsigError::BadKey);
    };
    let algorithm = key.algorithm();
    if found.mac.len() > algorithm.whole() || found.mac.len() < algorithm.least() {
        return Request::Rejected(Rejection(Why::Malformed));
    }
    let expected = found.expected(message, key.context(), key, Cover::All);
    if !is_beginning(&expected, found.mac) {
        return unsigned(TsigError::BadSignature);
    }
    let signer = Signer {
        key: Arc::clone(key),
        mac: found.mac.to_vec(),
        cover: Cover::All,
    };
    let signed = |error, signer| {
        Request::Rejected(Rejection(Why::Signed {
            error,
            time: found.variables.time,
            fudge: found.variables.fudge,
            signer,
        }))
    };
    if !found.variables.is_timely(now) {
        return signed(TsigError::BadTime, signer);
    }
    if found.mac.len() < algorithm.sent() {
        return signed(TsigError::BadTruncation, signer);
    }
    Request::Signed(SignedRequest {
        message: found.stripped(message),
        signer,
    })
}
