//! What a person may do with an operation that stands, or that is under way.

use switchback::failover::{Handling, HookOutcome, Order, OrderRefusal};
use switchback::health::Verdict;
use switchback::ids::OperationId;
use switchback::runbook::{AfterCrash, OnFailure, Operation, Phase, Plan};

use crate::plans::document_order;
use crate::world::{World, ann, policy, secs};

fn world(change: impl Fn(&mut Plan)) -> World {
    let mut policy = policy(2);
    for service in policy.services.values_mut() {
        service.runbook = document_order(AfterCrash::Ask);
        change(&mut service.runbook);
    }
    let mut world = World::new(policy);
    world.rounds(4);
    world
}

/// The first pool dies, and the hooks end like this.
fn fail_over(world: &mut World, outcomes: &[HookOutcome]) {
    world.outcomes.extend(outcomes.iter().cloned());
    world.see("p1", Verdict::Filtered);
    while world.engine.operations().next().is_none() {
        world.round();
    }
}

fn settle(world: &mut World) -> Phase {
    for _ in 0..300 {
        let under_way = world.engine.operations().next().is_some();
        if let Some(phase) = world.ended.get(&OperationId(0)).filter(|_| !under_way) {
            return phase.clone();
        }
        world.round();
    }
    panic!("it never ends");
}

fn say(world: &mut World, how: Handling) -> Result<(), OrderRefusal> {
    let (service, by) = ("fed".into(), ann());
    world.order(Order::Handle { service, how, by })
}

fn skip(step: &str) -> Handling {
    Handling::Skip {
        step: step.to_owned(),
        server: None,
    }
}

fn standing(world: &World) -> Option<Operation> {
    world.disk.services[&"fed".into()].halted.clone()
}

const FAILED: HookOutcome = HookOutcome::Exit(1);
const DONE: HookOutcome = HookOutcome::Done;

/// Stands at its route step, which failed, with the services stopped.
fn stands_at_the_route() -> World {
    let mut world = world(|plan| plan.steps[1].on_failure = OnFailure::Halt);
    fail_over(&mut world, &[DONE, FAILED]);
    assert!(matches!(settle(&mut world), Phase::NeedsHuman(_)));
    assert_eq!(world.hook_log(), ["stop services@edge2-1.test.", "route"]);
    world
}

#[test]
fn retry_runs_again_what_failed_and_goes_on() {
    let mut world = stands_at_the_route();
    say(&mut world, Handling::Retry).unwrap();
    assert_eq!(settle(&mut world), Phase::Completed);
    assert_eq!(
        world.hook_log()[2..],
        ["route", "start services@edge2-1.test."]
    );
    assert_eq!(world.runs[2].attempt, 2);
    assert_eq!(standing(&world), None);
    assert_eq!(world.active("fed"), "p2");
}

#[test]
fn a_retry_that_fails_stands_again() {
    let mut world = stands_at_the_route();
    world.outcomes.push_back(FAILED);
    say(&mut world, Handling::Retry).unwrap();
    assert!(matches!(settle(&mut world), Phase::NeedsHuman(_)));
    assert!(standing(&world).is_some());
}

#[test]
fn skip_takes_it_as_done_and_the_record_says_who_said_so() {
    let mut world = stands_at_the_route();
    say(&mut world, skip("route")).unwrap();
    let operation = world.engine.operations().next().unwrap().clone();
    assert_eq!(
        operation.tasks[1].output,
        "ann (a test) says that it was done"
    );
    assert_eq!(settle(&mut world), Phase::Completed);
    assert_eq!(world.hook_log()[2..], ["start services@edge2-1.test."]);
}

#[test]
fn who_skips_another_step_than_the_one_it_stands_at_is_told() {
    let mut world = stands_at_the_route();
    let error = say(&mut world, skip("start services")).unwrap_err();
    assert!(
        error.to_string().ends_with("it is asked about: route"),
        "{error}"
    );
    let elsewhere = Handling::Skip {
        step: "route".to_owned(),
        server: Some("edge9.test.".into()),
    };
    assert!(say(&mut world, elsewhere).is_err());
    assert!(standing(&world).is_some());
}

#[test]
fn abort_takes_back_what_was_done_and_what_failed() {
    let mut world = stands_at_the_route();
    let (back, left) = standing(&world).unwrap().way_back();
    assert_eq!((back, left), (vec![1, 0], vec![]));
    say(&mut world, Handling::Abort).unwrap();
    let why = "aborted by ann (a test)";
    assert_eq!(settle(&mut world), Phase::Halted(why.to_owned()));
    assert_eq!(
        world.hook_log()[2..],
        ["-route", "-stop services@edge2-1.test."]
    );
    let error = say(&mut world, Handling::Retry).unwrap_err();
    assert!(matches!(error, OrderRefusal::TakenBack { .. }), "{error}");
    assert!(say(&mut world, Handling::Abort).is_err());
}

#[test]
fn resume_closes_it_and_the_service_decides_again() {
    let mut world = stands_at_the_route();
    say(&mut world, Handling::Resume).unwrap();
    assert_eq!(standing(&world), None);
    // Its active pool is dead: it moves, with a runbook from the beginning.
    world.rounds(30);
    assert_eq!(world.active("fed"), "p2");
    assert_eq!(world.runs[2].operation, OperationId(1));
    let error = say(&mut world, Handling::Resume).unwrap_err();
    assert!(matches!(error, OrderRefusal::NothingStands(_)), "{error}");
}

