//! Records that came over the network to a checked zone: the rules of [`super::check`] without a
//! file to point into.

use std::collections::HashSet;

use super::build::Builder;
use super::draft::{Draft, Mark, Row};
use super::message::fits;
use super::name::{Name, is_below};
use super::rdata::{canonical, rtype, type_name};
use super::tree::{Record, TreeTooLarge};
use super::zone::Zone;

/// So many faults are told; one is enough to refuse the zone.
const MAX_FAULTS: usize = 10;

/// One reason why records make no zone: `'owner TYPE': what, rule, remedy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{owner} {kind}': {message}")]
pub struct Fault {
    /// The owner of the record.
    pub owner: Name,
    /// Its type, as people write it.
    pub kind: String,
    /// What is wrong, which rule says so, and what to do.
    pub message: &'static str,
}

/// A record that lies somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'r> {
    /// The owner, in wire format.
    pub owner: &'r [u8],
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The RDATA, names uncompressed.
    pub rdata: &'r [u8],
}

impl<'r> From<&'r Record> for RecordRef<'r> {
    fn from(record: &'r Record) -> Self {
        RecordRef {
            owner: record.owner.wire(),
            rtype: record.rtype,
            ttl: record.ttl,
            rdata: &record.rdata,
        }
    }
}

/// The records of one zone as they come, in any order; 24 octets each beside their data.
#[derive(Clone, Debug)]
pub struct Received {
    draft: Draft,
}

impl Received {
    /// Nothing yet of the zone `origin`.
    #[must_use]
    pub fn new(origin: &Name) -> Received {
        Received {
            draft: Draft::new(origin),
        }
    }

    /// Adds a record; its RDATA is well formed.
    ///
    /// # Errors
    /// [`TreeTooLarge`].
    pub fn add(&mut self, record: RecordRef<'_>) -> Result<(), TreeTooLarge> {
        let RecordRef {
            owner,
            rtype,
            ttl,
            rdata,
        } = record;
        self.draft.add(owner, rtype, ttl, rdata, Mark::default())
    }

    /// The records, in the order in which they came.
    pub fn records(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        self.draft.rows().iter().map(|row| RecordRef {
            owner: self.draft.owner(row),
            rtype: row.rtype,
            ttl: row.ttl,
            rdata: self.draft.rdata(row),
        })
    }

    /// The zone of these records. A record that came twice is kept once (RFC 5936 section 2.2),
    /// and an RRset with several TTLs gets the least (RFC 2181 section 5.2).
    ///
    /// # Errors
    /// What makes it no zone, at most ten faults.
    pub fn into_zone(mut self) -> Result<Zone, Vec<Fault>> {
        self.draft.sort();
        let draft = &self.draft;
        let mut reader = Reader {
            draft,
            faults: Vec::new(),
            builder: Builder::new(draft.apex().wire(), draft.rows().len()),
            kept: Vec::new(),
        };
        let mut from = 0;
        while from < draft.rows().len() && reader.faults.len() < MAX_FAULTS {
            let here = draft.group(from);
            from = here.end;
            reader.owner(draft.rows().get(here).unwrap_or(&[]));
        }
        // The apex stands before all other names of the zone.
        for rtype in [rtype::SOA, rtype::NS] {
            let is_it = |row: &Row| row.rtype == rtype && is_apex(draft, row);
            if from == draft.rows().len() && !draft.rows().iter().any(is_it) {
                reader.faults.push(Fault {
                    owner: draft.apex().clone(),
                    kind: type_name(rtype),
                    message: "it is missing, a zone has an SOA and name servers at its apex (RFC \
                              1034 section 4.2.1), add it at the primary",
                });
            }
        }
        reader.finish()
    }
}

impl Eq for Received {}

impl PartialEq for Received {
    /// The same records in the same order.
    fn eq(&self, other: &Received) -> bool {
        self.records().eq(other.records())
    }
}

fn is_apex(draft: &Draft, row: &Row) -> bool {
    draft.owner(row).eq_ignore_ascii_case(draft.apex().wire())
}

struct Reader<'d> {
    draft: &'d Draft,
    faults: Vec<Fault>,
    builder: Builder,
    /// The records of one owner that are to be served.
    kept: Vec<Row>,
}

