//! The zones that are loaded, and the questions that tell whether they are.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// So many names are asked for.
const SAMPLE: usize = 1000;

/// Zone files in one directory, `ORIGIN.zone` each.
pub(crate) struct Zones {
    pub(crate) directory: PathBuf,
    /// Without the final dot.
    pub(crate) origins: Vec<String>,
    /// Names with an address each, spread over all of the zones.
    pub(crate) sample: Vec<(String, [u8; 4])>,
}

impl Zones {
    /// One zone: of a hundred names 80 have an IPv4 address, 5 an IPv6 address and 15 an SRV
    /// record, in the order of their numbers.
    pub(crate) fn one(directory: &Path, names: usize) -> Zones {
        fs::create_dir_all(directory).unwrap();
        let origin = "million.test".to_owned();
        write_one(directory, &origin, names, 1);
        let step = (names / SAMPLE).max(1);
        let sample = (0..names)
            .step_by(step)
            .filter(|at| at % 100 < 80)
            .map(|at| (format!("h{at:07}.{origin}"), address(at, 1)))
            .collect();
        Zones {
            directory: directory.to_owned(),
            origins: vec![origin],
            sample,
        }
    }

    /// Small zones: SOA, two NS, an address and an SRV record each.
    pub(crate) fn many(directory: &Path, count: usize) -> Zones {
        fs::create_dir_all(directory).unwrap();
        let mut origins = Vec::with_capacity(count);
        for at in 0..count {
            let origin = format!("customer{at:06}.test");
            let [a, b, c, d] = address(at, 1);
            let text = format!(
                "$TTL 3600\n@ SOA ns1.host.example. host.host.example. 1 7200 900 1209600 300\n\
                 @ NS ns1.host.example.\n@ NS ns2.host.example.\n@ A {a}.{b}.{c}.{d}\n\
                 _xmpp-client._tcp SRV 10 0 5222 xmpp.host.example.\n"
            );
            fs::write(directory.join(format!("{origin}.zone")), text).unwrap();
            origins.push(origin);
        }
        let step = (count / SAMPLE).max(1);
        let sampled = (0..count).step_by(step).chain(count.checked_sub(1));
        let sample = sampled
            .map(|at| (origins[at].clone(), address(at, 1)))
            .collect();
        Zones {
            directory: directory.to_owned(),
            origins,
            sample,
        }
    }

    pub(crate) fn file(&self, origin: &str) -> PathBuf {
        self.directory.join(format!("{origin}.zone"))
    }
}

/// Writes the zone of [`Zones::one`] with a serial; the addresses follow it.
pub(crate) fn write_one(directory: &Path, origin: &str, names: usize, serial: u8) {
    let mut text = format!(
        "$ORIGIN {origin}.\n$TTL 3600\n@ SOA ns1 hostmaster {serial} 7200 900 1209600 300\n\
         @ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n"
    );
    for at in 0..names {
        match at % 100 {
            0..80 => {
                let [a, b, c, d] = address(at, serial);
                writeln!(text, "h{at:07} A {a}.{b}.{c}.{d}")
            }
            80..85 => writeln!(
                text,
                "h{at:07} AAAA 2001:db8::{:x}:{:x}",
                at >> 16,
                at & 0xffff
            ),
            _ => {
                let host = at - at % 100;
                writeln!(text, "_xmpp-server._tcp.d{at:07} SRV 10 0 5269 h{host:07}")
            }
        }
        .unwrap();
    }
    // Renamed, so that a server that reads the file sees all of the old one or of the new one.
    let file = directory.join(format!("{origin}.zone"));
    let fresh = file.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, &file).unwrap();
}

/// The address of name number `at`.
pub(crate) fn address(at: usize, serial: u8) -> [u8; 4] {
    let [.., b, c, d] = at.to_be_bytes();
    [10 + serial, b, c, d]
}
