//! Reading a script, asking its questions, printing answers.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use switchback::answer::{Asker, Transport, respond};
use switchback::failover::{Publication, RankedPool, RankedServer, Ranking};
use switchback::ids::{Generation, Serial, ServerName};
use switchback::snapshot::{ServiceRecord, ServiceSpec, Snapshot, SnapshotSpec};
use switchback::time::Wall;
use switchback::zone::{self, Name};

/// A script, line by line, so that it can be written back.
pub(crate) struct Script {
    pub(crate) zones: Vec<(String, String)>,
    pub(crate) has_services: bool,
    pub(crate) lines: Vec<Line>,
    services: Vec<ServiceSpec>,
}

pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) question: Option<Question>,
}

pub(crate) struct Question {
    pub(crate) packet: Vec<u8>,
    pub(crate) stream: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) expected: String,
}

impl Script {
    pub(crate) fn read(text: &str) -> Script {
        let mut script = Script {
            zones: Vec::new(),
            has_services: false,
            lines: Vec::new(),
            services: Vec::new(),
        };
        for line in text.lines() {
            let last = script.lines.last_mut();
            let question = last.and_then(|line: &mut Line| line.question.as_mut());
            match (line.chars().next(), question) {
                (Some('>'), Some(question)) => {
                    question.expected.push_str(line);
                    question.expected.push('\n');
                    continue;
                }
                (Some('!'), Some(question)) => {
                    assert!(
                        line.contains("RFC "),
                        "{line}: a difference needs an RFC section"
                    );
                    question.notes.push(line.to_owned());
                    continue;
                }
                _ => {}
            }
            let question = script.read_line(line);
            script.lines.push(Line {
                text: line.to_owned(),
                question,
            });
        }
        script
    }

    fn read_line(&mut self, line: &str) -> Option<Question> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["?", name, rtype, options @ ..] => return Some(Question::new(name, rtype, options)),
            [] => {}
            [comment, ..] if comment.starts_with('#') => {}
            ["zone", origin, file] => self.zones.push(((*origin).into(), (*file).into())),
            ["service", name, ttl, min] => {
                self.has_services = true;
                let seconds = |text: &str| {
                    Duration::from_secs(text.split_once('=').unwrap().1.parse().unwrap())
                };
                self.services.push(ServiceSpec {
                    name: (*name).into(),
                    records: Vec::new(),
                    publication: Publication {
                        ranking: Ranking { pools: Vec::new() },
                        ttl: seconds(ttl),
                    },
                    negative_ttl: seconds(min),
                });
            }
            ["pool", pool, servers @ ..] => {
                let service = self.services.last_mut().unwrap();
                service.publication.ranking.pools.push(RankedPool {
                    pool: (*pool).into(),
                    servers: servers.iter().map(|server| read_server(server)).collect(),
                });
            }
            ["srv", owner, port] => {
                let (owner, port) = (owner.parse().unwrap(), port.parse().unwrap());
                let service = self.services.last_mut().unwrap();
                service.records.push(ServiceRecord::Srv { owner, port });
            }
            ["address", owner] => {
                let owner = owner.parse().unwrap();
                let service = self.services.last_mut().unwrap();
                service.records.push(ServiceRecord::Address { owner });
            }
            _ => panic!("what is this? {line}"),
        }
        None
    }

    pub(crate) fn snapshot(&self, folder: &Path) -> Snapshot {
        let zones = self.zones.iter().map(|(origin, file)| {
            let text = std::fs::read(folder.join(file)).unwrap();
            let origin: Name = origin.parse().unwrap();
            let mut include = |path: &str| Err(format!("no includes here: {path}"));
            let loaded = zone::parse(file, &text, &origin, &mut include).unwrap();
            let serial = loaded.zone.file_serial();
            (loaded.zone, Serial(serial.0))
        });
        let servers: Vec<(ServerName, Vec<IpAddr>)> = Vec::new();
        Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            zones: zones.collect(),
            services: self.services.clone(),
            servers,
        })
        .unwrap()
    }
}

