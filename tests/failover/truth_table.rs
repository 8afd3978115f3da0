//! The rows of the truth table (`docs/truth-table.md`), one or more tests each; what is listed of a
//! pool, and what operators and halts do to it, stand in files of their own, and what reads better
//! as a scenario in `scenarios/`.

use switchback::failover::{Failback, HookOutcome, OnHalt, Order, Override, Standby, Subject};
use switchback::health::Verdict::{
    self, CertificateExpired, Filtered, Good, HostUnknown, Refused, Unreachable,
};
use switchback::runbook::AfterCrash;
use switchback::time::Wall;

use crate::plans::{document_order, verify_first};
use crate::world::{World, failback, policy, pool, secs, service};

fn three() -> World {
    let mut world = World::new(policy(3));
    world.rounds(3);
    world
}

pub(crate) fn said(subject: Subject, pool: Option<&str>, expires: Option<Wall>) -> Order {
    let said = Override {
        subject,
        pool: pool.map(Into::into),
        author: "ann".into(),
        reason: "a test".into(),
        since: Wall(0),
        expires,
        now: true,
    };
    Order::Set { said, force: false }
}

#[test]
fn the_most_preferred_pool_serves_when_all_are_up() {
    let world = three();
    assert_eq!(world.order_of("fed"), "p1 p2 p3");
    assert_eq!(
        world.because("fed"),
        "it is the most preferred pool and it serves"
    );
    assert_eq!(world.ttl("fed"), 60);
}

#[test]
fn the_first_round_of_a_first_start_decides() {
    let mut world = World::new(policy(3));
    world.see("p1", Refused);
    world.round();
    assert_eq!(world.order_of("fed"), "p2 p3 p1");
}

#[test]
fn second_pool_serves_when_first_is_down() {
    for verdict in [Refused, Filtered, Unreachable, HostUnknown, Verdict::Hung] {
        let mut world = three();
        world.see("p1", verdict);
        world.round();
        assert_eq!(world.active("fed"), "p1", "one bad look is no verdict");
        assert_eq!(world.ttl("fed"), 5, "under suspicion the TTL is short");
        world.round();
        assert_eq!(world.order_of("fed"), "p2 p3 p1");
    }
}

#[test]
fn pools_behind_the_active_one_are_listed_by_health() {
    let mut world = three();
    world.see("p2", Refused);
    world.rounds(2);
    assert_eq!(world.order_of("fed"), "p1 p3 p2");
    world.see("p3", CertificateExpired);
    world.rounds(2);
    assert_eq!(world.order_of("fed"), "p1 p3 p2");
    world.see("p2", Good);
    world.rounds(2);
    assert_eq!(world.order_of("fed"), "p1 p2 p3");
    assert_eq!(world.moves(), 0);
}

#[test]
fn a_degraded_pool_yields_to_one_that_is_up_and_never_sideways() {
    let mut world = three();
    world.see("p1", CertificateExpired);
    world.see("p2", CertificateExpired);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p3");
    world.see("p3", CertificateExpired);
    world.rounds(20);
    assert_eq!(
        world.active("fed"),
        "p3",
        "degraded does not yield to degraded"
    );
}

