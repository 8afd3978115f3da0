//! The truth table's rows about who has the last word, and about moves that wait for caches.

use switchback::failover::{Event, Mode, Order, OrderRefusal, Subject, Which};
use switchback::health::Verdict::{Filtered, Good, Refused};
use switchback::ids::OperationId;
use switchback::runbook::AfterCrash;

use crate::plans::{document_order, verify_first};
use crate::truth_table::{said, with_hooks};
use crate::world::{World, ann, failback, failover, policy, secs, service};

pub(crate) fn asking(mode: Mode) -> World {
    let mut policy = policy(3);
    policy.services.get_mut(&"fed".into()).unwrap().mode = mode;
    let mut world = World::new(policy);
    world.rounds(3);
    world
}

pub(crate) fn approve(which: Which) -> Order {
    Order::Approve { which, by: ann() }
}

fn reject(which: Which) -> Order {
    Order::Reject { which, by: ann() }
}

fn fed() -> Which {
    Which::Service("fed".into())
}

pub(crate) fn number(id: u64) -> Which {
    Which::Operation(OperationId(id))
}

/// How often people were told that a move waits.
fn asked(world: &World) -> usize {
    let told = |event: &&Event| matches!(event, Event::ApprovalWanted { .. });
    world.events.iter().filter(told).count()
}

pub(crate) fn unhurried(order: Order) -> Order {
    match order {
        Order::Failover {
            service,
            to,
            by,
            force,
            ..
        } => Order::Failover {
            service,
            to,
            by,
            force,
            now: false,
        },
        Order::Set { mut said, force } => {
            said.now = false;
            Order::Set { said, force }
        }
        Order::Failback { .. }
        | Order::Clear { .. }
        | Order::Approve { .. }
        | Order::Reject { .. }
        | Order::Handle { .. }
        | Order::Readmit { .. } => order,
    }
}

fn ttl(world: &World) -> u64 {
    world.dns[&"fed".into()].ttl.as_secs()
}

#[test]
fn observe_says_what_it_would_do_and_does_nothing() {
    let mut world = asking(Mode::Observe);
    world.see("p1", Refused);
    world.rounds(30);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "it would move to p2, but is only observed: p1 is down".into()
        )
    );
    let order = world.dns[&"fed".into()].ranking.pools.len();
    assert_eq!(order, 3, "the order behind it is published as ever");
    world.order(failover("p2")).unwrap();
    assert_eq!(world.active("fed"), "p2", "an operator's word counts");
    world.see("p1", Good);
    world.rounds(1000);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn approve_waits_for_a_word_and_reminds_of_it() {
    let mut world = asking(Mode::Approve);
    world.see("p1", Refused);
    world.rounds(10);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "a move to p2 waits for approval: p1 is down".into()
        )
    );
    assert_eq!((asked(&world), ttl(&world)), (1, 5));
    world.rounds(900);
    assert_eq!(asked(&world), 2, "after a quarter of an hour");
    world.order(approve(number(0))).unwrap();
    assert_eq!(world.active("fed"), "p2");
    assert!(
        world.ended.contains_key(&OperationId(0)),
        "it has its number"
    );
    // The way back is the engine's decision, too.
    world.see("p1", Good);
    world.rounds(700);
    assert_eq!(
        world.because("fed"),
        "a move to p1 waits for approval: the more preferred pool is back"
    );
    world.order(approve(fed())).unwrap();
    assert_eq!(world.active("fed"), "p1");
}

#[test]
fn an_approval_is_for_what_was_proposed_and_for_nothing_else() {
    let mut world = asking(Mode::Approve);
    world.see("p1", Refused);
    world.rounds(5);
    world.see("p2", Refused);
    world.rounds(5);
    assert_eq!(
        world.because("fed"),
        "a move to p3 waits for approval: p1 is down"
    );
    let refused = world.order(approve(number(0))).unwrap_err();
    assert_eq!(refused, OrderRefusal::NoProposal { id: OperationId(0) });
    assert_eq!(world.active("fed"), "p1");
    world.order(approve(number(1))).unwrap();
    assert_eq!(world.active("fed"), "p3");
}

#[test]
fn an_approval_that_waits_for_another_operation_is_void_when_the_plan_changes() {
    let mut policy = policy(4);
    let hooks = document_order(AfterCrash::Ask);
    let one = policy.services.get_mut(&"fed".into()).unwrap();
    (one.pools, one.runbook, one.mode) =
        (vec!["p1".into(), "p2".into()], hooks.clone(), Mode::Approve);
    let mut web = service(0);
    (web.pools, web.runbook) = (vec!["p3".into(), "p4".into()], hooks);
    policy.services.insert("web".into(), web);
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Refused);
    world.rounds(3);
    world.see("p3", Refused);
    world.rounds(3);
    assert_eq!(
        world.because("fed"),
        "a move to p2 waits for the operation of web"
    );
    world.order(approve(fed())).unwrap();
    let mut changed = world.policy.clone();
    changed.services.get_mut(&"fed".into()).unwrap().runbook = verify_first(AfterCrash::Ask);
    assert!(world.reload(changed));
    world.rounds(40);
    assert_eq!(world.active("web"), "p4");
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "a move to p2 waits for approval: p1 is down".into()
        )
    );
    let void = world.events.iter().filter(|event| {
        matches!(
            event,
            Event::Withdrawn {
                approved: Some(_),
                ..
            }
        )
    });
    assert_eq!(void.count(), 1, "and it is said");
}

