//! The truth table's second half: what is listed of each pool, and what pools of several servers
//! and of two address families decide.

use std::net::IpAddr;

use switchback::failover::{Failback, Order, OrderRefusal, Policy, Server, Standby, Subject};
use switchback::health::PoolHealth;
use switchback::health::Verdict::{self, CertificateExpired, Filtered, Good, NoRoute, Refused};
use switchback::runbook::AfterCrash;

use crate::plans::document_order;
use crate::truth_table::{said, with_hooks};
use crate::truth_table_operators::forced;
use crate::world::{World, policy, pool, secs, service};

/// Two pools; the first has two servers and needs `min_healthy` of them.
fn pair(min_healthy: usize) -> Policy {
    let mut policy = policy(2);
    let mut first = pool(1, 2);
    first.min_healthy = min_healthy;
    policy.pools.insert("p1".into(), first);
    policy
}

/// The servers of a pool, each with another address, of IPv6.
fn with_ipv6(policy: &mut Policy, name: &str) {
    let pool = policy.pools.get_mut(&name.into()).unwrap();
    for (number, server) in (1u16..).zip(&mut pool.servers) {
        let at = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number]);
        server.addresses.push(at);
    }
}

fn settled(policy: Policy) -> World {
    let mut world = World::new(policy);
    world.rounds(3);
    world
}

fn drain(server: &str) -> Order {
    said(Subject::DrainServer(server.into()), None, None)
}

fn see_at(world: &mut World, address: &str, verdict: Verdict) {
    world.spots.insert(address.parse().unwrap(), verdict);
}

/// What is published of a pool: `edge1-1 10.0.1.1, edge1-2 10.0.1.2`.
fn listed(world: &World, pool: &str) -> String {
    let ranking = &world.dns[&"fed".into()].ranking;
    let entry = ranking.pools.iter().find(|entry| entry.pool == pool.into());
    let servers = entry.unwrap().servers.iter().map(|server| {
        let addresses: Vec<String> = server.addresses.iter().map(IpAddr::to_string).collect();
        let name = server.server.as_str().trim_end_matches(".test.");
        format!("{name} {}", addresses.join(" "))
    });
    servers.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_dead_server_leaves_an_up_pool_and_comes_back_as_slowly_as_a_pool_moves() {
    let both = "edge1-1 10.0.1.1, edge1-2 10.0.1.2";
    let mut world = settled(pair(1));
    assert_eq!(listed(&world, "p1"), both);
    see_at(&mut world, "10.0.1.1", Refused);
    world.round();
    assert_eq!(listed(&world, "p1"), both, "one bad look withdraws nothing");
    world.round();
    assert_eq!(listed(&world, "p1"), "edge1-2 10.0.1.2");
    see_at(&mut world, "10.0.1.1", Good);
    world.round();
    assert_eq!(listed(&world, "p1"), "edge1-2 10.0.1.2");
    world.round();
    assert_eq!(listed(&world, "p1"), both);
    assert_eq!((world.active("fed").as_str(), world.moves()), ("p1", 0));
}

#[test]
fn a_dead_address_is_withdrawn_alone() {
    let mut policy = pair(1);
    with_ipv6(&mut policy, "p1");
    let mut world = settled(policy);
    see_at(&mut world, "2001:db8::1", Filtered);
    world.rounds(2);
    assert_eq!(
        listed(&world, "p1"),
        "edge1-1 10.0.1.1, edge1-2 10.0.1.2 2001:db8::2"
    );
    see_at(&mut world, "10.0.1.1", Filtered);
    world.rounds(2);
    assert_eq!(listed(&world, "p1"), "edge1-2 10.0.1.2 2001:db8::2");
    // With its last server the pool is down: everything is listed again, behind the second pool.
    world.see("p1", Filtered);
    world.rounds(2);
    assert_eq!(world.order_of("fed"), "p2 p1");
    assert_eq!(
        listed(&world, "p1"),
        "edge1-1 10.0.1.1 2001:db8::1, edge1-2 10.0.1.2 2001:db8::2"
    );
}

#[test]
fn a_server_of_which_nothing_is_known_stays_in_an_up_pool() {
    let mut world = settled(pair(1));
    see_at(&mut world, "10.0.1.2", NoRoute);
    world.rounds(20);
    assert_eq!(listed(&world, "p1"), "edge1-1 10.0.1.1, edge1-2 10.0.1.2");
}

#[test]
fn a_drained_server_is_not_listed_up_or_down_unless_it_is_all_there_is() {
    let mut world = settled(pair(1));
    world.order(drain("edge1-1.test.")).unwrap();
    assert_eq!(listed(&world, "p1"), "edge1-2 10.0.1.2");
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.order_of("fed"), "p2 p1");
    assert_eq!(listed(&world, "p1"), "edge1-2 10.0.1.2");
    world.order(forced(drain("edge1-2.test."))).unwrap();
    let all = "edge1-1 10.0.1.1, edge1-2 10.0.1.2";
    assert_eq!(listed(&world, "p1"), all, "no pool is listed empty");
}

