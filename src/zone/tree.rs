//! A sorted, immutable table of names and their RRsets.

use std::collections::BTreeMap;

use super::name::{Key, Name, common_ancestor, parent_key};
use super::rdata::rtype;

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

/// Names and RRsets below one apex. All octets lie in one buffer; a node takes 32 octets beside
/// its name's and its records'.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Box<[NodeEntry]>,
    rrsets: Box<[RrsetEntry]>,
    octets: Box<[u8]>,
}

/// A tree holds less than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the zone has more than 4 GiB of records, a zone is kept in memory, split it")]
pub struct TreeTooLarge;

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    length: u32,
}

#[derive(Clone, Copy, Debug)]
struct NodeEntry {
    key: Span,
    owner: Span,
    rrsets: Span,
    /// The topmost cut or DNAME at or above the node; [`NONE`] for none.
    boundary: u32,
}

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct RrsetEntry {
    rtype: u16,
    ttl: u32,
    rdata: Span,
}

/// What a lookup found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t> {
    /// The name itself, or its closest encloser (RFC 4592 section 3.3.1). `None` if the name is
    /// not at or below the apex.
    pub node: Option<Node<'t>>,
    /// Whether it is the name itself.
    pub exact: bool,
}

/// A name that exists: it has records, or names below it have.
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    tree: &'t Tree,
    index: u32,
    entry: NodeEntry,
}

/// The records of one owner and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rrset<'t> {
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    packed: &'t [u8],
}

/// The RDATA of an RRset, one after another.
#[derive(Clone, Debug)]
pub struct Records<'t>(&'t [u8]);

impl<'t> Iterator for Records<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.0 = rest;
        Some(rdata)
    }
}

impl<'t> Rrset<'t> {
    /// An RRset over octets that hold its records one after another, each with its length in
    /// front (16 bits, big-endian).
    #[must_use]
    pub fn from_packed(rtype: u16, ttl: u32, packed: &'t [u8]) -> Rrset<'t> {
        Rrset { rtype, ttl, packed }
    }

    /// The octets that [`Rrset::from_packed`] takes.
    #[must_use]
    pub fn packed(&self) -> &'t [u8] {
        self.packed
    }

    /// The RDATA of each record, in the order of the master file.
    #[must_use]
    pub fn records(&self) -> Records<'t> {
        Records(self.packed)
    }
}

/// Appends one record's RDATA with its length in front; false if it is over 65,535 octets.
pub(crate) fn pack(rdata: &[u8], into: &mut Vec<u8>) -> bool {
    u16::try_from(rdata.len()).is_ok_and(|length| {
        into.extend_from_slice(&length.to_be_bytes());
        into.extend_from_slice(rdata);
        true
    })
}

impl Tree {
    /// Builds the tree of `records`, all of them at or below `apex`. Duplicate records are to be
    /// removed before; an RRset takes the TTL of its first record.
    ///
    /// # Errors
    /// [`TreeTooLarge`].
    pub fn build(apex: &Name, records: &[Record]) -> Result<Tree, TreeTooLarge> {
        let apex_key = apex.key();
        let mut names: BTreeMap<Box<[u8]>, (Name, Vec<&Record>)> = BTreeMap::new();
        names.insert(apex_key.as_slice().into(), (apex.clone(), Vec::new()));
        for record in records {
            let key = record.owner.key();
            if let Some((_, here)) = names.get_mut(key.as_slice()) {
                here.push(record);
                continue;
            }
            // The empty non-terminals between the owner and the apex.
            let mut above = record.owner.parent();
            while let Some(name) = above {
                let key = name.key();
                if !key.as_slice().starts_with(apex_key.as_slice())
                    || names.contains_key(key.as_slice())
                {
                    break;
                }
                above = name.parent();
                names.insert(key.as_slice().into(), (name, Vec::new()));
            }
            names.insert(key.as_slice().into(), (record.owner.clone(), vec![record]));
        }
        let mut builder = Builder::default();
        for (key, (owner, here)) in names {
            builder.add(&key, &owner, here)?;
        }
        Ok(Tree {
            nodes: builder.nodes.into(),
            rrsets: builder.rrsets.into(),
            octets: builder.octets.into(),
        })
    }