#[test]
fn what_was_rejected_is_not_proposed_again_until_the_situation_changes() {
    let mut world = asking(Mode::Approve);
    world.see("p1", Refused);
    world.rounds(5);
    world.order(reject(fed())).unwrap();
    world.rounds(2000);
    assert_eq!(asked(&world), 1, "nobody is reminded");
    assert_eq!(
        world.because("fed"),
        "ann rejected a move to p2: p1 is down"
    );
    world.see("p1", Good);
    world.rounds(5);
    world.see("p1", Refused);
    world.rounds(5);
    assert_eq!(
        world.because("fed"),
        "a move to p2 waits for approval: p1 is down"
    );
    let refused = world.order(reject(number(0))).unwrap_err();
    assert_eq!(refused, OrderRefusal::NoProposal { id: OperationId(0) });
}

#[test]
fn one_look_at_the_target_that_fails_makes_no_other_proposal() {
    let mut world = asking(Mode::Approve);
    world.see("p1", Refused);
    world.see("p3", Refused);
    world.rounds(5);
    for _ in 0..3 {
        world.see("p2", Refused);
        world.round();
        world.see("p2", Good);
        world.rounds(3);
    }
    assert_eq!(asked(&world), 1, "a person types its number just now");
    world.see("p2", Refused);
    world.rounds(3);
    let refused = world.order(approve(number(0))).unwrap_err();
    assert_eq!(refused, OrderRefusal::NoProposal { id: OperationId(0) });
}

#[test]
fn who_rejects_a_failback_has_not_rejected_a_failover() {
    let mut policy = policy(2);
    let fed_policy = policy.services.get_mut(&"fed".into()).unwrap();
    fed_policy.mode = Mode::Approve;
    fed_policy.failback = switchback::failover::Failback::After(secs(1));
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Refused);
    world.rounds(5);
    world.order(approve(fed())).unwrap();
    world.see("p1", Good);
    world.rounds(10);
    world.order(reject(fed())).unwrap();
    assert_eq!(
        world.because("fed"),
        "ann rejected a move to p1: the more preferred pool is back"
    );
    world.see("p2", Refused);
    world.rounds(5);
    assert_eq!(
        world.because("fed"),
        "a move to p1 waits for approval: p2 is down"
    );
}

#[test]
fn a_proposal_and_its_answer_outlive_a_restart() {
    let mut world = asking(Mode::Approve);
    world.see("p1", Refused);
    world.rounds(5);
    world.restart();
    world.rounds(5);
    assert_eq!(asked(&world), 2, "people are told again");
    world.order(reject(number(0))).unwrap();
    world.restart();
    world.rounds(5);
    assert_eq!(
        world.because("fed"),
        "ann rejected a move to p2: p1 is down"
    );
    world.order(approve(number(0))).unwrap();
    assert_eq!(world.active("fed"), "p2", "one may think better of it");
}

#[test]
fn the_cap_asks_for_approval_until_the_hour_is_over() {
    let mut policy = policy(2);
    let fed_policy = policy.services.get_mut(&"fed".into()).unwrap();
    fed_policy.failback = switchback::failover::Failback::After(secs(1));
    fed_policy.cap_per_hour = 1;
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Refused);
    world.rounds(3);
    world.see("p1", Good);
    world.rounds(5);
    world.see("p1", Refused);
    world.rounds(5);
    assert_eq!(
        (world.active("fed"), world.because("fed")),
        (
            "p1".into(),
            "it is down; a move to p2 is held back by the cap per hour, until it is over or approved"
                .into()
        )
    );
    let mut patient = world.clone();
    patient.rounds(3700);
    assert_eq!(patient.active("fed"), "p2", "the hour is over");
    world.order(approve(fed())).unwrap();
    assert_eq!(world.active("fed"), "p2", "somebody approved");
}

