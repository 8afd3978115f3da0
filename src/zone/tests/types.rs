//! Every type that has a text form: its octets by hand from its RFC, and beside what `domain`
//! makes of the same line, where it knows the type.

use domain::base::Name as DomainName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry as DomainEntry, Zonefile};

use crate::zone::Name;
use crate::zone::parse::place_of;
use crate::zone::rdata::is_well_formed;
use crate::zone::record::{head, rdata};
use crate::zone::scan::{Entry, Scanner};

/// The type and the octets, or `column: message`.
fn parse_one(line: &str) -> Result<(u16, Vec<u8>), String> {
    let mut entry = Entry::default();
    let mut scanner = Scanner::new(line.as_bytes());
    scanner.next_entry(&mut entry).unwrap().unwrap();
    let mut out = Vec::new();
    let read = head(&entry.tokens, 0).and_then(|head| {
        rdata(
            head.rtype,
            &entry.tokens,
            head.rdata_at,
            &Name::root(),
            &mut out,
        )?;
        Ok(head.rtype)
    });
    match read {
        Ok(rtype) => Ok((rtype, out)),
        Err(error) => Err(format!(
            "{}: {}",
            place_of(&entry, error.token).1,
            error.message
        )),
    }
}

fn by_domain(line: &str) -> Option<Vec<u8>> {
    let text = format!("x. 60 IN {line}\n");
    let mut file = Zonefile::from(text.as_bytes());
    file.set_origin(DomainName::root_bytes());
    let Ok(Some(DomainEntry::Record(record))) = file.next_entry() else {
        return None;
    };
    let mut rdata = Vec::new();
    record.data().compose_rdata(&mut rdata).ok()?;
    Some(rdata)
}

