//! A zone: a tree with an apex.

use super::name::Name;
use super::rdata::{rtype, soa_numbers};
use super::rrset::Rrset;
use super::tree::Tree;
use crate::ids::Serial;

/// The static data of one zone, as its master file has it. Class IN. There is exactly one SOA
/// and at least one NS at the apex.
#[derive(Clone, Debug)]
pub struct Zone {
    origin: Name,
    tree: Tree,
}

impl Zone {
    /// The zone of a tree that passed all checks.
    pub(super) fn new(origin: Name, tree: Tree) -> Zone {
        Zone { origin, tree }
    }

    /// The name of the apex.
    #[must_use]
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The zone's names and records.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The SOA as the master file has it.
    #[must_use]
    pub fn soa(&self) -> Option<Rrset<'_>> {
        self.tree.get(&self.origin.key())?.rrset(rtype::SOA)
    }

    /// The serial that the master file has.
    #[must_use]
    pub fn file_serial(&self) -> Serial {
        self.soa()
            .and_then(|soa| soa.records().next().and_then(soa_numbers))
            .map_or(Serial(0), |numbers| Serial(numbers.serial))
    }
}
