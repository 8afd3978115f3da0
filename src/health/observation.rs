//! What one look at one endpoint saw.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Endpoint, ProbeIndex};
use crate::time::Mono;

/// One finished look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was looked at.
    pub endpoint: Endpoint,
    /// Which probe of its pool looked.
    pub probe: ProbeIndex,
    /// When the look began.
    pub begun: Mono,
    /// When its verdict was known.
    pub ended: Mono,
    /// What was seen.
    pub verdict: Verdict,
    /// How deep the look was to go: a good verdict clears no deeper layer.
    pub depth: Layer,
}

/// What a look saw, as an operator reads it. One word each in logs, status and JSON
/// ([`Verdict::word`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All that the look asked for was there, down to the observation's depth.
    Good,
    /// TCP was refused (RST): the path is open and nothing listens.
    Refused,
    /// No answer to the TCP connect within the deadline.
    Filtered,
    /// The network said that the host or the port cannot be reached (ICMP).
    Unreachable,
    /// This machine has no route to the address: it says nothing about the server.
    NoRoute,
    /// The look could not be made here (no descriptor, no memory, a program that cannot be
    /// started): it says nothing about the server. The text says what failed.
    NotMade(String),
    /// Connected, then the end of the stream or a reset before an answer.
    Closed,
    /// Connected, then silence until the deadline.
    Hung,
    /// Stream error `host-unknown` (RFC 6120 section 4.9.3.6).
    HostUnknown,
    /// Another stream error, by its condition (RFC 6120 section 4.9.3).
    StreamError(String),
    /// What came back is not XMPP, or is longer than 64 KiB.
    NotXmpp(String),
    /// The features offer no STARTTLS although the probe wants TLS.
    NoStarttls,
    /// The TLS handshake failed for another reason than the certificate.
    TlsFailed(String),
    /// The certificate's time is over, or has not begun.
    CertificateExpired,
    /// The certificate names none of the domain.
    CertificateName(String),
    /// The certificate's chain leads to no root that the probe trusts.
    CertificateUntrusted(String),
    /// The probe's program ended with another code than 0.
    ExecFailed(String),
}

/// How deep a look goes. Deeper layers come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Packets come back: `open` and `refused` are good, `filtered` and `unreachable` bad.
    Path,
    /// The port accepts a TCP connection.
    Port,
    /// The service speaks: stream features were seen, or the probe's program said yes.
    Speech,
    /// TLS with a certificate that partners accept.
    Tls,
}

impl Layer {
    /// All layers, the shallowest first.
    pub const ALL: [Layer; 4] = [Layer::Path, Layer::Port, Layer::Speech, Layer::Tls];
}

/// What an observation says of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// As it should be.
    Good,
    /// It works, but some partners will refuse it.
    Flawed,
    /// It does not work.
    Bad,
}

impl Verdict {
    /// The layer that this verdict is bad or flawed at, with the finding. `None` for
    /// [`Verdict::Good`], which is good down to the depth of the look, and for verdicts that
    /// say nothing about the server.
    #[must_use]
    pub fn fault(&self) -> Option<(Layer, Finding)> {
        match self {
            Verdict::Good | Verdict::NoRoute | Verdict::NotMade(_) => None,
            Verdict::Filtered | Verdict::Unreachable => Some((Layer::Path, Finding::Bad)),
            Verdict::Refused => Some((Layer::Port, Finding::Bad)),
            Verdict::Closed
            | Verdict::Hung
            | Verdict::HostUnknown
            | Verdict::StreamError(_)
            | Verdict::NotXmpp(_)
            | Verdict::ExecFailed(_) => Some((Layer::Speech, Finding::Bad)),
            Verdict::NoStarttls | Verdict::TlsFailed(_) => Some((Layer::Tls, Finding::Bad)),
            Verdict::CertificateExpired
            | Verdict::CertificateName(_)
            | Verdict::CertificateUntrusted(_) => Some((Layer::Tls, Finding::Flawed)),
        }
    }

    /// Whether the look says anything about the server at all.
    #[must_use]
    pub fn is_about_the_server(&self) -> bool {
        !matches!(self, Verdict::NoRoute | Verdict::NotMade(_))
    }

