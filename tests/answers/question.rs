//! One question of a script: the packet, our answer as text, and what of it others must say too.
//!
//! `? NAME TYPE` and then, as needed: `class=CH`, `opcode=4`, `tcp`, `tls`, the header bits `rd`
//! `ad` `cd` `z`; with an OPT record: `edns=1232` (assumed with any of the following), `version=1`,
//! `do`, `flags=1`, `nsid`, `cookie=HEX`, `keepalive`, `pad=8`, `option=CODE:HEX`, `opts=2`.
//! `? - -` has no question.

use std::fmt::Write as _;

use domain::base::opt::UnknownOptData;
use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use switchback::answer::{Asker, Transport, respond};
use switchback::snapshot::Snapshot;
use switchback::time::Wall;
use switchback::zone::Name;

/// When all scripts are played.
const NOW: Wall = Wall(1_800_000_000_000);
/// From where.
const CLIENT: [u8; 4] = [127, 0, 0, 1];
/// How long a connection is kept, as the answers say.
const IDLE: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) struct Question {
    pub(crate) packet: Vec<u8>,
    pub(crate) stream: bool,
    encrypted: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) expected: String,
}

/// An OPT record under construction.
struct Opt {
    size: u16,
    version: u8,
    flags: u16,
    options: Vec<u8>,
    copies: u8,
}

impl Opt {
    fn option(&mut self, code: u16, octets: &[u8]) {
        self.options.extend_from_slice(&code.to_be_bytes());
        let length = u16::try_from(octets.len()).unwrap();
        self.options.extend_from_slice(&length.to_be_bytes());
        self.options.extend_from_slice(octets);
    }

    fn record(&self) -> Vec<u8> {
        let mut record = vec![0, 0, 41];
        record.extend_from_slice(&self.size.to_be_bytes());
        record.extend_from_slice(&[0, self.version]);
        record.extend_from_slice(&self.flags.to_be_bytes());
        let length = u16::try_from(self.options.len()).unwrap();
        record.extend_from_slice(&length.to_be_bytes());
        record.extend_from_slice(&self.options);
        record
    }
}

