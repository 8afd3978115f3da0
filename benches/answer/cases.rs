//! Zones, and the queries that are put to them.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use switchback::answer::{Asker, Transport, compile, respond};
use switchback::failover::{Publication, RankedPool, RankedServer, Ranking};
use switchback::ids::{Generation, Serial};
use switchback::snapshot::{
    CookieSecret, Cookies, ServiceRecord, ServiceSpec, Settings, Snapshot, SnapshotSpec,
};
use switchback::time::Wall;
use switchback::zone::rdata::rtype;
use switchback::zone::{Name, parse};

use super::random::Random;

/// Queries of one kind.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) queries: Vec<Vec<u8>>,
    /// Where the next run begins.
    pub(crate) next: Cell<usize>,
}

impl Case {
    fn new(name: &'static str, queries: Vec<Vec<u8>>) -> Case {
        Case {
            name,
            queries,
            next: Cell::new(0),
        }
    }
}

const SMALL: &str = "\
$TTL 3600
@                   SOA  ns1 hostmaster 1 7200 900 1209600 300
                    NS   ns1
                    NS   ns2
                    MX   10 mail
ns1                 A    192.0.2.1
ns2                 A    192.0.2.2
mail                A    192.0.2.25
www                 A    192.0.2.80
                    AAAA 2001:db8::80
alias               CNAME www
_xmpp-client._tcp   SRV  10 0 5222 im1
                    SRV  20 0 5222 im2
im1                 A    192.0.2.51
                    AAAA 2001:db8::51
im2                 A    192.0.2.52
                    AAAA 2001:db8::52
*.wild              A    192.0.2.81
child               NS   ns1.child
                    NS   ns2.child
ns1.child           A    192.0.2.91
ns2.child           A    192.0.2.92
";

/// A service of two pools in a zone of twenty names.
pub(crate) fn one() -> (Snapshot, Vec<Case>) {
    let pool = |number: u8| RankedPool {
        pool: format!("pool{number}").as_str().into(),
        servers: vec![RankedServer {
            server: format!("edge{number}.contoso.test.").as_str().into(),
            addresses: vec![
                [192, 0, 2, number].into(),
                [0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()].into(),
            ],
            weight: 0,
        }],
    };
    let service = ServiceSpec {
        name: "xmpp".into(),
        records: vec![ServiceRecord::Srv {
            owner: "_xmpp-server._tcp.contoso.test.".parse().unwrap(),
            port: 5269,
        }],
        publication: Publication {
            ranking: Ranking {
                pools: vec![pool(1), pool(2)],
            },
            ttl: Duration::from_secs(30),
        },
        negative_ttl: Duration::from_secs(5),
    };
    let settings = Settings {
        cookies: Some(Cookies {
            active: CookieSecret([7; 16]),
            others: Vec::new(),
            required: false,
        }),
        ..Settings::default()
    };
    let snapshot = snapshot("contoso.test.", SMALL, vec![service], settings);
    let srv = "_xmpp-server._tcp.contoso.test.";
    let cookie = cookie_of(&snapshot);
    let every = |name: &'static str, question: &str, rtype| {
        Case::new(name, vec![query(question, rtype, &[])])
    };
    let cases = vec![
        every("srv-service", srv, rtype::SRV),
        Case::new("srv-service-cookie", vec![query(srv, rtype::SRV, &cookie)]),
        every("srv", "_xmpp-client._tcp.contoso.test.", rtype::SRV),
        every("a", "www.contoso.test.", rtype::A),
        every("a-server", "edge1.contoso.test.", rtype::A),
        every("mx", "contoso.test.", rtype::MX),
        every("soa", "contoso.test.", rtype::SOA),
        every("nodata", "www.contoso.test.", rtype::TXT),
        every("nodata-service", srv, rtype::TLSA),
        every("nxdomain", "nowhere.contoso.test.", rtype::A),
        Case::new("nxdomain-random", random_names("contoso.test.", 4096)),
        Case::new("wildcard", random_names("wild.contoso.test.", 4096)),
        Case::new("referral", random_names("child.contoso.test.", 4096)),
        every("alias", "alias.contoso.test.", rtype::A),
        every("refused", "elsewhere.test.", rtype::A),
    ];
    (snapshot, cases)
}

/// A zone of so many names: of a hundred 80 have an IPv4 address, 5 an IPv6 address and 15 an SRV
/// record.
pub(crate) fn many(names: usize, queries: usize) -> (Snapshot, Vec<Case>) {
    let mut text =
        "$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n"
            .to_owned();
    let name = |at: usize| match at % 100 {
        0..85 => format!("h{at:07}"),
        _ => format!("_xmpp-server._tcp.d{at:07}"),
    };
    for at in 0..names {
        let owner = name(at);
        match at % 100 {
            0..80 => writeln!(
                text,
                "{owner} A 10.{}.{}.{}",
                at >> 16,
                at >> 8 & 255,
                at & 255
            ),
            80..85 => writeln!(
                text,
                "{owner} AAAA 2001:db8::{:x}:{:x}",
                at >> 16,
                at & 0xffff
            ),
            _ => writeln!(text, "{owner} SRV 10 0 5269 h{:07}", at - at % 100),
        }
        .unwrap();
    }
    let snapshot = snapshot("million.test.", &text, Vec::new(), Settings::default());
    let mut random = Random::new(7);
    let mut pick = |least: usize, span: usize, rtype: u16| -> Vec<Vec<u8>> {
        let any = (0..queries).map(|_| {
            let at = random.below(names / 100) * 100 + least + random.below(span);
            query(&format!("{}.million.test.", name(at)), rtype, &[])
        });
        any.collect()
    };
    let cases = vec![
        Case::new("a", pick(0, 80, rtype::A)),
        Case::new("srv", pick(85, 15, rtype::SRV)),
        Case::new("nodata", pick(0, 80, rtype::TXT)),
        Case::new("nxdomain", random_names("million.test.", queries)),
    ];
    (snapshot, cases)
}

fn random_names(below: &str, count: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(3);
    let names = (0..count).map(|_| format!("r{:012x}.{below}", random.next() >> 16));
    names.map(|name| query(&name, rtype::A, &[])).collect()
}

fn snapshot(origin: &str, text: &str, services: Vec<ServiceSpec>, settings: Settings) -> Snapshot {
    let origin: Name = origin.parse().unwrap();
    let mut include = |path: &str| Err(format!("no includes here: {path}"));
    let file = parse("zone", text.as_bytes(), &origin, &mut include).unwrap();
    let mut snapshot = Snapshot::build(&SnapshotSpec {
        generation: Generation(1),
        settings: Arc::new(settings),
        zones: vec![(file.zone, Serial(1))],
        services,
        servers: Vec::new(),
    })
    .unwrap();
    compile(&mut snapshot);
    snapshot
}

/// A query with EDNS and these options.
fn query(name: &str, rtype: u16, options: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.parse::<Name>().unwrap().wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0]);
    packet.push(u8::try_from(options.len()).unwrap());
    packet.extend_from_slice(options);
    packet
}

/// The COOKIE option of a client that has one of ours.
fn cookie_of(snapshot: &Snapshot) -> Vec<u8> {
    let asker = Asker {
        transport: Transport::Udp,
        client: [192, 0, 2, 53].into(),
        now: Wall(1_800_000_000_000),
        idle: None,
    };
    let first = query(
        "contoso.test.",
        rtype::SOA,
        &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    let mut out = Vec::new();
    assert!(respond(snapshot, &first, &asker, &mut out));
    out.split_off(out.len() - 28)
}