    /// Looks a name up: one binary search if it exists, two if not.
    #[must_use]
    pub fn find(&self, key: &Key) -> Found<'_> {
        self.find_key(key.as_slice())
    }

    fn find_key(&self, key: &[u8]) -> Found<'_> {
        let at = match self.search(key) {
            Ok(at) => {
                return Found {
                    node: self.node(at),
                    exact: true,
                };
            }
            Err(at) => at,
        };
        // The closest encloser stands before the name, and all that stands between the two is
        // below the closest encloser. So what the name shares with its predecessor *is* the
        // closest encloser, and as non-terminals are nodes it is there.
        let node = at
            .checked_sub(1)
            .and_then(|before| self.nodes.get(before))
            .map(|before| common_ancestor(key, self.slice(before.key)))
            .and_then(|shared| key.get(..shared))
            .and_then(|encloser| self.search(encloser).ok())
            .and_then(|at| self.node(at));
        Found { node, exact: false }
    }

    /// The node with this key, if the name exists.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Node<'_>> {
        self.search(key.as_slice())
            .ok()
            .and_then(|at| self.node(at))
    }

    /// All names, in canonical order.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.nodes.len()).filter_map(|at| self.node(at))
    }

    /// The number of octets that the tree takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.rrsets) + self.octets.len()
    }

    fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.nodes
            .binary_search_by(|node| self.slice(node.key).cmp(key))
    }

    fn node(&self, at: usize) -> Option<Node<'_>> {
        Some(Node {
            tree: self,
            index: u32::try_from(at).ok()?,
            entry: *self.nodes.get(at)?,
        })
    }

    fn slice(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        self.octets
            .get(start..start + span.length as usize)
            .unwrap_or(&[])
    }
}

/// A tree under construction; names come in canonical order.
#[derive(Default)]
struct Builder {
    nodes: Vec<NodeEntry>,
    rrsets: Vec<RrsetEntry>,
    octets: Vec<u8>,
    /// The nodes from the apex to the last one added.
    path: Vec<(Box<[u8]>, u32)>,
}

impl Builder {
    fn add(&mut self, key: &[u8], owner: &Name, records: Vec<&Record>) -> Result<(), TreeTooLarge> {
        let index = u32::try_from(self.nodes.len()).map_err(|_| TreeTooLarge)?;
        let parent = parent_key(key);
        while self.path.last().is_some_and(|(last, _)| **last != *parent) {
            self.path.pop();
        }
        let is_apex = self.nodes.is_empty();
        let inherited = self.path.last().map_or(NONE, |(_, boundary)| *boundary);
        let is_boundary = records
            .iter()
            .any(|record| record.rtype == rtype::DNAME || (record.rtype == rtype::NS && !is_apex));
        let boundary = match inherited {
            NONE if is_boundary => index,
            above => above,
        };
        self.path.push((key.into(), boundary));

        let first = self.rrsets.len();
        let mut by_type: BTreeMap<u16, Vec<&Record>> = BTreeMap::new();
        for record in records {
            by_type.entry(record.rtype).or_default().push(record);
        }
        for (rtype, records) in by_type {
            let mut packed = Vec::new();
            for record in &records {
                if !pack(&record.rdata, &mut packed) {
                    return Err(TreeTooLarge);
                }
            }
            let rdata = self.push(&packed)?;
            self.rrsets.push(RrsetEntry {
                rtype,
                ttl: records.first().map_or(0, |record| record.ttl),
                rdata,
            });
        }
        let rrsets = Span {
            start: u32::try_from(first).map_err(|_| TreeTooLarge)?,
            length: u32::try_from(self.rrsets.len() - first).map_err(|_| TreeTooLarge)?,
        };
        let (key, owner) = (self.push(key)?, self.push(owner.wire())?);
        self.nodes.push(NodeEntry {
            key,
            owner,
            rrsets,
            boundary,
        });
        Ok(())
    }

    fn push(&mut self, octets: &[u8]) -> Result<Span, TreeTooLarge> {
        let start = u32::try_from(self.octets.len()).map_err(|_| TreeTooLarge)?;
        self.octets.extend_from_slice(octets);
        u32::try_from(self.octets.len()).map_err(|_| TreeTooLarge)?;
        let length = u32::try_from(octets.len()).map_err(|_| TreeTooLarge)?;
        Ok(Span { start, length })
    }
}

impl<'t> Node<'t> {
    /// The name in wire format, in the spelling of the master file.
    #[must_use]
    pub fn owner(&self) -> &'t [u8] {
        self.tree.slice(self.entry.owner)
    }

    /// The number of octets of the name's key.
    #[must_use]
    pub fn key_len(&self) -> usize {
        self.entry.key.length as usize
    }

    /// The node's place in canonical order.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// All RRsets, by type.
    pub fn rrsets(&self) -> impl Iterator<Item = Rrset<'t>> + use<'t> {
        let tree = self.tree;
        self.entries().iter().map(move |entry| Rrset {
            rtype: entry.rtype,
            ttl: entry.ttl,
            packed: tree.slice(entry.rdata),
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
        self.tree.node(self.entry.boundary as usize)
    }

    fn entries(&self) -> &'t [RrsetEntry] {
        let start = self.entry.rrsets.start as usize;
        self.tree
            .rrsets
            .get(start..start + self.entry.rrsets.length as usize)
            .unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
