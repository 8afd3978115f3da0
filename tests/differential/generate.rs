//! Random worlds: what the algorithm of RFC 1034 section 4.3.2 has a branch for, and webs of it.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;
use super::world::{Record, World, Zone, name};

/// Labels, few so that names meet; with those that are easily got wrong: escaped dots, octets
/// that are no text, case, an asterisk that is no wildcard, 63 octets.
const LABELS: &[&str] = &[
    "a",
    "a",
    "b",
    "b",
    "c",
    "www",
    "_tcp",
    "Mixed",
    "x\\.y",
    "\\000\\255",
    "\\032sp",
    "*a",
    "a*",
    "-",
    "0",
    "l23456789012345678901234567890123456789012345678901234567890123",
];
const TTLS: &[u32] = &[0, 60, 300, 3600, 86_400];
/// The types of plain data.
const DATA: &[&str] = &[
    "A",
    "A",
    "AAAA",
    "TXT",
    "MX",
    "SRV",
    "PTR",
    "TYPE65280",
    "HINFO",
    "CAA",
    "NAPTR",
];
/// A name has so many octets at most.
const MAX_NAME: usize = 255;

/// The world of a seed.
pub(crate) fn generate(seed: u64, base: &str) -> World {
    let mut random = Random::new(seed);
    let origins = origins(&mut random, base);
    let pools: Vec<Vec<String>> = origins
        .iter()
        .map(|origin| names_of(&mut random, origin))
        .collect();
    let keeps_dnames_clear = !random.chance(12);
    let mut author = Author {
        names: pools.concat(),
        origins,
        keeps_dnames_clear,
        random,
    };
    let zones = (0..author.origins.len())
        .map(|at| author.zone(at, &pools[at]))
        .collect();
    World {
        base: base.to_owned(),
        zones,
    }
}

/// One zone alone, or with siblings, children, grandchildren.
fn origins(random: &mut Random, base: &str) -> Vec<String> {
    let below = |label: &str, origin: &str| {
        if origin == "." {
            format!("{label}.")
        } else {
            format!("{label}.{origin}")
        }
    };
    let first = if base == "." || random.chance(25) {
        base.to_owned()
    } else {
        below("Z", base)
    };
    let mut origins = vec![first.clone()];
    if random.chance(40) {
        origins.push(below("c", &first));
        if random.chance(40) {
            origins.push(below(random.word(&["a", "b.a"]), &below("c", &first)));
        }
    }
    if first != base && random.chance(40) {
        origins.push(below("y", base));
    }
    if random.chance(15) {
        origins.push(below("b.a", &first));
    }
    origins
}

/// A few names below `origin`, some below one another, some as long as a name can be.
fn names_of(random: &mut Random, origin: &str) -> Vec<String> {
    let mut names = vec![origin.to_owned()];
    for _ in 0..3 + random.below(10) {
        let above = random.pick(&names).clone();
        if let Some(name) = child(random.word(LABELS), &above) {
            names.push(name);
        }
    }
    if random.chance(25) {
        let mut long = random.pick(&names).clone();
        while let Some(longer) = child(LABELS[LABELS.len() - 1], &long) {
            long = longer;
        }
        let room = MAX_NAME - name(&long).wire().len();
        if room >= 2 {
            long = child(&"f".repeat(room - 1), &long).unwrap();
        }
        names.push(long);
    }
    names
}

/// The name one label below; `None` if it would be too long.
pub(crate) fn child(label: &str, above: &str) -> Option<String> {
    let name = if above == "." {
        format!("{label}.")
    } else {
        format!("{label}.{above}")
    };
    let fits = name.parse::<switchback::zone::Name>().is_ok();
    fits.then_some(name)
}

/// Writes the zones of one world.
struct Author {
    random: Random,
    origins: Vec<String>,
    /// Names of all zones, for aliases and targets.
    names: Vec<String>,
    /// Nothing stands below a DNAME.
    keeps_dnames_clear: bool,
}

