//! What is settled before any name is looked up, and what goes back beside the answer.

use super::cookie::{Judged, Proof};
use super::edns::{ExtendedError, Opt};
use super::query::Query;
use super::resolve::{Answer, Rcode};
use super::{Asker, Standing, Transport};
use crate::snapshot::Settings;

/// An answer without records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    rcode: Rcode,
    over_stream: bool,
    extended: Option<ExtendedError>,
}

impl Settled {
    fn with(rcode: Rcode) -> Settled {
        Settled {
            rcode,
            over_stream: false,
            extended: None,
        }
    }

    /// The way to a stream, where any records may be had.
    pub(super) fn over_stream() -> Settled {
        Settled {
            over_stream: true,
            ..Settled::with(Rcode::NoError)
        }
    }

    /// As the value that is written.
    pub(super) fn answer<'s>(self) -> Answer<'s> {
        Answer {
            over_stream: self.over_stream,
            extended: self.extended,
            ..Answer::empty(self.rcode)
        }
    }
}

/// The answer to a message that is no query that reads well.
pub(super) fn refusal(rcode: Rcode) -> Settled {
    Settled {
        extended: (rcode == Rcode::NotImplemented).then_some(ExtendedError::NotSupported),
        ..Settled::with(rcode)
    }
}

/// Judges the cookie of a query, if there is one and cookies are on.
pub(super) fn judge(settings: &Settings, query: &Query<'_>, asker: &Asker) -> Option<Judged> {
    let cookie = query.edns?.cookie?;
    let cookies = settings.cookies.as_ref()?;
    Some(cookie.judge(cookies, asker.client, asker.now))
}

/// What a cookie says of whoever shows it.
pub(super) fn standing(cookie: Option<Judged>) -> Standing {
    match cookie.map(|cookie| cookie.proof) {
        Some(Proof::Good) => Standing::Proven,
        Some(Proof::FirstContact | Proof::Bad) | None => Standing::Unknown,
    }
}

/// The answer to a query that needs no lookup.
///
/// A bad cookie alone is answered like none: whoever forges an address leaves the cookie out, so
/// BADCOOKIE would cost honest clients a round trip and nobody else anything. Where a good
/// cookie is required, both get no more over UDP than they sent: BADCOOKIE with a good one (RFC
/// 7873 section 5.2.3), or the way to a stream.
pub(super) fn settled(
    settings: &Settings,
    query: &Query<'_>,
    cookie: Option<Judged>,
    transport: Transport,
) -> Option<Settled> {
    let is_udp = transport == Transport::Udp;
    if query.question.is_empty() {
        // It asks for a cookie alone (RFC 7873 section 5.4).
        let rcode = match cookie.map(|cookie| cookie.proof) {
            Some(Proof::FirstContact | Proof::Good) => Rcode::NoError,
            Some(Proof::Bad) => Rcode::BadCookie,
            None => Rcode::FormatError,
        };
        return Some(Settled::with(rcode));
    }
    if !is_udp || !settings.cookies.as_ref().is_some_and(|it| it.required) {
        return None;
    }
    match cookie.map(|cookie| cookie.proof) {
        Some(Proof::Good) => None,
        Some(Proof::FirstContact | Proof::Bad) => Some(Settled::with(Rcode::BadCookie)),
        None => Some(Settled::over_stream()),
    }
}

/// The OPT of the response: there is one if the query has one (RFC 6891 section 6.1.1).
pub(super) fn opt<'s>(
    settings: &'s Settings,
    query: &Query<'_>,
    cookie: Option<Judged>,
    asker: &Asker,
) -> Option<Opt<'s>> {
    let edns = query.edns?;
    let id = settings.id.as_ref().filter(|_| edns.nsid);
    let idle = asker.idle.filter(|_| edns.keepalive);
    let tenths = |idle: std::time::Duration| u16::try_from(idle.as_millis() / 100);
    Some(Opt {
        udp_payload: settings.udp_payload,
        dnssec_ok: edns.dnssec_ok,
        nsid: id.map(|id| id.octets()),
        cookie: cookie.map(|cookie| cookie.reply),
        keepalive: idle.map(|idle| tenths(idle).unwrap_or(u16::MAX)),
        padding: edns.padding && asker.transport == Transport::Encrypted,
    })
}
