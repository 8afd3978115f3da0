//! The immutable table of names and their RRsets.

use std::hint::black_box;

use super::build::Builder;
use super::draft::{Draft, Mark};
use super::index::{self, Index, Seen};
use super::key::{Key, LabelStarts, SortKey};
use super::name::{Name, is_same, labels};
use super::rrset::Rrset;

/// One record before it is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner.
    pub owner: Name,
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The RDATA, names uncompressed.
    pub rdata: Vec<u8>,
}

/// Names and RRsets below one apex, in one buffer, in canonical order. A name takes 15 octets
/// beside itself, an RRset 10 beside its data, equal data of several RRsets lies there once;
/// finding a name takes 12 more, for its index.
///
/// A node is: its number, with [`WILDCARD`] if `*` stands right below it, and the place of its
/// boundary, four octets each; the length of its owner, the owner; the number of its RRsets in
/// two octets. Each RRset has its type in two,
/// its TTL in four, and the length of its packed records in four, or [`SHARED`] and the place
/// where an equal one has its length. Numbers are little-endian.
#[derive(Clone, Debug)]
pub struct Tree {
    octets: Box<[u8]>,
    /// Where the nodes begin, in canonical order.
    places: Box<[u32]>,
    index: Index,
}

/// A tree holds less than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the zone has more than 4 GiB of records, a zone is kept in memory, split it")]
pub struct TreeTooLarge;

/// No place.
pub(super) const NONE: u32 = u32::MAX;
/// In the place of a length: the data stands elsewhere.
pub(super) const SHARED: u32 = u32::MAX - 1;
/// In the number of a node: there is a `*` right below it. No tree has as many nodes.
pub(super) const WILDCARD: u32 = 1 << 31;
/// In octets, of nearly all processors.
const CACHE_LINE: usize = 64;
/// Where a node has the length of its owner.
const OWNER: usize = 8;

/// What a lookup found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t> {
    /// The name itself, or its closest encloser (RFC 4592 section 3.3.1). `None` if the name is
    /// not at or below the apex.
    pub node: Option<Node<'t>>,
    /// How many labels the name of the node has, without the root's.
    pub labels: usize,
    /// Whether it is the name itself.
    pub exact: bool,
}

/// A name that exists: it has records, or names below it have.
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    tree: &'t Tree,
    place: u32,
    owner: &'t [u8],
}

impl Tree {
    /// Builds the tree of `records`, all of them at or below `apex`. Duplicate records are to be
    /// removed before; an RRset takes the TTL of its first record.
    ///
    /// # Errors
    /// [`TreeTooLarge`].
    pub fn build(apex: &Name, records: &[Record]) -> Result<Tree, TreeTooLarge> {
        let mut draft = Draft::new(apex);
        for record in records {
            draft.add(
                record.owner.wire(),
                record.rtype,
                record.ttl,
                &record.rdata,
                Mark::default(),
            )?;
        }
        draft.sort();
        let mut builder = Builder::new(apex.wire(), records.len());
        let mut from = 0;
        while from < draft.rows().len() {
            let here = draft.group(from);
            from = here.end;
            builder.add(&draft, draft.rows().get(here).unwrap_or(&[]))?;
        }
        builder.finish(apex.wire())
    }

    /// A tree without any name, not even that of an apex.
    #[must_use]
    pub fn empty() -> Tree {
        Tree {
            octets: Box::default(),
            places: Box::default(),
            index: Index::build(std::iter::empty()),
        }
    }

    /// The tree of nodes that stand in `octets` at `places`.
    pub(super) fn new(octets: Box<[u8]>, places: Box<[u32]>) -> Tree {
        let mut tree = Tree {
            octets,
            places,
            ..Tree::empty()
        };
        let names = tree.places.iter().map(|place| {
            let owner = tree.node(*place).owner;
            (index::hash_in_lower_case(owner), *place)
        });
        tree.index = Index::build(names);
        tree
    }

