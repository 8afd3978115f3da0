//! Where the RRsets of a zone stand in its files.

use std::sync::Arc;

use super::draft::Mark;
use super::error::Position;
use super::name::Name;
use super::tree::{Node, Tree};

/// Where the first record of each RRset stands: 16 octets each. It is for messages while a
/// configuration is read, and goes when that is done.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    files: Vec<Arc<str>>,
    /// By node, then type.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    node: u32,
    mark: Mark,
    rtype: u16,
}

impl Positions {
    /// Nothing yet. A [`Mark`] names a file by its number in `files`.
    pub(super) fn new(files: Vec<Arc<str>>) -> Positions {
        Positions {
            files,
            places: Vec::new(),
        }
    }

    /// The beginning of the zone's file.
    pub(super) fn start(&self) -> Position {
        self.position(Mark {
            line: 1,
            column: 1,
            file: 0,
        })
    }

    /// Notes an RRset; they come in the order of the tree.
    pub(super) fn note(&mut self, node: u32, rtype: u16, mark: Mark) {
        self.places.push(Place { node, mark, rtype });
    }

    /// The place that a mark stands for.
    pub(super) fn position(&self, mark: Mark) -> Position {
        let file = self.files.get(usize::from(mark.file));
        Position {
            file: file.cloned().unwrap_or_else(|| "".into()),
            line: mark.line,
            column: u32::from(mark.column),
        }
    }

    /// Where the RRset of this type at a node of the zone's tree stands.
    pub(super) fn of_node(&self, node: &Node<'_>, rtype: u16) -> Option<Position> {
        let wanted = (node.index(), rtype);
        let at = self
            .places
            .binary_search_by_key(&wanted, |it| (it.node, it.rtype))
            .ok()?;
        self.places.get(at).map(|it| self.position(it.mark))
    }

    /// Where the RRset of this owner and type stands, in the zone with this tree.
    #[must_use]
    pub fn get(&self, tree: &Tree, owner: &Name, rtype: u16) -> Option<Position> {
        self.of_node(&tree.get(&owner.key())?, rtype)
    }
}
