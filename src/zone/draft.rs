//! The records of a zone in the order they came, before they are a tree.

use std::cmp::Ordering;
use std::ops::Range;

use super::key::SortKey;
use super::name::Name;
use super::tree::TreeTooLarge;

/// Where a record stands: its file's number, its line and column, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: u32,
    /// 65,535 for any beyond it.
    pub(super) column: u16,
    pub(super) file: u16,
}

/// One record of a [`Draft`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    owner: u32,
    rdata: u32,
    pub(super) ttl: u32,
    pub(super) mark: Mark,
    length: u16,
    pub(super) rtype: u16,
}

/// Records at or below one apex, in any order: 24 octets each beside their data, and their names
/// once for each run of the same owner.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    apex: Name,
    octets: Vec<u8>,
    rows: Vec<Row>,
}

impl Draft {
    pub(super) fn new(apex: &Name) -> Draft {
        Draft {
            apex: apex.clone(),
            octets: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(super) fn apex(&self) -> &Name {
        &self.apex
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The owner of a record, in wire format.
    pub(super) fn owner(&self, row: &Row) -> &[u8] {
        let start = row.owner as usize;
        let length = self
            .octets
            .get(start)
            .map_or(0, |length| usize::from(*length));
        let owner = self.octets.get(start + 1..start + 1 + length);
        owner.unwrap_or(&[0])
    }

    /// The data of a record.
    pub(super) fn rdata(&self, row: &Row) -> &[u8] {
        let start = row.rdata as usize;
        let data = self.octets.get(start..start + usize::from(row.length));
        data.unwrap_or(&[])
    }

    /// Adds a record. `owner` is a name in wire format.
    pub(super) fn add(
        &mut self,
        owner: &[u8],
        rtype: u16,
        ttl: u32,
        rdata: &[u8],
        mark: Mark,
    ) -> Result<(), TreeTooLarge> {
        let length = u16::try_from(rdata.len()).map_err(|_| TreeTooLarge)?;
        let last = self.rows.last().copied();
        let owner = match last.filter(|last| self.owner(last) == owner) {
            Some(last) => last.owner,
            None => {
                let length = u8::try_from(owner.len()).map_err(|_| TreeTooLarge)?;
                let start = self.push(&[length])?;
                self.octets.extend_from_slice(owner);
                start
            }
        };
        let rdata = self.push(rdata)?;
        self.rows.push(Row {
            owner,
            rdata,
            ttl,
            mark,
            length,
            rtype,
        });
        Ok(())
    }

    fn push(&mut self, octets: &[u8]) -> Result<u32, TreeTooLarge> {
        let start = u32::try_from(self.octets.len()).map_err(|_| TreeTooLarge)?;
        self.octets.extend_from_slice(octets);
        Ok(start)
    }

    /// The records by owner in canonical order, those of one owner by type, and else as they
    /// came.
    pub(super) fn sort(&mut self) {
        if !self.is_sorted() {
            self.sort_by_owner();
        }
        let mut rest = std::mem::take(&mut self.rows);
        let mut from = 0;
        while from < rest.len() {
            let here = self.run(&rest, from);
            from = here.end;
            if let Some(rows) = rest.get_mut(here) {
                rows.sort_by_key(|row| row.rtype);
            }
        }
        self.rows = rest;
    }

    /// The places in the sorted rows of the records that have the owner of the row at `from`.
    pub(super) fn group(&self, from: usize) -> Range<usize> {
        self.run(&self.rows, from)
    }

    fn run(&self, rows: &[Row], from: usize) -> Range<usize> {
        let Some(first) = rows.get(from) else {
            return from..from;
        };
        let owner = self.owner(first);
        let others = rows.iter().skip(from + 1);
        let same = others.take_while(|row| {
            row.owner == first.owner || self.owner(row).eq_ignore_ascii_case(owner)
        });
        from..from + 1 + same.count()
    }

    fn is_sorted(&self) -> bool {
        let mut last: Option<(u32, SortKey)> = None;
        for row in &self.rows {
            if last.as_ref().is_some_and(|(owner, _)| *owner == row.owner) {
                continue;
            }
            let key = SortKey::of_wire(self.owner(row));
            if last.is_some_and(|(_, last)| last.as_slice() > key.as_slice()) {
                return false;
            }
            last = Some((row.owner, key));
        }
        true
    }

    /// Most names differ in the first octets after the apex: those are laid beside the row, and
    /// the rest of the name is asked for only where they are equal.
    fn sort_by_owner(&mut self) {
        let apex = self.apex.sort_key().as_slice().len();
        let mut handles: Vec<Handle> = Vec::with_capacity(self.rows.len());
        for (at, row) in (0u32..).zip(&self.rows) {
            let mut first = [0; Handle::FIRST];
            let key = SortKey::of_wire(self.owner(row));
            let beyond = key.as_slice().get(apex..).unwrap_or(&[]);
            for (place, octet) in first.iter_mut().zip(beyond) {
                *place = *octet;
            }
            handles.push(Handle { first, at });
        }
        let row = |handle: &Handle| self.rows.get(handle.at as usize);
        handles.sort_unstable_by(|a, b| {
            let by_first = a.first.cmp(&b.first);
            let by_name = by_first.then_with(|| match (row(a), row(b)) {
                (Some(a), Some(b)) if a.owner != b.owner => {
                    let (a, b) = (
                        SortKey::of_wire(self.owner(a)),
                        SortKey::of_wire(self.owner(b)),
                    );
                    a.as_slice().cmp(b.as_slice())
                }
                _ => Ordering::Equal,
            });
            by_name.then(a.at.cmp(&b.at))
        });
        self.rows = handles
            .iter()
            .filter_map(|handle| row(handle).copied())
            .collect();
    }
}

/// A row under way to its place.
struct Handle {
    first: [u8; Handle::FIRST],
    at: u32,
}

impl Handle {
    const FIRST: usize = 16;
}
