//! One zone as it is served: static data, the owned names, and what stands at them in this
//! generation.

use std::net::IpAddr;
use std::sync::Arc;

use super::compiled::{Asked, Body};
use super::layout::{LaidZone, set_at, set_number};
use super::sets::LiveSet;
use super::{Replication, Snapshot};
use crate::history::{Difference, FixedChanges, Layers, WireRecord, write_record};
use crate::ids::Serial;
use crate::zone::rdata::{rtype, soa_with_serial};
use crate::zone::{Key, Name, Node, Rrset, Zone};

/// A zone of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct ServedZone<'s> {
    snapshot: &'s Snapshot,
    at: usize,
    laid: &'s LaidZone,
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
    snapshot: &'s Snapshot,
    fixed: Option<Node<'s>>,
    owned: Option<Node<'s>>,
}

impl<'s> Place<'s> {
    /// Whether this is the apex.
    #[must_use]
    pub fn is_apex_of(&self, zone: ServedZone<'_>) -> bool {
        self.exact && self.encloser == zone.laid.depth
    }

    /// Whether `*` stands right below: the source of synthesis of RFC 4592 section 2.2.1, if this
    /// is a closest encloser.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        let of = |node: Option<Node<'s>>| node.is_some_and(|node| node.has_wildcard());
        of(self.fixed) || of(self.owned)
    }

    /// The RRset of one type. An SOA has the serial of its file: see [`ServedZone::serial`].
    #[must_use]
    pub fn rrset(&self, rtype: u16) -> Option<Rrset<'s>> {
        let set = self.owned.and_then(|node| set_at(&node, rtype));
        match set {
            Some(number) => self.snapshot.sets.get(number)?.rrset(rtype),
            None => self.fixed.and_then(|node| node.rrset(rtype)),
        }
    }

    /// The compiled answer to a question for a type here, if there is one.
    #[must_use]
    pub fn body(&self, zone: ServedZone<'s>, rtype: u16) -> Option<Body<'s>> {
        let sets = &self.snapshot.compiled.sets;
        match self.owned.and_then(|node| set_at(&node, rtype)) {
            Some(number) => Body::unpack(sets.get(number)?.as_deref()?),
            None => zone.body(&self.fixed?, Asked::of(rtype)?),
        }
    }

    /// Whether something here is of this generation alone.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.owned.is_some()
    }

    /// Some RRset, if there is any: the answer to ANY (RFC 8482 section 4.1). One of this
    /// generation's before a static one, then the lowest type.
    #[must_use]
    pub fn any_rrset(&self) -> Option<Rrset<'s>> {
        let soa = self.fixed.and_then(|node| node.rrset(rtype::SOA));
        let live = soa.into_iter().chain(self.owned_rrsets());
        let first = |node: Node<'s>| node.rrsets().next();
        live.min_by_key(|rrset| rrset.rtype)
            .or_else(|| self.fixed.and_then(first))
    }

    fn owned_rrsets(&self) -> impl Iterator<Item = Rrset<'s>> + use<'s> {
        let snapshot = self.snapshot;
        let owned = self.owned.into_iter().flat_map(|node| node.rrsets());
        owned.filter_map(|rrset| live(snapshot, rrset)?.rrset(rrset.rtype))
    }

    /// The longest life of a negative answer that the owners of the name allow.
    fn negative_ttl(&self) -> Option<u32> {
        let owned = self.owned.filter(|_| self.exact)?;
        let sets = owned.rrsets().filter_map(|it| live(self.snapshot, it));
        sets.map(|set| set.negative_ttl).min()
    }
}

/// What stands in place of an owned RRset in this generation.
fn live<'s>(snapshot: &'s Snapshot, owned: Rrset<'_>) -> Option<&'s LiveSet> {
    let number = set_number(owned.records().next()?)?;
    snapshot.sets.get(number).map(|set| &**set)
}

