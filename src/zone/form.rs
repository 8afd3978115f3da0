//! The form of each type's RDATA, field by field: what [`super::text`] reads from words and
//! [`super::wire`] finds in octets. A type without a form here is unknown, and so is generic data
//! only (RFC 3597).

use super::rdata::rtype;

/// One part of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A domain name, uncompressed.
    Name,
    /// A number of 8 bits.
    U8,
    /// A number of 16 bits.
    U16,
    /// A number of 32 bits.
    U32,
    /// Seconds in 32 bits, written with or without units.
    Time,
    /// A point in time in 32 bits: `YYYYMMDDHHmmSS` or seconds (RFC 4034 section 3.2).
    Moment,
    /// Four octets.
    Ipv4,
    /// Sixteen octets.
    Ipv6,
    /// A character string: its length in an octet, then up to 255 octets.
    Text,
    /// One or more character strings, to the end.
    Texts,
    /// Text without a length, to the end.
    Rest,
    /// Hexadecimal digits, to the end.
    Hex,
    /// Base 64, to the end.
    Base64,
    /// A record type.
    Type,
    /// A bitmap of record types, to the end (RFC 4034 section 4.1.2).
    Types,
    /// An algorithm of DNSSEC: a number or its mnemonic.
    Algorithm,
    /// How a child is reached: a number or its mnemonic (RFC 9859 section 2.1).
    Scheme,
    /// A type of certificate: a number or its mnemonic (RFC 4398 section 2.1).
    Certificate,
    /// Hexadecimal digits or `-`, with a length in an octet (RFC 5155 section 3.3).
    Salt,
    /// Base 32 with extended hex alphabet, with a length in an octet (RFC 5155 section 3.3).
    Hash,
    /// So many octets in hexadecimal pairs, parted by `-` (RFC 7043).
    Eui(u8),
    /// Eight octets as four hexadecimal numbers, parted by `:` (RFC 6742).
    Locator,
    /// Hexadecimal digits after `0x`, dots between them mean nothing (RFC 1706).
    Nsap,
    /// Whether discovery is optional, and the type of the relay (RFC 8777 section 4.2).
    Relay,
    /// As the low seven bits of the octet at offset 1 say: nothing, an address, a name.
    Gateway,
    /// A place on earth (RFC 1876).
    Location,
    /// Address prefixes, to the end (RFC 3123).
    Prefixes,
    /// A host identity: tag, key and rendezvous servers (RFC 8005 section 5).
    Identity,
    /// Parameters of a service, to the end (RFC 9460).
    Parameters,
}

/// The fields of a type with their names, and the RFC that says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) fields: &'static [(&'static str, Field)],
    pub(super) rfc: u16,
}

const fn form(rfc: u16, fields: &'static [(&'static str, Field)]) -> Option<Form> {
    Some(Form { fields, rfc })
}

