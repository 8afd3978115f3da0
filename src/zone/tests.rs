mod model;
mod types;

use std::collections::HashMap;

use super::rdata::rtype;
use super::*;

fn read_with(text: &str, files: &[(&str, &str)]) -> Result<ZoneFile, Vec<String>> {
    let files: HashMap<&str, &str> = files.iter().copied().collect();
    let mut include = |path: &str| match files.get(path) {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Err("no such file".to_owned()),
    };
    parse(
        "z",
        text.as_bytes(),
        &"a.test.".parse().unwrap(),
        &mut include,
    )
    .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn read(text: &str) -> Result<ZoneFile, Vec<String>> {
    read_with(
        &format!("@ 60 SOA ns h 1 1h 1 1 5m\n@ 60 NS ns.b.\n{text}"),
        &[],
    )
}

fn get(file: &ZoneFile, name: &str, rtype: u16) -> Option<(u32, Vec<Vec<u8>>)> {
    let node = file.zone.tree().get(&name.parse::<Name>().unwrap().key())?;
    let rrset = node.rrset(rtype)?;
    Some((rrset.ttl, rrset.records().map(<[u8]>::to_vec).collect()))
}

#[test]
fn directives_relative_names_units_and_generic_data_are_read() {
    let file = read_with(
        "$ORIGIN test.\n$TTL 1h30m\na IN SOA ns.a h.a ( 1 1h ; refresh\n 15m 1w 5m )\n\
         \x20NS @\n$ORIGIN a\nx 5m IN A 192.0.2.1\n\tIN 5m A 192.0.2.2\n\
         $INCLUDE more sub\ny CNAME x ; back in the old origin\ng TYPE65280 \\# 2 ( 00 ff )\n\
         h A \\# 4 c0000201\nt TXT \"a;b\" c\\ d \"\\255\"\nM\\.N A 192.0.2.3\n\
         s HTTPS 1 @ alpn=\"h2\"",
        &[("more", "w A 192.0.2.9\n$ORIGIN nowhere.\n")],
    )
    .unwrap();
    assert_eq!(get(&file, "x.a.test.", rtype::A).unwrap().0, 300);
    assert_eq!(get(&file, "x.a.test.", rtype::A).unwrap().1.len(), 2);
    assert_eq!(get(&file, "w.sub.a.test.", rtype::A).unwrap().0, 5400);
    let cname = get(&file, "y.a.test.", rtype::CNAME).unwrap();
    assert_eq!(cname.1, [b"\x01x\x01a\x04test\0".to_vec()]);
    assert_eq!(get(&file, "g.a.test.", 65280).unwrap().1, [vec![0, 0xff]]);
    assert_eq!(
        get(&file, "h.a.test.", rtype::A).unwrap().1,
        [vec![192, 0, 2, 1]]
    );
    let txt = get(&file, "t.a.test.", rtype::TXT).unwrap();
    assert_eq!(txt.1, [b"\x03a;b\x03c d\x01\xff".to_vec()]);
    assert!(get(&file, "m\\.n.a.test.", rtype::A).is_some());
    assert_eq!(
        get(&file, "s.a.test.", 65).unwrap().1,
        [b"\0\x01\x01a\x04test\0\0\x01\0\x03\x02h2".to_vec()]
    );
    let at = file
        .position(&"w.sub.a.test.".parse().unwrap(), rtype::A)
        .unwrap();
    assert_eq!(at.to_string(), "more:1:1");
    assert_eq!(file.zone.file_serial(), crate::ids::Serial(1));
}

#[test]
fn all_errors_come_at_once_each_with_its_place() {
    let errors = read(
        "a..b A 192.0.2.1\nx A 192.0.2.999\nx SRV 1 x 1 t\nx FOO 1\ny\n\"\nz.outside. A 1.2.3.4\n\
         $FOO\n$INCLUDE gone\nw CH A 1.2.3.4\nv A 192.0.2.1 extra\nu MX 10\n\
         $ORIGIN ok\nt 9999999999 A 1.2.3.4\ns A \\# 3 000000\n",
    )
    .unwrap_err();
    let places: Vec<&str> = errors
        .iter()
        .filter_map(|text| text.split(' ').next())
        .collect();
    assert_eq!(
        places,
        [
            "z:3:1:", "z:4:5:", "z:5:9:", "z:6:3:", "z:7:2:", "z:8:1:", "z:9:1:", "z:10:1:",
            "z:11:10:", "z:12:3:", "z:13:15:", "z:14:8:", "z:16:3:", "z:17:5:",
        ],
        "{errors:#?}"
    );
}

#[test]
fn a_zone_must_be_sound() {
    for (what, text) in [
        ("CNAME stands alone", "x CNAME y.b.\nx A 192.0.2.1"),
        ("a second CNAME", "x CNAME y.b.\nx CNAME z.b."),
        ("TTLs of an RRset", "x 60 A 192.0.2.1\nx 61 A 192.0.2.2"),
        ("a second SOA", "@ SOA ns h 2 1 1 1 1"),
        ("at the apex 'a.test.' only", "x SOA ns h 2 1 1 1 1"),
        ("meta type", "x AXFR 1"),
    ] {
        let errors = read(text).unwrap_err();
        assert!(
            errors.iter().any(|error| error.contains(what)),
            "{what}: {errors:?}"
        );
    }
    let errors = read_with("x 60 A 192.0.2.1", &[]).unwrap_err();
    assert!(
        errors[0].contains("no SOA") && errors[1].contains("no NS"),
        "{errors:?}"
    );
    let errors = read_with("x A 192.0.2.1", &[]).unwrap_err();
    assert!(errors[0].starts_with("z:1:1: no TTL"), "{errors:?}");
}

#[test]
fn what_is_odd_is_a_warning() {
    let large: String = (0..300)
        .map(|at| format!("x TXT {at} {}\n", "y".repeat(220)))
        .collect();
    for (what, text) in [
        ("is an alias", "al CNAME x.b.\n@ MX 10 al"),
        ("has no address", "sub NS ns.sub"),
        ("has no duplicates", "x A 192.0.2.1\nx A 192.0.2.1"),
        ("is never served", "sub NS ns.b.\nx.sub TXT x"),
        ("is never served", "old DNAME b.\nx.old A 192.0.2.1"),
        ("is the child's to say", "sub NS ns.b.\nsub TXT x"),
        ("stands at no delegation", "x A 192.0.2.1\nx DS 1 8 2 00"),
        ("has a digest of 1 octets", "sub NS ns.b.\nsub DS 1 8 2 00"),
        ("stands at a wildcard", "*.w NS ns.b."),
        ("does not fit a message", &large),
    ] {
        let warnings = read(text).unwrap().warnings;
        assert!(
            warnings.iter().any(|text| text.message.contains(what)),
            "{what}: {warnings:?}"
        );
    }
    assert!(
        read("sub NS ns.sub\nns.sub A 192.0.2.1\nsub DS 1 8 255 00\nold DNAME b.\n@ MX 0 .")
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn includes_that_include_themselves_end() {
    let errors = read_with("$INCLUDE me\n", &[("me", "$INCLUDE me\n$INCLUDE me\n")]).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.contains("does the file include itself"))
    );
    assert!(errors.len() <= 100);
}

#[test]
fn no_text_makes_the_reader_panic() {
    let seed: &[u8] = b"$TTL 1h\n@ SOA ns h ( 1 1 1 1 1 )\n NS ns\nx.y IN 5 SRV 1 2 3 @\n\
        t TXT \"a\\\"b\" \\065\\\\ (x\n) ; c\nq HTTPS 1 . alpn=\"h2,h3\" port=1\n\
        n NAPTR 1 1 \"u\" \"s\" \"r\" .\nk DNSKEY 256 3 13 aGVsbG8=\n$INCLUDE self\n\
        l LOC 1 2 3 N 4 5 6 E 7m\nc CAA 0 issue \"x\"\nr TYPE1 \\# 4 01020304\nd DS 1 13 2 AABB\n";
    let words: [&[u8]; 12] = [
        b"\"", b"(", b")", b"\\", b"\n", b";", b"\\#", b"@", b"\xff", b"\\300", b".", b" ",
    ];
    let mut random = 0x5eed_u64;
    let mut next = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % 1_000_003).unwrap() % limit.max(1)
    };
    for _ in 0..5_000 {
        let mut text = seed.to_vec();
        for _ in 0..1 + next(6) {
            let at = next(text.len());
            match next(3) {
                0 => {
                    text.remove(at);
                }
                1 => text.truncate(at.max(20)),
                _ => {
                    let word = words[next(words.len())];
                    text.splice(at..at, word.iter().copied());
                }
            }
        }
        let mut depth = 0;
        let copy = text.clone();
        let mut include = |_: &str| {
            depth += 1;
            if depth < 3 {
                Ok(copy.clone())
            } else {
                Err("enough".to_owned())
            }
        };
        let _ = parse("z", &text, &"a.test.".parse().unwrap(), &mut include);
    }
}

#[test]
fn a_record_that_no_message_can_carry_is_refused_at_its_place() {
    // With its owner of ten octets.
    let most = 65_535 - 1024 - 10;
    let record = |length: usize| {
        let data = "00".repeat(length);
        format!("x 60 A 192.0.2.1\nx 60 TYPE65280 \\# {length} {data}\n")
    };
    assert!(read(&record(most)).is_ok());
    let errors = read(&record(most + 1)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("z:4:16: data of 64502 octets,"),
        "{errors:?}"
    );
    assert!(errors[0].contains("RFC 1035 section 4.2.2"), "{errors:?}");
}
