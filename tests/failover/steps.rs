//! What each kind of step does, how often it is run, and what follows when it fails.

use std::collections::BTreeSet;
use std::net::IpAddr;

use switchback::failover::{HookOutcome, Policy, Server};
use switchback::health::Verdict;
use switchback::ids::{OperationId, ServiceName};
use switchback::runbook::{
    Act, AfterCrash, Each, OnFailure, Operation, Pause, Phase, Plan, Retries, TaskStatus,
};

use crate::plans::{document_order, every_kind};
use crate::world::{World, failover, policy, pool, secs};

/// A world of two pools with three servers each, whose first pool has just died.
fn world(plan: Plan) -> World {
    let mut policy = policy(2);
    for number in 1..=2 {
        let mut one = pool(number, 3);
        one.min_healthy = 3;
        policy
            .pools
            .insert(format!("p{number}").as_str().into(), one);
    }
    for service in policy.services.values_mut() {
        service.runbook = plan.clone();
    }
    let mut world = World::new(policy);
    world.rounds(4);
    world
}

fn begin(world: &mut World) {
    world.see("p1", Verdict::Filtered);
    while world.engine.operations().next().is_none() {
        world.round();
    }
}

/// The operation under way, or the one that stands.
fn operation(world: &World) -> Operation {
    let memory = &world.disk.services[&"fed".into()];
    let known = memory.operation.as_ref().or(memory.halted.as_ref());
    known.expect("an operation").clone()
}

fn finish(world: &mut World) -> Phase {
    for _ in 0..600 {
        if let Some(phase) = world.ended.get(&OperationId(0)) {
            return phase.clone();
        }
        world.round();
    }
    panic!("it never ends: {:?}", operation(world));
}

fn fail(world: &mut World, times: usize) {
    for _ in 0..times {
        world.outcomes.push_back(HookOutcome::Exit(1));
    }
}

fn change(plan: &mut Plan, step: &str, change: impl Fn(&mut switchback::runbook::Step)) {
    let found = plan.steps.iter_mut().find(|known| known.name == step);
    change(found.expect("a step of this name"));
}

fn with_retries(count: u32) -> Plan {
    let mut plan = document_order(AfterCrash::Retry);
    change(&mut plan, "stop services", |step| {
        step.retries = Retries {
            count,
            pause: secs(4),
        };
    });
    plan
}

#[test]
fn a_step_that_fails_is_run_again_after_pauses_that_double() {
    let mut world = world(with_retries(3));
    fail(&mut world, 3);
    begin(&mut world);
    let began = world.now.mono;
    while world.hook_log().len() < 4 {
        world.round();
    }
    // A second for each run, and 4, 8 and 16 between them.
    assert_eq!(world.now.mono.since(began), secs(3 + 4 + 8 + 16));
    assert_eq!(finish(&mut world), Phase::Completed);
    let first = "stop services@edge2-1.test.";
    assert_eq!(world.hook_log()[..4], [first; 4]);
    let attempts: Vec<u32> = world.runs.iter().map(|call| call.attempt).take(5).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 1], "each task counts for itself");
}

#[test]
fn when_no_retry_is_left_the_step_has_failed() {
    let mut world = world(with_retries(1));
    fail(&mut world, 2);
    begin(&mut world);
    let phase = finish(&mut world);
    let why = "stop services on edge2-1.test. failed: exit code 1";
    assert_eq!(phase, Phase::Halted(why.to_owned()));
    let undo = "-stop services@edge2-1.test.";
    assert_eq!(world.hook_log()[2..], [undo], "it may have acted by half");
}

#[test]
fn an_undo_has_its_own_retries() {
    let mut world = world(with_retries(1));
    fail(&mut world, 3);
    begin(&mut world);
    assert!(matches!(finish(&mut world), Phase::Halted(_)));
    let undo = "-stop services@edge2-1.test.";
    assert_eq!(world.hook_log()[2..], [undo, undo]);
}

