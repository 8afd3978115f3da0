//! A rehearsal of an order says what the order then does.

use switchback::failover::{Event, Mode, Order, Part, Rehearsal, Subject};
use switchback::health::Verdict::Refused;
use switchback::ids::OperationId;
use switchback::runbook::{AfterCrash, Plan, Retries};

use crate::plans::{document_order, every_kind, verify_first};
use crate::truth_table::{said, with_hooks};
use crate::truth_table_modes::{approve, number, unhurried};
use crate::world::{World, clear, failback, failover, policy, pool, secs};

/// What happens before the order, if anything.
type Given = fn(&mut World);

/// What a rehearsal says: each task, each program with its server, each order published.
fn told(rehearsal: &Rehearsal) -> Vec<String> {
    let ours = rehearsal.happenings.iter().filter(|it| it.follows);
    let parts = ours.map(|it| match &it.part {
        Part::Task { task, .. } => format!("task {task}"),
        Part::Run(call) => run(call),
        Part::Publish(publication) => format!("publish {publication:?}"),
    });
    parts.collect()
}

fn run(call: &switchback::failover::HookCall) -> String {
    let undo = if call.undo { "undo " } else { "" };
    format!(
        "run {undo}{}@{:?} fence {}",
        call.step, call.server, call.fence
    )
}

/// What the order then does.
fn done(world: &mut World, order: Order) -> Vec<String> {
    let (events, runs) = (world.events.len(), world.runs.len());
    let mut published = vec![world.dns[&"fed".into()].clone()];
    world.order(order).unwrap();
    for _ in 0..200 {
        published.push(world.dns[&"fed".into()].clone());
        let operation = world.engine.operations().next().is_some();
        if !operation && !world.because("fed").starts_with("it moves to") {
            break;
        }
        world.round();
    }
    published.dedup();
    let tasks = world.events[events..].iter().filter_map(|event| {
        let Event::Task { task, status, .. } = event else {
            return None;
        };
        status
            .starts_with("started")
            .then(|| format!("task {task}"))
    });
    let runs = world.runs[runs..].iter().map(run);
    let shown = published[1..].iter().map(|it| format!("publish {it:?}"));
    tasks.chain(runs).chain(shown).collect()
}

#[test]
fn a_rehearsal_says_what_the_order_then_does() {
    let nothing: Given = |_| {};
    let at_the_second: Given = |world| {
        world.order(failover("p2")).unwrap();
        world.rounds(200);
        assert_eq!(world.active("fed"), "p2");
    };
    let waits_for_a_word: Given = |world| {
        let mut asks = world.policy.clone();
        asks.services.get_mut(&"fed".into()).unwrap().mode = Mode::Approve;
        assert!(world.reload(asks));
        world.see("p1", Refused);
        world.rounds(20);
        assert!(world.because("fed").contains("waits for approval"));
    };
    let drain = || said(Subject::DrainPool("p1".into()), None, None);
    let cases: [(Given, Order); 7] = [
        (nothing, failover("p2")),
        (nothing, unhurried(failover("p2"))),
        (nothing, drain()),
        (nothing, unhurried(drain())),
        (at_the_second, failback()),
        (nothing, said(Subject::DrainPool("p2".into()), None, None)),
        (waits_for_a_word, approve(number(0))),
    ];
    for plan in [
        document_order(AfterCrash::Ask),
        verify_first(AfterCrash::Ask),
        every_kind(AfterCrash::Ask),
        Plan::publish_only(),
    ] {
        for (given, order) in &cases {
            let mut world = with_hooks(plan.clone());
            given(&mut world);
            let events = world.events.len();
            let rehearsal = world.engine.rehearse(world.now, order.clone()).unwrap();
            assert_eq!(world.events.len(), events, "nothing has happened");
            let planned = told(&rehearsal);
            let really = done(&mut world, order.clone());
            let of = |kind: &str, all: &[String]| -> Vec<String> {
                let parts = all.iter().filter(|part| part.starts_with(kind));
                parts.cloned().collect()
            };
            for kind in ["task ", "run ", "publish "] {
                assert_eq!(of(kind, &planned), of(kind, &really), "{order}, {plan:?}");
            }
            assert_eq!(
                rehearsal
                    .after
                    .service(rehearsal.then, &"fed".into())
                    .unwrap()
                    .memory
                    .published,
                world.dns[&"fed".into()],
                "{order}"
            );
        }
    }
}

