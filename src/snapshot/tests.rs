use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::failover::{Publication, RankedPool, RankedServer, Ranking};
use crate::zone::rdata::rtype;
use crate::zone::{Zone, parse};

fn zone(origin: &str, more: &str) -> Arc<Zone> {
    let text = format!("$TTL 60\n@ SOA ns h 1 1 1 1 300\n@ NS ns.elsewhere.\n{more}");
    let mut include = |_: &str| Err("none".to_owned());
    let loaded = parse("z", text.as_bytes(), &origin.parse().unwrap(), &mut include);
    loaded.unwrap().zone
}

fn pool(name: &str, servers: &[(&str, &[&str])]) -> RankedPool {
    RankedPool {
        pool: name.into(),
        servers: servers
            .iter()
            .map(|(server, addresses)| RankedServer {
                server: (*server).into(),
                addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
                weight: 7,
            })
            .collect(),
    }
}

fn spec(
    zones: Vec<Arc<Zone>>,
    records: Vec<ServiceRecord>,
    pools: Vec<RankedPool>,
) -> SnapshotSpec {
    SnapshotSpec {
        generation: Generation(3),
        settings: Arc::default(),
        zones: zones.into_iter().map(|zone| (zone, Serial(9))).collect(),
        services: vec![ServiceSpec {
            name: "xmpp".into(),
            records,
            publication: Publication {
                ranking: Ranking { pools },
                ttl: Duration::from_secs(30),
            },
            negative_ttl: Duration::from_secs(5),
        }],
        servers: vec![("e9.a.test.".into(), vec![[192, 0, 2, 9].into()])],
    }
}

fn srv(owner: &str, port: u16) -> ServiceRecord {
    ServiceRecord::Srv {
        owner: owner.parse().unwrap(),
        port,
    }
}

fn address(owner: &str) -> ServiceRecord {
    ServiceRecord::Address {
        owner: owner.parse().unwrap(),
    }
}

fn edges() -> Vec<RankedPool> {
    vec![
        pool("p1", &[("e1.a.test.", &["192.0.2.1", "2001:db8::1"])]),
        pool("p2", &[("e2.a.test.", &["192.0.2.2"])]),
    ]
}

fn count(snapshot: &Snapshot, name: &str, rtype: u16) -> Option<(u32, usize)> {
    let key = name.parse::<Name>().unwrap().key();
    let place = snapshot.zone_of(&key)?.find(&key);
    let rrset = place.rrset(rtype).filter(|_| place.exact)?;
    Some((rrset.ttl, rrset.records().count()))
}