#[test]
fn a_down_pool_yields_to_a_degraded_one() {
    let mut world = three();
    world.see("p2", CertificateExpired);
    world.see("p3", Refused);
    world.rounds(2);
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn manual_failback_waits_for_an_operator() {
    let mut policy = policy(2);
    policy.services.get_mut(&"fed".into()).unwrap().failback = Failback::Manual;
    let mut world = World::new(policy);
    world.rounds(2);
    world.see("p1", Refused);
    world.rounds(2);
    world.see("p1", Good);
    world.rounds(2000);
    assert_eq!(world.active("fed"), "p2");
    world.order(failback()).unwrap();
    assert_eq!(world.active("fed"), "p1");
}

#[test]
fn manual_failback_keeps_nobody_at_a_dead_pool() {
    let mut policy = policy(2);
    policy.services.get_mut(&"fed".into()).unwrap().failback = Failback::Manual;
    let mut world = World::new(policy);
    world.rounds(2);
    for (dead, lives) in [("p1", "p2"), ("p2", "p1")] {
        world.see(lives, Good);
        world.rounds(10);
        world.see(dead, Refused);
        world.rounds(2);
        assert_eq!(world.active("fed"), lives);
    }
}

#[test]
fn a_flapping_edge_costs_one_failover() {
    let mut world = three();
    for second in 0..300 {
        world.see("p1", if second / 2 % 2 == 0 { Refused } else { Good });
        world.round();
    }
    assert_eq!(world.moves(), 1);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn the_cap_holds_back_returns_but_never_a_first_move_away() {
    let mut policy = policy(3);
    let fed = policy.services.get_mut(&"fed".into()).unwrap();
    fed.failback = Failback::After(secs(1));
    fed.cap_per_hour = 1;
    let mut world = World::new(policy);
    world.rounds(2);
    for _ in 0..4 {
        world.see("p1", Refused);
        world.rounds(5);
        world.see("p1", Good);
        world.rounds(5);
    }
    // One failback was allowed. The second failover goes to p3, a first move, because p2 was
    // left within the hour; and the second failback is held back.
    assert_eq!(world.active("fed"), "p3");
    assert_eq!(
        world.because("fed"),
        "a move to p1 is held back by the cap per hour, until it is over or approved"
    );
    world.see("p3", Refused);
    world.rounds(5);
    assert_eq!(
        world.active("fed"),
        "p3",
        "all others were left within the hour"
    );
    world.rounds(3700);
    world.see("p1", Good);
    world.rounds(5);
    assert_eq!(world.active("fed"), "p1");
}

#[test]
fn unknown_starts_no_failover_and_is_no_target() {
    let mut world = three();
    world.see("p2", Verdict::NoRoute);
    world.rounds(20);
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p3");
    world.see("p3", Verdict::NoRoute);
    world.rounds(30);
    assert_eq!(world.active("fed"), "p3");
    assert_eq!(
        world.because("fed"),
        "its health is unknown; nothing is decided"
    );
}

#[test]
fn looks_that_fail_in_different_ways_fail_in_a_row() {
    let mut world = three();
    world.see("p1", Verdict::Closed);
    world.round();
    world.see("p1", Refused);
    world.round();
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn a_shallower_success_never_clears_a_deeper_failure() {
    let mut world = three();
    world.see("p1", HostUnknown);
    world.rounds(2);
    // Refusals pass the path and fail the port; the speech layer stays failed.
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn a_cold_standby_is_a_candidate_while_its_port_is_closed() {
    let mut policy = policy(2);
    policy.pools.get_mut(&"p2".into()).unwrap().standby = Standby::Cold;
    let mut world = World::new(policy);
    world.see("p2", Refused);
    world.rounds(3);
    world.see("p1", Filtered);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn a_cold_standby_whose_path_is_filtered_is_none() {
    let mut policy = policy(2);
    policy.pools.get_mut(&"p2".into()).unwrap().standby = Standby::Cold;
    let mut world = World::new(policy);
    world.see("p2", Filtered);
    world.rounds(3);
    world.see("p1", Filtered);
    world.rounds(30);
    assert_eq!(world.active("fed"), "p1");
}

#[test]
fn references_that_answer_let_the_verdict_count() {
    let mut policy = policy(2);
    policy.references = vec![
        "192.0.2.1:53".parse().unwrap(),
        "192.0.2.2:53".parse().unwrap(),
    ];
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Filtered);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn a_drain_moves_federation_away_and_the_last_candidate_is_not_drained() {
    let mut world = three();
    world
        .order(said(Subject::DrainPool("p1".into()), None, None))
        .unwrap();
    assert_eq!(world.order_of("fed"), "p2 p3 p1");
    world.see("p3", Refused);
    world.rounds(2);
    let refused = world
        .order(said(Subject::DrainPool("p2".into()), None, None))
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("draining p2 leaves no pool"),
        "{refused}"
    );
}

pub(crate) fn with_hooks(plan: switchback::runbook::Plan) -> World {
    let mut policy = policy(3);
    policy.pools.insert("p2".into(), pool(2, 2));
    policy.services.get_mut(&"fed".into()).unwrap().runbook = plan;
    let mut world = World::new(policy);
    world.rounds(3);
    world
}

#[test]
fn the_documents_order_runs_once_per_server_and_publishes_in_the_middle() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    world.see("p1", Filtered);
    world.rounds(4);
    assert_eq!(
        world.active("fed"),
        "p1",
        "until the publish step the old pool stays first"
    );
    // The services are stopped: the target looks dead, and its own failover does not fail over.
    world.see("p2", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
    world.rounds(3);
    world.see("p2", Good);
    world.rounds(5);
    let stop = [
        "stop services@edge2-1.test.",
        "stop services@edge2-2.test.",
        "route",
    ];
    let start = [
        "start services@edge2-1.test.",
        "start services@edge2-2.test.",
    ];
    assert_eq!(world.hook_log(), [&stop[..], &start[..]].concat());
    assert_eq!(world.because("fed"), "it serves; p1 does not");
    assert_eq!(world.moves(), 1);
}

#[test]
fn verify_first_publishes_only_what_is_healthy() {
    let mut world = with_hooks(verify_first(AfterCrash::Ask));
    world.see("p1", Filtered);
    world.see("p2", Refused);
    world.see("p3", Good);
    world.rounds(8);
    assert_eq!(world.active("fed"), "p3");
}

#[test]
fn on_halt_hold_waits_for_an_operator() {
    let mut policy = policy(3);
    let fed = policy.services.get_mut(&"fed".into()).unwrap();
    fed.runbook = document_order(AfterCrash::Ask);
    fed.on_halt = OnHalt::Hold;
    let mut world = World::new(policy);
    world.rounds(3);
    world.outcomes = [HookOutcome::TimedOut].into();
    world.see("p1", Filtered);
    world.rounds(60);
    assert_eq!(world.active("fed"), "p1");
    assert_eq!(
        world.because("fed"),
        "the runbook towards p2 halted; it waits for an operator"
    );
}

#[test]
fn a_publish_that_was_done_is_taken_back_when_the_path_is_filtered() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    world.see("p1", Refused);
    world.rounds(4);
    world.see("p2", Filtered);
    world.see("p1", Good);
    world.rounds(4);
    assert_eq!(world.active("fed"), "p2");
    world.rounds(70);
    assert_eq!(world.active("fed"), "p1");
    assert_eq!(world.moves(), 0, "there and back cancel out");
}

#[test]
fn operations_with_hooks_exclude_each_other_and_services_without_go_on() {
    let mut policy = policy(3);
    for number in 4..=5 {
        policy
            .pools
            .insert(format!("p{number}").as_str().into(), pool(number, 1));
    }
    policy.services.get_mut(&"fed".into()).unwrap().runbook = document_order(AfterCrash::Ask);
    let mut other = service(0);
    other.pools = vec!["p4".into(), "p5".into()];
    other.runbook = document_order(AfterCrash::Ask);
    policy.services.insert("sip".into(), other);
    let mut plain = service(0);
    plain.pools = vec!["p1".into(), "p3".into()];
    policy.services.insert("web".into(), plain);
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Filtered);
    world.see("p4", Filtered);
    world.rounds(2);
    assert_eq!(world.active("web"), "p3");
    assert_eq!(
        world.because("sip"),
        "a move to p5 waits for the operation of fed"
    );
    world.rounds(20);
    assert_eq!(
        (world.active("fed").as_str(), world.active("sip").as_str()),
        ("p2", "p5")
    );
}

#[test]
fn hooks_never_run_against_a_pool_that_is_active_for_another_service() {
    let mut policy = policy(2);
    policy.services.get_mut(&"fed".into()).unwrap().runbook = document_order(AfterCrash::Ask);
    let mut other = service(0);
    other.pools = vec!["p2".into(), "p1".into()];
    policy.services.insert("sip".into(), other);
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Filtered);
    world.rounds(10);
    assert_eq!(world.active("fed"), "p1");
    assert!(
        world
            .because("fed")
            .starts_with("a move to p2 needs approval")
    );
    assert!(world.hook_log().is_empty());
}

#[test]
fn a_restart_keeps_the_ranking_and_needs_the_full_fall_again() {
    let mut world = three();
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.order_of("fed"), "p2 p3 p1");
    world.restart();
    assert_eq!(world.order_of("fed"), "p2 p3 p1");
    world.see("p2", Refused);
    world.round();
    assert_eq!(world.active("fed"), "p2");
    world.rounds(2);
    assert_eq!(world.active("fed"), "p3");
}