#[test]
fn the_pause_and_the_count_of_attempts_outlive_the_process() {
    let mut world = world(with_retries(1));
    fail(&mut world, 2);
    begin(&mut world);
    while world.hook_log().is_empty() {
        world.round();
    }
    world.rounds(2);
    let waiting = operation(&world).tasks[0].status.clone();
    assert!(
        matches!(waiting, TaskStatus::Retrying { .. }),
        "{waiting:?}"
    );
    world.restart();
    let runs = world.hook_log().len();
    world.round();
    assert_eq!(world.hook_log().len(), runs, "the pause goes on");
    assert!(matches!(finish(&mut world), Phase::Halted(_)));
    assert_eq!(world.runs[1].attempt, 2);
    assert_eq!(operation(&world).tasks[0].failures, 0, "the undo went well");
}

#[test]
fn a_step_may_stop_everything_where_it_is_and_ask() {
    let mut plan = document_order(AfterCrash::Retry);
    change(&mut plan, "route", |step| step.on_failure = OnFailure::Halt);
    let mut world = world(plan);
    world
        .outcomes
        .extend([HookOutcome::Done, HookOutcome::Done, HookOutcome::Done]);
    fail(&mut world, 1);
    begin(&mut world);
    let question = "route failed: exit code 1; nothing was taken back: is it to go on?";
    assert_eq!(finish(&mut world), Phase::NeedsHuman(question.to_owned()));
    assert_eq!(world.hook_log().len(), 4, "no undo ran");
    assert_eq!(world.active("fed"), "p1", "DNS is where the runbook is");
}

#[test]
fn a_step_may_fail_and_be_passed_over() {
    let mut plan = document_order(AfterCrash::Retry);
    change(&mut plan, "stop services", |step| {
        step.on_failure = OnFailure::Continue
    });
    let mut world = world(plan);
    fail(&mut world, 1);
    begin(&mut world);
    assert_eq!(finish(&mut world), Phase::Completed);
    assert_eq!(world.active("fed"), "p2");
    assert_eq!(world.hook_log().len(), 7, "all others ran");
}

#[test]
fn tasks_of_one_step_run_at_once_and_all_of_them_before_the_next_step() {
    let mut world = world(every_kind(AfterCrash::Retry));
    begin(&mut world);
    assert_eq!(world.hooks.len(), 3, "one per server, at once");
    // The second takes long.
    world.hooks[1].0 = world.hooks[1].0 + secs(9);
    world.rounds(5);
    assert_eq!(world.hook_log().len(), 3);
    world.rounds(6);
    assert_eq!(world.hook_log()[3], "route");
}

#[test]
fn one_of_many_that_fails_waits_for_the_others_and_all_are_taken_back_at_once() {
    let mut world = world(every_kind(AfterCrash::Retry));
    begin(&mut world);
    world.hooks[0].2 = HookOutcome::Exit(1);
    world.hooks[2].0 = world.hooks[2].0 + secs(9);
    world.rounds(5);
    assert_eq!(world.hook_log().len(), 3, "one still runs");
    world.rounds(5);
    assert_eq!(world.hooks.len(), 3, "{:?}", world.hook_log());
    assert!(world.hooks.iter().all(|(_, call, _)| call.undo));
    assert!(matches!(finish(&mut world), Phase::Halted(_)));
}

#[test]
fn of_many_servers_so_many_are_worked_on_at_a_time() {
    let mut policy = policy(2);
    policy.pools.insert("p2".into(), pool(2, 20));
    for service in policy.services.values_mut() {
        service.runbook = every_kind(AfterCrash::Retry);
    }
    let mut world = World::new(policy);
    world.rounds(4);
    begin(&mut world);
    assert_eq!(world.hooks.len(), switchback::runbook::PARALLEL);
    assert_eq!(finish(&mut world), Phase::Completed);
}

#[test]
fn after_a_crash_everyone_of_a_step_is_asked_about_by_name() {
    let mut world = world(every_kind(AfterCrash::Ask));
    begin(&mut world);
    world.hooks.remove(1).map(|(_, call, _)| call).unwrap();
    world.rounds(2);
    world.restart();
    let question =
        "was the step \"stop services\" on edge2-2.test. done? the daemon ended while it ran";
    assert_eq!(finish(&mut world), Phase::NeedsHuman(question.to_owned()));
}