fn read_server(text: &str) -> RankedServer {
    let (name, addresses) = text.split_once('=').unwrap();
    RankedServer {
        server: name.into(),
        addresses: addresses
            .split(',')
            .map(|text| text.parse().unwrap())
            .collect(),
        weight: 50,
    }
}

impl Question {
    fn new(name: &str, rtype: &str, options: &[&str]) -> Question {
        let (mut class, mut opcode, mut edns, mut version) = (1u16, 0u8, None, 0u8);
        let (mut stream, mut dnssec_ok) = (false, false);
        for option in options {
            match option.split_once('=') {
                Some(("class", value)) => class = value.parse().unwrap(),
                Some(("opcode", value)) => opcode = value.parse().unwrap(),
                Some(("edns", value)) => edns = Some(value.parse::<u16>().unwrap()),
                Some(("version", value)) => version = value.parse().unwrap(),
                None if *option == "tcp" => stream = true,
                None if *option == "do" => dnssec_ok = true,
                _ => panic!("what is {option}?"),
            }
        }
        let rtype = match rtype {
            "ANY" => 255,
            "AXFR" => 252,
            other => other.parse::<domain::base::iana::Rtype>().unwrap().to_int(),
        };
        let mut packet = vec![
            0x12,
            0x34,
            opcode << 3,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            u8::from(edns.is_some()),
        ];
        packet.extend_from_slice(name.parse::<Name>().unwrap().wire());
        packet.extend_from_slice(&rtype.to_be_bytes());
        packet.extend_from_slice(&class.to_be_bytes());
        if let Some(size) = edns {
            packet.extend_from_slice(&[0, 0, 41]);
            packet.extend_from_slice(&size.to_be_bytes());
            packet.extend_from_slice(&[0, version, u8::from(dnssec_ok) << 7, 0, 0, 0]);
        }
        Question {
            packet,
            stream,
            notes: Vec::new(),
            expected: String::new(),
        }
    }

    pub(crate) fn respond(&self, snapshot: &Snapshot) -> Vec<u8> {
        let transport = if self.stream {
            Transport::Stream
        } else {
            Transport::Udp
        };
        let mut out = Vec::new();
        let asker = Asker {
            transport,
            client: [127, 0, 0, 1].into(),
            now: Wall(0),
            idle: None,
        };
        assert!(respond(snapshot, &self.packet, &asker, &mut out));
        out
    }

    /// Our answer as the script has it.
    pub(crate) fn ask(&self, snapshot: &Snapshot) -> String {
        let response = self.respond(snapshot);
        let question = self
            .packet
            .get(12..response.len().min(self.packet.len()))
            .unwrap();
        if response[4..6] == [0, 1] {
            let end = question.iter().position(|octet| *octet == 0).unwrap() + 5;
            assert_eq!(
                response[12..12 + end],
                question[..end],
                "the question, octet for octet"
            );
        }
        let message = Message::from_vec(&response).unwrap();
        let mut text = match u16::from(message.response_code) {
            // TSIG's BADSIG has the same number.
            16 => "> BADVERS".to_owned(),
            _ => format!("> {:?}", message.response_code),
        };
        for (flag, set) in [
            ("aa", message.authoritative),
            ("tc", message.truncation),
            ("edns", message.edns.is_some()),
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
        text
    }

    /// What two servers must agree on: RCODE, AA, the answer, and what a resolver goes on with
    /// when there is none.
    pub(crate) fn comparable(&self, response: &[u8]) -> String {
        let message = Message::from_vec(response).unwrap();
        let truncated = message.truncation;
        let mut text = format!(
            "{:?} aa={} tc={truncated}\n",
            message.response_code, message.authoritative
        );
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

fn sections(message: &Message) -> [(&'static str, &[Record]); 3] {
    [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ]
}
