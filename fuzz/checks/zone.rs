//! What must hold of any master file. An input is the file, and after a zero octet the one that
//! `$INCLUDE` gives.

use std::fmt::Write as _;
use std::sync::Arc;

use switchback::answer::{Asker, Transport, respond};
use switchback::ids::{Generation, Serial};
use switchback::snapshot::{Settings, Snapshot, SnapshotSpec};
use switchback::time::Wall;
use switchback::zone::{self, Name, ZoneError, ZoneFile};

const ORIGIN: &str = "z.test.";
/// The name of the file itself; no `$INCLUDE` gets anything under it.
const FILE: &str = "zone";
/// So many names of a zone are asked for; the fuzzer keeps its inputs small.
const MAX_NAMES: usize = 64;

/// Panics if the zone in `input`, or what is said against it, is not as it must be.
pub(crate) fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |octet| *octet == 0);
    let text = parts.next().unwrap_or_default();
    let included = parts.next();
    match parse(text, included) {
        Ok(file) => {
            check_notes(&file.warnings, text, included);
            check_text_of(&file);
            check_answers(&file);
        }
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= 100, "so many errors");
            check_notes(&errors, text, included);
        }
    }
}

fn parse(text: &[u8], included: Option<&[u8]>) -> Result<ZoneFile, Vec<ZoneError>> {
    let mut left = 3;
    let mut include = |name: &str| {
        left -= 1;
        match included {
            Some(text) if left >= 0 && name != FILE => Ok(text.to_vec()),
            _ => Err("there is none".to_owned()),
        }
    };
    zone::parse(FILE, text, &ORIGIN.parse().unwrap(), &mut include)
}

/// Each stands at a place that is there, and is one line.
fn check_notes(notes: &[ZoneError], text: &[u8], included: Option<&[u8]>) {
    for note in notes {
        let text = if &*note.file == FILE {
            text
        } else {
            included.unwrap_or_default()
        };
        let lines = text.split(|octet| *octet == b'\n').count();
        let at = usize::try_from(note.line).unwrap();
        assert!((1..=lines).contains(&at), "{note}: {lines} lines");
        let line = text.split(|octet| *octet == b'\n').nth(at - 1).unwrap();
        let column = usize::try_from(note.column).unwrap();
        assert!(
            (1..=line.len() + 2).contains(&column),
            "{note}: {} octets",
            line.len()
        );
        assert!(!note.message.is_empty());
    }
}

/// Written in the generic form (RFC 3597 section 5), the zone reads as the same zone.
fn check_text_of(file: &ZoneFile) {
    let mut text = String::new();
    for node in file.zone.tree().nodes() {
        let owner = Name::from_wire(node.owner()).unwrap();
        for rrset in node.rrsets() {
            for rdata in rrset.records() {
                let (ttl, rtype, length) = (rrset.ttl, rrset.rtype, rdata.len());
                write!(text, "{owner} {ttl} IN TYPE{rtype} \\# {length} ").unwrap();
                rdata
                    .iter()
                    .for_each(|octet| write!(text, "{octet:02x}").unwrap());
                text.push('\n');
            }
        }
    }
    match parse(text.as_bytes(), None) {
        Ok(again) => {
            let (one, two) = (file.zone.tree(), again.zone.tree());
            assert_eq!(one.nodes().count(), two.nodes().count());
            for (one, two) in one.nodes().zip(two.nodes()) {
                assert_eq!(one.owner(), two.owner());
                assert!(one.rrsets().eq(two.rrsets()), "{text}");
            }
        }
        Err(errors) => panic!("{errors:?}\n{text}"),
    }
}

/// Every name gets an answer to every type that it has, and to one that it has not.
fn check_answers(file: &ZoneFile) {
    let snapshot = Snapshot::build(&SnapshotSpec {
        generation: Generation(1),
        settings: Arc::new(Settings::default()),
        zones: vec![(file.zone.clone(), Serial(1))],
        services: Vec::new(),
        servers: Vec::new(),
    })
    .unwrap();
    let mut out = Vec::new();
    for node in file.zone.tree().nodes().take(MAX_NAMES) {
        let types = node.rrsets().map(|rrset| rrset.rtype).take(16);
        for rtype in types.chain([255, 65_280]) {
            let mut packet = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            packet.extend_from_slice(node.owner());
            packet.extend_from_slice(&rtype.to_be_bytes());
            packet.extend_from_slice(&[0, 1]);
            for transport in [Transport::Udp, Transport::Stream] {
                let asker = Asker {
                    transport,
                    client: [192, 0, 2, 1].into(),
                    now: Wall(0),
                    idle: None,
                };
                assert!(respond(&snapshot, &packet, &asker, &mut out));
                let alias = out[6..8] != [0, 0];
                assert!(alias || out[3] & 0xf != 3, "it exists: {packet:02x?}");
                assert!(out[3] & 0xf != 5, "it is ours: {packet:02x?}");
            }
        }
    }
}
