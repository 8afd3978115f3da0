//! The truth table's rows about operators, halts, reloads and a failing disk.

use switchback::failover::{Failback, HookOutcome, Order, Subject};
use switchback::health::Verdict::{CertificateExpired, Filtered, Good, Refused};
use switchback::runbook::AfterCrash;
use switchback::time::Wall;

use crate::plans::document_order;
use crate::truth_table::{said, with_hooks};
use crate::world::{World, clear, policy, secs, service};

fn settled(pools: usize) -> World {
    let mut world = World::new(policy(pools));
    world.rounds(3);
    world
}

fn drain(pool: &str) -> Order {
    said(Subject::DrainPool(pool.into()), None, None)
}

pub(crate) fn forced(order: Order) -> Order {
    match order {
        Order::Set { said, .. } => Order::Set { said, force: true },
        Order::Clear { .. }
        | Order::Failover { .. }
        | Order::Failback { .. }
        | Order::Approve { .. }
        | Order::Reject { .. }
        | Order::Handle { .. }
        | Order::Readmit { .. } => order,
    }
}

fn pin(pool: &str, expires: Option<Wall>) -> Order {
    said(Subject::Pin("fed".into()), Some(pool), expires)
}

/// A service with hooks on `pools` pools, the first of which is dead and left to its fate.
fn halting(pools: usize, failures: usize) -> World {
    let mut policy = policy(pools);
    policy.services.get_mut(&"fed".into()).unwrap().runbook = document_order(AfterCrash::Ask);
    let mut world = World::new(policy);
    world.rounds(3);
    world.outcomes = vec![HookOutcome::Exit(1); failures].into();
    world
}

/// Which server each run of the first step was for.
fn attempts(world: &World) -> Vec<String> {
    let log = world.hook_log();
    let first = |entry: &String| entry.strip_prefix("stop services@").map(str::to_owned);
    log.iter().filter_map(first).collect()
}

#[test]
fn a_drain_that_leaves_nothing_is_said_as_what_it_is() {
    let mut world = settled(2);
    world.see("p2", Refused);
    world.rounds(2);
    world.order(drain("p1")).unwrap_err();
    world.order(forced(drain("p1"))).unwrap();
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "an operator drained it, and no other pool could take over".into()
        )
    );
    world.see("p2", Good);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
    assert_eq!(world.because("fed"), "it serves; an operator drained p1");
}

#[test]
fn a_drained_pool_that_would_be_better_is_named() {
    let mut world = settled(2);
    world.order(drain("p2")).unwrap();
    world.see("p1", Refused);
    world.rounds(3);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "it is down; p2 would be better, but an operator drained it".into()
        )
    );
}

#[test]
fn a_pool_kept_out_by_a_halt_is_not_called_down() {
    let mut world = halting(2, 1);
    world.see("p1", Filtered);
    world.rounds(40);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "the runbook towards p2 halted; it waits for an operator".into()
        )
    );
    world.see("p2", Filtered);
    world.rounds(5);
    assert_eq!(
        world.because("fed"),
        "all pools are down; the last ranking stands"
    );
}

#[test]
fn after_a_halt_each_other_candidate_is_tried_once() {
    let mut world = halting(4, 100);
    world.see("p1", Filtered);
    world.rounds(200);
    assert_eq!(
        attempts(&world),
        ["edge2-1.test.", "edge3-1.test.", "edge4-1.test."]
    );
    assert_eq!(world.active("fed"), "p1");
    assert_eq!(
        world.because("fed"),
        "the runbook towards p2 halted; it waits for an operator"
    );
}