#[test]
fn a_server_that_its_active_pool_needs_is_drained_only_by_force() {
    let mut world = settled(pair(2));
    let refused = world.order(drain("edge1-1.test.")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "without edge1-1.test., pool p1 has fewer servers than it needs (min_healthy = 2), and it \
         is active for fed; drain the pool instead (switchback drain p1), bring another server up \
         first, or force it (--force)"
    );
    assert!(world.engine.overrides().0.is_empty(), "nothing has changed");
    assert_eq!(listed(&world, "p1"), "edge1-1 10.0.1.1, edge1-2 10.0.1.2");
    assert_eq!((world.active("fed").as_str(), world.moves()), ("p1", 0));
    world.order(forced(drain("edge1-1.test."))).unwrap();
    assert_eq!((world.active("fed").as_str(), world.moves()), ("p2", 1));
}

#[test]
fn of_two_servers_that_are_enough_alone_the_first_to_be_drained_is_not_refused() {
    let mut world = settled(pair(1));
    world.order(drain("edge1-1.test.")).unwrap();
    // The same again changes nothing, so nothing speaks against it.
    world.order(drain("edge1-1.test.")).unwrap();
    let refused = world.order(drain("edge1-2.test.")).unwrap_err();
    assert!(
        matches!(refused, OrderRefusal::ShortWhileActive { .. }),
        "{refused}"
    );
    // A certificate that has expired makes a pool of the rest that a service leaves.
    let mut world = settled(pair(1));
    see_at(&mut world, "10.0.1.2", CertificateExpired);
    world.rounds(2);
    world.order(drain("edge1-1.test.")).unwrap_err();
    world.order(drain("edge1-2.test.")).unwrap();
}

#[test]
fn what_is_short_already_is_not_made_so_and_what_serves_nobody_may_be() {
    let mut world = settled(pair(2));
    world.see("p2", Refused);
    see_at(&mut world, "10.0.1.1", Refused);
    world.rounds(3);
    assert_eq!(world.active("fed"), "p1");
    world.order(drain("edge1-1.test.")).unwrap();
    world.order(drain("edge1-2.test.")).unwrap_err();
    // A pool behind the active one may be taken apart, as it may be drained.
    world.order(drain("edge2-1.test.")).unwrap();
}

#[test]
fn the_last_pool_that_could_serve_keeps_its_servers() {
    for cold in [false, true] {
        let mut policy = policy(2);
        if cold {
            policy.pools.get_mut(&"p2".into()).unwrap().standby = Standby::Cold;
        }
        let mut world = settled(policy);
        let freeze = said(Subject::Freeze("fed".into()), None, None);
        world.order(freeze).unwrap();
        world.see("p1", Filtered);
        world.see("p2", if cold { Refused } else { Good });
        world.rounds(3);
        let refused = world.order(drain("edge2-1.test.")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "without edge2-1.test., pool p2 has fewer servers than it needs (min_healthy = 1), and \
             no other pool could serve fed; bring another server or pool up first, or force it \
             (--force)"
        );
        world.order(forced(drain("edge2-1.test."))).unwrap();
    }
}