#[test]
fn a_fence_acts_on_the_old_pool_and_its_failure_halts_nothing() {
    let mut world = world(every_kind(AfterCrash::Retry));
    begin(&mut world);
    while world.active("fed") != "p2" {
        world.round();
    }
    let before = world.runs.len();
    for _ in 0..3 {
        world.outcomes.push_back(HookOutcome::Refused(
            "timed out without an answer".to_owned(),
        ));
    }
    assert_eq!(finish(&mut world), Phase::Completed);
    let fences = &world.runs[before..];
    assert_eq!(fences.len(), 3);
    assert!(
        fences
            .iter()
            .all(|call| call.pool == "p1".into() && call.to_pool == "p2".into())
    );
    assert_eq!(fences[0].servers[0], "edge1-1.test.".into());
    assert_eq!(fences[0].vars["site"], "Site1");
}

/// How long the operation stands at the step of this name.
fn time_at(world: &mut World, step: &str) -> u64 {
    let stands = |world: &World| {
        let operation = world.engine.operations().next()?.clone();
        let running = operation
            .tasks
            .iter()
            .position(|task| task.status.is_running())?;
        Some(operation.step(running)?.name == step)
    };
    for _ in 0..300 {
        if stands(world) == Some(true) {
            break;
        }
        world.round();
    }
    let since = world.now.mono;
    while stands(world) == Some(true) {
        world.round();
    }
    world.now.mono.since(since).as_secs()
}

#[test]
fn a_wait_for_the_ttl_ends_when_no_cache_holds_what_was_before() {
    let mut plan = every_kind(AfterCrash::Retry);
    change(&mut plan, "let the long TTL drain", |step| {
        step.timeout = secs(60)
    });
    let mut world = world(plan);
    // All is settled: answers live for a minute.
    world.rounds(70);
    assert_eq!(world.ttl("fed"), 60);
    world.see("p1", Verdict::Filtered);
    while world.ttl("fed") == 60 {
        world.round();
    }
    let shortened = world.now.mono;
    begin(&mut world);
    let waited = time_at(&mut world, "let the long TTL drain");
    assert!(waited > 0);
    assert_eq!(world.now.mono.since(shortened), secs(60));
    assert_eq!(finish(&mut world), Phase::Completed);
}

/// The runbook of `every_kind` without its hooks: wait for the TTL, publish.
fn wait_and_publish() -> Plan {
    let mut plan = every_kind(AfterCrash::Retry);
    plan.steps
        .retain(|step| matches!(step.act, Act::Publish | Act::Wait(Pause::Ttl)));
    plan.steps
        .iter_mut()
        .for_each(|step| step.timeout = secs(90));
    plan
}

#[test]
fn a_wait_for_the_ttl_that_comes_first_waits_for_the_ttl_that_its_own_operation_lowers() {
    let mut world = world(wait_and_publish());
    world.rounds(70);
    assert_eq!(world.ttl("fed"), 60);
    let since = world.now.mono;
    world.order(failover("p2")).unwrap();
    assert_eq!(world.ttl("fed"), 5);
    assert_eq!(finish(&mut world), Phase::Completed);
    assert_eq!(world.now.mono.since(since), secs(60));
}

/// What a reload makes of a policy, and the services whose records change in what no policy says.
type Reload = fn(&mut Policy) -> BTreeSet<ServiceName>;

fn first_server(policy: &mut Policy) -> &mut Server {
    &mut policy.pools.get_mut(&"p1".into()).unwrap().servers[0]
}