/// Text and octets; what `domain` reads too is marked.
#[rustfmt::skip]
const KNOWN: &[(&str, &[u8], bool)] = &[
    ("A 192.0.2.1", b"\xc0\x00\x02\x01", true),
    ("NS a.b.", b"\x01a\x01b\x00", true),
    ("CNAME A.", b"\x01A\x00", true),
    ("SOA a. b. 1 2 3 4 5", b"\x01a\x00\x01b\x00\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05", true),
    ("PTR a\\.b.", b"\x03a.b\x00", true),
    ("HINFO \"PC Intel\" Linux", b"\x08PC Intel\x05Linux", true),
    ("MINFO a. b.", b"\x01a\x00\x01b\x00", true),
    ("MX 10 a.", b"\x00\x0a\x01a\x00", true),
    ("TXT a \"b c\" \"\" \\\"\\200", b"\x01a\x03b c\x00\x02\"\xc8", false),
    ("TXT a \"b c\" \"\"", b"\x01a\x03b c\x00", true),
    ("RP a. b.", b"\x01a\x00\x01b\x00", true),
    ("AFSDB 1 a.", b"\x00\x01\x01a\x00", false),
    ("X25 311061700956", b"\x0c311061700956", false),
    ("ISDN 150862028003217 004", b"\x0f150862028003217\x03004", false),
    ("RT 2 a.", b"\x00\x02\x01a\x00", false),
    ("NSAP 0x47.0005.80", b"\x47\x00\x05\x80", false),
    ("KEY 256 3 8 AQID", b"\x01\x00\x03\x08\x01\x02\x03", false),
    ("PX 10 a. b.", b"\x00\x0a\x01a\x00\x01b\x00", false),
    ("GPOS -32.6882 116.8652 10.0", b"\x08-32.6882\x08116.8652\x0410.0", false),
    ("AAAA 2001:db8::1", b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", true),
    // RFC 1876 section 4: MIT.
    // RFC 9859 section 2.
    ("DSYNC CDS NOTIFY 5359 cds-scanner.example.net.", b"\x00\x3b\x01\x14\xef\x0bcds-scanner\x07example\x03net\x00", false),
    ("DSYNC CSYNC 128 53 a.", b"\x00\x3e\x80\x00\x35\x01a\x00", false),
    ("LOC 42 21 54 N 71 06 18 W -24m 30m", b"\x00\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\x00\x98\x8d\x20", false),
    ("SRV 1 2 3 a.", b"\x00\x01\x00\x02\x00\x03\x01a\x00", true),
    ("NAPTR 100 50 \"s\" \"z3950+I2L\" \"\" a.", b"\x00\x64\x00\x32\x01s\x09z3950+I2L\x00\x01a\x00", true),
    ("KX 1 a.", b"\x00\x01\x01a\x00", false),
    ("CERT PKIX 1 RSASHA256 AQID", b"\x00\x01\x00\x01\x08\x01\x02\x03", false),
    ("CERT 65280 1 8 AQID", b"\xff\x00\x00\x01\x08\x01\x02\x03", false),
    ("DNAME a.", b"\x01a\x00", true),
    ("APL 1:192.168.32.0/21 !1:192.168.38.0/28", b"\x00\x01\x15\x03\xc0\xa8\x20\x00\x01\x1c\x83\xc0\xa8\x26", false),
    ("DS 60485 5 1 2BB183AF 5F22588179A53B0A 98631FAD1A292118",
        b"\xec\x45\x05\x01\x2b\xb1\x83\xaf\x5f\x22\x58\x81\x79\xa5\x3b\x0a\x98\x63\x1f\xad\x1a\x29\x21\x18", true),
    ("SSHFP 2 1 123456", b"\x02\x01\x12\x34\x56", true),
    ("IPSECKEY 10 1 2 192.0.2.38 AQID", b"\x0a\x01\x02\xc0\x00\x02\x26\x01\x02\x03", true),
    ("IPSECKEY 10 0 2 . AQID", b"\x0a\x00\x02\x01\x02\x03", true),
    ("IPSECKEY 10 3 2 a. AQID", b"\x0a\x03\x02\x01a\x00\x01\x02\x03", true),
    ("RRSIG A 5 3 86400 20030322173103 20030220173103 2642 example. AQID",
        b"\x00\x01\x05\x03\x00\x01\x51\x80\x3e\x7c\x9d\xd7\x3e\x55\x10\xd7\x0a\x52\x07example\x00\x01\x02\x03", true),
    ("NSEC host. A MX RRSIG NSEC TYPE1234",
        b"\x04host\x00\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20", true),
    ("DNSKEY 256 3 ECDSAP256SHA256 AQ ID", b"\x01\x00\x03\x0d\x01\x02\x03", false),
    ("DNSKEY 256 3 13 AQID", b"\x01\x00\x03\x0d\x01\x02\x03", true),
    ("DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69", b"\0\x02\x01\x63\x6f\xc0\xb8\x27\x1c\x82\x82\x5b\xb1\xac\x5c\x41\xcf\x53\x51\xaa\x69\xb4\xfe\xbd", false),
    ("NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
        b"\x01\x01\x00\x0c\x04\xaa\xbb\xcc\xdd\x14\x17\xf3\xdf\x17\xb2\xb2\xad\xae\xf6\x15\x25\x7d\xe4\xd2\x02\x0b\x80\xac\x6c\x7c\x00\x06\x40\0\0\0\0\x02", false),
    ("NSEC3PARAM 1 0 0 -", b"\x01\x00\x00\x00\x00", true),
    ("TLSA 3 1 1 0AFF", b"\x03\x01\x01\x0a\xff", true),
    ("SMIMEA 3 1 1 0AFF", b"\x03\x01\x01\x0a\xff", false),
    ("HIP 2 200100107B1A AQID rvs. rvs2.", b"\x06\x02\x00\x03\x20\x01\x00\x10\x7b\x1a\x01\x02\x03\x03rvs\x00\x04rvs2\x00", false),
    ("CDS 0 0 0 00", b"\0\0\0\0\0", true),
    ("CDNSKEY 0 3 0 AA==", b"\0\0\x03\0\0", true),
    ("OPENPGPKEY AQID", b"\x01\x02\x03", true),
    ("CSYNC 66 3 A NS AAAA", b"\0\0\0\x42\0\x03\0\x04\x60\0\0\x08", false),
    ("ZONEMD 2018031900 1 1 C68090D90A7AED71 6BC459F9340E3D7C",
        b"\x78\x48\xb9\x1c\x01\x01\xc6\x80\x90\xd9\x0a\x7a\xed\x71\x6b\xc4\x59\xf9\x34\x0e\x3d\x7c", true),
    ("SVCB 1 a. port=53", b"\x00\x01\x01a\x00\x00\x03\x00\x02\x00\x35", true),
    ("HTTPS 1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1", b"\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3\x00\x04\x00\x04\xc0\x00\x02\x01", true),
    ("HTTPS 0 a.", b"\x00\x00\x01a\x00", true),
    ("SPF \"v=spf1 -all\"", b"\x0bv=spf1 -all", false),
    ("NID 10 0014:4fff:ff20:ee64", b"\x00\x0a\x00\x14\x4f\xff\xff\x20\xee\x64", false),
    ("L32 10 10.1.2.0", b"\x00\x0a\x0a\x01\x02\x00", false),
    ("L64 10 2001:DB8:1140:1000", b"\x00\x0a\x20\x01\x0d\xb8\x11\x40\x10\x00", false),
    ("LP 10 a.", b"\x00\x0a\x01a\x00", false),
    ("EUI48 00-00-5e-00-53-2a", b"\x00\x00\x5e\x00\x53\x2a", false),
    ("EUI64 00-00-5e-ef-10-00-00-2a", b"\x00\x00\x5e\xef\x10\x00\x00\x2a", false),
    ("URI 10 1 \"ftp://ftp1.example.com/public\"", b"\x00\x0a\x00\x01ftp://ftp1.example.com/public", false),
    ("CAA 0 issue \"ca.example.net; x=1\"", b"\x00\x05issueca.example.net; x=1", true),
    ("AMTRELAY 10 1 3 a.", b"\x0a\x83\x01a\x00", false),
    ("AMTRELAY 10 0 0 .", b"\x0a\x00", false),
    ("RESINFO qnamemin exterr=15-17", b"\x08qnamemin\x0cexterr=15-17", false),
    ("TYPE65280 \\# 3 ab cdef", b"\xab\xcd\xef", false),
    ("TYPE65280 \\# 0", b"", false),
];

#[test]
fn every_type_reads_as_its_rfc_says() {
    let mut wrong = Vec::new();
    for (line, octets, domain_too) in KNOWN {
        match parse_one(line) {
            Ok((_, read)) if read == *octets => {}
            other => wrong.push(format!("{line}: {other:02x?}, not {octets:02x?}")),
        }
        if *domain_too && by_domain(line).as_deref() != Some(*octets) {
            wrong.push(format!("{line}: domain reads {:02x?}", by_domain(line)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn generic_data_of_a_known_type_is_checked_like_its_text() {
    let mut wrong = Vec::new();
    for (line, octets, _) in KNOWN {
        let mnemonic = line.split(' ').next().unwrap();
        let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        let generic = format!("{mnemonic} \\# {} {hex}", octets.len());
        match parse_one(&generic) {
            Ok((rtype, read)) if read == *octets && is_well_formed(rtype, &read) => {}
            other => wrong.push(format!("{generic}: {other:02x?}")),
        }
    }
    for bad in [
        "A \\# 3 010203",
        "NS \\# 2 0161",
        "SRV \\# 8 000a000000030161",
        "SRV \\# 10 000a0000000301610000",
        "TXT \\# 0",
        "TXT \\# 2 0261",
        "NSEC \\# 4 00000100",
        "NSEC \\# 7 00000101000101",
        "NSEC3 \\# 6 010000000000",
        "DS \\# 4 00010801",
        "LOC \\# 16 0133161389172dd070be15f000988d20",
        "APL \\# 8 00011504c0a82000",
        "SVCB \\# 7 00010000030001",
        "HTTPS \\# 12 000100000300000001000000",
        "HTTPS \\# 7 00010000040000",
        "CAA \\# 2 0005",
        "IPSECKEY \\# 4 0a040200",
        "EUI48 \\# 5 0000000000",
        "HIP \\# 4 02020000",
    ] {
        let rule = "generic data has the form of its type (RFC 3597 section 5)";
        let error = parse_one(bad).err().unwrap_or_default();
        if !error.contains(rule) {
            wrong.push(format!("{bad}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn wrong_words_are_told_with_what_they_should_be() {
    let mut wrong = Vec::new();
    for (line, column, what) in [
        (
            "A 192.0.2.1.5",
            3,
            "'192.0.2.1.5' is no address, that is an IPv4 address",
        ),
        (
            "SRV 1 70000 3 a.",
            7,
            "'70000' is no weight, that is a number from 0 to 65535",
        ),
        (
            "SRV 1 2 3",
            10,
            "the target is missing, SRV data is: priority, weight, port, target (RFC 2782)",
        ),
        ("MX 10 a. b.", 10, "'b.' is one word too many"),
        ("TXT a\"b\"", 6, "'b' is not parted from the word before it"),
        ("DS 1 8 2 0g", 10, "'0g' is no digest"),
        ("DNSKEY 256 3 FOO AQID", 14, "'FOO' is no algorithm"),
        ("DNSKEY 256 3 8 A", 16, "'A' is no key, that is base 64"),
        (
            "RRSIG A 5 3 1 20031322173103 0 1 a. AQID",
            15,
            "'20031322173103' is no expiration",
        ),
        ("NSEC a. FOO", 9, "'FOO' is no type"),
        ("LOC 91 N 0 E 0", 5, "'91' is no latitude"),
        ("EUI48 00-00-5e-00-53", 7, "'00-00-5e-00-53' is no address"),
        ("L64 10 1:2:3", 8, "'1:2:3' is no locator"),
        ("HTTPS 1 . port", 11, "parameters of a service"),
        ("A6 1", 4, "A6 data has no text form here"),
        ("A \\# 5 01020304", 3, "4 octets where 5 are announced"),
        ("A \\# 4 0102030", 8, "'0102030' is not in pairs"),
    ] {
        let error = parse_one(line).err().unwrap_or_default();
        if !error.contains(what) || !error.starts_with(&format!("{column}: ")) {
            wrong.push(format!("{line}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
