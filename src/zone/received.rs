//! Records that came over the network to a checked zone: the rules of [`super::check`] without a
//! file to point into.

use std::cmp::Ordering;

use super::name::Name;
use super::rdata::{canonical, rtype, type_name};
use super::tree::{Record, Tree};
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

impl Fault {
    fn of(record: &Record, message: &'static str) -> Fault {
        Fault {
            owner: record.owner.clone(),
            kind: type_name(record.rtype),
            message,
        }
    }
}

impl Zone {
    /// The zone `origin` of `records`, in any order, each with RDATA that is well formed. A record that comes twice is kept once (RFC 5936 section 2.2), and an RRset with
    /// several TTLs gets the least (RFC 2181 section 5.2).
    ///
    /// # Errors
    /// What makes it no zone, at most ten faults.
    pub fn from_records(origin: &Name, records: Vec<Record>) -> Result<Zone, Vec<Fault>> {
        let mut sorted: Vec<(Box<[u8]>, Record)> = records
            .into_iter()
            .map(|record| (record.owner.key().as_slice().into(), record))
            .collect();
        sorted.sort_by(|(a, one), (b, two)| a.cmp(b).then(one.rtype.cmp(&two.rtype)));
        let mut reader = Reader {
            origin,
            apex: origin.key().as_slice().into(),
            faults: Vec::new(),
            kept: Vec::with_capacity(sorted.len()),
        };
        let mut rest = sorted.into_iter().peekable();
        let (mut has_soa, mut has_ns) = (false, false);
        while let Some((key, first)) = rest.next() {
            let mut here = vec![first];
            while let Some((_, next)) = rest.next_if(|(next, _)| *next == key) {
                here.push(next);
            }
            if key == reader.apex {
                has_soa = here.iter().any(|record| record.rtype == rtype::SOA);
                has_ns = here.iter().any(|record| record.rtype == rtype::NS);
            }
            reader.owner(&key, here);
            if reader.faults.len() >= MAX_FAULTS {
                return Err(reader.faults);
            }
        }
        reader.apex_has(has_soa, rtype::SOA);
        reader.apex_has(has_ns, rtype::NS);
        reader.finish()
    }
}

struct Reader<'o> {
    origin: &'o Name,
    apex: Box<[u8]>,
    faults: Vec<Fault>,
    kept: Vec<Record>,
}

impl Reader<'_> {
    /// Checks the records of one owner, sorted by type, and keeps them.
    fn owner(&mut self, key: &[u8], here: Vec<Record>) {
        let Some(first) = here.first() else {
            return;
        };
        if !key.starts_with(&self.apex) {
            let message = "it lies outside the zone, a zone holds names at or below its origin, \
                           remove it at the primary";
            return self.faults.push(Fault::of(first, message));
        }
        let alone = [rtype::CNAME, rtype::RRSIG, rtype::NSEC];
        let has_alias = here.iter().any(|record| record.rtype == rtype::CNAME);
        let beside = here.iter().find(|record| !alone.contains(&record.rtype));
        if let (true, Some(beside)) = (has_alias, beside) {
            let message = "it stands beside a CNAME, which stands alone (RFC 2181 section 10.1), \
                           remove one of them at the primary";
            self.faults.push(Fault::of(beside, message));
        }
        let mut records = here.into_iter().peekable();
        while let Some(first) = records.next() {
            let mut rrset = vec![first];
            let rtype = rrset.first().map_or(0, |record| record.rtype);
            while let Some(next) = records.next_if(|next| next.rtype == rtype) {
                rrset.push(next);
            }
            self.rrset(key, rtype, rrset);
        }
    }

    fn rrset(&mut self, key: &[u8], rtype: u16, mut rrset: Vec<Record>) {
        rrset.sort_by(|a, b| by_data(rtype, a, b));
        rrset.dedup_by(|b, a| by_data(rtype, a, b) == Ordering::Equal);
        let single = match rtype {
            rtype::SOA if key != &*self.apex => Some(
                "an SOA stands at the apex only (RFC 1035 section 5.2), remove it at the primary",
            ),
            rtype::SOA | rtype::CNAME | rtype::DNAME if rrset.len() > 1 => Some(
                "a name has one of these at most (RFC 1035 section 5.2, RFC 2181 section 10.1, \
                 RFC 6672 section 2.4), remove the others at the primary",
            ),
            _ => None,
        };
        if let (Some(message), Some(first)) = (single, rrset.first()) {
            self.faults.push(Fault::of(first, message));
        }
        // The RRSIGs of one owner cover several RRsets, each with its own TTL.
        if rtype != rtype::RRSIG
            && let Some(least) = rrset.iter().map(|record| record.ttl).min()
        {
            rrset.iter_mut().for_each(|record| record.ttl = least);
        }
        self.kept.append(&mut rrset);
    }

    fn apex_has(&mut self, has: bool, rtype: u16) {
        if !has {
            self.faults.push(Fault {
                owner: self.origin.clone(),
                kind: type_name(rtype),
                message: "it is missing, a zone has an SOA and name servers at its apex (RFC 1034 \
                          section 4.2.1), add it at the primary",
            });
        }
    }

    fn finish(mut self) -> Result<Zone, Vec<Fault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let tree = Tree::build(self.origin, &self.kept).map_err(|_| {
            self.faults.push(Fault {
                owner: self.origin.clone(),
                kind: type_name(rtype::SOA),
                message: "the zone has more than 4 GiB of records, a zone is kept in memory, \
                          split it",
            });
            self.faults
        })?;
        Ok(Zone::new(self.origin.clone(), tree))
    }
}

fn by_data(rtype: u16, a: &Record, b: &Record) -> Ordering {
    canonical(rtype, &a.rdata).cmp(&canonical(rtype, &b.rdata))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn faults(more: Vec<Record>) -> Vec<String> {
        let mut records = more;
        records.extend(apex());
        match Zone::from_records(&"z.".parse().unwrap(), records) {
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
        ] {
            let found = faults(more);
            assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
        }
        let none = Zone::from_records(&"z.".parse().unwrap(), Vec::new()).unwrap_err();
        assert_eq!(none.len(), 2);
    }

    #[test]
    fn a_record_that_comes_twice_is_kept_once_and_ttls_become_one() {
        let mut records = apex();
        for (ttl, last) in [(60, 1), (30, 2), (90, 1)] {
            records.push(record("a.z.", rtype::A, ttl, &[192, 0, 2, last]));
        }
        let zone = Zone::from_records(&"z.".parse().unwrap(), records).unwrap();
        let key = "a.z.".parse::<Name>().unwrap().key();
        let rrset = zone.tree().get(&key).unwrap().rrset(rtype::A).unwrap();
        assert_eq!((rrset.ttl, rrset.records().count()), (30, 2));
    }
}