#[test]
fn a_failback_that_halted_is_not_tried_again_by_itself() {
    let mut policy = policy(2);
    let fed = policy.services.get_mut(&"fed".into()).unwrap();
    fed.runbook = document_order(AfterCrash::Ask);
    fed.failback = Failback::After(secs(20));
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Filtered);
    world.rounds(20);
    assert_eq!(world.active("fed"), "p2");
    world.see("p1", Good);
    world.outcomes = [HookOutcome::Exit(1)].into();
    world.rounds(100);
    assert_eq!(attempts(&world), ["edge2-1.test.", "edge1-1.test."]);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        ("p2".into(), "p1 is back; failback is manual".into())
    );
}

#[test]
fn a_pin_does_not_repeat_a_runbook_that_halted_until_it_is_said_again() {
    let mut world = halting(2, 1);
    world.order(pin("p2", None)).unwrap();
    world.rounds(60);
    assert_eq!(attempts(&world), ["edge2-1.test."]);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "the runbook towards p2 halted; it waits for an operator".into()
        )
    );
    world.order(pin("p2", None)).unwrap();
    world.rounds(20);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        ("p2".into(), "an operator pinned it".into())
    );
}

#[test]
fn a_paused_operation_says_what_it_waits_for() {
    let mut policy = policy(2);
    policy.services.get_mut(&"fed".into()).unwrap().runbook = document_order(AfterCrash::Ask);
    policy.references = ["192.0.2.1:53", "192.0.2.2:53"]
        .map(|at| at.parse().unwrap())
        .into();
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.because("fed"), "op-0 to p2 is under way");
    let freeze = Subject::Freeze("fed".into());
    world.order(said(freeze.clone(), None, None)).unwrap();
    assert_eq!(
        world.because("fed"),
        "op-0 to p2 waits before its next step: an operator froze the service"
    );
    world.order(clear(freeze)).unwrap();
    world.uplink = false;
    world.see("p1", Filtered);
    world.rounds(3);
    assert_eq!(
        world.because("fed"),
        "op-0 to p2 waits before its next step: our own uplink is down; nothing is decided"
    );
    let runs = world.hook_log().len();
    world.rounds(30);
    assert_eq!(world.hook_log().len(), runs, "no hook runs while isolated");
}

#[test]
fn an_expiry_during_an_operation_takes_effect_at_its_end() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    let until = world.now.wall + secs(2);
    world.order(pin("p2", Some(until))).unwrap();
    world.rounds(4);
    assert!(world.now.wall > until);
    assert_eq!(
        world.engine.overrides().0.len(),
        1,
        "the operation is under way"
    );
    world.rounds(10);
    assert_eq!(world.active("fed"), "p2");
    assert!(world.engine.overrides().0.is_empty());
}

#[test]
fn a_dead_pool_that_the_cap_keeps_active_is_called_dead() {
    let mut policy = policy(2);
    let fed = policy.services.get_mut(&"fed".into()).unwrap();
    fed.failback = Failback::After(secs(1));
    fed.cap_per_hour = 1;
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Refused);
    world.rounds(3);
    world.see("p1", Good);
    world.rounds(5);
    assert_eq!(world.active("fed"), "p1", "the one failback of the hour");
    world.see("p1", Refused);
    world.rounds(5);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "it is down; a move to p2 is held back by the cap per hour, until it is over or approved".into()
        )
    );
}

#[test]
fn while_the_disk_fails_no_hook_runs_and_services_without_hooks_move_on() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    let mut policy = world.policy.clone();
    let mut web = service(0);
    web.pools = vec!["p1".into(), "p3".into()];
    policy.services.insert("web".into(), web);
    assert!(world.reload(policy));
    world.set_store(false);
    world.see("p1", Refused);
    world.rounds(10);
    assert_eq!(world.active("web"), "p3");
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "a move to p2 waits: the state cannot be recorded, so no hook runs".into()
        )
    );
    assert!(world.hook_log().is_empty());
    world.set_store(true);
    world.rounds(20);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn a_reload_keeps_the_pools_that_are_active_or_in_an_operation() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    let refusal = |world: &World, pools: &[&str]| {
        let mut policy = world.policy.clone();
        policy.services.get_mut(&"fed".into()).unwrap().pools =
            pools.iter().map(|name| (*name).into()).collect();
        let refused = world.engine.admit(&policy);
        refused.err().map(|why| why.to_string()).unwrap_or_default()
    };
    assert!(refusal(&world, &["p2", "p3"]).starts_with("pool p1 is active for service fed"));
    assert_eq!(refusal(&world, &["p1", "p3"]), "");
    world.see("p1", Filtered);
    world.rounds(3);
    assert!(
        refusal(&world, &["p1", "p3"]).starts_with("pool p2 takes part in op-0 of service fed")
    );
    let mut without = world.policy.clone();
    without.services.clear();
    assert!(!world.reload(without), "nor does the service go");
    world.rounds(20);
    assert_eq!(refusal(&world, &["p2", "p3"]), "");
}