    /// Whether a failed uplink of our own would look the same: such a verdict waits for the
    /// reference targets.
    #[must_use]
    pub fn could_be_our_uplink(&self) -> bool {
        matches!(self, Verdict::Filtered | Verdict::Unreachable)
    }

    /// The one word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Refused => "refused",
            Verdict::Filtered => "filtered",
            Verdict::Unreachable => "unreachable",
            Verdict::NoRoute => "no-route",
            Verdict::NotMade(_) => "not-made",
            Verdict::Closed => "closed",
            Verdict::Hung => "hung",
            Verdict::HostUnknown => "host-unknown",
            Verdict::StreamError(_) => "stream-error",
            Verdict::NotXmpp(_) => "not-xmpp",
            Verdict::NoStarttls => "no-starttls",
            Verdict::TlsFailed(_) => "tls-failed",
            Verdict::CertificateExpired => "certificate-expired",
            Verdict::CertificateName(_) => "certificate-name",
            Verdict::CertificateUntrusted(_) => "certificate-untrusted",
            Verdict::ExecFailed(_) => "exec-failed",
        }
    }

    /// What the far end or the system said about it, if it said anything.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Verdict::NotMade(text)
            | Verdict::StreamError(text)
            | Verdict::NotXmpp(text)
            | Verdict::TlsFailed(text)
            | Verdict::CertificateName(text)
            | Verdict::CertificateUntrusted(text)
            | Verdict::ExecFailed(text) => Some(text),
            Verdict::Good
            | Verdict::Refused
            | Verdict::Filtered
            | Verdict::Unreachable
            | Verdict::NoRoute
            | Verdict::Closed
            | Verdict::Hung
            | Verdict::HostUnknown
            | Verdict::NoStarttls
            | Verdict::CertificateExpired => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            Some(detail) => write!(f, "{}: {detail}", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

impl Observation {
    /// What this look says of `layer`: good where it passed through, the fault where it failed,
    /// bad for what it was to look at behind that, and nothing past its depth. A server that
    /// dies may cut one look and refuse the next: both say that it does not speak. How far a
    /// program came that failed, nobody knows.
    #[must_use]
    pub fn finding(&self, layer: Layer) -> Option<Finding> {
        let by_program = matches!(self.verdict, Verdict::ExecFailed(_));
        if !self.verdict.is_about_the_server() || by_program && layer < Layer::Speech {
            return None;
        }
        match self.verdict.fault() {
            Some((at, finding)) if at == layer => Some(finding),
            Some((at, _)) if at < layer => (layer <= self.depth).then_some(Finding::Bad),
            _ => (layer <= self.depth).then_some(Finding::Good),
        }
    }

    /// How long the look took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.ended.since(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saw(verdict: Verdict, depth: Layer) -> [Option<Finding>; 4] {
        let look = Observation {
            endpoint: Endpoint {
                server: "edge1.test.".into(),
                address: [127, 0, 0, 1].into(),
            },
            probe: ProbeIndex(0),
            begun: Mono::default(),
            ended: Mono::default(),
            verdict,
            depth,
        };
        Layer::ALL.map(|layer| look.finding(layer))
    }

    #[test]
    fn a_look_speaks_of_the_layers_down_to_its_depth_and_of_no_other() {
        use Finding::{Bad, Flawed, Good};
        let (good, bad) = (Some(Good), Some(Bad));
        assert_eq!(saw(Verdict::Good, Layer::Port), [good, good, None, None]);
        assert_eq!(saw(Verdict::Good, Layer::Tls), [good; 4]);
        assert_eq!(saw(Verdict::Filtered, Layer::Tls), [bad; 4]);
        assert_eq!(saw(Verdict::Refused, Layer::Tls), [good, bad, bad, bad]);
        assert_eq!(saw(Verdict::Refused, Layer::Speech), [good, bad, bad, None]);
        assert_eq!(saw(Verdict::Hung, Layer::Speech), [good, good, bad, None]);
        let expired = saw(Verdict::CertificateExpired, Layer::Tls);
        assert_eq!(expired, [good, good, good, Some(Flawed)]);
        assert_eq!(saw(Verdict::NoRoute, Layer::Tls), [None; 4]);
        let no = Verdict::ExecFailed("exit code 1".to_owned());
        assert_eq!(saw(no, Layer::Speech), [None, None, bad, None]);
    }
}
