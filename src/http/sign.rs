//! Signatures of requests, as Standard Webhooks has them: HMAC-SHA256 over the message's name,
//! the time and the body, so that neither can be changed and an old message not be sent again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use ring::hmac;
use thiserror::Error;

use crate::time::Wall;

/// A secret of fewer octets can be guessed (RFC 2104 section 3 discourages less than the hash has;
/// half of that is what Standard Webhooks' libraries take).
const SHORTEST: usize = 16;
/// A file that holds more is no secret.
const LONGEST: usize = 4096;
/// How a secret begins that is written in base64.
const PREFIX: &str = "whsec_";

/// A secret that two ends share.
pub struct Secret(hmac::Key);

/// Why there is no secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("secret '{}' cannot be read ({why}), correct the path or its owner", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It holds something else.
    #[error("'{}' holds no secret: {why}, write a line of {SHORTEST} octets at least, or whsec_ and its base64", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

impl Secret {
    /// Reads a secret: `whsec_` and base64, or else the octets of the line as they are.
    ///
    /// # Errors
    /// The file cannot be read, or holds no secret.
    pub fn read(file: &Path) -> Result<Secret, SecretError> {
        let unreadable = |error: std::io::Error| SecretError::Unreadable {
            file: file.to_owned(),
            why: error.to_string(),
        };
        let mut text = Vec::new();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX) + 1;
        File::open(file)
            .map_err(unreadable)?
            .take(limit)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        Secret::from_text(&text).map_err(|why| SecretError::Malformed {
            file: file.to_owned(),
            why,
        })
    }

    fn from_text(text: &[u8]) -> Result<Secret, &'static str> {
        if text.len() > LONGEST {
            return Err("it is longer than 4096 octets");
        }
        let text = text.trim_ascii();
        let octets = match text.strip_prefix(PREFIX.as_bytes()) {
            Some(encoded) => BASE64
                .decode(encoded)
                .map_err(|_| "what follows whsec_ is no base64")?,
            None => text.to_vec(),
        };
        if octets.len() < SHORTEST {
            return Err("it is too short");
        }
        Ok(Secret(hmac::Key::new(hmac::HMAC_SHA256, &octets)))
    }
}

/// The fields of the header that sign `body` as the message `id`, sent `at`.
#[must_use]
pub fn sign(secret: &Secret, id: &str, at: Wall, body: &[u8]) -> [(&'static str, String); 3] {
    let seconds = (at.0 / 1000).to_string();
    let mut context = hmac::Context::with_key(&secret.0);
    for piece in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        context.update(piece);
    }
    let signature = format!("v1,{}", BASE64.encode(context.sign().as_ref()));
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds),
        ("webhook-signature", signature),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let secret = Secret::from_text(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let fields = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Wall(1_614_265_330_000),
            body,
        );
        assert_eq!(fields[1].1, "1614265330");
        assert_eq!(
            fields[2].1,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_secret_is_told_apart() {
        for text in ["", "short", "whsec_not base64!", "whsec_c2hvcnQ="] {
            assert!(Secret::from_text(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Secret::from_text(&[b'x'; LONGEST + 1]).is_err());
        assert!(Secret::from_text(b"0123456789abcdef\n").is_ok());
    }
}