fn violations(spec: &SnapshotSpec) -> Vec<String> {
    match Snapshot::build(spec) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_service_is_served_in_every_zone_it_touches_with_its_ttl() {
    let records = vec![
        srv("_x._tcp.a.test.", 5269),
        srv("_x._tcp.b.test.", 5269),
        address("x.a.test."),
    ];
    let zones = vec![zone("a.test.", ""), zone("b.test.", "")];
    let snapshot = Snapshot::build(&spec(zones, records, edges())).unwrap();
    assert_eq!(snapshot.generation(), Generation(3));
    assert_eq!(
        snapshot.serial(&"A.test.".parse().unwrap()),
        Some(Serial(9))
    );
    assert_eq!(snapshot.serial(&"c.test.".parse().unwrap()), None);
    for owner in ["_x._tcp.a.test.", "_x._tcp.b.test."] {
        assert_eq!(count(&snapshot, owner, rtype::SRV), Some((30, 2)));
    }
    // The active pool's only.
    assert_eq!(count(&snapshot, "x.a.test.", rtype::A), Some((30, 1)));
    assert_eq!(count(&snapshot, "e1.a.test.", rtype::AAAA), Some((30, 1)));
    assert_eq!(count(&snapshot, "e2.a.test.", rtype::AAAA), None);
    // No publication lists it: all its addresses.
    assert_eq!(count(&snapshot, "e9.a.test.", rtype::A), Some((30, 1)));
}

#[test]
fn zones_are_shared_between_generations() {
    let shared = zone("a.test.", "");
    let records = vec![srv("_x._tcp.a.test.", 5269)];
    let one = Snapshot::build(&spec(vec![Arc::clone(&shared)], records.clone(), edges())).unwrap();
    let two = Snapshot::build(&spec(vec![Arc::clone(&shared)], records, edges())).unwrap();
    for snapshot in [&one, &two] {
        assert!(
            snapshot
                .zones()
                .all(|zone| Arc::ptr_eq(zone.zone(), &shared))
        );
    }
}

#[test]
fn the_deepest_zone_has_the_name() {
    let zones = vec![
        zone("b.a.test.", ""),
        zone("a.test.", ""),
        zone("x.b.a.test.", ""),
    ];
    let snapshot = Snapshot::build(&spec(zones, vec![], edges())).unwrap();
    for (name, origin) in [
        ("a.test.", Some("a.test.")),
        ("z.a.test.", Some("a.test.")),
        ("b.a.test.", Some("b.a.test.")),
        ("y.x.b.a.test.", Some("x.b.a.test.")),
        ("z.b.a.test.", Some("b.a.test.")),
        ("test.", None),
        ("z.test.", None),
    ] {
        let found = snapshot.zone_of(&name.parse::<Name>().unwrap().key());
        let found = found.map(|zone| zone.origin().to_string());
        assert_eq!(found.as_deref(), origin, "{name}");
    }
}

#[test]
fn the_guard_refuses_what_would_send_partners_nowhere() {
    let good = || vec![srv("_x._tcp.a.test.", 5269)];
    let bare = || vec![zone("a.test.", "")];
    assert_eq!(violations(&spec(bare(), good(), edges())), [""; 0]);
    let with = |more: &str| vec![zone("a.test.", more)];
    for (what, spec) in [
        ("never empty", spec(bare(), good(), vec![])),
        (
            "port 0",
            spec(bare(), vec![srv("_x._tcp.a.test.", 0)], edges()),
        ),
        (
            "no loaded zone",
            spec(bare(), vec![srv("_x._tcp.c.test.", 1)], edges()),
        ),
        (
            "has no address",
            spec(bare(), good(), vec![pool("p", &[("e1.a.test.", &[])])]),
        ),
        ("is an alias", spec(with("e1 CNAME ns"), good(), edges())),
        (
            "static CNAME",
            spec(with("_x._tcp CNAME ns"), good(), edges()),
        ),
        (
            "static SRV",
            spec(with("_x._tcp SRV 1 1 1 ns"), good(), edges()),
        ),
        (
            "static AAAA",
            spec(with("x AAAA ::1"), vec![address("x.a.test.")], edges()),
        ),
        ("static A", spec(with("e1 A 192.0.2.77"), good(), edges())),
        (
            "delegation",
            spec(with("_tcp NS ns.elsewhere."), good(), edges()),
        ),
        (
            "loaded twice",
            spec(
                vec![zone("a.test.", ""), zone("A.test.", "")],
                good(),
                edges(),
            ),
        ),
        (
            "owned by",
            spec(bare(), vec![address("e1.a.test.")], edges()),
        ),
        (
            "not absolute",
            spec(bare(), good(), vec![pool("p", &[("e1", &["::1"])])]),
        ),
    ] {
        let found = violations(&spec);
        assert!(
            found.iter().any(|text| text.contains(what)),
            "{what}: {found:?}"
        );
    }
}

#[test]
fn a_server_below_a_cut_is_not_ours_to_give_addresses() {
    let zones = vec![zone("a.test.", "sub NS ns.elsewhere.")];
    let pools = vec![pool("p", &[("e.sub.a.test.", &["192.0.2.1"])])];
    let snapshot = Snapshot::build(&spec(zones, vec![srv("_x.a.test.", 1)], pools)).unwrap();
    assert_eq!(count(&snapshot, "e.sub.a.test.", rtype::A), None);
    assert_eq!(count(&snapshot, "_x.a.test.", rtype::SRV), Some((30, 1)));
}

#[test]
fn a_move_makes_new_what_it_moves_and_shares_the_rest() {
    let zones = vec![zone("a.test.", ""), zone("b.test.", "")];
    let records = vec![
        srv("_x._tcp.a.test.", 5269),
        srv("_x._tcp.b.test.", 5269),
        srv("_y._tcp.b.test.", 5061),
    ];
    let mut two = spec(zones, records, edges());
    let mut other = two.services[0].clone();
    other.name = "other".into();
    other.records = vec![srv("_z._tcp.b.test.", 1)];
    other.publication.ranking.pools = vec![pool("q", &[("far.example.", &["192.0.2.5"])])];
    two.services.push(other);
    let before = Snapshot::build(&two).unwrap();
    let mut publication = two.services[0].publication.clone();
    publication.ranking.pools.reverse();
    let changed = [("xmpp".into(), publication)].into();
    let serials = vec![Serial(10), Serial(11)];
    let after = before.moved(Generation(4), &changed, serials).unwrap();

    let first = |snapshot: &Snapshot, owner: &str| {
        let key = owner.parse::<Name>().unwrap().key();
        let place = snapshot.zone_of(&key).unwrap().find(&key);
        let rrset = place.rrset(rtype::SRV).unwrap();
        rrset.records().next().unwrap().to_vec()
    };
    for owner in ["_x._tcp.a.test.", "_x._tcp.b.test.", "_y._tcp.b.test."] {
        assert_ne!(first(&before, owner), first(&after, owner), "{owner}");
    }
    assert_eq!(after.generation(), Generation(4));
    assert_eq!(after.serial(&"b.test.".parse().unwrap()), Some(Serial(11)));
    assert_eq!(before.serial(&"b.test.".parse().unwrap()), Some(Serial(9)));
    assert!(Arc::ptr_eq(&before.layout, &after.layout));
    // What stands at a name is shared by all zones, and by generations in which it is the same.
    assert_eq!(before.sets.len(), 6, "three of the services, three servers");
    let same = before.sets.iter().zip(&after.sets);
    let same = same.filter(|(before, after)| Arc::ptr_eq(before, after));
    assert_eq!(same.count(), 4, "all but the two sets of the service");
    // A move that would send partners nowhere is refused.
    let mut nothing = two.services[0].publication.clone();
    nothing.ranking.pools.clear();
    let refused = before.moved(Generation(5), &[("xmpp".into(), nothing)].into(), vec![]);
    assert!(refused.is_err());
}