impl Author {
    fn zone(&mut self, at: usize, pool: &[String]) -> Zone {
        let origin = self.origins[at].clone();
        let mut draft = Draft::new(&origin, self.keeps_dnames_clear);
        let server = child("ns", &origin).unwrap();
        let minimum = self.random.pick(TTLS);
        let soa = format!("{server} h.{server} {} 3600 900 604800 {minimum}", at + 1);
        draft.add(&origin, *self.random.pick(TTLS), "SOA", soa);
        // named does not load a zone whose own servers lie in it and have no address.
        let ttl = *self.random.pick(TTLS);
        if origin == "." || self.random.chance(75) {
            draft.add(&origin, ttl, "NS", server.clone());
            draft.add(&server, 60, "A", self.address());
        }
        if origin != "." && (draft.records.len() < 3 || self.random.chance(50)) {
            draft.add(&origin, ttl, "NS", "ns.elsewhere.".to_owned());
        }
        self.delegate_children(&origin, &mut draft);
        for _ in 0..2 + self.random.below(16) {
            let owner = self.random.pick(pool).clone();
            match self.random.below(100) {
                0..30 => self.data(&owner, &mut draft),
                30..45 => self.wildcard(&owner, &mut draft),
                45..62 => {
                    let (ttl, target) = (*self.random.pick(TTLS), self.target());
                    draft.add(&owner, ttl, "CNAME", target);
                }
                62..74 => {
                    let (ttl, target) = (*self.random.pick(TTLS), self.target());
                    draft.add(&owner, ttl, "DNAME", target);
                }
                74..93 => self.cut(&owner, &mut draft),
                _ => self.big(&owner, &mut draft),
            }
        }
        Zone {
            origin,
            records: draft.records,
        }
    }

    /// The cuts above the other zones, most of the time.
    fn delegate_children(&mut self, origin: &str, draft: &mut Draft) {
        for other in self.origins.clone() {
            let is_child = other != origin && name(&other).is_at_or_below(&name(origin));
            if is_child && self.random.chance(75) {
                let server = child("ns", &other).unwrap();
                draft.add(&other, 300, "NS", server.clone());
                if self.random.chance(75) {
                    draft.add(&server, 60, "A", self.address());
                }
                if self.random.chance(30) {
                    draft.add(&other, 300, "DS", self.digest());
                }
            }
        }
    }

    fn data(&mut self, owner: &str, draft: &mut Draft) {
        let rtype = self.random.word(DATA);
        let ttl = *self.random.pick(TTLS);
        for _ in 0..1 + self.random.below(3) {
            let rdata = self.rdata(rtype);
            draft.add(owner, ttl, rtype, rdata);
        }
    }

    /// A wildcard below `above`, and at times one below it, or a name below it.
    fn wildcard(&mut self, above: &str, draft: &mut Draft) {
        let Some(owner) = child("*", above) else {
            return;
        };
        if self.random.chance(35) {
            let (ttl, target) = (*self.random.pick(TTLS), self.target());
            draft.add(&owner, ttl, "CNAME", target);
        } else {
            self.data(&owner, draft);
        }
        if self.random.chance(25)
            && let Some(below) = child(self.random.word(&["*", "a", "b"]), &owner)
        {
            self.data(&below, draft);
        }
    }

    /// A delegation with glue, some of it missing, and with what is hidden by it.
    fn cut(&mut self, owner: &str, draft: &mut Draft) {
        if owner == draft.origin || owner.starts_with("*.") {
            return;
        }
        let ttl = *self.random.pick(TTLS);
        for _ in 0..1 + self.random.below(3) {
            let inside = child(self.random.word(&["ns", "a", "b"]), owner);
            let target = match (self.random.below(10), inside) {
                (0..5, Some(inside)) => {
                    if self.random.chance(85) {
                        draft.add(&inside, 60, "A", self.address());
                    }
                    if self.random.chance(40) {
                        draft.add(&inside, 60, "AAAA", self.address_of_six());
                    }
                    inside
                }
                (5, _) => {
                    draft.add(owner, 60, "A", self.address());
                    owner.to_owned()
                }
                _ => self.target(),
            };
            draft.add(owner, ttl, "NS", target);
        }
        if self.random.chance(40) {
            draft.add(owner, 300, "DS", self.digest());
        }
        if self.random.chance(30)
            && let Some(below) = child(self.random.word(LABELS), owner)
        {
            if self.random.chance(50) {
                self.data(&below, draft);
            } else {
                let target = self.target();
                draft.add(&below, 60, "NS", target);
            }
        }
    }

