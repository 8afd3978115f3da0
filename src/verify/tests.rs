use super::*;
use crate::failover::Standby;
use crate::health::Verdict;
use crate::ids::Serial;
use crate::inquiry::{Data, Failure, Rcode, Record, Reply, Srv};
use crate::time::Wall;
use crate::zone::Name;
use crate::zone::rdata::rtype;

const OWNER: &str = "_xmpp-server._tcp.contoso.test.";
const NOW: Wall = Wall(1_795_473_459_120);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn expected(published: bool) -> Expected {
    let pool = |number: u8, standby| ExpectedPool {
        pool: format!("edgepool{number}").as_str().into(),
        priority: u16::from(number) * 10,
        standby,
        servers: vec![ExpectedServer {
            name: format!("edge{number}.contoso.test.").as_str().into(),
            addresses: vec![[192, 0, 2, number].into()],
            weight: 0,
        }],
        looks: Vec::new(),
    };
    Expected {
        service: "xmpp-federation".into(),
        published,
        zones: vec![ExpectedZone {
            origin: "contoso.test.".to_owned(),
            serial: published.then_some(Serial(7)),
        }],
        sets: vec![ExpectedSet {
            owner: OWNER.to_owned(),
            zone: "contoso.test.".to_owned(),
            kind: SetKind::Srv { port: 5269 },
        }],
        pools: vec![pool(1, Standby::Hot), pool(2, Standby::Cold)],
        ttl_s: published.then_some(60),
        ttl_min_s: 5,
        ttl_max_s: 60,
    }
}

fn reply(owner: &str, ttl: u32, data: impl IntoIterator<Item = Data>) -> Reply {
    let record = |data| Record {
        owner: name(owner),
        ttl,
        data,
    };
    Reply {
        authoritative: true,
        answers: data.into_iter().map(record).collect(),
        ..Reply::default()
    }
}

fn srv(priority: u16, target: &str) -> Data {
    Data::Srv(Srv {
        priority,
        weight: 0,
        port: 5269,
        target: name(target),
    })
}

fn order(first: &str, second: &str) -> Reply {
    reply(OWNER, 60, [srv(10, first), srv(20, second)])
}

fn server(serial: u32, said: Reply) -> NameserverEvidence {
    let soa = reply("contoso.test.", 60, [Data::Soa(Serial(serial))]);
    let address: std::net::IpAddr = [192, 0, 2, 53].into();
    NameserverEvidence {
        name: name("ns1.contoso.test."),
        delegated: true,
        listed: true,
        found: Ok(vec![address]),
        addresses: vec![AddressEvidence {
            address: (address, 53).into(),
            udp: Ok(soa.clone()),
            tcp: Ok(soa),
            sets: vec![(name(OWNER), rtype::SRV, Ok(said))],
            between: Vec::new(),
        }],
    }
}

fn zone(servers: Vec<NameserverEvidence>) -> ZoneEvidence {
    let names: Vec<Name> = servers.iter().map(|server| server.name.clone()).collect();
    let glue = names
        .iter()
        .map(|name| (name.clone(), vec![[192, 0, 2, 53].into()]));
    let delegation = Delegation {
        glue: glue.collect(),
        servers: names,
        ..Delegation::default()
    };
    ZoneEvidence {
        origin: name("contoso.test."),
        parent: Ok(Parent {
            origin: name("test."),
            servers: vec![ParentEvidence {
                server: name("a.root."),
                address: ([198, 41, 0, 4], 53).into(),
                said: Ok(delegation),
            }],
        }),
        servers,
    }
}

fn of_zone(expected: &Expected, zone: ZoneEvidence) -> Vec<String> {
    let evidence = Evidence {
        now: NOW,
        zones: vec![zone],
        ..Evidence::default()
    };
    faults(&findings(expected, &evidence))
}

fn faults(found: &[Finding]) -> Vec<String> {
    let bad = found.iter().filter(|finding| finding.level != Level::Pass);
    bad.map(|it| {
        assert!(
            it.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()),
            "{it:?}"
        );
        format!("{} {}: {}", it.level, it.check.word(), it.saw)
    })
    .collect()
}

fn target(server: &str, verdict: Verdict, ends: Option<Wall>) -> TargetEvidence {
    let address = (
        [192, 0, 2, if server.starts_with("edge1") { 1 } else { 2 }],
        5269,
    );
    let address: std::net::SocketAddr = address.into();
    TargetEvidence {
        name: name(server),
        found: Ok(vec![address.ip()]),
        alias: None,
        looks: vec![TargetLook {
            address,
            kind: "xmpp-tls",
            domain: Some("contoso.test".to_owned()),
            verdict: Ok(verdict),
            certificate_ends: ends,
            took_ms: 12,
        }],
    }
}

fn of_targets(targets: Vec<TargetEvidence>) -> Vec<String> {
    let evidence = Evidence {
        now: NOW,
        targets,
        ..Evidence::default()
    };
    faults(&findings(&expected(true), &evidence))
}

#[test]
fn what_is_as_published_has_no_fault() {
    let good = zone(vec![server(
        7,
        order("edge1.contoso.test.", "edge2.contoso.test."),
    )]);
    assert_eq!(of_zone(&expected(true), good), Vec::<String>::new());
}

#[test]
fn a_serial_that_is_newer_than_the_daemons_is_another_primarys() {
    let newer = zone(vec![server(
        9,
        order("edge1.contoso.test.", "edge2.contoso.test."),
    )]);
    let faults = of_zone(&expected(true), newer);
    assert_eq!(
        faults,
        ["FAIL serial: serial 9 is newer than 7, which the daemon serves"]
    );
}

