//! A response as values that can be compared: names in lower case and uncompressed, sections as
//! sets. It reads octets itself, so that no library stands between two servers.

use std::collections::BTreeSet;

use switchback::zone::rdata::layout;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rr {
    /// Wire format, lower case.
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) ttl: u32,
    /// Names uncompressed and in lower case.
    pub(crate) rdata: Vec<u8>,
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) rcode: u8,
    pub(crate) aa: bool,
    pub(crate) tc: bool,
    /// In the order received: an alias chain has one.
    pub(crate) answer: Vec<Rr>,
    pub(crate) authority: BTreeSet<Rr>,
    /// Without OPT.
    pub(crate) additional: BTreeSet<Rr>,
    /// The octets of the whole.
    pub(crate) size: usize,
}

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DNAME: u16 = 39;
const NAPTR: u16 = 35;
const OPT: u16 = 41;

/// `None` if the octets are no message.
pub(crate) fn read(packet: &[u8]) -> Option<Response> {
    let header = packet.first_chunk::<12>()?;
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut reader = Reader { packet, at: 12 };
    for _ in 0..count(4) {
        reader.name()?;
        reader.take(4)?;
    }
    let mut sections: [Vec<Rr>; 3] = Default::default();
    for (section, at) in sections.iter_mut().zip([6, 8, 10]) {
        for _ in 0..count(at) {
            let record = reader.record()?;
            if record.rtype != OPT {
                section.push(record);
            }
        }
    }
    let [answer, authority, additional] = sections;
    (reader.at == packet.len()).then(|| Response {
        rcode: header[3] & 0xf,
        aa: header[2] & 4 != 0,
        tc: header[2] & 2 != 0,
        answer,
        authority: authority.into_iter().collect(),
        additional: additional.into_iter().collect(),
        size: packet.len(),
    })
}

struct Reader<'p> {
    packet: &'p [u8],
    at: usize,
}

impl<'p> Reader<'p> {
    fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let taken = self.packet.get(self.at..self.at + count)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self, octets: usize) -> Option<usize> {
        Some(
            self.take(octets)?
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet)),
        )
    }

    fn name(&mut self) -> Option<Vec<u8>> {
        let (mut name, mut at, mut jumped) = (Vec::new(), self.at, false);
        loop {
            let length = *self.packet.get(at)?;
            if length >= 0xc0 {
                let low = *self.packet.get(at + 1)?;
                if !jumped {
                    self.at = at + 2;
                }
                jumped = true;
                let to = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                at = (to < at).then_some(to)?;
                continue;
            }
            let label = self.packet.get(at..=at + usize::from(length))?;
            name.extend(label.iter().map(u8::to_ascii_lowercase));
            at += label.len();
            if name.len() > 255 {
                return None;
            }
            if length == 0 {
                if !jumped {
                    self.at = at;
                }
                return Some(name);
            }
        }
    }

    fn record(&mut self) -> Option<Rr> {
        let owner = self.name()?;
        let rtype = u16::try_from(self.number(2)?).ok()?;
        self.take(2)?;
        let ttl = u32::try_from(self.number(4)?).ok()?;
        let length = self.number(2)?;
        let end = self.at + length;
        let mut rdata = Vec::new();
        match layout(rtype) {
            Some(layout) => {
                rdata.extend_from_slice(self.take(layout.before)?);
                for _ in 0..layout.names {
                    rdata.extend(self.name()?);
                }
                rdata.extend_from_slice(self.take(end.checked_sub(self.at)?)?);
            }
            // The name at its end is not looked for: nothing in it minds the lower case.
            None if rtype == NAPTR => rdata.extend(self.take(length)?.to_ascii_lowercase()),
            None => rdata.extend_from_slice(self.take(length)?),
        }
        (self.at == end).then_some(Rr {
            owner,
            rtype,
            ttl,
            rdata,
        })
    }
}

impl Response {
    /// For people.
    pub(crate) fn show(&self) -> String {
        let mut text = format!("  {}", rcode_name(self.rcode));
        for (flag, set) in [(" aa", self.aa), (" tc", self.tc)] {
            text.push_str(if set { flag } else { "" });
        }
        let sections = [
            ("answer", self.answer.iter().collect::<Vec<_>>()),
            ("authority", self.authority.iter().collect()),
            ("additional", self.additional.iter().collect()),
        ];
        for (section, records) in sections {
            for record in records {
                text.push_str(&format!("\n  {section} {}", record.show()));
            }
        }
        text.push('\n');
        text
    }
}

impl Rr {
    fn show(&self) -> String {
        let rdata = match self.rtype {
            NS | CNAME | DNAME => show_name(&self.rdata),
            A => self
                .rdata
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join("."),
            _ => format!("{}", self.rdata.escape_ascii()),
        };
        let (owner, kind) = (
            show_name(&self.owner),
            switchback::zone::rdata::type_name(self.rtype),
        );
        let rdata: String = rdata.chars().take(100).collect();
        format!("{owner} {} {kind} {rdata}", self.ttl)
    }
}

fn show_name(wire: &[u8]) -> String {
    switchback::zone::Name::from_wire(wire)
        .map_or_else(|_| format!("{wire:02x?}"), |n| n.to_string())
}

fn rcode_name(rcode: u8) -> String {
    match rcode {
        0 => "NOERROR".to_owned(),
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        6 => "YXDOMAIN".to_owned(),
        other => format!("rcode {other}"),
    }
}