#[test]
fn a_partly_up_pool_lists_what_lives_and_yields_only_upwards() {
    let mut world = settled(pair(2));
    world.see("p2", Refused);
    see_at(&mut world, "10.0.1.1", Refused);
    world.rounds(3);
    assert_eq!(world.active("fed"), "p1", "partly up is better than down");
    assert_eq!(
        world.because("fed"),
        "it is partly up, and no other pool would be better"
    );
    assert_eq!(listed(&world, "p1"), "edge1-2 10.0.1.2");
    world.see("p2", CertificateExpired);
    world.rounds(2);
    assert_eq!(
        world.active("fed"),
        "p2",
        "degraded is better than partly up"
    );
    world.see("p2", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p1", "partly up is better than down");
}

#[test]
fn pools_behind_the_active_one_go_from_up_to_drained() {
    let mut policy = policy(6);
    let mut partly = pool(5, 2);
    partly.min_healthy = 2;
    policy.pools.insert("p5".into(), partly);
    let mut world = settled(policy);
    world
        .order(said(Subject::DrainPool("p2".into()), None, None))
        .unwrap();
    world.see("p3", Refused);
    world.see("p4", NoRoute);
    see_at(&mut world, "10.0.5.1", Refused);
    world.see("p6", CertificateExpired);
    world.rounds(20);
    assert_eq!(world.order_of("fed"), "p1 p6 p5 p4 p3 p2");
    assert_eq!(world.moves(), 0);
}

fn references(policy: &mut Policy) {
    policy.references = ["192.0.2.1:53", "192.0.2.2:53"]
        .map(|at| at.parse().unwrap())
        .into();
}

#[test]
fn each_family_has_its_own_uplink() {
    let mut policy = policy(3);
    references(&mut policy);
    let second = policy.pools.get_mut(&"p2".into()).unwrap();
    second.servers[0] = Server {
        addresses: vec!["2001:db8::2".parse().unwrap()],
        ..second.servers[0].clone()
    };
    let mut world = settled(policy);
    world.uplink = false;
    for pool in ["p1", "p2", "p3"] {
        world.see(pool, Filtered);
    }
    world.rounds(30);
    // The targets are of IPv4: what IPv6 says of p2 counts, what IPv4 says of the others does not.
    assert_eq!(world.order_of("fed"), "p1 p3 p2");
    assert_eq!(
        world.because("fed"),
        "it is the most preferred pool and it serves"
    );
}

#[test]
fn a_refusal_does_not_wait_for_the_uplink() {
    let mut policy = policy(2);
    references(&mut policy);
    let mut world = settled(policy);
    world.uplink = false;
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn failback_to_a_cold_pool_counts_its_open_path() {
    let mut policy = policy(2);
    policy.pools.get_mut(&"p1".into()).unwrap().standby = Standby::Cold;
    let fed = policy.services.get_mut(&"fed".into()).unwrap();
    fed.failback = Failback::After(secs(30));
    fed.runbook = document_order(AfterCrash::Ask);
    let mut world = settled(policy);
    world.see("p1", Filtered);
    world.rounds(20);
    assert_eq!(world.active("fed"), "p2");
    world.rounds(60);
    assert_eq!(world.because("fed"), "it serves; p1 does not");
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.because("fed"), "p1 is back; failback in 30s");
    world.rounds(32);
    world.see("p1", Good);
    world.rounds(8);
    assert_eq!(world.active("fed"), "p1");
}

#[test]
fn what_was_seen_before_the_mask_counts_for_nothing_after_it() {
    for after in [0, 10] {
        let mut policy = policy(2);
        for name in ["p1", "p2"] {
            policy.pools.get_mut(&name.into()).unwrap().standby = Standby::Cold;
        }
        let fed = policy.services.get_mut(&"fed".into()).unwrap();
        fed.runbook = document_order(AfterCrash::Ask);
        fed.failover_after = secs(after);
        fed.failback = Failback::Manual;
        let mut world = World::new(policy);
        world.see("p2", Refused);
        world.rounds(3);
        // Its process was killed, its host is there: as open a path as that of a cold standby.
        world.see("p1", Refused);
        // Its services need longer to start than trouble has to last.
        world.delays = [1, 1, 30].map(secs).into();
        while world.active("fed") == "p1" {
            world.round();
        }
        world.see("p2", Good);
        world.rounds(120);
        assert_eq!(world.active("fed"), "p2", "its failover does not fail over");
        assert_eq!(world.hook_log().len(), 3, "{:?}", world.hook_log());
    }
}

#[test]
fn a_mask_holds_for_every_service_and_until_its_expiry_at_most() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    let mut policy = world.policy.clone();
    let mut web = service(0);
    web.pools = vec!["p3".into(), "p2".into(), "p1".into()];
    policy.services.insert("web".into(), web);
    assert!(world.reload(policy));
    world.see("p1", Filtered);
    world.rounds(2);
    assert_eq!(world.order_of("web"), "p3 p2 p1");
    let masked = |world: &World| world.engine.pool(&"p2".into()).unwrap().masked;
    assert!(masked(&world));
    let freeze = said(Subject::Freeze("fed".into()), None, None);
    world.order(freeze).unwrap();
    world.see("p2", Refused);
    world.rounds(30);
    assert!(masked(&world));
    let health = |world: &World| world.engine.pool(&"p2".into()).unwrap().health;
    assert_eq!(
        health(&world),
        PoolHealth::Up,
        "as it was before its own failover"
    );
    let until = world.disk.services[&"fed".into()]
        .operation
        .as_ref()
        .unwrap();
    let rest = until.mask_until.since(world.now.wall).as_secs();
    world.rounds(usize::try_from(rest).unwrap() + 3);
    assert!(!masked(&world), "nobody knows when the operator comes back");
    assert_eq!(health(&world), PoolHealth::Down);
}
