//! One zone as it is served: static data with the overlay of this generation on top.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::Replication;
use crate::history::{Difference, FixedChanges, Layers, WireRecord, write_record};
use crate::ids::Serial;
use crate::zone::rdata::{rtype, soa_numbers};
use crate::zone::{Found, Key, Name, Node, Rrset, Tree, Zone};

/// A zone with the records of services, and with its serial.
#[derive(Debug)]
pub struct ServedZone {
    zone: Arc<Zone>,
    serial: Serial,
    /// How many labels the apex has.
    depth: usize,
    above: Option<usize>,
    overlay: Arc<Overlay>,
    sources: Arc<[Source]>,
    replication: Replication,
}

/// What is laid over a zone. Generations that lay the same over it share it.
#[derive(Debug)]
pub(super) struct Overlay {
    tree: Tree,
    /// Nodes, by index, at which negative answers live no longer than so many seconds.
    negative: Box<[(u32, u32)]>,
    /// Whether the SOA is all there is.
    is_plain: bool,
}

impl Overlay {
    /// The SOA alone if `is_plain`.
    pub(super) fn new(tree: Tree, mut negative: Vec<(u32, u32)>, is_plain: bool) -> Overlay {
        negative.sort_unstable();
        Overlay {
            tree,
            negative: negative.into(),
            is_plain,
        }
    }
}

/// A primary of a zone that is transferred, as far as its NOTIFY needs it (RFC 1996).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it comes from.
    pub address: IpAddr,
    /// The key that it is signed with, if it must be.
    pub key: Option<Name>,
}

/// Where a name lies in a zone.
#[derive(Clone, Copy, Debug)]
pub struct Place<'s> {
    /// Whether the name exists; else the rest speaks of its closest encloser.
    pub exact: bool,
    /// How many labels the encloser has.
    pub encloser: usize,
    /// The topmost cut or DNAME at or above the name.
    pub boundary: Option<Node<'s>>,
    fixed: Option<Node<'s>>,
    overlay: Option<Node<'s>>,
}

impl<'s> Place<'s> {
    /// Whether this is the apex.
    #[must_use]
    pub fn is_apex_of(&self, zone: &ServedZone) -> bool {
        self.exact && self.encloser == zone.depth
    }

    /// Whether `*` stands right below: the source of synthesis of RFC 4592 section 2.2.1, if this
    /// is a closest encloser.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        let of = |node: Option<Node<'s>>| node.is_some_and(|node| node.has_wildcard());
        of(self.fixed) || of(self.overlay)
    }

    /// The RRset of one type.
    #[must_use]
    pub fn rrset(&self, rtype: u16) -> Option<Rrset<'s>> {
        let of = |node: Option<Node<'s>>| node.and_then(|node| node.rrset(rtype));
        of(self.overlay).or_else(|| of(self.fixed))
    }

    /// Some RRset, if there is any: the answer to ANY (RFC 8482 section 4.1). One of this
    /// generation's before a static one, then the lowest type.
    #[must_use]
    pub fn any_rrset(&self) -> Option<Rrset<'s>> {
        let first = |node: Option<Node<'s>>| node.and_then(|node| node.rrsets().next());
        first(self.overlay).or_else(|| first(self.fixed))
    }
}

impl ServedZone {
    pub(super) fn new(zone: Arc<Zone>, serial: Serial, overlay: Arc<Overlay>) -> ServedZone {
        ServedZone {
            depth: zone.origin().labels().count(),
            zone,
            serial,
            above: None,
            overlay,
            sources: Arc::default(),
            replication: Replication::default(),
        }
    }