impl<'s> ServedZone<'s> {
    pub(super) fn new(snapshot: &'s Snapshot, at: usize, laid: &'s LaidZone) -> ServedZone<'s> {
        ServedZone { snapshot, at, laid }
    }

    /// Whether both are the same zone of the same snapshot.
    #[must_use]
    pub fn is(self, other: ServedZone<'_>) -> bool {
        std::ptr::eq(self.laid, other.laid)
    }

    /// The place of the zone in [`Snapshot::zones`].
    #[must_use]
    pub fn number(self) -> usize {
        self.at
    }

    /// What is compiled of a static node.
    #[must_use]
    pub fn body(self, node: &Node<'_>, asked: Asked) -> Option<Body<'s>> {
        let fixed = &self.snapshot.compiled.fixed;
        fixed.node(self.at, node.index(), asked)
    }

    /// The compiled SOA of a negative answer, whose TTL is that of the record.
    #[must_use]
    pub fn negative_body(self) -> Option<Body<'s>> {
        self.snapshot.compiled.fixed.negative(self.at)
    }

    /// The primaries of a zone that is transferred; none for a zone of our own.
    #[must_use]
    pub fn sources(self) -> &'s [Source] {
        &self.laid.sources
    }

    /// What the zone's secondaries need.
    #[must_use]
    pub fn replication(self) -> &'s Replication {
        let replication = self.snapshot.replications.get(&self.at);
        replication.unwrap_or(&self.snapshot.layout.without_secondaries)
    }

    /// Hands out every record but the SOA, occluded ones and glue included (RFC 5936 section 3),
    /// until `take` says no.
    pub fn each_record(self, take: &mut dyn FnMut(WireRecord<'_>) -> bool) {
        for node in self.laid.zone.tree().nodes() {
            for rrset in node.rrsets().filter(|rrset| rrset.rtype != rtype::SOA) {
                if !each_of(node.owner(), rrset, take) {
                    return;
                }
            }
        }
        self.each_owned(take);
    }

    /// The same of the records of this generation alone.
    fn each_owned(self, take: &mut dyn FnMut(WireRecord<'_>) -> bool) {
        let owned = self.laid.owned.iter().flat_map(|owned| owned.nodes());
        for node in owned {
            for rrset in node.rrsets() {
                let live = live(self.snapshot, rrset).and_then(|set| set.rrset(rrset.rtype));
                if live.is_some_and(|rrset| !each_of(node.owner(), rrset, take)) {
                    return;
                }
            }
        }
    }

    /// The records of this generation as octets, the SOA first, for a [`Layers`].
    #[must_use]
    pub fn overlay_octets(self) -> Vec<u8> {
        let mut octets = Vec::new();
        if let Some((ttl, rdata)) = self.soa_record() {
            let soa = WireRecord {
                owner: self.apex(),
                rtype: rtype::SOA,
                ttl,
                rdata: &rdata,
            };
            write_record(soa, &mut octets);
        }
        self.each_owned(&mut |record| {
            write_record(record, &mut octets);
            true
        });
        octets
    }

    /// What changed since `before`, a generation of the same zone.
    #[must_use]
    pub fn changes_since(self, before: ServedZone<'_>) -> Option<Difference> {
        let fixed = FixedChanges::between(before.zone().tree(), self.zone().tree());
        self.changes_with(&fixed, before)
    }

    /// The same, where it is known already how the static data differs.
    #[must_use]
    pub fn changes_with(self, fixed: &FixedChanges, before: ServedZone<'_>) -> Option<Difference> {
        let (old, new) = (before.overlay_octets(), self.overlay_octets());
        let after = Layers {
            fixed: self.zone().tree(),
            overlay: &new,
        };
        let before = Layers {
            fixed: before.zone().tree(),
            overlay: &old,
        };
        after.changes_with(fixed, before, self.origin())
    }

    /// The zone's static data.
    #[must_use]
    pub fn zone(self) -> &'s Arc<Zone> {
        &self.laid.zone
    }

    /// The name of the apex.
    #[must_use]
    pub fn origin(self) -> &'s Name {
        self.laid.zone.origin()
    }

    /// The name of the apex in wire format.
    #[must_use]
    pub fn apex(self) -> &'s [u8] {
        self.origin().wire()
    }

    /// The serial of this generation.
    #[must_use]
    pub fn serial(self) -> Serial {
        let serial = self.snapshot.serials.get(self.at);
        serial
            .copied()
            .unwrap_or_else(|| self.laid.zone.file_serial())
    }

    /// The SOA with the serial of its file: see [`ServedZone::serial`].
    #[must_use]
    pub fn soa(self) -> Option<Rrset<'s>> {
        self.laid.zone.soa()
    }

    /// The TTL and the RDATA of the SOA with the serial of this generation.
    #[must_use]
    pub fn soa_record(self) -> Option<(u32, Vec<u8>)> {
        let soa = self.soa()?;
        let rdata = soa.records().next()?;
        Some((soa.ttl, soa_with_serial(rdata, self.serial().0)))
    }

    /// Looks a name up: in the static data and among the owned names.
    #[must_use]
    pub fn find(self, key: &Key) -> Place<'s> {
        let tree = self.laid.zone.tree();
        let owned = self.laid.owned.as_ref();
        let (fixed_here, owned_here) = (tree.get(key), owned.and_then(|owned| owned.get(key)));
        if fixed_here.is_some() || owned_here.is_some() {
            return Place {
                exact: true,
                encloser: key.labels(),
                // No owned name is a cut, and none stands below one.
                boundary: fixed_here.and_then(|node| node.boundary()),
                snapshot: self.snapshot,
                fixed: fixed_here,
                owned: owned_here,
            };
        }
        let fixed = tree.closest_encloser(key);
        let owned = owned.and_then(|owned| owned.closest_encloser(key));
        let labels = |found: &Option<(Node<'_>, usize)>| found.map_or(0, |(_, labels)| labels);
        let encloser = labels(&fixed).max(labels(&owned));
        let at_encloser = |found: Option<(Node<'s>, usize)>| {
            let node = found.filter(|(_, labels)| *labels == encloser);
            node.map(|(node, _)| node)
        };
        Place {
            exact: false,
            encloser,
            boundary: fixed.and_then(|(node, _)| node.boundary()),
            snapshot: self.snapshot,
            fixed: at_encloser(fixed),
            owned: at_encloser(owned),
        }
    }

    /// Whether the zone is larger than the caches of a processor.
    #[must_use]
    pub fn is_large(self) -> bool {
        self.laid.is_large()
    }

    /// Looks at what [`ServedZone::find`] reads first for a name with this hash.
    pub fn touch_slot(self, hash: u64) {
        self.laid.zone.tree().touch_slot(hash);
    }

    /// Looks at the static node that it reads then.
    #[must_use]
    pub fn touch_node(self, hash: u64) -> Option<Node<'s>> {
        self.laid.zone.tree().touch_node(hash)
    }

    /// Looks at what [`ServedZone::body`] reads first.
    pub fn touch_body_slot(self, node: &Node<'_>, asked: Asked) {
        let fixed = &self.snapshot.compiled.fixed;
        fixed.touch_slot(self.at, node.index(), asked);
    }

    /// Whether a boundary of this zone is a cut. One wins over a DNAME beside it: what stands
    /// there is the child's.
    #[must_use]
    pub fn is_cut(self, boundary: &Node<'_>) -> bool {
        boundary.rrset(rtype::NS).is_some() && boundary.owner() != self.apex()
    }

    /// How long the absence of something at `place` may be kept, in seconds: as long as the zone
    /// allows (RFC 2308 section 5), and what owns the name.
    #[must_use]
    pub fn negative_ttl(self, place: &Place<'_>) -> u32 {
        let of_zone = self.laid.negative_ttl;
        place.negative_ttl().map_or(of_zone, |ttl| ttl.min(of_zone))
    }

    pub(super) fn above(self) -> Option<usize> {
        self.laid.above
    }
}

/// Hands out the records of an RRset. False if `take` says no.
fn each_of(owner: &[u8], rrset: Rrset<'_>, take: &mut dyn FnMut(WireRecord<'_>) -> bool) -> bool {
    let (rtype, ttl) = (rrset.rtype, rrset.ttl);
    let record = |rdata| WireRecord {
        owner,
        rtype,
        ttl,
        rdata,
    };
    rrset.records().map(record).all(take)
}
