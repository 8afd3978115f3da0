//! A zone: a tree with an apex.

use super::name::Name;
use super::rdata::{rtype, soa_numbers};
use super::rrset::Rrset;
use super::tree::{Tree, TreeTooLarge};
use crate::ids::Serial;

/// The static data of one zone, as its master file or its primary has it. Class IN. There is
/// exactly one SOA and at least one NS at the apex, unless the data is absent.
#[derive(Clone, Debug)]
pub struct Zone {
    origin: Name,
    key: Box<[u8]>,
    tree: Tree,
    absence: Option<Absence>,
}

/// Why a zone has no data to answer with: its questions are answered SERVFAIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absence {
    /// No primary has given it to us yet.
    NotYet,
    /// No primary has been reached for so long that it has expired (RFC 1035 section 3.3.13).
    Expired,
}

impl Zone {
    /// The zone of a tree that passed all checks.
    pub(super) fn new(origin: Name, tree: Tree) -> Zone {
        Zone {
            key: origin.sort_key().as_slice().into(),
            origin,
            tree,
            absence: None,
        }
    }

    /// The zone `origin`, which we are to serve and have no data of.
    ///
    /// # Errors
    /// None in practice: a tree of nothing is not too large.
    pub fn without_data(origin: &Name, absence: Absence) -> Result<Zone, TreeTooLarge> {
        Ok(Zone {
            origin: origin.clone(),
            key: origin.sort_key().as_slice().into(),
            tree: Tree::build(origin, &[])?,
            absence: Some(absence),
        })
    }

    /// Why there is no data, if there is none.
    #[must_use]
    pub fn absence(&self) -> Option<Absence> {
        self.absence
    }

    /// The name of the apex.
    #[must_use]
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The octets of the apex's key, in the form that sorts.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The zone's names and records.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The SOA as the master file has it.
    #[must_use]
    pub fn soa(&self) -> Option<Rrset<'_>> {
        self.tree.apex()?.rrset(rtype::SOA)
    }

    /// The serial that the master file has.
    #[must_use]
    pub fn file_serial(&self) -> Serial {
        self.soa()
            .and_then(|soa| soa.records().next().and_then(soa_numbers))
            .map_or(Serial(0), |numbers| Serial(numbers.serial))
    }
}