#[test]
fn a_move_onto_a_pool_that_is_active_elsewhere_can_be_approved() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    let mut policy = world.policy.clone();
    let mut web = service(0);
    web.pools = vec!["p2".into(), "p3".into()];
    policy.services.insert("web".into(), web);
    assert!(world.reload(policy));
    world.see("p1", Filtered);
    world.see("p3", Filtered);
    world.rounds(5);
    assert!(
        world
            .because("fed")
            .starts_with("a move to p2 needs approval"),
        "{}",
        world.because("fed")
    );
    assert!(world.hook_log().is_empty());
    world.order(approve(fed())).unwrap();
    world.rounds(20);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn an_ordered_move_waits_until_the_old_answer_has_left_the_caches() {
    let mut world = World::new(policy(3));
    world.rounds(3);
    assert_eq!(ttl(&world), 60);
    world.order(unhurried(failover("p2"))).unwrap();
    assert_eq!((world.active("fed"), ttl(&world)), ("p1".into(), 5));
    assert_eq!(
        world.because("fed"),
        "it moves to p2 in 1m00s, when the old answer has left the caches: ann ordered it: a test"
    );
    let refused = world.order(failover("p3")).unwrap_err();
    assert!(matches!(refused, OrderRefusal::Planned { .. }), "{refused}");
    world.rounds(59);
    assert_eq!(world.active("fed"), "p1");
    world.rounds(1);
    assert_eq!((world.active("fed"), ttl(&world)), ("p2".into(), 5));
    world.rounds(120);
    assert_eq!(ttl(&world), 60, "it is restored");
    // The TTL is long again, so a drain waits as well.
    let drain = said(Subject::DrainPool("p2".into()), None, None);
    world.order(unhurried(drain)).unwrap();
    world.rounds(59);
    assert_eq!(world.active("fed"), "p2");
    world.rounds(1);
    assert_eq!(world.active("fed"), "p1");
}

#[test]
fn where_the_ttl_has_been_short_for_long_nobody_waits() {
    let mut world = World::new(policy(3));
    world.rounds(3);
    world.see("p1", switchback::health::Verdict::CertificateExpired);
    world.see("p2", switchback::health::Verdict::CertificateExpired);
    world.see("p3", switchback::health::Verdict::CertificateExpired);
    world.rounds(70);
    assert_eq!((world.active("fed"), ttl(&world)), ("p1".into(), 5));
    world.see("p1", Good);
    world.see("p2", Good);
    world.rounds(3);
    world.order(unhurried(failover("p2"))).unwrap();
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn a_pool_that_dies_while_caches_are_waited_for_is_left_at_once() {
    let mut world = World::new(policy(3));
    world.rounds(3);
    world.order(unhurried(failover("p3"))).unwrap();
    world.rounds(10);
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p3", "where the operator wanted it");
}

#[test]
fn a_target_that_dies_while_caches_are_waited_for_makes_the_order_void() {
    let mut world = World::new(policy(3));
    world.rounds(3);
    world.order(unhurried(failover("p2"))).unwrap();
    world.rounds(10);
    world.see("p2", Refused);
    world.rounds(100);
    assert_eq!(world.active("fed"), "p1");
    assert!(world.because("fed").starts_with("it is the most preferred"));
    let void = |event: &Event| matches!(event, Event::OrderVoid { .. });
    assert!(world.events.iter().any(void), "and it is said");
}

#[test]
fn an_ordered_move_outlives_a_restart_and_a_clock_that_is_set() {
    for hours in [-5_i64, 0, 5] {
        let mut world = World::new(policy(3));
        world.rounds(3);
        world.order(unhurried(failover("p2"))).unwrap();
        world.rounds(30);
        let shift = u64::try_from(hours.abs()).unwrap() * 3_600_000;
        let wall = &mut world.now.wall.0;
        *wall = if hours < 0 {
            *wall - shift
        } else {
            *wall + shift
        };
        world.restart();
        world.rounds(65);
        assert_eq!(world.active("fed"), "p2", "clock set by {hours} h");
        world.order(failback()).unwrap();
        assert_eq!(world.active("fed"), "p1");
    }
}

#[test]
fn an_ordered_move_that_waits_can_go_at_once_or_be_taken_back() {
    let mut world = World::new(policy(3));
    world.rounds(3);
    world.order(unhurried(failover("p2"))).unwrap();
    let mut other = world.clone();
    world.order(approve(fed())).unwrap();
    assert_eq!(world.active("fed"), "p2");
    other.order(reject(fed())).unwrap();
    other.rounds(100);
    assert_eq!((other.active("fed"), ttl(&other)), ("p1".into(), 60));
    let refused = other.order(approve(fed())).unwrap_err();
    assert!(matches!(refused, OrderRefusal::NothingWaits { .. }));
}

#[test]
fn who_rejected_a_move_is_asked_again_when_the_trouble_ends_and_comes_back() {
    let mut world = asking(Mode::Approve);
    world.see("p1", Refused);
    world.rounds(5);
    world.order(approve(fed())).unwrap();
    world.see("p2", Refused);
    world.rounds(5);
    world.order(reject(fed())).unwrap();
    assert_eq!(
        world.because("fed"),
        "ann rejected a move to p3: p2 is down"
    );
    // While it waits to go back to p1 it is in no trouble.
    world.see("p2", Good);
    world.see("p1", Good);
    world.rounds(20);
    assert!(
        world.because("fed").contains("back"),
        "{}",
        world.because("fed")
    );
    world.see("p2", Refused);
    world.see("p1", Refused);
    world.rounds(5);
    assert_eq!(
        world.because("fed"),
        "a move to p3 waits for approval: p2 is down"
    );
}