#[test]
fn a_wait_for_the_ttl_counts_what_a_reload_changes() {
    let nothing: Reload = |_| BTreeSet::new();
    let address: Reload = |policy| {
        first_server(policy).addresses = vec![IpAddr::from([10, 9, 9, 9])];
        BTreeSet::new()
    };
    let target: Reload = |policy| {
        first_server(policy).name = "edge9.test.".into();
        BTreeSet::new()
    };
    let weight: Reload = |policy| {
        first_server(policy).weight = 7;
        BTreeSet::new()
    };
    let ttl: Reload = |policy| {
        let service = policy.services.get_mut(&"fed".into()).unwrap();
        (service.ttl.min, service.ttl.max) = (secs(10), secs(10));
        BTreeSet::new()
    };
    let port: Reload = |_| BTreeSet::from(["fed".into()]);
    for (change, lasts) in [
        (nothing, 0),
        (address, 60),
        (target, 60),
        (weight, 60),
        (ttl, 60),
        (port, 60),
    ] {
        let mut world = world(wait_and_publish());
        // The TTL has one value: nothing changes but by the reload.
        let mut policy = world.policy.clone();
        policy.services.get_mut(&"fed".into()).unwrap().ttl.min = secs(60);
        assert!(world.reload(policy.clone()));
        world.rounds(100);
        let changed = change(&mut policy);
        assert!(world.reload_with(policy, changed));
        let since = world.now.mono;
        world.order(failover("p2")).unwrap();
        assert_eq!(finish(&mut world), Phase::Completed);
        assert_eq!(world.now.mono.since(since), secs(lasts));
    }
}

#[test]
fn a_wait_goes_on_after_a_restart_with_what_is_left_of_it() {
    let mut plan = document_order(AfterCrash::Retry);
    let wait = every_kind(AfterCrash::Retry).steps[7].clone();
    assert!(matches!(wait.act, Act::Wait(_)));
    plan.steps.insert(0, wait);
    change(&mut plan, "wait", |step| {
        step.timeout = secs(30);
    });
    let mut world = world(plan);
    begin(&mut world);
    let began = world.now.mono;
    world.rounds(20);
    let before = world.now.mono.since(began);
    world.restart();
    let again = world.now.mono;
    while world.hook_log().is_empty() {
        world.round();
    }
    assert_eq!(before + world.now.mono.since(again), secs(30));
}

#[test]
fn a_wait_for_secondaries_ends_when_enough_are_current_and_fails_when_they_never_are() {
    let mut world = world(every_kind(AfterCrash::Retry));
    world.secondaries = false;
    begin(&mut world);
    while world.active("fed") != "p2" {
        world.round();
    }
    world.rounds(10);
    assert!(world.engine.operations().next().is_some());
    world.secondaries = true;
    assert_eq!(finish(&mut world), Phase::Completed);

    let mut world = self::world(every_kind(AfterCrash::Retry));
    world.secondaries = false;
    begin(&mut world);
    let why = "wait for secondaries failed: 0 of 1 secondaries serve what is published: \
               192.0.2.1:53: behind, or silent; 192.0.2.2:53: behind, or silent";
    assert_eq!(finish(&mut world), Phase::Halted(why.to_owned()));
    assert_eq!(world.active("fed"), "p1", "the publication was taken back");
}

