//! The zones that all servers load, and what they are asked.

use std::fmt::Write as _;

use switchback::zone::Name;

use crate::generator::Question;

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// The letters that are drawn anew in each question.
const RANDOM: &str = "xxxxxxxxxxxx";
/// What servers and clients send over UDP at most.
pub(crate) const PAYLOAD: u16 = 1232;

/// What a set of servers is started with.
pub(crate) struct Setting {
    pub(crate) origin: &'static str,
    /// Its master file.
    pub(crate) text: String,
    /// Whether those that do not answer with a cookie unless told so are told so.
    pub(crate) cookies: bool,
    pub(crate) workloads: Vec<Workload>,
}

/// One kind of load.
pub(crate) struct Workload {
    /// For the option `--only`, and as a heading.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// Whether each query has the server's cookie with it.
    pub(crate) cookie: bool,
    /// Whether each query wants signatures (DO, RFC 3225); the zones have none.
    pub(crate) dnssec_ok: bool,
    /// Whether the answers come with the AA bit; those of a referral do not.
    pub(crate) authoritative: bool,
    /// Whether dnsperf asks the same as well.
    pub(crate) dnsperf: bool,
    asked: Vec<Asked>,
}

/// A name and a type, and what every right answer has.
struct Asked {
    name: String,
    qtype: u16,
    rcode: u8,
    answers: u8,
}

/// All settings: a small zone, the same with cookies, and a zone of so many names.
pub(crate) fn settings(names: usize) -> Vec<Setting> {
    vec![
        Setting {
            origin: "contoso.test",
            text: small(),
            cookies: false,
            workloads: vec![
                Workload::new("srv", "one SRV, EDNS, additional records", vec![srv()])
                    .with_dnsperf(),
                Workload::new("mix", "SRV, A, AAAA, NODATA", mix()).with_dnsperf(),
                Workload {
                    dnssec_ok: true,
                    ..Workload::new("do", "the same with DO", mix())
                },
                Workload::new(
                    "nxdomain",
                    "NXDOMAIN, random names",
                    vec![asked(&format!("{RANDOM}.contoso.test."), A, 3, 0)],
                ),
                Workload::new(
                    "wildcard",
                    "wildcard, random names",
                    vec![asked(&format!("{RANDOM}.wild.contoso.test."), A, 0, 1)],
                ),
                Workload {
                    authoritative: false,
                    ..Workload::new(
                        "referral",
                        "referral, random names",
                        vec![asked(&format!("{RANDOM}.child.contoso.test."), A, 0, 0)],
                    )
                },
            ],
        },
        Setting {
            origin: "contoso.test",
            text: small(),
            cookies: true,
            workloads: vec![
                Workload::new("no-cookie", "one SRV, no cookie asked for", vec![srv()]),
                Workload {
                    cookie: true,
                    ..Workload::new("cookie", "one SRV with COOKIE", vec![srv()])
                },
            ],
        },
        Setting {
            origin: "names.test",
            text: large(names),
            cookies: false,
            workloads: vec![Workload::new(
                "names",
                &format!("{names} names: 70 % A, 15 % SRV, 15 % NXDOMAIN"),
                spread(names),
            )],
        },
    ]
}

impl Workload {
    fn new(name: &'static str, title: &str, asked: Vec<Asked>) -> Workload {
        Workload {
            name,
            title: title.to_owned(),
            cookie: false,
            dnssec_ok: false,
            authoritative: true,
            dnsperf: false,
            asked,
        }
    }

    fn with_dnsperf(self) -> Workload {
        Workload {
            dnsperf: true,
            ..self
        }
    }

    /// The queries, each with EDNS, and with this cookie if there is one.
    pub(crate) fn questions(&self, cookie: Option<&[u8]>) -> Vec<Question> {
        let of = |asked: &Asked| {
            let mut wire = query(&asked.name, asked.qtype, cookie);
            if self.dnssec_ok {
                let name: Name = asked.name.parse().unwrap();
                // Header, question; of OPT the root, type, class, extended rcode and version.
                wire[12 + name.wire().len() + 4 + 7] |= 0x80;
            }
            let random = match asked.name.starts_with(RANDOM) {
                true => 13..13 + RANDOM.len(),
                false => 0..0,
            };
            Question {
                wire,
                random,
                rcode: asked.rcode,
                answers: asked.answers,
            }
        };
        self.asked.iter().map(of).collect()
    }

