//! All that is interesting to ask a world.

use std::collections::BTreeSet;

use super::generate::child;
use super::random::Random;
use super::world::{World, name};

/// The types asked for, by number: what zones hold, what they never hold, and ANY.
pub(crate) const TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (28, "AAAA"),
    (2, "NS"),
    (6, "SOA"),
    (5, "CNAME"),
    (39, "DNAME"),
    (43, "DS"),
    (15, "MX"),
    (16, "TXT"),
    (33, "SRV"),
    (255, "ANY"),
    (65_280, "TYPE65280"),
    (65_281, "TYPE65281"),
];

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// UDP without EDNS.
    Plain,
    /// UDP with EDNS and this payload size.
    Edns(u16),
    /// TCP.
    Stream,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    /// The name as text, absolute.
    pub(crate) name: String,
    pub(crate) rtype: u16,
    pub(crate) mode: Mode,
}

impl Question {
    /// The query, with `id` in front.
    pub(crate) fn packet(&self, id: u16) -> Vec<u8> {
        let mut packet = id.to_be_bytes().to_vec();
        let edns = match self.mode {
            Mode::Edns(size) => Some(size),
            Mode::Plain | Mode::Stream => None,
        };
        packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())]);
        packet.extend_from_slice(name(&self.name).wire());
        packet.extend_from_slice(&self.rtype.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        if let Some(size) = edns {
            packet.extend_from_slice(&[0, 0, 41]);
            packet.extend_from_slice(&size.to_be_bytes());
            packet.extend_from_slice(&[0; 6]);
        }
        packet
    }

    pub(crate) fn stream(&self) -> bool {
        self.mode == Mode::Stream
    }

    /// The greatest response in octets.
    pub(crate) fn limit(&self) -> usize {
        match self.mode {
            Mode::Plain => 512,
            Mode::Edns(size) => usize::from(size.clamp(512, 1232)),
            Mode::Stream => 65_535,
        }
    }

    /// Whether what has so many octets over TCP fits. An OPT record comes on top.
    pub(crate) fn holds(&self, octets: usize) -> bool {
        let opt = if matches!(self.mode, Mode::Edns(_)) {
            11
        } else {
            0
        };
        octets + opt <= self.limit()
    }

    /// The same over TCP.
    pub(crate) fn whole(&self) -> Question {
        Question {
            mode: Mode::Stream,
            ..self.clone()
        }
    }

    /// As a line of a script has it.
    pub(crate) fn line(&self) -> String {
        let rtype = TYPES.iter().find(|(number, _)| *number == self.rtype);
        let mode = match self.mode {
            Mode::Plain => String::new(),
            Mode::Edns(size) => format!(" edns={size}"),
            Mode::Stream => " tcp".to_owned(),
        };
        format!("? {} {}{mode}", self.name, rtype.unwrap().1)
    }

    /// The same question to a world that was moved.
    pub(crate) fn moved(&self, from: &str, to: &str) -> Question {
        Question {
            name: self.name.replace(from, to),
            ..self.clone()
        }
    }
}

/// All names that are interesting: every owner and what is above it, below it and beside it,
/// what wildcards match, and what aliases and hosts point at.
pub(crate) fn names(world: &World) -> Vec<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut add = |text: &str| {
        let mut rest = text.to_owned();
        for beside in ["a", "\\000", "zz", "*"] {
            names.extend(child(beside, &rest));
        }
        names.extend(child("q.q", &rest));
        if let Some(above) = rest.strip_prefix("*.").map(str::to_owned) {
            names.extend(child("w", &above));
            names.extend(child("w.w", &above));
            names.extend(child("a.*", &above));
        }
        // Up to the origin and past it.
        loop {
            names.insert(rest.clone());
            match parent(&rest) {
                Some(above) if above != "." => rest = above,
                _ => break,
            }
        }
        let long = "n".repeat(63);
        for label in [&long[..], &long[..31]] {
            names.extend(child(label, text));
        }
    };
    for zone in &world.zones {
        for record in &zone.records {
            add(&record.owner);
            if record.rdata.ends_with('.')
                && let Some(target) = record.rdata.rsplit(' ').next()
            {
                add(target);
            }
        }
    }
    names.into_iter().collect()
}

/// The text without its first label; dots and spaces in labels are escaped.
fn parent(text: &str) -> Option<String> {
    let octets = text.as_bytes();
    let dot = (0..octets.len())
        .find(|at| octets[*at] == b'.' && (*at == 0 || octets[at - 1] != b'\\'))?;
    let rest = &text[dot + 1..];
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// At most `count` of all questions to a world.
pub(crate) fn questions(world: &World, seed: u64, count: usize) -> Vec<Question> {
    let mut random = Random::new(seed);
    let mut names = names(world);
    if world.base != "." {
        // What belongs to nobody is the same for all worlds, and only the root's answers it.
        names.retain(|name| name.to_ascii_lowercase().ends_with(&world.base));
    }
    let mut all = BTreeSet::new();
    let most = names.len() * TYPES.len();
    for _ in 0..count.min(most) {
        let mut name = random.pick(&names).clone();
        if random.chance(10) {
            name = other_case(&name);
        }
        let mode = match random.below(10) {
            0..4 => Mode::Plain,
            4 => Mode::Edns(512),
            5 => Mode::Edns(700),
            6 => Mode::Edns(1232),
            7 => Mode::Edns(4096),
            _ => Mode::Stream,
        };
        all.insert(Question {
            name,
            rtype: random.pick(TYPES).0,
            mode,
        });
    }
    all.into_iter().collect()
}

/// The name in capitals up to its base, which worlds are told apart by.
fn other_case(name: &str) -> String {
    let base = name.trim_end_matches('.').rfind('.').map_or(0, |at| at + 1);
    format!("{}{}", name[..base].to_ascii_uppercase(), &name[base..])
}