#[test]
fn a_cold_pool_whose_port_opens_with_the_route_is_waited_for() {
    let mut plan = every_kind(AfterCrash::Retry);
    plan.steps
        .retain(|step| step.name != "wait for secondaries");
    let mut policy = policy(2);
    for (name, pool) in &mut policy.pools {
        if *name == "p2".into() {
            pool.standby = switchback::failover::Standby::Cold;
        }
    }
    for service in policy.services.values_mut() {
        service.runbook = plan.clone();
    }
    let mut world = World::new(policy);
    world.see("p2", Verdict::Refused);
    world.rounds(4);
    begin(&mut world);
    while world.hook_log().last().map(String::as_str) != Some("start services@edge2-1.test.") {
        world.round();
    }
    world.rounds(10);
    assert_eq!(world.active("fed"), "p1", "its port is closed");
    // It speaks no XMPP yet; its port is open.
    world.see("p2", Verdict::HostUnknown);
    world.rounds(3);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn every_each_has_a_task_per_server_of_its_pool() {
    let to: Vec<_> = ["a.", "b."].map(Into::into).into();
    let from: Vec<_> = ["c."].map(Into::into).into();
    let plan = every_kind(AfterCrash::Ask);
    let tasks = Operation::lay_out(&plan, &to, &from, world(plan.clone()).now.wall);
    let servers = |step: usize| {
        let ours = tasks.iter().filter(move |task| task.step == step);
        ours.filter_map(|task| task.server.clone()).count()
    };
    assert_eq!((servers(0), servers(1), servers(8)), (2, 0, 1));
    let Act::Run { each, .. } = plan.steps[8].act else {
        panic!("the fence is the last")
    };
    assert_eq!(each, Each::ServerInParallel);
}

#[test]
fn a_clock_that_leaps_while_a_step_runs_makes_its_time_neither_longer_nor_shorter() {
    for hours in [-5, 5] {
        let mut plan = document_order(AfterCrash::Retry);
        let wait = every_kind(AfterCrash::Retry).steps[7].clone();
        plan.steps.insert(0, wait);
        change(&mut plan, "wait", |step| step.timeout = secs(30));
        let mut world = world(plan);
        begin(&mut world);
        let began = world.now.mono;
        world.rounds(20);
        set_calendar(&mut world, hours);
        while world.hook_log().is_empty() {
            world.round();
        }
        let took = world.now.mono.since(began);
        assert_eq!(took, secs(30), "the clock set by {hours} h in the wait");
        assert_eq!(operation(&world).tasks[0].took_ms, Some(30_000));

        set_calendar(&mut world, -hours);
        assert_eq!(finish(&mut world), Phase::Completed, "set by {hours} h");
        let runs = world.hook_log().len();
        assert_eq!(runs, 7, "no program runs twice: {:?}", world.hook_log());
    }
}

#[test]
fn a_clock_that_leaps_in_the_pause_before_another_run_makes_it_neither_longer_nor_shorter() {
    for hours in [-5, 5] {
        let mut world = world(with_retries(2));
        fail(&mut world, 2);
        begin(&mut world);
        while world.hook_log().len() < 2 {
            world.round();
        }
        // The second run takes a second; the pause behind it is the second, of 8.
        world.rounds(3);
        let began = world.now.mono;
        set_calendar(&mut world, hours);
        while world.hook_log().len() < 3 {
            world.round();
        }
        let took = world.now.mono.since(began);
        assert_eq!(took, secs(1 + 8 - 3), "set by {hours} h in the pause");
        assert_eq!(finish(&mut world), Phase::Completed, "set by {hours} h");
    }
}

#[test]
fn a_clock_that_leaps_in_a_verification_makes_its_time_neither_longer_nor_shorter() {
    for hours in [-5, 5] {
        let mut plan = document_order(AfterCrash::Retry);
        change(&mut plan, "verify", |step| step.timeout = secs(20));
        let mut world = world(plan);
        world.see("p2", Verdict::Good);
        begin(&mut world);
        let verify = 5;
        let state = |world: &World| {
            let tasks = operation(world).tasks;
            tasks.into_iter().find(|task| task.step == verify).unwrap()
        };
        while !state(&world).status.is_running() {
            // From its services' start on they hang.
            if world.hook_log().len() > 4 {
                world.see("p2", Verdict::Hung);
            }
            world.round();
        }
        let began = world.now.mono;
        world.rounds(5);
        set_calendar(&mut world, hours);
        while state(&world).status.is_running() {
            world.round();
        }
        let took = world.now.mono.since(began);
        assert_eq!(took, secs(20), "set by {hours} h in the verification");
        assert_eq!(state(&world).took_ms, Some(20_000));
        assert!(matches!(finish(&mut world), Phase::Halted(_)));
    }
}

/// As a hook does that sets the clock.
fn set_calendar(world: &mut World, hours: i64) {
    let shift = hours.unsigned_abs() * 3_600_000;
    let wall = &mut world.now.wall.0;
    *wall = if hours < 0 {
        *wall - shift
    } else {
        *wall + shift
    };
}