    /// Looks a name up. One hash if it exists; else some more, as many as halving the number of
    /// its labels takes.
    #[must_use]
    pub fn find(&self, key: &Key) -> Found<'_> {
        if let Some(node) = self.get(key) {
            return Found {
                node: Some(node),
                labels: key.labels(),
                exact: true,
            };
        }
        let encloser = self.closest_encloser(key);
        Found {
            node: encloser.map(|(node, _)| node),
            labels: encloser.map_or(0, |(_, labels)| labels),
            exact: false,
        }
    }

    /// The closest encloser of a name that does not exist, and how many labels it has; `None` if the
    /// name is not at or below the apex.
    ///
    /// Every name between a node and the apex is a node. So of the ancestors of a name that does
    /// not exist the upper ones exist and the lower ones do not.
    #[must_use]
    pub fn closest_encloser(&self, key: &Key) -> Option<(Node<'_>, usize)> {
        let apex = self.apex()?;
        let mut exists = LabelStarts::of(apex.owner).count();
        if exists > key.labels() || !key.is_at_or_below(apex.owner) {
            return None;
        }
        let mut encloser = apex;
        let mut missing = key.labels();
        if missing == exists + 1 {
            return Some((apex, exists));
        }
        let starts = LabelStarts::of(key.wire());
        while missing > exists + 1 {
            let middle = exists + (missing - exists) / 2;
            let name = key.wire().get(starts.suffix(middle)..).unwrap_or(&[]);
            match self.seek(name, index::hash(name)) {
                Some(node) => (exists, encloser) = (middle, node),
                None => missing = middle,
            }
        }
        Some((encloser, exists))
    }

    /// The node with this key, if the name exists.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Node<'_>> {
        self.seek(key.wire(), key.hash())
    }

    /// Reads the slot of the index at which [`Tree::get`] begins to look for a name with this hash,
    /// so that it is near when it does.
    pub fn touch_slot(&self, hash: u64) {
        self.index.touch(hash);
    }

    /// Reads the node that [`Tree::get`] will look at first for a name with this hash.
    #[must_use]
    pub fn touch_node(&self, hash: u64) -> Option<Node<'_>> {
        let place = self.index.first(hash)?;
        // An owner and its first records lie in two cache lines as a rule.
        black_box(self.octets.get(place as usize + CACHE_LINE).copied());
        Some(self.node(place))
    }

    /// The node of the name `lower`, in wire format and lower case, which has this `hash`.
    fn seek(&self, lower: &[u8], hash: u64) -> Option<Node<'_>> {
        let read = |place| Some(self.node(place)).filter(|node| is_same(node.owner, lower));
        match self.index.get(hash, read) {
            Seen::At(node) => Some(node),
            Seen::Nowhere => None,
            Seen::Perhaps => self.search(lower),
        }
    }

    /// Looks a name up without the index: only where somebody chose names that collide.
    #[cold]
    fn search(&self, lower: &[u8]) -> Option<Node<'_>> {
        let key = SortKey::of_wire(lower);
        let by_name = |place: &u32| {
            let here = SortKey::of_wire(self.node(*place).owner);
            here.as_slice().cmp(key.as_slice())
        };
        let at = self.places.binary_search_by(by_name).ok()?;
        self.places.get(at).map(|place| self.node(*place))
    }

    /// The apex.
    #[must_use]
    pub fn apex(&self) -> Option<Node<'_>> {
        self.places.first().map(|place| self.node(*place))
    }

    /// All names, in canonical order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = Node<'_>> {
        self.places.iter().map(|place| self.node(*place))
    }

    /// The number of octets that the tree takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        self.octets.len() + size_of_val(&*self.places) + self.index.size()
    }

    fn node(&self, place: u32) -> Node<'_> {
        let start = place as usize + OWNER + 1;
        let length = self.octets.get(start - 1).copied().unwrap_or(0);
        let owner = self.octets.get(start..start + usize::from(length));
        Node {
            tree: self,
            place,
            owner: owner.unwrap_or(&[]),
        }
    }

    fn u16_at(&self, at: usize) -> u16 {
        let two = self
            .octets
            .get(at..at + 2)
            .and_then(|two| two.try_into().ok());
        two.map_or(0, u16::from_le_bytes)
    }

    fn u32_at(&self, at: usize) -> u32 {
        let four = self
            .octets
            .get(at..at + 4)
            .and_then(|four| four.try_into().ok());
        four.map_or(0, u32::from_le_bytes)
    }
}

