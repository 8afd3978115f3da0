//! The additional section: addresses of the hosts that the other sections name.

use super::resolve::{Answer, Entry, Owner};
use crate::snapshot::{Place, ServedZone, Snapshot};
use crate::zone::rdata::{host, rtype};
use crate::zone::{Key, Name, Node, Rrset};

/// The addresses of so many hosts are looked up for one response. No referral and no service
/// comes near it; it bounds what one packet can make us do.
const MAX_HOSTS: usize = 128;

/// Adds A and AAAA of the hosts of SRV, MX and NS in the answer section (RFC 2782, RFC 1035
/// section 3.3) as far as our zones have them. None of them is required.
pub(super) fn add_addresses<'s>(snapshot: &'s Snapshot, answer: &mut Answer<'s>) {
    let mut hosts = Hosts::default();
    for entry in &answer.answer {
        for rdata in Rrset::from_packed(entry.rtype, entry.ttl, &entry.packed).records() {
            if let Some(wire) = host(entry.rtype, rdata) {
                hosts.add(wire);
            }
        }
    }
    for (host, key) in hosts.list {
        let Some(zone) = snapshot.zone_of(&key) else {
            continue;
        };
        let place = zone.find(&key);
        // What stands at or below a cut is another's to say.
        if !place.exact || place.boundary.is_some() {
            continue;
        }
        for rtype in [rtype::A, rtype::AAAA] {
            if let Some(rrset) = place.rrset(rtype) {
                answer.additional.push(Entry {
                    required: false,
                    ..Entry::new(Owner::Met(host.clone()), rrset)
                });
            }
        }
    }
}

/// Adds the glue of a referral. That of servers below the cut is required: without it nobody
/// gets there (RFC 9471 section 2). That of siblings helps.
pub(super) fn add_glue<'s>(
    snapshot: &'s Snapshot,
    parent: &'s ServedZone,
    cut: Node<'s>,
    answer: &mut Answer<'s>,
) {
    let mut hosts = Hosts::default();
    for rdata in cut.rrset(rtype::NS).iter().flat_map(Rrset::records) {
        hosts.add(rdata);
    }
    let below = Key::of_wire(cut.owner());
    // Required ones first, so that the others cannot take their room.
    let (inside, outside): (Vec<_>, Vec<_>) = hosts
        .list
        .into_iter()
        .partition(|(_, key)| key.as_slice().starts_with(below.as_slice()));
    for (required, hosts) in [(true, inside), (false, outside)] {
        for (host, key) in hosts {
            let zone = if required {
                Some(parent)
            } else {
                snapshot.zone_of(&key)
            };
            let Some(zone) = zone else {
                continue;
            };
            let place = zone.find(&key);
            if !place.exact || !may_be_glue(zone, parent, &key, &place) {
                continue;
            }
            for rtype in [rtype::A, rtype::AAAA] {
                if let Some(rrset) = place.rrset(rtype) {
                    answer.additional.push(Entry {
                        required,
                        ..Entry::new(Owner::Met(host.clone()), rrset)
                    });
                }
            }
        }
    }
}

/// Whether the addresses at `place`, in `zone`, may stand in a referral of `parent`. What is
/// below a cut is glue of its own zone alone, and what is below a DNAME is nobody's.
fn may_be_glue(zone: &ServedZone, parent: &ServedZone, key: &Key, place: &Place<'_>) -> bool {
    place.boundary.is_none_or(|boundary| {
        if zone.is_cut(&boundary) {
            std::ptr::eq(zone, parent)
        } else {
            boundary.key_len() == key.as_slice().len()
        }
    })
}

/// Hosts in the order of their first mention, each once.
#[derive(Default)]
struct Hosts {
    list: Vec<(Name, Key)>,
}

impl Hosts {
    fn add(&mut self, wire: &[u8]) {
        let known = |(name, _): &(Name, Key)| name.wire().eq_ignore_ascii_case(wire);
        if self.list.len() < MAX_HOSTS
            && !self.list.iter().any(known)
            && let Ok(name) = Name::from_wire(wire)
        {
            let key = name.key();
            self.list.push((name, key));
        }
    }
}