#[test]
fn a_step_whose_end_nobody_saw_is_asked_about() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    world.see("p1", Filtered);
    world.rounds(2);
    assert_eq!(world.hook_log().len(), 1);
    world.restart();
    world.rounds(3);
    let halted = world.disk.services[&"fed".into()].halted.clone().unwrap();
    assert_eq!(
        format!("{:?}", halted.phase),
        "NeedsHuman(\"was the step \\\"stop services\\\" on edge2-1.test. done? the daemon ended while it ran\")"
    );
    world.rounds(20);
    assert_eq!(world.active("fed"), "p3", "the service is never disarmed");
}

#[test]
fn a_step_that_may_be_retried_is_run_again_after_a_crash() {
    let mut world = with_hooks(document_order(AfterCrash::Retry));
    world.see("p1", Filtered);
    world.rounds(2);
    world.restart();
    world.rounds(20);
    assert_eq!(
        world.hook_log()[..2],
        ["stop services@edge2-1.test.", "stop services@edge2-1.test."]
    );
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn an_operation_whose_service_was_unconfigured_while_the_daemon_was_down_asks_a_human() {
    let mut world = with_hooks(document_order(AfterCrash::Retry));
    world.see("p1", Filtered);
    world.rounds(3);
    let id = world.disk.services[&"fed".into()]
        .operation
        .clone()
        .unwrap()
        .id;
    let fed = world.policy.services.remove(&"fed".into()).unwrap();
    world.policy.services.insert("other".into(), fed);
    world.restart();
    assert_eq!(
        format!("{:?}", world.ended[&id]),
        "NeedsHuman(\"service fed is no longer configured; what was left undone?\")"
    );
}

#[test]
fn of_two_moves_that_follow_from_one_input_only_the_last_is_published() {
    let mut plan = document_order(AfterCrash::Ask);
    plan.steps.rotate_left(2);
    assert_eq!(plan.steps[0].act, switchback::runbook::Act::Publish);
    plan.steps
        .retain(|step| !matches!(step.act, switchback::runbook::Act::Verify(_)));
    plan.steps.truncate(2);
    plan.steps[1].undo = None;
    let mut world = with_hooks(plan);
    world.outcomes = [HookOutcome::Exit(1)].into();
    world.see("p1", Refused);
    world.rounds(2);
    assert_eq!(world.active("fed"), "p2");
    let before = world.publications;
    // The publication is taken back, and the next candidate's follows at once. The world checks
    // that what it publishes is what the disk holds.
    world.rounds(1);
    assert_eq!(world.active("fed"), "p3", "the hook failed");
    assert_eq!(world.publications, before + 1);
}

#[test]
fn no_pool_has_to_settle_while_another_is_merely_under_suspicion() {
    let mut world = three();
    world.see("p3", Refused);
    world.rounds(2);
    world.see("p1", Refused);
    world.see("p2", Refused);
    world.see("p3", Good);
    world.round();
    world.see("p2", Verdict::NoRoute);
    world.round();
    // p1 is down and p2 suspected, but never were all down.
    assert_eq!(world.active("fed"), "p3");
}

#[test]
fn a_verification_stands_still_while_our_uplink_is_down() {
    let mut policy = policy(3);
    policy.references = vec![
        "192.0.2.1:53".parse().unwrap(),
        "192.0.2.2:53".parse().unwrap(),
    ];
    policy.services.get_mut(&"fed".into()).unwrap().runbook = document_order(AfterCrash::Ask);
    let mut world = World::new(policy);
    world.rounds(3);
    world.see("p1", Refused);
    world.rounds(2);
    world.see("p2", HostUnknown);
    world.rounds(8);
    assert_eq!(world.active("fed"), "p2", "the last step waits for p2");
    world.uplink = false;
    for pool in ["p1", "p2", "p3"] {
        world.see(pool, Filtered);
    }
    world.rounds(200);
    assert_eq!(world.active("fed"), "p2");
    world.uplink = true;
    world.see("p2", Good);
    world.rounds(5);
    assert_eq!(world.active("fed"), "p2");
    let memory = world.disk.services[&"fed".into()].clone();
    assert!(memory.operation.is_none() && memory.halted.is_none());
}

#[test]
fn the_deadline_of_a_verification_does_not_grow_by_a_restart() {
    let mut world = with_hooks(verify_first(AfterCrash::Retry));
    world.see("p1", Refused);
    world.rounds(2);
    world.see("p2", Refused);
    world.rounds(30);
    assert_eq!(world.active("fed"), "p1");
    world.restart();
    world.rounds(40);
    let moved_on = world.because("fed");
    assert!(
        !moved_on.contains("to p2"),
        "60 s are over, restart or not: {moved_on}"
    );
}
