//! An XMPP stream between servers, up to its features (RFC 6120 section 4).

use std::fmt::Write as _;
use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::scan::{Said, Scanner};
use super::spec::ProbeSpec;
use crate::health::Verdict;

/// So much is read in a look at most.
const LONGEST_ANSWER: usize = 64 * 1024;

/// So much may come on a held stream: an idle one has no reason to say more.
const LONGEST_IDLE: usize = 4096;

const STARTTLS: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// An open stream. It is closed by dropping it: a plain FIN without `</stream:stream>`, of
/// which no server tells its log.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    scanner: Scanner,
    /// Octets that may still come.
    left: usize,
    /// Read, but not yet looked at.
    rest: Vec<u8>,
}

/// Why nothing more is heard.
#[derive(Debug)]
pub(super) enum Cut {
    Closed,
    TooLong,
    NotXmpp(String),
}

impl From<Cut> for Verdict {
    fn from(cut: Cut) -> Verdict {
        match cut {
            Cut::Closed => Verdict::Closed,
            Cut::TooLong => Verdict::NotXmpp("no features within 64 KiB".to_owned()),
            Cut::NotXmpp(why) => Verdict::NotXmpp(why),
        }
    }
}

impl Stream {
    /// Opens a stream on `tcp` and reads its features. Returns whether they offer STARTTLS.
    pub(super) async fn open(
        mut tcp: TcpStream,
        spec: &ProbeSpec,
    ) -> Result<(Stream, bool), Verdict> {
        let header = header(spec.domain.as_deref(), spec.from.as_deref());
        if tcp.write_all(header.as_bytes()).await.is_err() {
            return Err(Verdict::Closed);
        }
        let mut stream = Stream {
            tcp,
            scanner: Scanner::new(),
            left: LONGEST_ANSWER,
            rest: Vec::new(),
        };
        loop {
            match stream.hear().await? {
                Said::Features { starttls } => return Ok((stream, starttls)),
                Said::Error(condition) if condition == "host-unknown" => {
                    return Err(Verdict::HostUnknown);
                }
                Said::Error(condition) => return Err(Verdict::StreamError(condition)),
                Said::End => return Err(Verdict::Closed),
                Said::Proceed | Said::Failure => {}
            }
        }
    }

    /// Asks for TLS (RFC 6120 section 5.4.2) and gives back the connection, ready for the
    /// handshake. From here on every failure is one of TLS: the server has spoken.
    pub(super) async fn starttls(mut self) -> Result<TcpStream, Verdict> {
        let failed = |why: &str| Verdict::TlsFailed(why.to_owned());
        if self.tcp.write_all(STARTTLS).await.is_err() {
            return Err(failed("the connection closed on <starttls/>"));
        }
        loop {
            match self.hear().await {
                Ok(Said::Proceed) if self.rest.is_empty() => return Ok(self.tcp),
                Ok(Said::Proceed) => return Err(failed("data follows <proceed/>")),
                Ok(Said::Features { .. }) => {}
                Ok(Said::Error(condition)) => {
                    return Err(Verdict::TlsFailed(format!(
                        "stream error {condition} upon <starttls/>"
                    )));
                }
                Ok(Said::Failure) => return Err(failed("<failure/> upon <starttls/>")),
                Ok(Said::End) | Err(Cut::Closed) => {
                    return Err(failed("the stream ended upon <starttls/>"));
                }
                Err(Cut::TooLong) => return Err(failed("no <proceed/> within 64 KiB")),
                Err(Cut::NotXmpp(why)) => return Err(Verdict::TlsFailed(why)),
            }
        }
    }

    /// From now on the stream is only watched.
    pub(super) fn idle(&mut self, timeout: std::time::Duration) -> io::Result<()> {
        self.scanner.idle();
        self.rest = Vec::new();
        self.left = LONGEST_IDLE;
        super::tcp::watch_over(&self.tcp, timeout)
    }

    /// The next thing said. Safe to drop at any time.
    pub(super) async fn hear(&mut self) -> Result<Said, Cut> {
        loop {
            if !self.rest.is_empty() {
                let (read, said) = self.scan_rest()?;
                self.rest.drain(..read);
                if let Some(said) = said {
                    return Ok(said);
                }
            }
            if self.left == 0 {
                return Err(Cut::TooLong);
            }
            self.tcp.readable().await.map_err(|_| Cut::Closed)?;
            // On the stack and not held across a wait: an idle stream costs no buffer.
            let mut buffer = [0u8; 2048];
            let most = buffer.len().min(self.left);
            let count = match self.tcp.try_read(&mut buffer[..most]) {
                Ok(0) => return Err(Cut::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return Err(Cut::Closed),
            };
            self.left -= count;
            let (read, said) = self
                .scanner
                .read(&buffer[..count])
                .map_err(|fault| Cut::NotXmpp(fault.0.into_owned()))?;
            self.rest.extend_from_slice(&buffer[read..count]);
            if let Some(said) = said {
                return Ok(said);
            }
        }
    }

    fn scan_rest(&mut self) -> Result<(usize, Option<Said>), Cut> {
        self.scanner
            .read(&self.rest)
            .map_err(|fault| Cut::NotXmpp(fault.0.into_owned()))
    }
}

/// The stream header of a server (RFC 6120 section 4.7, XEP-0220 for the dialback namespace,
/// without which old servers offer no features).
fn header(to: Option<&str>, from: Option<&str>) -> String {
    let mut header = String::with_capacity(320);
    header.push_str(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'",
    );
    for (name, value) in [("to", to), ("from", from)] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(header, " {name}='{}'", escape(value));
        }
    }
    header.push_str(" xml:lang='en' version='1.0'>");
    header
}

/// `text` for an attribute between either quotes (XML 1.0 section 2.4). Control characters,
/// which XML cannot carry, are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_domain_breaks_out_of_its_attribute() {
        let header = header(Some("a'><x y=\"&\u{7}"), None);
        assert!(header.contains(" to='a&apos;&gt;&lt;x y=&quot;&amp;' xml:lang"));
        assert!(!header.contains("from="));
    }
}
