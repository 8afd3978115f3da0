//! What of a response two servers must agree on. All else is free by RFC 1034 section 4.3.2 and
//! RFC 2181 section 5.1: the order of records, name servers beside a positive answer, addresses
//! in the additional section that nobody needs.

use std::collections::BTreeSet;

use super::message::{A, AAAA, NS, Response, Rr};
use super::world::{World, name};

/// The part of a response that is not free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) rcode: u8,
    pub(crate) aa: bool,
    pub(crate) answer: BTreeSet<Rr>,
    /// SOA, or the name servers of a cut.
    pub(crate) authority: BTreeSet<Rr>,
    /// The addresses of the servers that lie at or below the cut (RFC 9471 section 3.1).
    pub(crate) glue: BTreeSet<Rr>,
}

impl View {
    pub(crate) fn of(response: &Response, world: &World) -> View {
        let apexes: BTreeSet<Vec<u8>> = world
            .zones
            .iter()
            .map(|zone| name(&zone.origin).to_lower().wire().to_vec())
            .collect();
        // Servers of a zone that we have are no referral.
        let authority: BTreeSet<Rr> = response
            .authority
            .iter()
            .filter(|record| record.rtype != NS || !apexes.contains(&record.owner))
            .cloned()
            .collect();
        let cuts = authority.iter().filter(|record| record.rtype == NS);
        let inside: BTreeSet<&[u8]> = cuts
            .filter(|record| is_at_or_below(&record.rdata, &record.owner))
            .map(|record| record.rdata.as_slice())
            .collect();
        let is_glue = |record: &&Rr| {
            [A, AAAA].contains(&record.rtype) && inside.contains(record.owner.as_slice())
        };
        View {
            rcode: response.rcode,
            aa: response.aa,
            answer: response.answer.iter().cloned().collect(),
            glue: response
                .additional
                .iter()
                .filter(is_glue)
                .cloned()
                .collect(),
            authority,
        }
    }
}

/// Whether one name in wire format is another or lies below it.
pub(crate) fn is_at_or_below(wire: &[u8], above: &[u8]) -> bool {
    let mut at = 0;
    while at < wire.len() {
        if wire[at..].eq_ignore_ascii_case(above) {
            return true;
        }
        at += 1 + usize::from(wire[at]);
    }
    false
}