#[test]
fn a_lone_dot_says_that_there_is_no_service() {
    let dot = zone(vec![server(7, reply(OWNER, 60, [srv(0, ".")]))]);
    let faults = of_zone(&expected(true), dot);
    assert!(faults[0].contains("there is no such service"), "{faults:?}");
}

#[test]
fn an_answer_without_authority_is_lame_and_its_serial_does_not_count() {
    let mut cached = server(7, order("edge1.contoso.test.", "edge2.contoso.test."));
    let address = &mut cached.addresses[0];
    for soa in [&mut address.udp, &mut address.tcp] {
        soa.as_mut().unwrap().authoritative = false;
    }
    let faults = of_zone(&expected(true), zone(vec![cached]));
    let lame = |way| {
        format!("FAIL server: lame: it answers over {way} without authority (AA), from a cache")
    };
    assert_eq!(faults, [lame("UDP"), lame("TCP")]);
}

#[test]
fn without_a_daemon_the_servers_are_measured_by_each_other() {
    let (one, two) = ("edge1.contoso.test.", "edge2.contoso.test.");
    let alike = zone(vec![server(7, order(two, one)), server(7, order(two, one))]);
    let preferred = format!(
        "WARN answer: {OWNER} SRV: 10 {two}, 20 {one}: edgepool2 is first, the configuration \
         prefers edgepool1"
    );
    let faults = of_zone(&expected(false), alike);
    assert_eq!(faults, [preferred.clone(), preferred.clone()]);
    let apart = zone(vec![server(8, order(one, two)), server(7, order(two, one))]);
    let faults = of_zone(&expected(false), apart);
    assert_eq!(
        faults[0],
        "WARN serial: stale: serial 7, 1 behind 8, which another server has"
    );
    assert_eq!(faults[1], preferred);
    assert!(
        faults[2].starts_with("FAIL answer") && faults[2].contains("but 10 edge1"),
        "{faults:?}"
    );
}

#[test]
fn a_name_between_must_exist() {
    let mut blind = server(7, order("edge1.contoso.test.", "edge2.contoso.test."));
    let nothing = Reply {
        rcode: Rcode::NX_DOMAIN,
        authoritative: true,
        ..Reply::default()
    };
    blind.addresses[0].between = vec![(name("_tcp.contoso.test."), Ok(nothing))];
    let faults = of_zone(&expected(true), zone(vec![blind]));
    assert_eq!(
        faults,
        ["FAIL answer: _tcp.contoso.test.: it answers NXDOMAIN, although names lie below it"]
    );
}

#[test]
fn a_parent_that_says_nothing_and_one_that_does_not_delegate() {
    let mut silent = zone(Vec::new());
    let parent = silent.parent.as_mut().unwrap();
    parent.servers[0].said = Err(Failure::CutOff);
    let faults = of_zone(&expected(true), silent);
    assert!(
        faults[0].starts_with("WARN delegation: a name server of test."),
        "{faults:?}"
    );
    assert_eq!(
        faults[1],
        "FAIL delegation: no name server of test. says anything of it"
    );
    let mut unknown = zone(Vec::new());
    let parent = unknown.parent.as_mut().unwrap();
    parent.servers[0].said = Ok(Delegation {
        otherwise: Some("NXDOMAIN".to_owned()),
        ..Delegation::default()
    });
    let faults = of_zone(&expected(true), unknown);
    assert_eq!(
        faults[0],
        "FAIL delegation: test. does not delegate it: NXDOMAIN"
    );
    assert!(faults[1].starts_with("FAIL server: no name server of it is known"));
}

#[test]
fn a_cold_standby_is_closed_and_well_and_an_active_edge_is_not() {
    let refused = |server| target(server, Verdict::Refused, None);
    assert_eq!(
        of_targets(vec![refused("edge2.contoso.test.")]),
        Vec::<String>::new()
    );
    let faults = of_targets(vec![refused("edge1.contoso.test.")]);
    assert_eq!(faults, ["FAIL edge: xmpp-tls for contoso.test: refused"]);
}

#[test]
fn a_certificate_is_said_before_it_ends() {
    let day = std::time::Duration::from_secs(24 * 3600);
    let good = |ends| {
        of_targets(vec![target(
            "edge1.contoso.test.",
            Verdict::Good,
            Some(ends),
        )])
    };
    assert_eq!(good(NOW + 15 * day), Vec::<String>::new());
    let faults = good(NOW + 13 * day);
    assert!(
        faults[0].starts_with("WARN certificate:") && faults[0].ends_with("13 days"),
        "{faults:?}"
    );
    let untrusted = Verdict::CertificateUntrusted("issued by none of the roots".to_owned());
    let faults = of_targets(vec![target("edge1.contoso.test.", untrusted, None)]);
    assert!(faults[0].starts_with("FAIL certificate:"), "{faults:?}");
}

#[test]
fn a_target_is_no_alias_and_has_the_addresses_of_its_pool() {
    let mut alias = target("edge1.contoso.test.", Verdict::Good, None);
    alias.alias = Some(name("edge9.contoso.test."));
    alias.found = Ok(vec![[192, 0, 2, 9].into()]);
    let faults = of_targets(vec![alias]);
    assert!(
        faults[0].contains("it is an alias of edge9.contoso.test."),
        "{faults:?}"
    );
    assert_eq!(
        faults[1],
        "FAIL target: it is at 192.0.2.9, it should be at 192.0.2.1"
    );
}