/// The form of a type that is known.
#[allow(clippy::too_many_lines, reason = "a table, a line or two for each type")]
#[rustfmt::skip]
pub(super) fn form_of(rtype: u16) -> Option<Form> {
    use Field::{
        Algorithm, Base64, Certificate, Eui, Gateway, Hash, Hex, Identity, Ipv4, Ipv6, Location,
        Locator, Moment, Name, Nsap, Parameters, Prefixes, Relay, Rest, Salt, Scheme, Text, Texts, Time,
        Type, Types, U8, U16, U32,
    };
    const SIGNATURE: &[(&str, Field)] = &[
        ("type", Type), ("algorithm", Algorithm), ("labels", U8), ("TTL", Time),
        ("expiration", Moment), ("inception", Moment), ("key tag", U16), ("signer", Name),
        ("signature", Base64),
    ];
    const KEY: &[(&str, Field)] = &[
        ("flags", U16), ("protocol", U8), ("algorithm", Algorithm), ("key", Base64),
    ];
    const DIGEST: &[(&str, Field)] = &[
        ("key tag", U16), ("algorithm", Algorithm), ("digest type", U8), ("digest", Hex),
    ];
    const ASSOCIATION: &[(&str, Field)] = &[
        ("usage", U8), ("selector", U8), ("matching type", U8), ("data", Hex),
    ];
    const SERVICE: &[(&str, Field)] = &[
        ("priority", U16), ("target", Name), ("parameters", Parameters),
    ];
    const HOST: &[(&str, Field)] = &[("host", Name)];
    const PREFERRED: &[(&str, Field)] = &[("preference", U16), ("host", Name)];
    const STRINGS: &[(&str, Field)] = &[("text", Texts)];
    match rtype {
        rtype::A => form(1035, &[("address", Ipv4)]),
        rtype::AAAA => form(3596, &[("address", Ipv6)]),
        rtype::NS | rtype::MD | rtype::MF | rtype::CNAME | rtype::MB | rtype::MG | rtype::MR
        | rtype::PTR => form(1035, HOST),
        rtype::SOA => form(1035, &[
            ("primary", Name), ("mailbox", Name), ("serial", U32), ("refresh", Time),
            ("retry", Time), ("expire", Time), ("minimum", Time),
        ]),
        rtype::HINFO => form(1035, &[("CPU", Text), ("OS", Text)]),
        rtype::MINFO => form(1035, &[("mailbox", Name), ("error mailbox", Name)]),
        rtype::MX => form(1035, PREFERRED),
        rtype::TXT => form(1035, STRINGS),
        rtype::RP => form(1183, &[("mailbox", Name), ("text's name", Name)]),
        rtype::AFSDB => form(1183, &[("subtype", U16), ("host", Name)]),
        rtype::X25 => form(1183, &[("PSDN address", Text)]),
        rtype::ISDN => form(1183, &[("ISDN address", Texts)]),
        rtype::RT => form(1183, PREFERRED),
        rtype::NSAP => form(1706, &[("NSAP", Nsap)]),
        rtype::SIG => form(2535, SIGNATURE),
        rtype::KEY => form(2535, KEY),
        rtype::PX => form(2163, &[("preference", U16), ("RFC 822 name", Name), ("X.400 name", Name)]),
        rtype::GPOS => form(1712, &[("longitude", Text), ("latitude", Text), ("altitude", Text)]),
        rtype::LOC => form(1876, &[("location", Location)]),
        rtype::SRV => form(2782, &[("priority", U16), ("weight", U16), ("port", U16), ("target", Name)]),
        rtype::NAPTR => form(3403, &[
            ("order", U16), ("preference", U16), ("flags", Text), ("services", Text),
            ("regular expression", Text), ("replacement", Name),
        ]),
        rtype::KX => form(2230, PREFERRED),
        rtype::CERT => form(4398, &[
            ("type", Certificate), ("key tag", U16), ("algorithm", Algorithm), ("certificate", Base64),
        ]),
        rtype::DNAME => form(6672, &[("target", Name)]),
        rtype::APL => form(3123, &[("prefixes", Prefixes)]),
        rtype::DS | rtype::CDS | rtype::TA | rtype::DLV => form(4034, DIGEST),
        rtype::SSHFP => form(4255, &[("algorithm", U8), ("fingerprint type", U8), ("fingerprint", Hex)]),
        rtype::IPSECKEY => form(4025, &[
            ("precedence", U8), ("gateway type", U8), ("algorithm", U8), ("gateway", Gateway),
            ("key", Base64),
        ]),
        rtype::RRSIG => form(4034, SIGNATURE),
        rtype::NSEC => form(4034, &[("next name", Name), ("types", Types)]),
        rtype::DNSKEY | rtype::CDNSKEY | rtype::RKEY => form(4034, KEY),
        rtype::DHCID => form(4701, &[("digest", Base64)]),
        rtype::NSEC3 => form(5155, &[
            ("hash algorithm", U8), ("flags", U8), ("iterations", U16), ("salt", Salt),
            ("next hash", Hash), ("types", Types),
        ]),
        rtype::NSEC3PARAM => form(5155, &[
            ("hash algorithm", U8), ("flags", U8), ("iterations", U16), ("salt", Salt),
        ]),
        rtype::TLSA => form(6698, ASSOCIATION),
        rtype::SMIMEA => form(8162, ASSOCIATION),
        rtype::HIP => form(8005, &[("identity", Identity)]),
        rtype::OPENPGPKEY => form(7929, &[("key", Base64)]),
        rtype::CSYNC => form(7477, &[("serial", U32), ("flags", U16), ("types", Types)]),
        rtype::ZONEMD => form(8976, &[
            ("serial", U32), ("scheme", U8), ("hash algorithm", U8), ("digest", Hex),
        ]),
        rtype::SVCB | rtype::HTTPS => form(9460, SERVICE),
        rtype::DSYNC => form(9859, &[
            ("type", Type), ("scheme", Scheme), ("port", U16), ("target", Name),
        ]),
        rtype::SPF => form(7208, STRINGS),
        rtype::NID => form(6742, &[("preference", U16), ("node", Locator)]),
        rtype::L32 => form(6742, &[("preference", U16), ("locator", Ipv4)]),
        rtype::L64 => form(6742, &[("preference", U16), ("locator", Locator)]),
        rtype::LP => form(6742, PREFERRED),
        rtype::EUI48 => form(7043, &[("address", Eui(6))]),
        rtype::EUI64 => form(7043, &[("address", Eui(8))]),
        rtype::URI => form(7553, &[("priority", U16), ("weight", U16), ("target", Rest)]),
        rtype::CAA => form(8659, &[("flags", U8), ("tag", Text), ("value", Rest)]),
        rtype::AVC | rtype::RESINFO | rtype::WALLET => form(1035, STRINGS),
        rtype::AMTRELAY => form(8777, &[("precedence", U8), ("discovery and type", Relay), ("relay", Gateway)]),
        _ => None,
    }
}
