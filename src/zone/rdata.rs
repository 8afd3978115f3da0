//! What the engine must know of RDATA: where names stand in it, and a few fields.

use super::name::wire_len;
pub use super::wire::is_well_formed;

/// Record types by number (IANA "Resource Record (RR) TYPEs").
pub mod rtype {
    #![allow(
        missing_docs,
        reason = "the constants are the mnemonics of the registry"
    )]
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const MD: u16 = 3;
    pub const MF: u16 = 4;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const MB: u16 = 7;
    pub const MG: u16 = 8;
    pub const MR: u16 = 9;
    pub const PTR: u16 = 12;
    pub const HINFO: u16 = 13;
    pub const MINFO: u16 = 14;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const RP: u16 = 17;
    pub const AFSDB: u16 = 18;
    pub const X25: u16 = 19;
    pub const ISDN: u16 = 20;
    pub const RT: u16 = 21;
    pub const NSAP: u16 = 22;
    pub const SIG: u16 = 24;
    pub const KEY: u16 = 25;
    pub const PX: u16 = 26;
    pub const GPOS: u16 = 27;
    pub const AAAA: u16 = 28;
    pub const LOC: u16 = 29;
    pub const SRV: u16 = 33;
    pub const NAPTR: u16 = 35;
    pub const KX: u16 = 36;
    pub const CERT: u16 = 37;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const APL: u16 = 42;
    pub const DS: u16 = 43;
    pub const SSHFP: u16 = 44;
    pub const IPSECKEY: u16 = 45;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const DNSKEY: u16 = 48;
    pub const DHCID: u16 = 49;
    pub const NSEC3: u16 = 50;
    pub const NSEC3PARAM: u16 = 51;
    pub const TLSA: u16 = 52;
    pub const SMIMEA: u16 = 53;
    pub const HIP: u16 = 55;
    pub const RKEY: u16 = 57;
    pub const CDS: u16 = 59;
    pub const CDNSKEY: u16 = 60;
    pub const OPENPGPKEY: u16 = 61;
    pub const CSYNC: u16 = 62;
    pub const ZONEMD: u16 = 63;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const DSYNC: u16 = 66;
    pub const SPF: u16 = 99;
    pub const NID: u16 = 104;
    pub const L32: u16 = 105;
    pub const L64: u16 = 106;
    pub const LP: u16 = 107;
    pub const EUI48: u16 = 108;
    pub const EUI64: u16 = 109;
    pub const TKEY: u16 = 249;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const MAILB: u16 = 253;
    pub const MAILA: u16 = 254;
    pub const ANY: u16 = 255;
    pub const URI: u16 = 256;
    pub const CAA: u16 = 257;
    pub const AVC: u16 = 258;
    pub const AMTRELAY: u16 = 260;
    pub const RESINFO: u16 = 261;
    pub const WALLET: u16 = 262;
    pub const TA: u16 = 32768;
    pub const DLV: u16 = 32769;
}

/// Where the names of a type's RDATA stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Octets before the first name.
    pub before: usize,
    /// Names, one after another.
    pub names: usize,
    /// Octets after the last name; `None` for any number.
    pub after: Option<usize>,
    /// Whether a sender may compress the names: the types of RFC 1035 only (RFC 3597 section 4).
    pub compress: bool,
}

/// The layout of a type with names in its RDATA that the engine follows or compresses.
#[must_use]
pub fn layout(rtype: u16) -> Option<Layout> {
    let (before, names, after, compress) = match rtype {
        rtype::NS
        | rtype::MD
        | rtype::MF
        | rtype::CNAME
        | rtype::MB
        | rtype::MG
        | rtype::MR
        | rtype::PTR => (0, 1, Some(0), true),
        rtype::SOA => (0, 2, Some(20), true),
        rtype::MINFO => (0, 2, Some(0), true),
        rtype::MX => (2, 1, Some(0), true),
        rtype::RP => (0, 2, Some(0), false),
        rtype::AFSDB | rtype::RT | rtype::KX => (2, 1, Some(0), false),
        rtype::SRV => (6, 1, Some(0), false),
        rtype::DNAME => (0, 1, Some(0), false),
        _ => return None,
    };
    Some(Layout {
        before,
        names,
        after,
        compress,
    })
}

/// The host that a record points at (NS, MX, SRV, and what else asks for its addresses in the
/// additional section), in wire format.
#[must_use]
pub fn host(rtype: u16, rdata: &[u8]) -> Option<&[u8]> {
    let before = match rtype {
        rtype::NS => 0,
        rtype::MX | rtype::AFSDB | rtype::RT | rtype::KX => 2,
        rtype::SRV => 6,
        _ => return None,
    };
    let name = rdata.get(before..)?;
    name.get(..wire_len(name)?)
}

