//! What to look at, and how: the shapes that `config` builds.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::health::Layer;
use crate::ids::{Endpoint, ProbeIndex};
use crate::runbook;

/// What kind of look a probe takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A TCP connect, and no word said.
    Tcp,
    /// An XMPP stream up to its features (RFC 6120 section 4.3.2).
    Xmpp,
    /// The same, and every `tls_interval` on through STARTTLS to the certificate.
    XmppTls,
    /// TLS from the first octet, at every look.
    Tls,
    /// A program; its exit code 0 means good.
    Exec,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] = [Kind::Tcp, Kind::Xmpp, Kind::XmppTls, Kind::Tls, Kind::Exec];

    /// The word for it in configurations and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Tcp => "tcp",
            Kind::Xmpp => "xmpp",
            Kind::XmppTls => "xmpp-tls",
            Kind::Tls => "tls",
            Kind::Exec => "exec",
        }
    }

    /// The deepest layer that a full look of this kind speaks of. `Tls` has no stream layer:
    /// by its depth [`Layer::Speech`] is good where the handshake is. A program's yes is taken
    /// as speech.
    #[must_use]
    pub fn depth(self) -> Layer {
        match self {
            Kind::Tcp => Layer::Port,
            Kind::Xmpp | Kind::Exec => Layer::Speech,
            Kind::XmppTls | Kind::Tls => Layer::Tls,
        }
    }

    /// The kind whose [`Kind::word`] is `word`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The certificates that a chain may end at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Roots {
    /// The system's.
    System,
    /// Those of a PEM file, and no others.
    File(PathBuf),
}

/// One probe of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// What kind of look.
    pub kind: Kind,
    /// The port; for [`Kind::Exec`] only told to the program.
    pub port: u16,
    /// `to` of the stream, SNI, and the name checked in the certificate; without a final dot.
    pub domain: Option<String>,
    /// `from` of the stream.
    pub from: Option<String>,
    /// From the beginning of a look to the beginning of the next. Above zero.
    pub interval: Duration,
    /// The same for looks of [`Kind::XmppTls`] that go on to the certificate.
    pub tls_interval: Duration,
    /// The one deadline of a whole look, from its beginning. Above zero.
    pub timeout: Duration,
    /// So many good looks in a row are recovery: after a fault so many go on to TLS at once.
    pub rise: u32,
    /// So many bad looks in a row are a verdict: confirming looks stop there. At least 1.
    pub fall: u32,
    /// Whether to keep one idle stream, which sees a crash at once (XMPP kinds only).
    pub hold: bool,
    /// Where certificates must lead (TLS kinds only).
    pub roots: Roots,
    /// The program ([`Kind::Exec`] only).
    pub command: Option<runbook::Command>,
}

/// One endpoint under one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// What is looked at.
    pub endpoint: Endpoint,
    /// Which of its pool's probes this is.
    pub probe: ProbeIndex,
    /// How.
    pub spec: Arc<ProbeSpec>,
}

impl Assignment {
    /// Where the look goes.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        SocketAddr::new(self.endpoint.address, self.spec.port)
    }
}
