//! What is settled before any name is looked up, and what goes back beside the answer.

use super::cookie::{Judged, Proof};
use super::edns::{ExtendedError, Opt};
use super::query::Query;
use super::resolve::{Answer, Rcode};
use super::{Asker, Standing, Transport};
use crate::snapshot::Settings;

/// The answer to a message that is no query that reads well.
pub(super) fn refusal<'s>(rcode: Rcode) -> Answer<'s> {
    let answer = Answer::empty(rcode);
    match rcode {
        Rcode::NotImplemented => answer.because(ExtendedError::NotSupported),
        Rcode::NoError
        | Rcode::FormatError
        | Rcode::ServerFailure
        | Rcode::NameError
        | Rcode::NotAuth
        | Rcode::Refused
        | Rcode::NameTooLong
        | Rcode::BadVersion
        | Rcode::BadCookie => answer,
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
pub(super) fn settled<'s>(
    settings: &Settings,
    query: &Query<'_>,
    cookie: Option<Judged>,
    transport: Transport,
) -> Option<Answer<'s>> {
    let is_udp = transport == Transport::Udp;
    if query.question.is_empty() {
        // It asks for a cookie alone (RFC 7873 section 5.4).
        let rcode = match cookie.map(|cookie| cookie.proof) {
            Some(Proof::FirstContact | Proof::Good) => Rcode::NoError,
            Some(Proof::Bad) => Rcode::BadCookie,
            None => Rcode::FormatError,
        };
        return Some(Answer::empty(rcode));
    }
    if !is_udp || !settings.cookies.as_ref().is_some_and(|it| it.required) {
        return None;
    }
    match cookie.map(|cookie| cookie.proof) {
        Some(Proof::Good) => None,
        Some(Proof::FirstContact | Proof::Bad) => Some(Answer::empty(Rcode::BadCookie)),
        None => Some(Answer {
            over_stream: true,
            ..Answer::empty(Rcode::NoError)
        }),
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
