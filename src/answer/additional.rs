//! The additional section: addresses of the hosts that the other sections name.

use std::borrow::Cow;

use super::resolve::{Answer, Entry, Owner};
use super::row::Row;
use crate::snapshot::{Place, ServedZone, Snapshot};
use crate::zone::rdata::{host, rtype};
use crate::zone::{Key, Node, Rrset, is_below};

/// The addresses of so many hosts are looked up for one response. No referral and no service
/// comes near it; it bounds what one packet can make us do.
const MAX_HOSTS: usize = 128;

/// Adds A and AAAA of the hosts of SRV, MX and NS in the answer section (RFC 2782, RFC 1035
/// section 3.3) as far as our zones have them. None of them is required.
pub(super) fn add_addresses<'s>(snapshot: &'s Snapshot, answer: &mut Answer<'s>) {
    let mut hosts = Hosts::default();
    for entry in answer.answer.iter() {
        // What was made for this response is an alias, which points at no host.
        if let Cow::Borrowed(packed) = entry.packed {
            for rdata in Rrset::from_packed(entry.rtype, entry.ttl, packed).records() {
                if let Some(wire) = host(entry.rtype, rdata) {
                    hosts.add(wire);
                }
            }
        }
    }
    for host in hosts.0.iter().copied() {
        let key = Key::of_wire(host);
        let Some(zone) = snapshot.zone_of(&key) else {
            continue;
        };
        let place = zone.find(&key);
        // What stands at or below a cut is another's to say.
        if place.exact && place.boundary.is_none() {
            add_host(host, &place, false, answer);
        }
    }
}

/// Adds the glue of a referral. That of servers below the cut is required: without it nobody
/// gets there (RFC 9471 section 2). That of siblings helps.
pub(super) fn add_glue<'s>(
    snapshot: &'s Snapshot,
    parent: ServedZone<'s>,
    cut: Node<'s>,
    answer: &mut Answer<'s>,
) {
    let mut hosts = Hosts::default();
    for rdata in cut.rrset(rtype::NS).iter().flat_map(Rrset::records) {
        hosts.add(rdata);
    }
    // Required ones first, so that the others cannot take their room.
    for required in [true, false] {
        let here = |host: &&&'s [u8]| is_below(host, cut.owner()) == required;
        for host in hosts.0.iter().filter(here).copied() {
            let key = Key::of_wire(host);
            let zone = if required {
                Some(parent)
            } else {
                snapshot.zone_of(&key)
            };
            let Some(zone) = zone else {
                continue;
            };
            let place = zone.find(&key);
            if place.exact && may_be_glue(zone, parent, host, &place) {
                add_host(host, &place, required, answer);
            }
        }
    }
}

fn add_host<'s>(host: &'s [u8], place: &Place<'s>, required: bool, answer: &mut Answer<'s>) {
    for rtype in [rtype::A, rtype::AAAA] {
        if let Some(rrset) = place.rrset(rtype) {
            answer.additional.push(Entry {
                required,
                ..Entry::new(Owner::Stored(host), rrset)
            });
        }
    }
}

/// Whether the addresses at `place`, in `zone`, may stand in a referral of `parent`. What is
/// below a cut is glue of its own zone alone, and what is below a DNAME is nobody's.
fn may_be_glue(
    zone: ServedZone<'_>,
    parent: ServedZone<'_>,
    host: &[u8],
    place: &Place<'_>,
) -> bool {
    place.boundary.is_none_or(|boundary| {
        if zone.is_cut(&boundary) {
            zone.is(parent)
        } else {
            boundary.owner().len() == host.len()
        }
    })
}

/// Hosts in the order of their first mention, each once.
#[derive(Default)]
struct Hosts<'s>(Row<&'s [u8], 8>);

impl<'s> Hosts<'s> {
    fn add(&mut self, host: &'s [u8]) {
        let known = |other: &&'s [u8]| other.eq_ignore_ascii_case(host);
        if self.0.len() < MAX_HOSTS && !self.0.iter().any(known) {
            self.0.push(host);
        }
    }
}