#[test]
fn a_question_after_a_crash_is_answered_yes_or_no() {
    for (answer, runs) in [(skip("route"), 1), (Handling::Retry, 2)] {
        let mut world = world(|_| {});
        fail_over(&mut world, &[]);
        while world.hook_log().len() < 2 {
            world.round();
        }
        world.restart();
        let question = "was the step \"route\" done? the daemon ended while it ran";
        assert_eq!(settle(&mut world), Phase::NeedsHuman(question.to_owned()));
        // And the word outlives the process.
        say(&mut world, answer).unwrap();
        world.restart();
        if world.engine.operations().next().is_none() {
            // What began after it was lost as well.
            let stands = standing(&world).unwrap();
            let step = stands.step(stands.in_question()[0]).unwrap().name.clone();
            say(&mut world, skip(&step)).unwrap();
        }
        assert_eq!(settle(&mut world), Phase::Completed);
        let routes = world
            .hook_log()
            .iter()
            .filter(|step| *step == "route")
            .count();
        assert_eq!(routes, runs);
    }
}

#[test]
fn an_undo_that_failed_is_run_again_or_taken_as_done() {
    for (answer, undos) in [(Handling::Retry, 2), (skip("route"), 1)] {
        let mut world = world(|_| {});
        fail_over(&mut world, &[DONE, FAILED, FAILED]);
        let Phase::NeedsHuman(question) = settle(&mut world) else {
            panic!("the undo failed")
        };
        let expected = "route failed: exit code 1; route could not be taken back: exit code 1";
        assert_eq!(question, expected);
        let error = say(&mut world, Handling::Abort).unwrap_err();
        assert!(matches!(error, OrderRefusal::TakenBack { .. }), "{error}");
        say(&mut world, answer).unwrap();
        let why = "route failed: exit code 1";
        assert_eq!(settle(&mut world), Phase::Halted(why.to_owned()));
        let log = world.hook_log();
        assert_eq!(log.iter().filter(|step| *step == "-route").count(), undos);
        let stops = log
            .iter()
            .filter(|step| *step == "-stop services@edge2-1.test.");
        assert_eq!(
            stops.count(),
            1,
            "what was taken back is not again: {log:?}"
        );
    }
}

#[test]
fn abort_ends_the_hook_that_runs_and_then_takes_back() {
    let mut world = world(|_| {});
    world.delays.extend([secs(1), secs(50)]);
    fail_over(&mut world, &[]);
    while world.hook_log().len() < 2 {
        world.round();
    }
    say(&mut world, Handling::Abort).unwrap();
    assert_eq!(world.hook_log().len(), 2, "it is ended first");
    let why = "aborted by ann (a test)";
    assert_eq!(settle(&mut world), Phase::Halted(why.to_owned()));
    assert_eq!(
        world.hook_log()[2..],
        ["-route", "-stop services@edge2-1.test."]
    );
}

#[test]
fn abort_after_the_publication_takes_it_back_too() {
    let mut world = world(|_| {});
    fail_over(&mut world, &[]);
    world.see("p2", Verdict::Filtered);
    while world.active("fed") != "p2" {
        world.round();
    }
    say(&mut world, Handling::Abort).unwrap();
    assert!(matches!(settle(&mut world), Phase::Halted(_)));
    assert_eq!(world.active("fed"), "p1");
    assert_eq!(world.moves(), 0, "there and back cancel out");
}

#[test]
fn what_is_under_way_is_not_retried_skipped_or_closed() {
    let mut world = world(|_| {});
    fail_over(&mut world, &[]);
    for how in [Handling::Retry, skip("route"), Handling::Resume] {
        let error = say(&mut world, how).unwrap_err();
        assert!(matches!(error, OrderRefusal::Busy { .. }), "{error}");
    }
    assert_eq!(settle(&mut world), Phase::Completed);
    for how in [
        Handling::Retry,
        skip("route"),
        Handling::Abort,
        Handling::Resume,
    ] {
        let error = say(&mut world, how).unwrap_err();
        assert!(matches!(error, OrderRefusal::NothingStands(_)), "{error}");
    }
}

#[test]
fn an_operation_whose_pools_are_gone_is_left_to_a_person() {
    let mut world = world(|plan| plan.steps[4].on_failure = OnFailure::Halt);
    // It stands after the publication, at the start of the services.
    fail_over(&mut world, &[DONE, DONE, FAILED]);
    assert!(matches!(settle(&mut world), Phase::NeedsHuman(_)));
    assert_eq!(world.active("fed"), "p2");
    let mut other = world.policy.clone();
    for service in other.services.values_mut() {
        service.pools.retain(|pool| *pool == "p2".into());
    }
    assert!(world.reload(other));
    let error = say(&mut world, Handling::Retry).unwrap_err();
    assert!(matches!(error, OrderRefusal::NoPool { .. }), "{error}");
    say(&mut world, Handling::Resume).unwrap();
    assert_eq!(standing(&world), None);
}