/// The hooks of `fed` are at work at p2 for half a minute; `web`, without hooks, has these pools,
/// and serves from the first that is not p2.
fn beside_hooks(web: &[&str]) -> World {
    let mut policy = policy(4);
    let fed = policy.services.get_mut(&"fed".into()).unwrap();
    fed.pools = vec!["p1".into(), "p2".into()];
    fed.runbook = document_order(AfterCrash::Ask);
    let mut plain = service(0);
    plain.pools = web.iter().map(|name| (*name).into()).collect();
    plain.failback = Failback::After(secs(10));
    policy.services.insert("web".into(), plain);
    let mut world = World::new(policy);
    world.see("p2", Refused);
    world.rounds(3);
    world.see("p2", Good);
    world.rounds(2);
    world.delays = [30, 1, 1].map(secs).into();
    world.see("p1", Filtered);
    world.rounds(3);
    assert!(hooks_are_at_work(&world), "{}", world.because("fed"));
    world
}

fn hooks_are_at_work(world: &World) -> bool {
    world.because("fed").ends_with("to p2 is under way")
}

fn stands(world: &World) -> (String, String) {
    (world.active("web"), world.because("web"))
}

const WAITS: &str = "a move to p2 waits for the operation of fed";

#[test]
fn a_service_without_hooks_goes_past_a_pool_where_hooks_are_at_work() {
    let mut world = beside_hooks(&["p4", "p2", "p3"]);
    world.see("p4", Refused);
    world.rounds(2);
    // It would go back to p2 in time, as it prefers that to p3.
    assert_eq!(stands(&world), ("p3".into(), WAITS.into()));
}

#[test]
fn a_service_that_still_serves_waits_until_hooks_are_done_and_the_pool_is_seen() {
    let mut world = beside_hooks(&["p4", "p2"]);
    world.see("p4", CertificateExpired);
    world.rounds(4);
    assert_eq!(stands(&world), ("p4".into(), WAITS.into()));
    // The hooks leave it stopped: what was believed before them moves nobody.
    world.see("p2", Refused);
    world.rounds(40);
    assert_eq!(world.active("web"), "p4");
    world.see("p2", Good);
    world.rounds(3);
    assert_eq!(world.active("web"), "p2");
}

#[test]
fn from_a_dead_pool_a_service_goes_even_where_hooks_are_at_work() {
    let mut world = beside_hooks(&["p4", "p2"]);
    world.see("p4", Refused);
    world.rounds(2);
    assert_eq!(world.active("web"), "p2");
    assert!(hooks_are_at_work(&world));
}

#[test]
fn a_failback_waits_until_hooks_are_done_and_then_its_time_anew() {
    let mut world = beside_hooks(&["p2", "p4"]);
    assert_eq!(stands(&world), ("p4".into(), WAITS.into()));
    world.rounds(35);
    assert_eq!(world.active("fed"), "p2");
    let because = world.because("web");
    assert!(because.starts_with("p2 is back; failback in"), "{because}");
    world.rounds(12);
    assert_eq!(world.active("web"), "p2");
}
