//! One look: its phases, its one deadline, its verdict.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::spec::{Kind, ProbeSpec};
use super::tls::{Before, Trust, handshake};
use super::xmpp::Stream;
use super::{ProbeError, exec, tcp};
use crate::clock;
use crate::health::{Layer, Verdict};
use crate::programs::Hands;
use crate::time::{Mono, Wall};

/// One look, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What was seen.
    pub verdict: Verdict,
    /// How deep it was to go; with [`Verdict::Good`], how deep it went.
    pub depth: Layer,
    /// Its steps in order; the last of them gave the verdict.
    pub phases: Vec<Phase>,
    /// When the certificate that was shown ends; `None` if none was, or it cannot be read.
    pub certificate_ends: Option<Wall>,
}

/// One step of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// `connect`, `features`, `starttls`, `handshake`, `program`.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub note: Cow<'static, str>,
}

/// What is looked at, with everything that a look needs.
#[derive(Debug)]
pub(super) struct Target {
    /// The server's name without its final dot; the address where there is none.
    pub(super) server: String,
    pub(super) to: SocketAddr,
    pub(super) spec: Arc<ProbeSpec>,
    /// Loaded for the kinds that check certificates.
    pub(super) trust: Option<Arc<Trust>>,
    /// Begin the programs that look.
    pub(super) hands: Hands,
}

/// Takes one look at `to` as `spec` says (`to` wins over its port). With `full`, a probe of
/// kind `xmpp-tls` goes on to the certificate. Reads the root certificates for it.
///
/// # Errors
/// If the root certificates cannot be loaded.
pub async fn look(spec: &ProbeSpec, to: SocketAddr, full: bool) -> Result<Look, ProbeError> {
    let trust = match spec.kind {
        Kind::Tls | Kind::XmppTls => Some(Arc::new(
            Trust::load(&spec.roots).map_err(|error| ProbeError::Roots(vec![error]))?,
        )),
        Kind::Tcp | Kind::Xmpp | Kind::Exec => None,
    };
    let target = Target {
        server: to.ip().to_string(),
        to,
        spec: Arc::new(spec.clone()),
        trust,
        hands: Hands::default(),
    };
    Ok(take(&target, full).await.0)
}

/// Takes one look; a good one that ends at the features leaves its stream.
pub(super) async fn take(target: &Target, full: bool) -> (Look, Option<Stream>) {
    let begun = clock::mono();
    let mut steps = Steps {
        stage: Stage::Connect,
        since: begun,
        phases: Vec::with_capacity(4),
        certificate_ends: None,
    };
    let deadline = clock::instant(begun + target.spec.timeout);
    let seen = tokio::time::timeout_at(deadline, go(target, full, &mut steps)).await;
    let (verdict, stream) = match seen {
        Ok(Ok(stream)) => (Verdict::Good, stream),
        Ok(Err(verdict)) => (verdict, None),
        Err(_) => (steps.stage.overdue(target), None),
    };
    if verdict != Verdict::Good {
        steps.ended(verdict.to_string());
    }
    let depth = if target.spec.kind == Kind::XmppTls && !full {
        Layer::Speech
    } else {
        target.spec.kind.depth()
    };
    let look = Look {
        verdict,
        depth,
        phases: steps.phases,
        certificate_ends: steps.certificate_ends,
    };
    (look, stream)
}

/// How far a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connect,
    Features,
    Starttls,
    Handshake,
    Program,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Connect => "connect",
            Stage::Features => "features",
            Stage::Starttls => "starttls",
            Stage::Handshake => "handshake",
            Stage::Program => "program",
        }
    }

    /// What silence until the deadline means here. After the features it is one of TLS: the
    /// shallow looks between go on to say that the server speaks, and the two must not wear
    /// each other's counters down.
    fn overdue(self, target: &Target) -> Verdict {
        match self {
            Stage::Connect => Verdict::Filtered,
            Stage::Features => Verdict::Hung,
            Stage::Handshake if target.spec.kind == Kind::Tls => Verdict::Hung,
            Stage::Starttls | Stage::Handshake => {
                Verdict::TlsFailed("no answer until the deadline".to_owned())
            }
            Stage::Program => Verdict::ExecFailed(format!(
                "no end within {:?}; its process group was killed",
                target.spec.timeout
            )),
        }
    }
}

/// The record of a look under way; it outlives the deadline.
struct Steps {
    stage: Stage,
    since: Mono,
    phases: Vec<Phase>,
    certificate_ends: Option<Wall>,
}

impl Steps {
    fn ended(&mut self, note: impl Into<Cow<'static, str>>) {
        let now = clock::mono();
        self.phases.push(Phase {
            name: self.stage.name(),
            took: now.since(self.since),
            note: note.into(),
        });
        self.since = now;
    }

    fn next(&mut self, note: &'static str, stage: Stage) {
        self.ended(note);
        self.stage = stage;
    }
}

async fn go(target: &Target, full: bool, steps: &mut Steps) -> Result<Option<Stream>, Verdict> {
    let spec = &target.spec;
    if spec.kind == Kind::Exec {
        steps.stage = Stage::Program;
        return outcome(Box::pin(exec::run(target)).await, "exit code 0", steps);
    }
    let tcp = tcp::connect(target.to).await?;
    let before = match spec.kind {
        Kind::Tcp | Kind::Exec => {
            steps.ended("open");
            return Ok(None);
        }
        Kind::Tls => Before::Nothing,
        Kind::Xmpp | Kind::XmppTls => Before::Features,
    };
    let tcp = if before == Before::Features {
        steps.next("open", Stage::Features);
        let (stream, starttls) = Stream::open(tcp, spec).await?;
        let offer = if starttls {
            "features with STARTTLS"
        } else {
            "features without STARTTLS"
        };
        if spec.kind == Kind::Xmpp || !full {
            steps.ended(offer);
            return Ok(Some(stream));
        }
        steps.next(offer, Stage::Starttls);
        if !starttls {
            return Err(Verdict::NoStarttls);
        }
        let tcp = Box::pin(stream.starttls()).await?;
        steps.next("proceed", Stage::Handshake);
        tcp
    } else {
        steps.next("open", Stage::Handshake);
        tcp
    };
    let Some(trust) = &target.trust else {
        return Err(Verdict::NotMade(
            "no root certificates are loaded".to_owned(),
        ));
    };
    let name = spec.domain.as_deref().unwrap_or(&target.server);
    let (verdict, ends) = Box::pin(handshake(tcp, trust, name, before)).await;
    steps.certificate_ends = ends;
    outcome(verdict, "chain, name and time are good", steps)
}

fn outcome(
    verdict: Verdict,
    note: &'static str,
    steps: &mut Steps,
) -> Result<Option<Stream>, Verdict> {
    if verdict == Verdict::Good {
        steps.ended(note);
        Ok(None)
    } else {
        Err(verdict)
    }
}