    /// The same as lines for dnsperf.
    pub(crate) fn lines(&self) -> String {
        self.asked.iter().fold(String::new(), |mut text, asked| {
            let _ = writeln!(text, "{} TYPE{}", asked.name, asked.qtype);
            text
        })
    }
}

/// A query with EDNS, and with a cookie in it if there is one.
pub(crate) fn query(name: &str, qtype: u16, cookie: Option<&[u8]>) -> Vec<u8> {
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let name: Name = name.parse().unwrap();
    packet.extend_from_slice(name.wire());
    packet.extend(qtype.to_be_bytes());
    packet.extend([0, 1]);
    // OPT (RFC 6891 section 6.1.2).
    packet.extend([0, 0, 41]);
    packet.extend(PAYLOAD.to_be_bytes());
    packet.extend([0, 0, 0, 0]);
    let options = cookie.map_or(0, |cookie| 4 + cookie.len());
    packet.extend(u16::try_from(options).unwrap().to_be_bytes());
    if let Some(cookie) = cookie {
        // COOKIE (RFC 7873 section 4).
        packet.extend([0, 10]);
        packet.extend(u16::try_from(cookie.len()).unwrap().to_be_bytes());
        packet.extend(cookie);
    }
    packet
}

fn asked(name: &str, qtype: u16, rcode: u8, answers: u8) -> Asked {
    Asked {
        name: name.to_owned(),
        qtype,
        rcode,
        answers,
    }
}

fn srv() -> Asked {
    asked("_xmpp-server._tcp.contoso.test.", SRV, 0, 4)
}

fn mix() -> Vec<Asked> {
    (1..=4)
        .flat_map(|edge| {
            let edge = format!("edge{edge}.contoso.test.");
            [
                srv(),
                asked(&edge, A, 0, 1),
                asked(&edge, AAAA, 0, 1),
                // There are addresses only.
                asked(&edge, SRV, 0, 0),
            ]
        })
        .collect()
}

/// Four edges in two pools, a wildcard, and a delegation with glue.
fn small() -> String {
    let mut text = "$ORIGIN contoso.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n\
                    @ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n*.wild A 192.0.2.80\n\
                    child NS ns.child\nchild NS ns2.child\nns.child A 192.0.2.91\n\
                    ns2.child A 192.0.2.92\n"
        .to_owned();
    for edge in 1..=4 {
        let _ = writeln!(
            text,
            "_xmpp-server._tcp SRV {0} 0 5269 edge{1}\nedge{1} A 192.0.2.1{1}\n\
             edge{1} AAAA 2001:db8::1{1}",
            if edge <= 2 { 10 } else { 20 },
            edge
        );
    }
    text
}

/// Of 85 names 70 have an IPv4 address and 15 an SRV record that points at one of the former.
fn large(names: usize) -> String {
    let mut text = "$ORIGIN names.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n\
                    @ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n"
        .to_owned();
    for at in 0..names {
        let [.., a, b, c] = at.to_be_bytes();
        let _ = match at % 85 {
            0..70 => writeln!(text, "h{at:06} A 10.{a}.{b}.{c}"),
            _ => writeln!(
                text,
                "_xmpp-server._tcp.d{at:06} SRV 10 0 5269 h{:06}",
                at - at % 85
            ),
        };
    }
    text
}

/// Questions for all names of [`large`] and as many more as do not exist, in no order.
fn spread(names: usize) -> Vec<Asked> {
    // A step that shares no factor with the count leads through all of them.
    let step = (names * 61 / 100..)
        .find(|step| greatest_common_divisor(*step, names) == 1)
        .unwrap_or(1);
    let mut all = Vec::with_capacity(names * 100 / 85 + 1);
    let mut at = 0;
    for number in 0..names {
        all.push(match at % 85 {
            0..70 => asked(&format!("h{at:06}.names.test."), A, 0, 1),
            _ => asked(
                &format!("_xmpp-server._tcp.d{at:06}.names.test."),
                SRV,
                0,
                1,
            ),
        });
        if number % 85 < 15 {
            all.push(asked(&format!("n{at:06}.names.test."), A, 3, 0));
        }
        at = (at + step) % names;
    }
    all
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
