//! One difference, and the records that it is made of.

use ring::digest as hash;

use crate::ids::Serial;
use crate::zone::rdata::{rtype, soa_numbers};
use crate::zone::{Tree, wire_len};

/// A digest of the static data of a zone, the SOA left out: the same for the same names, types,
/// TTLs and data.
pub type Digest = [u8; 32];

/// One record in wire format, nothing compressed, class IN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireRecord<'r> {
    /// The owner.
    pub owner: &'r [u8],
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The RDATA.
    pub rdata: &'r [u8],
}

impl WireRecord<'_> {
    /// The octets that it takes uncompressed.
    #[must_use]
    pub fn size(&self) -> usize {
        self.owner.len() + 10 + self.rdata.len()
    }
}

/// Records one after another.
#[derive(Clone, Debug)]
pub struct WireRecords<'r>(pub &'r [u8]);

impl<'r> Iterator for WireRecords<'r> {
    type Item = WireRecord<'r>;

    fn next(&mut self) -> Option<WireRecord<'r>> {
        let (owner, rest) = self.0.split_at_checked(wire_len(self.0)?)?;
        let ([t0, t1, _, _, ttl @ .., l0, l1], rest) = rest.split_first_chunk::<10>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        self.0 = rest;
        Some(WireRecord {
            owner,
            rtype: u16::from_be_bytes([*t0, *t1]),
            ttl: u32::from_be_bytes(*ttl),
            rdata,
        })
    }
}

/// Appends a record. RDATA has at most 65,535 octets: a tree holds no other.
pub fn write_record(record: WireRecord<'_>, into: &mut Vec<u8>) {
    let length = u16::try_from(record.rdata.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(record.owner);
    into.extend_from_slice(&record.rtype.to_be_bytes());
    into.extend_from_slice(&[0, 1]);
    into.extend_from_slice(&record.ttl.to_be_bytes());
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(record.rdata.get(..usize::from(length)).unwrap_or(&[]));
}

/// What one step of a zone took away and added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The serial before.
    pub from: Serial,
    /// The serial after.
    pub to: Serial,
    /// The SOA before, then every record that is gone.
    pub removed: Box<[u8]>,
    /// The SOA after, then every record that is new.
    pub added: Box<[u8]>,
}

impl Difference {
    /// The octets that its records take uncompressed.
    #[must_use]
    pub fn size(&self) -> usize {
        self.removed.len() + self.added.len()
    }

    /// The records taken away, without the SOA in front.
    #[must_use]
    pub fn removed(&self) -> WireRecords<'_> {
        behind_soa(&self.removed)
    }

    /// The records added, without the SOA in front.
    #[must_use]
    pub fn added(&self) -> WireRecords<'_> {
        behind_soa(&self.added)
    }

    /// As octets, for [`Difference::from_octets`].
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
        let lengths = [length(&self.removed), length(&self.added)].concat();
        [&lengths[..], &self.removed, &self.added].concat()
    }

    /// Reads what [`Difference::to_octets`] wrote; `None` if it is something else.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Difference> {
        let length = |four: [u8; 4]| usize::try_from(u32::from_be_bytes(four)).ok();
        let (first, rest) = octets.split_first_chunk::<4>()?;
        let (second, rest) = rest.split_first_chunk::<4>()?;
        let (removed, added) = rest.split_at_checked(length(*first)?)?;
        if added.len() != length(*second)? {
            return None;
        }
        let serial = |records: &[u8]| {
            let mut records = WireRecords(records);
            let soa = records.next().filter(|first| first.rtype == rtype::SOA)?;
            let numbers = soa_numbers(soa.rdata)?;
            while records.next().is_some() {}
            // Whole records to the end.
            records.0.is_empty().then_some(Serial(numbers.serial))
        };
        Some(Difference {
            from: serial(removed)?,
            to: serial(added)?,
            removed: removed.into(),
            added: added.into(),
        })
    }
}

fn behind_soa(records: &[u8]) -> WireRecords<'_> {
    let mut records = WireRecords(records);
    records.next();
    records
}

/// The digest of a tree's records without the SOA.
#[must_use]
pub fn digest(tree: &Tree) -> Digest {
    let mut context = hash::Context::new(&hash::SHA256);
    for node in tree.nodes() {
        for rrset in node.rrsets().filter(|rrset| rrset.rtype != rtype::SOA) {
            context.update(node.owner());
            context.update(&rrset.rtype.to_be_bytes());
            context.update(&rrset.ttl.to_be_bytes());
            let size: usize = rrset.records().map(|rdata| rdata.len() + 2).sum();
            context.update(&u64::try_from(size).unwrap_or(u64::MAX).to_be_bytes());
            for rdata in rrset.records() {
                let length = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
                context.update(&length.to_be_bytes());
                context.update(rdata);
            }
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