/// A word that asks for something of EDNS.
fn read_opt(opt: &mut Option<Opt>, word: &str, value: &str) {
    let opt = opt.get_or_insert(Opt {
        size: 1232,
        version: 0,
        flags: 0,
        options: Vec::new(),
        copies: 1,
    });
    match word {
        "edns" => opt.size = value.parse().unwrap(),
        "version" => opt.version = value.parse().unwrap(),
        "do" => opt.flags |= 0x8000,
        "flags" => opt.flags |= value.parse::<u16>().unwrap(),
        "opts" => opt.copies = value.parse().unwrap(),
        "nsid" => opt.option(3, &[]),
        "cookie" => opt.option(10, &unhex(value)),
        "keepalive" => opt.option(11, &unhex(value)),
        "pad" => opt.option(12, &vec![0; value.parse().unwrap()]),
        "option" => {
            let (code, octets) = value.split_once(':').unwrap();
            opt.option(code.parse().unwrap(), &unhex(octets));
        }
        _ => panic!("what is {word}?"),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let octet = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(octet).collect()
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

impl Question {
    pub(crate) fn new(name: &str, rtype: &str, words: &[&str]) -> Question {
        let (mut class, mut opcode, mut stream, mut encrypted) = (1u16, 0u8, false, false);
        let (mut high, mut low) = (0u8, 0u8);
        let mut opt: Option<Opt> = None;
        for word in words {
            let (word, value) = word.split_once('=').unwrap_or((word, ""));
            match word {
                "class" if value == "CH" => class = 3,
                "class" => class = value.parse().unwrap(),
                "opcode" => opcode = value.parse().unwrap(),
                "tcp" => stream = true,
                "tls" => (stream, encrypted) = (true, true),
                "rd" => high |= 1,
                "z" => low |= 0x40,
                "ad" => low |= 0x20,
                "cd" => low |= 0x10,
                _ => read_opt(&mut opt, word, value),
            }
        }
        let copies = opt.as_ref().map_or(0, |opt| opt.copies);
        let questions = u8::from(name != "-");
        let flags = [opcode << 3 | high, low];
        let mut packet = vec![
            0x12, 0x34, flags[0], flags[1], 0, questions, 0, 0, 0, 0, 0, copies,
        ];
        if name != "-" {
            let rtype = match rtype {
                "ANY" => 255,
                "AXFR" => 252,
                other => other.parse::<domain::base::iana::Rtype>().unwrap().to_int(),
            };
            packet.extend_from_slice(name.parse::<Name>().unwrap().wire());
            packet.extend_from_slice(&rtype.to_be_bytes());
            packet.extend_from_slice(&class.to_be_bytes());
        }
        for _ in 0..copies {
            packet.extend(opt.as_ref().unwrap().record());
        }
        Question {
            packet,
            stream,
            encrypted,
            notes: Vec::new(),
            expected: String::new(),
        }
    }

    /// Our answer at the time of the scripts.
    pub(crate) fn respond(&self, snapshot: &Snapshot) -> Vec<u8> {
        self.respond_at(snapshot, NOW)
    }

    pub(crate) fn respond_at(&self, snapshot: &Snapshot, now: Wall) -> Vec<u8> {
        let transport = match (self.stream, self.encrypted) {
            (_, true) => Transport::Encrypted,
            (true, false) => Transport::Stream,
            (false, false) => Transport::Udp,
        };
        let asker = Asker {
            transport,
            client: CLIENT.into(),
            now,
            idle: self.stream.then_some(IDLE),
        };
        let mut out = Vec::new();
        assert!(respond(snapshot, &self.packet, &asker, &mut out));
        out
    }

    /// Our answer as the script has it.
    pub(crate) fn ask(&self, snapshot: &Snapshot) -> String {
        let response = self.respond(snapshot);
        if response[4..6] == [0, 1] {
            let question = &self.packet[12..];
            let end = Name::wire_prefix(question).unwrap().len() + 4;
            assert_eq!(
                response[12..12 + end],
                question[..end],
                "the question, octet for octet"
            );
        }
        let message = Message::from_vec(&response).unwrap();
        let mut text = format!("> {}", rcode(&message));
        for (flag, set) in [
            ("aa", message.authoritative),
            ("tc", message.truncation),
            ("rd", message.recursion_desired),
            ("ra", message.recursion_available),
            ("z", response[3] & 0x40 != 0),
            ("ad", message.authentic_data),
            ("cd", message.checking_disabled),
            ("edns", message.edns.is_some()),
            (
                "do",
                message
                    .edns
                    .as_ref()
                    .is_some_and(|edns| edns.flags().dnssec_ok),
            ),
        ] {
            if set {
                write!(text, " {flag}").unwrap();
            }
        }
        text.push('\n');
        for (section, records) in sections(&message) {
            for record in records {
                writeln!(text, "> {section} {record}").unwrap();
            }
        }
        for (code, octets) in options(&response) {
            let octets = octets.as_slice();
            match code {
                3 => writeln!(text, "> option nsid {}", String::from_utf8_lossy(octets)),
                10 => {
                    let (client, server) = octets.split_at(8);
                    writeln!(text, "> option cookie {} {}", hex(client), hex(server))
                }
                11 => writeln!(text, "> option keepalive {}", number(octets)),
                12 => writeln!(text, "> option padding, {} octets in all", response.len()),
                15 => writeln!(text, "> option error {}", number(octets)),
                other => writeln!(text, "> option {other} {}", hex(octets)),
            }
            .unwrap();
        }
        text
    }

    /// What two servers must agree on: RCODE, flags, the answer, what a resolver goes on with
    /// when there is none, who they say they are, and whether they gave a cookie.
    pub(crate) fn comparable(&self, response: &[u8]) -> String {
        let message = Message::from_vec(response).unwrap();
        let truncated = message.truncation;
        let mut text = format!(
            "{} aa={} tc={truncated} ra={} ad={} cd={} edns={}\n",
            rcode(&message),
            message.authoritative,
            message.recursion_available,
            message.authentic_data,
            message.checking_disabled,
            message.edns.is_some(),
        );
        for (code, octets) in options(response) {
            match code {
                3 => writeln!(text, "nsid {}", hex(&octets)).unwrap(),
                10 => writeln!(text, "cookie {}", hex(&octets[..8])).unwrap(),
                _ => {}
            }
        }
        if truncated {
            return text;
        }
        let mut lines = Vec::new();
        let positive = !message.answers.is_empty()
            && u16::from(message.response_code) == 0
            && !message
                .authorities
                .iter()
                .any(|record| u16::from(record.record_type()) == 6);
        let referral = message.answers.is_empty() && !message.authoritative;
        for (section, records) in sections(&message) {
            let matters = match section {
                "answer" => true,
                "authority" => !positive,
                _ => referral,
            };
            if matters {
                let print = |record: &Record| format!("{section} {record}\n").to_lowercase();
                lines.extend(records.iter().map(print));
            }
        }
        lines.sort();
        text.extend(lines);
        text
    }

    pub(crate) fn explains(&self, peer: &str) -> bool {
        self.notes
            .iter()
            .any(|note| note.split_whitespace().nth(1) == Some(peer))
    }
}

fn rcode(message: &Message) -> String {
    match u16::from(message.response_code) {
        // TSIG's BADSIG has the same number.
        16 => "BADVERS".to_owned(),
        _ => format!("{:?}", message.response_code),
    }
}

/// The options of the OPT record, each with its code.
pub(crate) fn options(response: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let message = domain::base::Message::from_octets(response).unwrap();
    let Some(record) = message.opt() else {
        return Vec::new();
    };
    let options = record.opt().iter::<UnknownOptData<_>>();
    let read = options.map(|option| {
        let option = option.unwrap();
        (option.code().to_int(), option.data().to_vec())
    });
    read.collect()
}

fn number(octets: &[u8]) -> u16 {
    u16::from_be_bytes(octets.try_into().unwrap())
}

fn sections(message: &Message) -> [(&'static str, &[Record]); 3] {
    [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ]
}