impl Reader<'_> {
    fn fault(&mut self, row: &Row, message: &'static str) {
        let owner = Name::from_wire(self.draft.owner(row));
        self.faults.push(Fault {
            owner: owner.unwrap_or_else(|_| self.draft.apex().clone()),
            kind: type_name(row.rtype),
            message,
        });
    }

    /// Checks the records of one owner, sorted by type, and adds them.
    fn owner(&mut self, rows: &[Row]) {
        let Some(first) = rows.first() else {
            return;
        };
        if !is_below(self.draft.owner(first), self.draft.apex().wire()) {
            let message = "it lies outside the zone, a zone holds names at or below its origin, \
                           remove it at the primary";
            return self.fault(first, message);
        }
        let may_stand = [rtype::CNAME, rtype::RRSIG, rtype::NSEC];
        let has_alias = rows.iter().any(|row| row.rtype == rtype::CNAME);
        let beside = rows.iter().find(|row| !may_stand.contains(&row.rtype));
        if let (true, Some(beside)) = (has_alias, beside) {
            let message = "it stands beside a CNAME, which stands alone (RFC 2181 section 10.1), \
                           remove one of them at the primary";
            self.fault(beside, message);
        }
        let too_long = |row: &&Row| !fits(self.draft.owner(row), self.draft.rdata(row));
        if let Some(row) = rows.iter().find(too_long) {
            let message = "its data is longer than a message leaves to one record beside its \
                           header, question, EDNS and signature (RFC 1035 section 4.2.2), split \
                           it over several records at the primary";
            self.fault(row, message);
        }
        self.kept.clear();
        for rrset in rows.chunk_by(|a, b| a.rtype == b.rtype) {
            self.rrset(rrset);
        }
        if self.faults.is_empty() && self.builder.add(self.draft, &self.kept).is_err() {
            self.fault(first, TOO_LARGE);
        }
    }

    /// Keeps the records of one owner and type, each once.
    fn rrset(&mut self, rows: &[Row]) {
        let Some((first, others)) = rows.split_first() else {
            return;
        };
        if first.rtype == rtype::SOA && !is_apex(self.draft, first) {
            let message = "an SOA stands at the apex only (RFC 1035 section 5.2), remove it at \
                           the primary";
            self.fault(first, message);
        }
        let start = self.kept.len();
        self.kept.push(*first);
        if !others.is_empty() {
            let draft = self.draft;
            let data = |row: &Row| canonical(row.rtype, draft.rdata(row));
            let mut seen = HashSet::from([data(first)]);
            self.kept
                .extend(others.iter().filter(|row| seen.insert(data(row))));
        }
        let is_single = [rtype::SOA, rtype::CNAME, rtype::DNAME].contains(&first.rtype);
        if is_single && self.kept.len() > start + 1 {
            let message = "a name has one of these at most (RFC 1035 section 5.2, RFC 2181 section \
                           10.1, RFC 6672 section 2.4), remove the others at the primary";
            self.fault(first, message);
        }
        // The RRSIGs of one owner cover several RRsets, each with its own TTL.
        let least = rows.iter().map(|row| row.ttl).min();
        if let Some(least) = least.filter(|_| first.rtype != rtype::RRSIG) {
            let kept = self.kept.iter_mut().skip(start);
            kept.for_each(|row| row.ttl = least);
        }
    }

    fn finish(self) -> Result<Zone, Vec<Fault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let origin = self.draft.apex();
        match self.builder.finish(origin.wire()) {
            Ok(tree) => Ok(Zone::new(origin.clone(), tree)),
            Err(TreeTooLarge) => Err(vec![Fault {
                owner: origin.clone(),
                kind: type_name(rtype::SOA),
                message: TOO_LARGE,
            }]),
        }
    }
}

const TOO_LARGE: &str =
    "the zone has more than 4 GiB of records, a zone is kept in memory, split it";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::message::MOST_OF_RECORD;

    fn record(owner: &str, rtype: u16, ttl: u32, rdata: &[u8]) -> Record {
        Record {
            owner: owner.parse().unwrap(),
            rtype,
            ttl,
            rdata: rdata.to_vec(),
        }
    }

    fn apex() -> Vec<Record> {
        let mut soa = b"\x02ns\x01z\0\x01h\0".to_vec();
        soa.extend_from_slice(&[0; 20]);
        vec![
            record("z.", rtype::SOA, 60, &soa),
            record("z.", rtype::NS, 60, b"\x02ns\x01z\0"),
        ]
    }

    fn zone(records: &[Record]) -> Result<Zone, Vec<Fault>> {
        let mut received = Received::new(&"z.".parse().unwrap());
        for record in records {
            received.add(record.into()).unwrap();
        }
        received.into_zone()
    }

    fn faults(more: Vec<Record>) -> Vec<String> {
        let mut records = more;
        records.extend(apex());
        match zone(&records) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_no_master_file_may_have_no_primary_may_send() {
        let a = [192, 0, 2, 1];
        let second_soa = [b"\x01x\0\x01h\0".to_vec(), vec![0; 20]].concat();
        for (what, more) in [
            ("outside", vec![record("y.", rtype::A, 60, &a)]),
            (
                "alone",
                vec![
                    record("x.z.", rtype::CNAME, 60, b"\0"),
                    record("X.z.", rtype::A, 60, &a),
                ],
            ),
            (
                "one of these",
                vec![
                    record("x.z.", rtype::CNAME, 60, b"\0"),
                    record("x.z.", rtype::CNAME, 60, b"\x01z\0"),
                ],
            ),
            (
                "one of these",
                vec![record("z.", rtype::SOA, 60, &second_soa)],
            ),
            (
                "apex only",
                vec![record("x.z.", rtype::SOA, 60, &second_soa)],
            ),
            (
                "one record",
                vec![record("x.z.", 65_280, 60, &[0; MOST_OF_RECORD - 4])],
            ),
        ] {
            let found = faults(more);
            assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
        }
        let longest = record("x.z.", 65_280, 60, &[0; MOST_OF_RECORD - 5]);
        assert_eq!(faults(vec![longest]), Vec::<String>::new());
        let none = zone(&[]).unwrap_err();
        assert_eq!(none.len(), 2);
    }

    #[test]
    fn a_record_that_comes_twice_is_kept_once_and_ttls_become_one() {
        let mut records = apex();
        for (ttl, last) in [(60, 1), (30, 2), (90, 1)] {
            records.push(record("a.z.", rtype::A, ttl, &[192, 0, 2, last]));
        }
        let zone = zone(&records).unwrap();
        let key = "a.z.".parse::<Name>().unwrap().key();
        let rrset = zone.tree().get(&key).unwrap().rrset(rtype::A).unwrap();
        assert_eq!((rrset.ttl, rrset.records().count()), (30, 2));
    }
}
