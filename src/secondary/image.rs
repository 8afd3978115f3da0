//! A version of a zone as octets for the disk, and back.
//!
//! ```text
//! "switchback zone 1\n", one line of JSON (the header), then for each record
//!   owner, type (16 bits), TTL (32), length (16), RDATA   as on the wire, names uncompressed
//! 0xff, number of records (64), FNV-1a of all octets before (64)
//! ```

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::ids::Serial;
use crate::time::Wall;
use crate::zone::rdata::is_well_formed;
use crate::zone::{Name, Received, RecordRef};

const MAGIC: &[u8] = b"switchback zone 1\n";
/// No label is so long: it ends the records.
const END: u8 = 0xff;

/// What stands in front of the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The zone.
    pub origin: String,
    /// The primary's serial.
    pub serial: Serial,
    /// When it was taken.
    pub taken: Wall,
    /// From where.
    pub from: String,
}

/// Why octets are no zone of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Not written by this program, or by a later release.
    #[error("it does not begin as this release writes it")]
    Foreign,
    /// Cut or changed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Another zone.
    #[error("it is of the zone '{0}'")]
    OtherZone(String),
}

/// Writes an image.
///
/// # Errors
/// What `out` says.
pub fn write<'r>(
    out: &mut impl Write,
    header: &Header,
    records: impl Iterator<Item = RecordRef<'r>>,
) -> io::Result<()> {
    let mut out = Summing {
        out,
        sum: Fnv::default(),
    };
    out.write_all(MAGIC)?;
    serde_json::to_writer(&mut out, header)?;
    out.write_all(b"\n")?;
    let mut count = 0_u64;
    for record in records {
        let length = u16::try_from(record.rdata.len()).map_err(io::Error::other)?;
        out.write_all(record.owner)?;
        out.write_all(&record.rtype.to_be_bytes())?;
        out.write_all(&record.ttl.to_be_bytes())?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(record.rdata)?;
        count += 1;
    }
    out.write_all(&[END])?;
    out.write_all(&count.to_be_bytes())?;
    let sum = out.sum.0;
    out.out.write_all(&sum.to_be_bytes())
}

/// Reads an image of the zone `origin`.
///
/// # Errors
/// It is none, or not whole.
pub fn read(octets: &[u8], origin: &Name) -> Result<(Header, Received), ImageError> {
    let cut = ImageError::Damaged("it ends too early");
    let rest = octets.strip_prefix(MAGIC).ok_or(ImageError::Foreign)?;
    let (body, sum) = octets.split_last_chunk::<8>().ok_or(cut.clone())?;
    let mut summed = Fnv::default();
    summed.add(body);
    if summed.0 != u64::from_be_bytes(*sum) {
        return Err(ImageError::Damaged("its sum is another"));
    }
    let end = rest
        .iter()
        .position(|octet| *octet == b'\n')
        .ok_or(cut.clone())?;
    let (header, rest) = rest.split_at(end);
    let header: Header = serde_json::from_slice(header)
        .map_err(|_| ImageError::Damaged("its header cannot be read"))?;
    if header.origin.parse().ok().as_ref() != Some(origin) {
        return Err(ImageError::OtherZone(header.origin));
    }
    let mut rest = rest.get(1..).ok_or(cut.clone())?;
    let mut records = Received::new(origin);
    while rest.first().ok_or(cut.clone())? != &END {
        let (record, after) = record(rest).ok_or(ImageError::Damaged("a record is none"))?;
        let added = records.add(record);
        added.map_err(|_| ImageError::Damaged("it is too large"))?;
        rest = after;
    }
    let count = rest
        .get(1..)
        .and_then(|rest| rest.first_chunk::<8>())
        .ok_or(cut)?;
    if usize::try_from(u64::from_be_bytes(*count)) != Ok(records.records().len()) {
        return Err(ImageError::Damaged("records are missing"));
    }
    Ok((header, records))
}

fn record(octets: &[u8]) -> Option<(RecordRef<'_>, &[u8])> {
    let owner = Name::wire_prefix(octets)?;
    let rest = octets.get(owner.len()..)?;
    let ([t0, t1, ttl @ .., l0, l1], rest) = rest.split_first_chunk::<8>()?;
    let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
    let rtype = u16::from_be_bytes([*t0, *t1]);
    let record = RecordRef {
        owner,
        rtype,
        ttl: u32::from_be_bytes(*ttl),
        rdata,
    };
    is_well_formed(rtype, rdata).then_some((record, rest))
}

/// FNV-1a, 64 bits: against a disk that lies, not against people.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

struct Summing<'o, W> {
    out: &'o mut W,
    sum: Fnv,
}

impl<W: Write> Write for Summing<'_, W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.out.write(octets)?;
        self.sum.add(octets.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> (Header, Received, Vec<u8>) {
        let header = Header {
            origin: "Z.".to_owned(),
            serial: Serial(7),
            taken: Wall(5),
            from: "192.0.2.1:53".to_owned(),
        };
        let mut records = Received::new(&"z.".parse().unwrap());
        for (owner, rdata) in [("z.", &b"\xff\n"[..]), ("A.z.", b"")] {
            let owner: Name = owner.parse().unwrap();
            let record = RecordRef {
                owner: owner.wire(),
                rtype: 65280,
                ttl: 60,
                rdata,
            };
            records.add(record).unwrap();
        }
        let mut octets = Vec::new();
        write(&mut octets, &header, records.records()).unwrap();
        (header, records, octets)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (header, records, octets) = image();
        assert_eq!(read(&octets, &"z.".parse().unwrap()), Ok((header, records)));
        let other = read(&octets, &"y.".parse().unwrap());
        assert_eq!(other, Err(ImageError::OtherZone("Z.".to_owned())));
    }

    #[test]
    fn a_cut_or_a_changed_octet_is_seen() {
        let (_, _, octets) = image();
        let origin = "z.".parse().unwrap();
        for at in 0..octets.len() {
            assert!(read(&octets[..at], &origin).is_err(), "cut at {at}");
            let mut changed = octets.clone();
            changed[at] ^= 1;
            assert!(read(&changed, &origin).is_err(), "changed at {at}");
        }
    }
}
