//! Reading a script, asking its questions, printing answers.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use switchback::failover::{Publication, RankedPool, RankedServer, Ranking};
use switchback::ids::{Generation, Serial, ServerName};
use switchback::snapshot::{ServiceRecord, ServiceSpec, Settings, Snapshot, SnapshotSpec};
use switchback::zone::{self, Name};

use super::question::Question;
use super::settings;

/// A script, line by line, so that it can be written back.
pub(crate) struct Script {
    pub(crate) zones: Vec<(String, String)>,
    pub(crate) has_services: bool,
    pub(crate) lines: Vec<Line>,
    /// Whether others are not asked, and so much the line `alone` says.
    pub(crate) alone: bool,
    pub(crate) settings: Settings,
    services: Vec<ServiceSpec>,
}

pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) question: Option<Question>,
}

impl Script {
    pub(crate) fn read(text: &str) -> Script {
        let mut script = Script {
            zones: Vec::new(),
            has_services: false,
            lines: Vec::new(),
            alone: false,
            settings: Settings::default(),
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
            ["alone", ..] => {
                assert!(line.contains("RFC "), "{line}: it needs an RFC section");
                self.alone = true;
            }
            ["server", words @ ..] => {
                self.settings = settings::read(words);
            }
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
            settings: Arc::new(self.settings.clone()),
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