    /// An RRset that does not fit into a datagram, or only just.
    fn big(&mut self, owner: &str, draft: &mut Draft) {
        let (count, length) = (1 + self.random.below(12), 40 + self.random.below(180));
        for number in 0..count {
            let text = format!("\"{number}{}\"", "t".repeat(length));
            draft.add(owner, 60, "TXT", text);
        }
    }

    fn rdata(&mut self, rtype: &str) -> String {
        let number = self.random.below(250);
        match rtype {
            "A" => self.address(),
            "AAAA" => self.address_of_six(),
            "MX" => format!("{number} {}", self.target()),
            "SRV" => format!("10 {number} 5269 {}", self.target()),
            "PTR" => self.target(),
            "TYPE65280" => format!("\\# 3 0102{number:02x}"),
            "HINFO" => format!("\"cpu {number}\" \"os\""),
            "CAA" => format!("0 issue \"{number}\""),
            "NAPTR" => format!("{number} 1 \"u\" \"s\" \"\" {}", self.target()),
            _ => format!("\"text {number}\""),
        }
    }

    fn address(&mut self) -> String {
        format!("192.0.2.{}", self.random.below(250))
    }

    fn address_of_six(&mut self) -> String {
        format!("2001:db8::{:x}", self.random.below(250))
    }

    fn digest(&mut self) -> String {
        format!("{} 13 2 {}", self.random.below(60_000), "AB".repeat(32))
    }

    /// What aliases and hosts point at: mostly a name of this world, in whatever zone.
    fn target(&mut self) -> String {
        let known = self.random.pick(&self.names).clone();
        match self.random.below(10) {
            0 => "host.elsewhere.".to_owned(),
            1 | 2 => child(self.random.word(LABELS), &known).unwrap_or(known),
            _ => known,
        }
    }
}

/// The records of one zone so far, and what rules out others.
struct Draft {
    origin: String,
    records: Vec<Record>,
    types: BTreeMap<Vec<u8>, BTreeSet<&'static str>>,
    keeps_dnames_clear: bool,
}

impl Draft {
    fn new(origin: &str, keeps_dnames_clear: bool) -> Draft {
        Draft {
            origin: origin.to_owned(),
            records: Vec::new(),
            types: BTreeMap::new(),
            keeps_dnames_clear,
        }
    }

    /// Adds a record unless the zone would be none with it: a CNAME stands alone (RFC 2181
    /// section 10.1), there is one DNAME, the TTLs of an RRset are equal.
    fn add(&mut self, owner: &str, ttl: u32, rtype: &'static str, rdata: String) {
        let owner_name = name(owner);
        let key = owner_name.sort_key().as_slice().to_vec();
        let here = self.types.get(&key).cloned().unwrap_or_default();
        let alone = rtype == "CNAME" && !here.is_empty() || here.contains("CNAME");
        let second = rtype == "DNAME" && here.contains("DNAME");
        // What a cut or a DNAME means at a wildcard, or both at one name, is nowhere said.
        let wild = owner.starts_with("*.");
        let undefined = match rtype {
            "NS" => wild || here.contains("DNAME"),
            "DNAME" if owner == self.origin => {
                self.records.len() > 2 && self.records[2].rtype == "A"
            }
            "DNAME" => wild || here.contains("NS"),
            _ => false,
        };
        if alone || second || undefined || self.keeps_dnames_clear && self.hides(&key, rtype) {
            return;
        }
        let mut ttl = ttl;
        for record in &self.records {
            if record.rtype == rtype && name(&record.owner) == owner_name {
                if record.rdata.eq_ignore_ascii_case(&rdata) {
                    return;
                }
                ttl = record.ttl;
            }
        }
        self.types.entry(key).or_default().insert(rtype);
        self.records.push(Record {
            owner: owner.to_owned(),
            ttl,
            rtype,
            rdata,
        });
    }

    /// Whether a DNAME would have a name below it with this record.
    fn hides(&self, key: &[u8], rtype: &str) -> bool {
        self.types.iter().any(|(other, types)| {
            let (above, below) = (key.starts_with(other), other.starts_with(key));
            other != key && (above && types.contains("DNAME") || below && rtype == "DNAME")
        })
    }
}
