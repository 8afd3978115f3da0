//! `switchback probe`.

use std::io::Write;
use std::time::Duration;

use super::args::Probe;
use super::output::{CommandError, Out};
use super::{Exit, wiring};
use crate::admin::text::tame;
use crate::health::{Layer, Verdict};

/// What one look saw.
pub(super) struct Seen {
    /// The verdict.
    pub(super) verdict: Verdict,
    /// How deep the look went.
    pub(super) depth: Layer,
    /// Its phases, as they came.
    pub(super) phases: Vec<Phase>,
}

/// One phase of a look.
pub(super) struct Phase {
    /// What was done.
    pub(super) name: &'static str,
    /// How long it took.
    pub(super) took: Duration,
    /// How it ended.
    pub(super) note: String,
}

pub(super) fn run(arguments: Probe, out: &mut Out) -> Result<Exit, CommandError> {
    let server = arguments.server;
    let runtime = wiring::runtime()?;
    let seen = runtime.block_on(wiring::look(arguments))?;
    let paint = out.paint();
    for Phase { name, took, note } in &seen.phases {
        let took_ms = took.as_secs_f64() * 1000.0;
        writeln!(out, "  {name:<9}  {took_ms:>8.1} ms  {}", tame(note))?;
    }
    let good = seen.verdict == Verdict::Good;
    let verdict = tame(&seen.verdict.to_string());
    let painted = if good {
        paint.good(&verdict)
    } else {
        paint.loud(&verdict)
    };
    writeln!(out, "{server}: {painted}")?;
    if let Some(meaning) = meaning(&seen.verdict) {
        writeln!(out, "  {meaning}")?;
    }
    if good && seen.depth < Layer::Tls {
        writeln!(
            out,
            "  certificates were not looked at: --kind xmpp-tls does"
        )?;
    }
    Ok(if good { Exit::Well } else { Exit::NotWell })
}

/// What the verdict means for an operator, where the word does not say it all.
fn meaning(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Good => None,
        Verdict::Refused => Some("the path is open, and nothing listens on this port"),
        Verdict::Filtered => {
            Some("no answer to the connection: a firewall drops it, or the host is dead")
        }
        Verdict::Unreachable => Some("the network reports no way to this address"),
        Verdict::NoRoute | Verdict::NotMade(_) => {
            Some("this machine could not look; it says nothing about the server")
        }
        Verdict::Closed => Some("it accepted the connection and ended it before an answer"),
        Verdict::Hung => Some("it accepts connections but says nothing: partners never leave it"),
        Verdict::HostUnknown => Some("it speaks XMPP, but not for this domain"),
        Verdict::StreamError(_) => Some("it speaks XMPP and refused this stream"),
        Verdict::NotXmpp(_) => Some("something else than an XMPP server listens here"),
        Verdict::NoStarttls => Some("it speaks XMPP but offers no TLS"),
        Verdict::TlsFailed(_) => Some("the TLS handshake failed before any certificate counted"),
        Verdict::CertificateExpired
        | Verdict::CertificateName(_)
        | Verdict::CertificateUntrusted(_) => {
            Some("it works, but partners that check certificates will refuse it")
        }
        Verdict::ExecFailed(_) => Some("the probe's program said no"),
    }
}
