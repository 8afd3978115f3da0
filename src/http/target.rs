//! Whom a request is for: an address that is checked when the configuration is read.

use std::fmt;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use thiserror::Error;

/// An absolute `http` or `https` address.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    tls: bool,
    host: String,
    port: u16,
    /// As it stands in the request line.
    path: String,
    /// As it stands in `Host`: with the port only if it was written.
    authority: String,
}

/// Why an address is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It does not parse.
    #[error("'{0}' is no address: {1}; write it as https://host/path")]
    Syntax(String, String),
    /// Another scheme, or none.
    #[error("'{0}' does not begin with http:// or https://, write it out")]
    Scheme(String),
    /// A name and a password stand in it.
    #[error(
        "an address with a name or a password in it would stand in the journal, send them in a header or sign the request"
    )]
    Credentials,
    /// A fragment stands in it.
    #[error("'{0}' has a fragment, which is never sent (RFC 9110 section 4.2.5), remove it")]
    Fragment(String),
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// It is no absolute http or https address, or one that would not be sent as it is written.
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        if text.contains('#') {
            return Err(TargetError::Fragment(text.to_owned()));
        }
        let syntax = |why: String| TargetError::Syntax(text.to_owned(), why);
        let uri: Uri = text
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| syntax(error.to_string()))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(TargetError::Scheme(text.to_owned())),
        };
        let authority = uri
            .authority()
            .ok_or_else(|| syntax("it has no host".to_owned()))?;
        if authority.as_str().contains('@') {
            return Err(TargetError::Credentials);
        }
        let host = authority.host();
        let has_port = authority.as_str().len() > host.len();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let port = match authority.port_u16() {
            Some(0) => return Err(syntax("port 0 cannot be connected to".to_owned())),
            Some(port) => port,
            None if has_port => return Err(syntax("a port is 1 to 65535".to_owned())),
            None => [80, 443][usize::from(tls)],
        };
        if host.is_empty() {
            return Err(syntax("it has no host".to_owned()));
        }
        Ok(Target {
            tls,
            host: host.to_owned(),
            port,
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            authority: authority.as_str().to_owned(),
        })
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether it stays on this machine, as far as its address says.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address: Option<std::net::IpAddr> = self.host.parse().ok();
        address.is_some_and(|address| address.is_loopback())
    }

    /// The host, without the brackets of an address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = ["http", "https"][usize::from(self.tls)];
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// The fields that the client itself writes.
const OURS: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

/// Checks one field of a request's header.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(format!(
            "'{name}' is no name of a header field (RFC 9110 section 5.1), correct it"
        ));
    }
    if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        return Err(format!(
            "'{name}' is written by the client itself, remove it"
        ));
    }
    if HeaderValue::from_str(value).is_err() {
        return Err(format!(
            "the value of '{name}' has an octet that no header field may have (RFC 9110 section 5.5), remove it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (bool, String, u16, String) {
        let target = Target::parse(text).unwrap();
        (
            target.is_tls(),
            target.host().to_owned(),
            target.port(),
            target.path().to_owned(),
        )
    }

    #[test]
    fn an_address_says_whom_to_connect_to_and_what_to_ask_for() {
        let of = |tls, host: &str, port, path: &str| (tls, host.to_owned(), port, path.to_owned());
        assert_eq!(parts("https://a.test"), of(true, "a.test", 443, "/"));
        assert_eq!(
            parts("http://a.test/x?y=1"),
            of(false, "a.test", 80, "/x?y=1")
        );
        assert_eq!(
            parts("http://[2001:db8::1]:8080/"),
            of(false, "2001:db8::1", 8080, "/")
        );
        assert_eq!(
            Target::parse("https://A.test:444/b").unwrap().to_string(),
            "https://A.test:444/b"
        );
    }

    #[test]
    fn what_would_not_be_sent_as_written_is_refused() {
        for text in [
            "a.test/x",
            "/x",
            "ftp://a.test/",
            "http://",
            "http://:80/",
            "http://a.test:0/",
            "http://a b/",
            "http://a.test/#x",
            "http://u:p@a.test/",
            "http://a.test:65536/",
            "",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_field_of_the_header_is_a_name_and_a_value_and_not_one_of_ours() {
        assert_eq!(check_header("Authorization", "Bearer x"), Ok(()));
        for (name, value) in [
            ("a b", "x"),
            ("x", "a\r\nb: c"),
            ("Host", "x"),
            ("Webhook-ID", "x"),
            ("", "x"),
        ] {
            assert!(check_header(name, value).is_err(), "{name}: {value}");
        }
    }
}