/// How many octets the digest of a record has, and how many a digest of its type has; `None` for
/// records without one, or with one of a type that is not known.
#[must_use]
pub fn digest_lengths(rtype: u16, rdata: &[u8]) -> Option<(usize, usize)> {
    let (kind_at, begin) = match rtype {
        rtype::DS | rtype::CDS => (3, 4),
        rtype::SSHFP => (1, 2),
        rtype::TLSA | rtype::SMIMEA => (2, 3),
        rtype::ZONEMD => (5, 6),
        _ => return None,
    };
    let wanted = match (rtype, rdata.get(kind_at)?) {
        (rtype::DS | rtype::CDS | rtype::SSHFP, 1) => 20,
        (rtype::DS | rtype::CDS | rtype::SSHFP, 2) | (rtype::TLSA | rtype::SMIMEA, 1) => 32,
        (rtype::DS | rtype::CDS, 4) | (rtype::ZONEMD, 1) => 48,
        (rtype::TLSA | rtype::SMIMEA, 2) | (rtype::ZONEMD, 2) => 64,
        _ => return None,
    };
    Some((rdata.len().checked_sub(begin)?, wanted))
}

/// What the engine needs of the numbers at the end of an SOA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoaNumbers {
    /// SERIAL.
    pub serial: u32,
    /// MINIMUM, which limits the TTL of negative answers (RFC 2308 section 4).
    pub minimum: u32,
}

/// The numbers of an SOA's RDATA.
#[must_use]
pub fn soa_numbers(rdata: &[u8]) -> Option<SoaNumbers> {
    let numbers = rdata.last_chunk::<20>()?;
    let at = |start: usize| {
        numbers
            .get(start..start + 4)
            .and_then(|four| four.try_into().ok())
            .map(u32::from_be_bytes)
    };
    Some(SoaNumbers {
        serial: at(0)?,
        minimum: at(16)?,
    })
}

/// REFRESH, RETRY and EXPIRE of an SOA's RDATA, in seconds.
#[must_use]
pub fn soa_timers(rdata: &[u8]) -> Option<[u32; 3]> {
    let [_, _, _, _, timers @ .., _, _, _, _] = rdata.last_chunk::<20>()?;
    let mut numbers = timers.as_chunks::<4>().0.iter();
    let mut next = || numbers.next().map(|octets| u32::from_be_bytes(*octets));
    Some([next()?, next()?, next()?])
}

/// The same SOA with another serial.
#[must_use]
pub fn soa_with_serial(rdata: &[u8], serial: u32) -> Vec<u8> {
    let mut rdata = rdata.to_vec();
    if let Some(numbers) = rdata.last_chunk_mut::<20>()
        && let Some(place) = numbers.first_chunk_mut::<4>()
    {
        *place = serial.to_be_bytes();
    }
    rdata
}

/// RDATA for comparison: the names in it in lower case (RFC 4034 section 6.2).
#[must_use]
pub fn canonical(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut rdata = rdata.to_vec();
    if let Some(layout) = layout(rtype) {
        let end = rdata.len().saturating_sub(layout.after.unwrap_or(0));
        if let Some(names) = rdata.get_mut(layout.before..end) {
            names.make_ascii_lowercase();
        }
    }
    rdata
}

/// The name of a type as people write it: `SRV`, or `TYPE65280`.
#[must_use]
pub fn type_name(rtype: u16) -> String {
    domain::base::iana::Rtype::from_int(rtype).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_the_length_of_their_type() {
        let lengths = |rtype, head: &[u8]| digest_lengths(rtype, &[head, &[0; 20]].concat());
        assert_eq!(lengths(rtype::DS, &[0, 1, 8, 1]), Some((20, 20)));
        assert_eq!(lengths(rtype::DS, &[0, 1, 8, 2]), Some((20, 32)));
        assert_eq!(lengths(rtype::CDS, &[0, 0, 0, 0]), None);
        assert_eq!(lengths(rtype::TLSA, &[3, 1, 2]), Some((20, 64)));
        assert_eq!(lengths(rtype::TLSA, &[3, 1, 0]), None);
        assert_eq!(lengths(rtype::ZONEMD, &[0, 0, 0, 1, 1, 1]), Some((20, 48)));
        assert_eq!(digest_lengths(rtype::SSHFP, &[]), None);
    }

    #[test]
    fn hosts_and_types_have_their_names() {
        assert_eq!(host(rtype::MX, b"\0\x0a\x01e\0"), Some(&b"\x01e\0"[..]));
        assert_eq!(type_name(33), "SRV");
        assert_eq!(type_name(65280), "TYPE65280");
    }
}
