//! Comparing two states of a zone.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::difference::{Difference, WireRecord, WireRecords, write_record};
use crate::ids::Serial;
use crate::zone::rdata::{rtype, soa_numbers};
use crate::zone::{Key, Name, Node, Rrset, SortKey, Tree};

/// One state of a zone: static data, and records laid over it, which replace static ones of the
/// same name and type.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'z> {
    /// The static data.
    pub fixed: &'z Tree,
    /// What lies over it, the SOA included, in wire format.
    pub overlay: &'z [u8],
}

/// How often each record is there after a change, less how often before: one more or one less.
#[derive(Clone, Debug, Default)]
pub(super) struct Delta(BTreeMap<Box<[u8]>, i32>);

impl Delta {
    pub(super) fn count(&mut self, record: WireRecord<'_>, by: i32) {
        let mut octets = Vec::with_capacity(record.size());
        write_record(record, &mut octets);
        *self.0.entry(octets.into()).or_default() += by;
    }

    /// The difference between the two SOA; `None` if one of them is none.
    pub(super) fn between(self, before: &[u8], after: &[u8]) -> Option<Difference> {
        let serial = |soa: &[u8]| {
            let soa = WireRecords(soa).next()?;
            soa_numbers(soa.rdata).map(|numbers| Serial(numbers.serial))
        };
        let (mut removed, mut added) = (before.to_vec(), after.to_vec());
        for (record, count) in &self.0 {
            match count.cmp(&0) {
                Ordering::Less => removed.extend_from_slice(record),
                Ordering::Equal => {}
                Ordering::Greater => added.extend_from_slice(record),
            }
        }
        Some(Difference {
            from: serial(before)?,
            to: serial(after)?,
            removed: removed.into(),
            added: added.into(),
        })
    }

    fn node(&mut self, node: Node<'_>, by: i32) {
        for rrset in node.rrsets() {
            self.rrset(node.owner(), rrset, by);
        }
    }

    fn rrset(&mut self, owner: &[u8], rrset: Rrset<'_>, by: i32) {
        for rdata in rrset.records() {
            let record = WireRecord {
                owner,
                rtype: rrset.rtype,
                ttl: rrset.ttl,
                rdata,
            };
            self.count(record, by);
        }
    }

    /// Counts what differs between two trees, in one walk of both.
    fn trees(&mut self, before: &Tree, after: &Tree) {
        if std::ptr::eq(before, after) {
            return;
        }
        let (mut old, mut new) = (before.nodes().peekable(), after.nodes().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => canonical_order(old.owner(), new.owner()),
            };
            let gone = old.next_if(|_| order != Ordering::Greater);
            let come = new.next_if(|_| order != Ordering::Less);
            match (gone, come) {
                (Some(old), Some(new)) if is_same(old, new) => {}
                (gone, come) => {
                    gone.into_iter().for_each(|node| self.node(node, -1));
                    come.into_iter().for_each(|node| self.node(node, 1));
                }
            }
        }
    }

    /// Counts the overlay of a state, and against it the static records that it hides.
    fn overlay(&mut self, layers: Layers<'_>, by: i32) {
        let mut hidden = None;
        for record in WireRecords(layers.overlay) {
            if record.rtype != rtype::SOA {
                self.count(record, by);
            }
            // The records of an RRset stand together.
            if hidden == Some((record.owner, record.rtype)) {
                continue;
            }
            hidden = Some((record.owner, record.rtype));
            let node = layers.fixed.get(&Key::of_wire(record.owner));
            if let Some((node, rrset)) =
                node.and_then(|node| Some((node, node.rrset(record.rtype)?)))
            {
                self.rrset(node.owner(), rrset, -by);
            }
        }
    }
}

fn canonical_order(a: &[u8], b: &[u8]) -> Ordering {
    // Most names of two loads of a zone are the same, octet for octet.
    if a == b {
        return Ordering::Equal;
    }
    SortKey::of_wire(a)
        .as_slice()
        .cmp(SortKey::of_wire(b).as_slice())
}

fn is_same(a: Node<'_>, b: Node<'_>) -> bool {
    a.owner() == b.owner() && a.rrsets().eq(b.rrsets())
}

/// What differs between two states of the static data: one walk of both, to be taken where time
/// does not press.
#[derive(Clone, Debug)]
pub struct FixedChanges(Delta);

impl FixedChanges {
    /// What differs.
    #[must_use]
    pub fn between(before: &Tree, after: &Tree) -> FixedChanges {
        let mut delta = Delta::default();
        delta.trees(before, after);
        FixedChanges(delta)
    }

    /// Whether nothing does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.0.values().all(|count| *count == 0)
    }
}

impl<'z> Layers<'z> {
    /// The SOA of this state, in wire format.
    fn soa(&self, apex: &Name) -> Option<Vec<u8>> {
        let mut records = WireRecords(self.overlay);
        let soa = records.find(|record| record.rtype == rtype::SOA)?;
        (Name::from_wire(soa.owner).ok()? == *apex).then(|| {
            let mut octets = Vec::with_capacity(soa.size());
            write_record(soa, &mut octets);
            octets
        })
    }

    /// What changed from `before` to this state of the zone `apex`. `None` if one of them has no
    /// SOA in its overlay.
    #[must_use]
    pub fn changes_since(&self, before: Layers<'z>, apex: &Name) -> Option<Difference> {
        let fixed = FixedChanges::between(before.fixed, self.fixed);
        self.changes_with(&fixed, before, apex)
    }

    /// The same, where it is known already how the static data differs.
    #[must_use]
    pub fn changes_with(
        &self,
        fixed: &FixedChanges,
        before: Layers<'z>,
        apex: &Name,
    ) -> Option<Difference> {
        let (old_soa, new_soa) = (before.soa(apex)?, self.soa(apex)?);
        let mut delta = fixed.0.clone();
        delta.overlay(before, -1);
        delta.overlay(*self, 1);
        delta.between(&old_soa, &new_soa)
    }
}
