//! The records of one owner and type, packed.

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