impl<'t> Node<'t> {
    /// The name in wire format, in the spelling of the master file.
    #[must_use]
    pub fn owner(&self) -> &'t [u8] {
        self.owner
    }

    /// How many labels the name has, without the root's.
    #[must_use]
    pub fn labels(&self) -> usize {
        labels(self.owner).count()
    }

    /// The node's place in canonical order.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.tree.u32_at(self.place as usize) & !WILDCARD
    }

    /// Whether `*` stands right below the name: the source of synthesis of RFC 4592 section
    /// 2.2.1, if the name is a closest encloser.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.tree.u32_at(self.place as usize) & WILDCARD != 0
    }

    /// All RRsets, by type.
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset<'t>> + use<'t> {
        let tree = self.tree;
        let count_at = self.place as usize + OWNER + 1 + self.owner.len();
        let mut at = count_at + 2;
        (0..tree.u16_at(count_at)).map(move |_| {
            let (rtype, ttl) = (tree.u16_at(at), tree.u32_at(at + 2));
            let mut length = tree.u32_at(at + 6);
            let start = if length == SHARED {
                let there = tree.u32_at(at + 10) as usize;
                length = tree.u32_at(there);
                at += 14;
                there + 4
            } else {
                let start = at + 10;
                at = start + length as usize;
                start
            };
            let packed = tree.octets.get(start..start + length as usize);
            Rrset::from_packed(rtype, ttl, packed.unwrap_or(&[]))
        })
    }

    /// The RRset of one type.
    #[must_use]
    pub fn rrset(&self, rtype: u16) -> Option<Rrset<'t>> {
        self.rrsets().find(|rrset| rrset.rtype == rtype)
    }

    /// The topmost cut (NS below the apex) or DNAME at or above the name. What stands below one
    /// is not authoritative data (RFC 1034 section 4.2.1, RFC 6672 section 2.4).
    #[must_use]
    pub fn boundary(&self) -> Option<Node<'t>> {
        let boundary = self.tree.u32_at(self.place as usize + 4);
        (boundary != NONE).then(|| self.tree.node(boundary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::rdata::rtype;

    fn record(owner: &str, rtype: u16, rdata: &[u8]) -> Record {
        Record {
            owner: owner.parse().unwrap(),
            rtype,
            ttl: 60,
            rdata: rdata.to_vec(),
        }
    }

    fn encloser(tree: &Tree, name: &str) -> (String, bool) {
        let found = tree.find(&name.parse::<Name>().unwrap().key());
        let owner = found
            .node
            .map(|node| Name::from_wire(node.owner()).unwrap());
        (
            owner.map_or(String::new(), |owner| owner.to_string()),
            found.exact,
        )
    }

    #[test]
    fn every_name_finds_itself_or_its_closest_encloser() {
        let tree = Tree::build(
            &"z.".parse().unwrap(),
            &[
                record("_srv._tcp.z.", rtype::SRV, b"\0\0\0\0\0\x01\0"),
                record("b.a.z.", rtype::A, &[1, 2, 3, 4]),
                record("cut.z.", rtype::NS, b"\x02ns\x03cut\x01z\0"),
                record("ns.cut.z.", rtype::A, &[1, 2, 3, 4]),
            ],
        )
        .unwrap();
        for (name, expected, exact) in [
            ("z.", "z.", true),
            ("_tcp.Z.", "_tcp.z.", true),
            ("x._tcp.z.", "_tcp.z.", false),
            ("a.z.", "a.z.", true),
            ("b.a.z.", "b.a.z.", true),
            ("a.b.a.z.", "b.a.z.", false),
            ("bb.a.z.", "a.z.", false),
            ("a.a.z.", "a.z.", false),
            ("0.z.", "z.", false),
            ("zz.z.", "z.", false),
            ("x.ns.cut.z.", "ns.cut.z.", false),
            ("y.", "", false),
            ("zz.", "", false),
            (".", "", false),
        ] {
            assert_eq!(
                encloser(&tree, name),
                (expected.to_owned(), exact),
                "{name}"
            );
        }
        let glue = tree
            .get(&"ns.cut.z.".parse::<Name>().unwrap().key())
            .unwrap();
        assert_eq!(glue.boundary().unwrap().owner(), b"\x03cut\x01z\0");
        let plain = tree.get(&"b.a.z.".parse::<Name>().unwrap().key()).unwrap();
        assert!(plain.boundary().is_none());
    }

    #[test]
    fn names_that_the_index_leaves_out_are_found_by_halving() {
        let records: Vec<Record> = (0..200)
            .map(|at| record(&format!("x.n{at}.Z."), rtype::A, &[1, 2, 3, 4]))
            .collect();
        let tree = Tree::build(&"z.".parse().unwrap(), &records).unwrap();
        for node in tree.nodes() {
            let lower = node.owner().to_ascii_lowercase();
            assert_eq!(tree.search(&lower).unwrap().owner(), node.owner());
        }
        for nowhere in [&b"\x01y\x01z\0"[..], b"\0", b"\x02zz\0"] {
            assert!(tree.search(nowhere).is_none());
        }
    }
}
