//! **Pure.** A service as its partners see it: what is expected and what was seen, to findings.
//!
//! | file | what |
//! | --- | --- |
//! | `expected` | what the daemon publishes, or what the configuration wants |
//! | `evidence` | what was asked outside, and what came back |
//! | `delegation` | the parent: its name servers and glue |
//! | `servers` | each name server: whether it answers with authority, and which serial it has |
//! | `answers` | what each of them says of the service's names |
//! | `targets` | the edges, and the certificates that they show |
//!
//! Invariants: a finding that is no pass says what to do; nothing that was not asked is found well.

mod answers;
mod delegation;
mod evidence;
mod expected;
mod servers;
mod targets;
#[cfg(test)]
mod tests;

pub use evidence::{
    AddressEvidence, Delegation, Evidence, NameserverEvidence, Parent, ParentEvidence,
    ResolverEvidence, TargetEvidence, TargetLook, ZoneEvidence,
};
pub use expected::{
    Expected, ExpectedLook, ExpectedPool, ExpectedServer, ExpectedSet, ExpectedZone, SetKind,
};

use std::fmt;

use serde::{Deserialize, Serialize};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Pass,
    /// It works, and somebody should look at it.
    Warn,
    /// Some partners are sent nowhere, to the wrong place, or will be at the next failover.
    Fail,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Pass => "PASS",
            Level::Warn => "WARN",
            Level::Fail => "FAIL",
        })
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The parent's NS records.
    Delegation,
    /// The parent's addresses of them.
    Glue,
    /// Whether a name server answers for the zone, with authority, over UDP and TCP.
    Server,
    /// Whether it has the newest serial.
    Serial,
    /// What it says of a name of the service.
    Answer,
    /// How long that may be kept.
    Ttl,
    /// What a resolver says.
    Resolver,
    /// An SRV target and its addresses.
    Target,
    /// Whether an edge is reached, and speaks.
    Edge,
    /// The certificate that an edge shows.
    Certificate,
}

impl Check {
    /// The one word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Check::Delegation => "delegation",
            Check::Glue => "glue",
            Check::Server => "server",
            Check::Serial => "serial",
            Check::Answer => "answer",
            Check::Ttl => "ttl",
            Check::Resolver => "resolver",
            Check::Target => "target",
            Check::Edge => "edge",
            Check::Certificate => "certificate",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How grave.
    pub level: Level,
    /// What was looked at.
    pub check: Check,
    /// Where: a zone, a server of a zone, an edge.
    pub at: String,
    /// What was seen, in a sentence.
    pub saw: String,
    /// What to do; `None` with [`Level::Pass`].
    pub remedy: Option<String>,
}

impl Finding {
    fn pass(check: Check, at: impl fmt::Display, saw: impl Into<String>) -> Finding {
        Finding {
            level: Level::Pass,
            check,
            at: at.to_string(),
            saw: saw.into(),
            remedy: None,
        }
    }

    fn warn(
        check: Check,
        at: impl fmt::Display,
        saw: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            level: Level::Warn,
            check,
            at: at.to_string(),
            saw: saw.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn fail(
        check: Check,
        at: impl fmt::Display,
        saw: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            level: Level::Fail,
            ..Finding::warn(check, at, saw, remedy)
        }
    }
}

/// Everything that was found, in the order in which a partner meets it: delegation, name servers,
/// answers, resolvers, edges.
#[must_use]
pub fn findings(expected: &Expected, evidence: &Evidence) -> Vec<Finding> {
    let mut found = Vec::new();
    for zone in &evidence.zones {
        delegation::judge(zone, &mut found);
        servers::judge(expected, zone, &mut found);
        answers::judge(expected, zone, &mut found);
    }
    answers::judge_resolvers(expected, &evidence.resolvers, &mut found);
    targets::judge(expected, evidence, &mut found);
    found
}

/// The gravest of them.
#[must_use]
pub fn worst(findings: &[Finding]) -> Level {
    let levels = findings.iter().map(|finding| finding.level);
    levels.max().unwrap_or(Level::Pass)
}