    /// The primaries of a zone that is transferred; none for a zone of our own.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(super) fn set_sources(&mut self, sources: Arc<[Source]>) {
        self.sources = sources;
    }

    /// What the zone's secondaries need.
    #[must_use]
    pub fn replication(&self) -> &Replication {
        &self.replication
    }

    pub(super) fn set_replication(&mut self, replication: Replication) {
        self.replication = replication;
    }

    /// Hands out every record but the SOA, occluded ones and glue included (RFC 5936 section 3),
    /// until `take` says no. What the overlay has at a name and type stands in place of what the
    /// static data has there.
    pub fn each_record(&self, take: &mut dyn FnMut(WireRecord<'_>) -> bool) {
        let tree = self.zone.tree();
        let mut hidden = HashSet::new();
        for node in self.overlay.tree.nodes() {
            if let Some(below) = tree.get(&Key::of_wire(node.owner())) {
                hidden.extend(node.rrsets().map(|rrset| (below.index(), rrset.rtype)));
            }
        }
        let fixed = tree.nodes().flat_map(|node| {
            let rrsets = node.rrsets().map(move |rrset| (node, rrset));
            rrsets.filter(|(node, rrset)| !hidden.contains(&(node.index(), rrset.rtype)))
        });
        let laid = self.overlay.tree.nodes();
        let laid = laid.flat_map(|node| node.rrsets().map(move |rrset| (node, rrset)));
        for (node, rrset) in fixed.chain(laid) {
            if rrset.rtype == rtype::SOA {
                continue;
            }
            for rdata in rrset.records() {
                let record = WireRecord {
                    owner: node.owner(),
                    rtype: rrset.rtype,
                    ttl: rrset.ttl,
                    rdata,
                };
                if !take(record) {
                    return;
                }
            }
        }
    }

    /// The overlay as octets, the SOA included, for a [`Layers`].
    #[must_use]
    pub fn overlay_octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for node in self.overlay.tree.nodes() {
            for rrset in node.rrsets() {
                for rdata in rrset.records() {
                    let record = WireRecord {
                        owner: node.owner(),
                        rtype: rrset.rtype,
                        ttl: rrset.ttl,
                        rdata,
                    };
                    write_record(record, &mut octets);
                }
            }
        }
        octets
    }

    /// What changed since `before`, a generation of the same zone.
    #[must_use]
    pub fn changes_since(&self, before: &ServedZone) -> Option<Difference> {
        let fixed = FixedChanges::between(before.zone.tree(), self.zone.tree());
        self.changes_with(&fixed, before)
    }

    /// The same, where it is known already how the static data differs.
    #[must_use]
    pub fn changes_with(&self, fixed: &FixedChanges, before: &ServedZone) -> Option<Difference> {
        let (old, new) = (before.overlay_octets(), self.overlay_octets());
        let after = Layers {
            fixed: self.zone.tree(),
            overlay: &new,
        };
        let before = Layers {
            fixed: before.zone.tree(),
            overlay: &old,
        };
        after.changes_with(fixed, before, self.origin())
    }

    /// The zone's static data.
    #[must_use]
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// The name of the apex.
    #[must_use]
    pub fn origin(&self) -> &Name {
        self.zone.origin()
    }

    /// The name of the apex in wire format.
    #[must_use]
    pub fn apex(&self) -> &[u8] {
        self.zone.origin().wire()
    }

    /// The serial of this generation.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The records of this generation beside the static ones, with the SOA.
    #[must_use]
    pub fn overlay(&self) -> &Tree {
        &self.overlay.tree
    }

    /// What lies over this zone, if it is the SOA alone and would be the same for these.
    pub(super) fn plain_overlay(&self, zone: &Arc<Zone>, serial: Serial) -> Option<Arc<Overlay>> {
        let same = self.overlay.is_plain && self.serial == serial && Arc::ptr_eq(&self.zone, zone);
        same.then(|| Arc::clone(&self.overlay))
    }

    /// The SOA with the serial of this generation.
    #[must_use]
    pub fn soa(&self) -> Option<Rrset<'_>> {
        self.overlay()
            .get(&self.origin().key())
            .and_then(|apex| apex.rrset(rtype::SOA))
    }

    /// Looks a name up in both trees.
    #[must_use]
    pub fn find<'s>(&'s self, key: &Key) -> Place<'s> {
        let fixed = self.zone.tree().find(key);
        let overlay = self.overlay.tree.find(key);
        let encloser = fixed.labels.max(overlay.labels);
        let at_encloser = |found: &Found<'s>| found.node.filter(|_| found.labels == encloser);
        Place {
            exact: fixed.exact || overlay.exact,
            encloser,
            // The overlay has no cuts, and nothing of it stands below one.
            boundary: fixed.node.and_then(|node| node.boundary()),
            fixed: at_encloser(&fixed),
            overlay: at_encloser(&overlay),
        }
    }

    /// Whether a boundary of this zone is a cut. One wins over a DNAME beside it: what stands
    /// there is the child's.
    #[must_use]
    pub fn is_cut(&self, boundary: &Node<'_>) -> bool {
        boundary.rrset(rtype::NS).is_some() && boundary.owner() != self.apex()
    }

    /// How long the absence of something at `place` may be kept, in seconds: the least of the
    /// SOA's TTL, its MINIMUM (RFC 2308 section 5), and the least TTL of what owns the name.
    #[must_use]
    pub fn negative_ttl(&self, place: &Place<'_>) -> u32 {
        let soa = self.soa();
        let minimum = soa
            .and_then(|soa| soa.records().next().and_then(soa_numbers))
            .map_or(0, |numbers| numbers.minimum);
        let of_zone = soa.map_or(0, |soa| soa.ttl.min(minimum));
        let of_owner = place
            .overlay
            .filter(|_| place.exact)
            .and_then(|node| {
                let negative = &self.overlay.negative;
                let at = negative.binary_search_by_key(&node.index(), |(index, _)| *index);
                at.ok().and_then(|at| negative.get(at))
            })
            .map_or(u32::MAX, |(_, ttl)| *ttl);
        of_zone.min(of_owner)
    }

    pub(super) fn key(&self) -> &[u8] {
        self.zone.key()
    }

    pub(super) fn above(&self) -> Option<usize> {
        self.above
    }

    pub(super) fn set_above(&mut self, above: Option<usize>) {
        self.above = above;
    }
}