#[test]
fn a_server_that_is_drained_is_left_out_and_nothing_moves() {
    let mut policy = policy(2);
    policy.pools.insert("p1".into(), pool(1, 3));
    let mut world = World::new(policy);
    world.rounds(4);
    let drain = said(Subject::DrainServer("edge1-2.test.".into()), None, None);
    let there = world.engine.rehearse(world.now, drain.clone()).unwrap();
    assert_eq!(there.operations, []);
    let planned = told(&there);
    assert_eq!(planned, done(&mut world, drain));
    assert_eq!(planned.len(), 1);
    assert!(!planned[0].contains("edge1-2.test."), "{planned:?}");

    let back = clear(Subject::DrainServer("edge1-2.test.".into()));
    let back = world.engine.rehearse(world.now, back).unwrap();
    assert!(told(&back)[0].contains("edge1-2.test."));
}

#[test]
fn what_waits_for_another_services_hooks_is_told_apart_from_them() {
    let mut policy = policy(3);
    for name in ["fed", "sip"] {
        let mut service = policy.services[&"fed".into()].clone();
        service.runbook = document_order(AfterCrash::Ask);
        if name == "sip" {
            service.pools.rotate_left(1);
        }
        policy.services.insert(name.into(), service);
    }
    let mut world = World::new(policy);
    world.rounds(4);
    let sip = Order::Failover {
        service: "sip".into(),
        to: Some("p3".into()),
        by: crate::world::ann(),
        force: false,
        now: true,
    };
    world.delays.push_back(secs(10));
    world.order(sip).unwrap();
    let drain = said(Subject::DrainPool("p1".into()), None, None);
    let rehearsal = world.engine.rehearse(world.now, drain.clone()).unwrap();
    let [ours] = &rehearsal.operations[..] else {
        panic!("{:?}", rehearsal.operations);
    };
    assert_eq!((&ours.service, ours.id), (&"fed".into(), OperationId(1)));
    let hooks = |follows: bool| {
        let happenings = rehearsal.happenings.iter();
        let runs = happenings.filter(|it| it.follows == follows && matches!(it.part, Part::Run(_)));
        runs.map(|it| it.service.as_str()).collect::<Vec<_>>()
    };
    // The first of its hooks ran before.
    assert_eq!(hooks(false), ["sip"; 2]);
    assert_eq!(hooks(true), ["fed"; 3]);
}

#[test]
fn an_operation_takes_all_timeouts_and_retries_and_pauses_at_the_most() {
    let mut plan = document_order(AfterCrash::Ask);
    plan.steps[0].retries = Retries {
        count: 2,
        pause: secs(4),
    };
    let mut policy = policy(2);
    policy.pools.insert("p2".into(), pool(2, 3));
    policy.services.get_mut(&"fed".into()).unwrap().runbook = plan;
    let mut world = World::new(policy);
    world.rounds(4);
    let rehearsal = world.engine.rehearse(world.now, failover("p2")).unwrap();
    let stop = 3 * (3 * 60 + 4 + 8);
    let (route, start, verify) = (60, 3 * 60, 2 * 60);
    assert_eq!(
        rehearsal.operations[0].longest(),
        secs(stop + route + start + verify)
    );
}

#[test]
fn a_rehearsal_is_refused_like_the_order_itself() {
    let mut world = with_hooks(document_order(AfterCrash::Ask));
    world
        .order(said(Subject::Freeze("fed".into()), None, None))
        .unwrap();
    let planned = world.engine.rehearse(world.now, failover("p2"));
    assert_eq!(
        planned.unwrap_err(),
        world.order(failover("p2")).unwrap_err()
    );
}
