//! Class CH: the few names by which servers are told apart (RFC 4892).

use std::borrow::Cow;

use super::edns::ExtendedError;
use super::query::Query;
use super::resolve::{Answer, Entry, Owner, Rcode};
use crate::snapshot::{Settings, ShortText};
use crate::zone::rdata::rtype;

/// The answer to a query of class CH: a text that is set, or REFUSED. No zone stands behind it,
/// so it is not authoritative.
pub(super) fn answer<'s>(settings: &'s Settings, query: &Query<'_>) -> Answer<'s> {
    let refused = |why| Answer::empty(Rcode::Refused).because(why);
    let Some(text) = text(settings, query.qname) else {
        return refused(ExtendedError::NotAuthoritative);
    };
    match (text, query.qtype) {
        (Some(text), rtype::TXT | rtype::ANY) => {
            let mut answer = Answer::empty(Rcode::NoError);
            answer.answer.push(Entry {
                owner: Owner::Question,
                rtype: rtype::TXT,
                // Whoever asks wants to know it of this server, now.
                ttl: 0,
                packed: Cow::Borrowed(text.packed()),
                serial: None,
                required: true,
            });
            answer
        }
        (Some(_), _) => refused(ExtendedError::NotSupported),
        (None, _) => refused(ExtendedError::Prohibited),
    }
}

/// What stands at a name: nothing, if there is no such name; or a text that may be unset.
fn text<'s>(settings: &'s Settings, qname: &[u8]) -> Option<Option<&'s ShortText>> {
    let is = |name: &[u8]| qname.eq_ignore_ascii_case(name);
    if is(b"\x07version\x04bind\0") || is(b"\x07version\x06server\0") {
        Some(settings.version.as_ref())
    } else if is(b"\x08hostname\x04bind\0") {
        Some(settings.hostname.as_ref())
    } else if is(b"\x02id\x06server\0") {
        Some(settings.id.as_ref())
    } else {
        None
    }
}
