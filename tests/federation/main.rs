//! The main job, end to end: real servers, a real resolver, a real partner, and something breaks.
//!
//! Each test has a network of its own (see `lab.rs`), needs no root where user namespaces may be
//! made, and says so when it is left out. It also says how long a partner needed.

mod certificates;
mod dns;
mod lab;
mod namespaces;
mod patience;
mod switchback;

use std::fs;
use std::time::Duration;

use lab::{Lab, in_a_lab};
use patience::{let_pass, now};
use switchback::{ALL_UP, Setup, Switchback};

/// The first pool does not serve: it stands last, with all its servers.
const SECOND_SERVES: &str = "10 edge2 / 20 edge3 / 30 edge1a edge1b";
/// One server of the first pool is known to be gone.
const ONE_LEFT: [&str; 2] = [
    "10 edge1a / 20 edge2 / 30 edge3",
    "10 edge1b / 20 edge2 / 30 edge3",
];

/// Both servers of the first pool fail in the same way; a partner reaches the second pool.
fn second_pool_takes_over(test: &'static str, fault: fn(&mut Lab, &str)) {
    in_a_lab(test, |lab| {
        let switchback = Switchback::start(lab, Setup::default());
        lab.partner_delivers(ALL_UP, now());
        let begin = now();
        fault(lab, "edge1a");
        fault(lab, "edge1b");
        switchback.serves(SECOND_SERVES);
        lab.partner_delivers(SECOND_SERVES, begin);
        switchback.served_only(&[&ONE_LEFT[..], &[SECOND_SERVES]].concat());
        assert_eq!(switchback.moves(), 1, "{:#?}", switchback.history());
    });
}

#[test]
fn a_partner_gets_through_when_the_process_is_killed() {
    second_pool_takes_over(
        "a_partner_gets_through_when_the_process_is_killed",
        |lab, edge| lab.kill_edge(edge),
    );
}

#[test]
fn a_partner_gets_through_when_packets_are_dropped() {
    second_pool_takes_over(
        "a_partner_gets_through_when_packets_are_dropped",
        |lab, edge| lab.blackhole_edge(edge),
    );
}

#[test]
fn a_partner_gets_through_when_the_edge_hangs() {
    second_pool_takes_over("a_partner_gets_through_when_the_edge_hangs", |lab, edge| {
        lab.hang_edge(edge);
    });
}

#[test]
fn a_partner_gets_through_when_the_edge_forgets_its_domain() {
    second_pool_takes_over(
        "a_partner_gets_through_when_the_edge_forgets_its_domain",
        |lab, edge| lab.forget_domain(edge),
    );
}

#[test]
fn a_partner_gets_through_when_the_certificate_expires() {
    second_pool_takes_over(
        "a_partner_gets_through_when_the_certificate_expires",
        |lab, edge| lab.expire_certificate(edge),
    );
}

#[test]
fn a_pool_that_is_back_serves_again_after_its_hold_down() {
    in_a_lab(
        "a_pool_that_is_back_serves_again_after_its_hold_down",
        |lab| {
            let failback = "{ after = \"2s\" }";
            let switchback = Switchback::start(
                lab,
                Setup {
                    failback,
                    ..Setup::default()
                },
            );
            lab.blackhole_edge("edge1a");
            lab.blackhole_edge("edge1b");
            switchback.serves(SECOND_SERVES);
            let begin = now();
            lab.reconnect_edge("edge1a");
            lab.reconnect_edge("edge1b");
            switchback.serves(ALL_UP);
            lab.partner_delivers(ALL_UP, begin);
            assert_eq!(switchback.moves(), 2, "{:#?}", switchback.history());
            // Back one after the other: the first of them waits behind for its failback.
            let behind = [
                "10 edge2 / 20 edge1a / 30 edge3",
                "10 edge2 / 20 edge1b / 30 edge3",
            ];
            let allowed = [SECOND_SERVES, "10 edge2 / 20 edge1a edge1b / 30 edge3"];
            switchback.served_only(&[&ONE_LEFT[..], &behind, &allowed].concat());
        },
    );
}

#[test]
fn one_dead_server_of_two_leaves_its_pool_first() {
    in_a_lab("one_dead_server_of_two_leaves_its_pool_first", |lab| {
        let switchback = Switchback::start(lab, Setup::default());
        lab.partner_delivers(ALL_UP, now());
        let begin = now();
        lab.kill_edge("edge1a");
        switchback.serves(ONE_LEFT[1]);
        lab.partner_delivers(ONE_LEFT[1], begin);
        lab.revive_edge("edge1a");
        switchback.serves(ALL_UP);
        switchback.served_only(&[ONE_LEFT[1]]);
    });
}

#[test]
fn when_all_are_dead_the_last_order_stands_until_one_is_back() {
    in_a_lab(
        "when_all_are_dead_the_last_order_stands_until_one_is_back",
        |lab| {
            let third = "10 edge3 / 20 edge1a edge1b / 30 edge2";
            let second_alone = "10 edge2 / 20 edge1a edge1b / 30 edge3";
            // One is back: behind the active pool those that are up come first, at once. It
            // becomes the active one when it has held for `settle`.
            let settling = "10 edge3 / 20 edge2 / 30 edge1a edge1b";
            let switchback = Switchback::start(lab, Setup::default());
            lab.kill_edge("edge1a");
            lab.kill_edge("edge1b");
            switchback.serves(SECOND_SERVES);
            lab.kill_edge("edge2");
            switchback.serves(third);
            lab.kill_edge("edge3");
            let before = switchback.history().len();
            // Long enough for any verdict there could be.
            let_pass(Duration::from_secs(5));
            assert_eq!(
                switchback.history().len(),
                before,
                "{:#?}",
                switchback.history()
            );
            switchback.serves(third);
            let begin = now();
            lab.revive_edge("edge2");
            switchback.serves(second_alone);
            lab.partner_delivers(second_alone, begin);
            let allowed = [SECOND_SERVES, third, settling, second_alone];
            switchback.served_only(&[&ONE_LEFT[..], &allowed].concat());
        },
    );
}

#[test]
fn an_edge_that_flaps_every_two_seconds_costs_one_failover() {
    in_a_lab(
        "an_edge_that_flaps_every_two_seconds_costs_one_failover",
        |lab| {
            let failback = "{ after = \"30s\" }";
            let switchback = Switchback::start(
                lab,
                Setup {
                    failback,
                    ..Setup::default()
                },
            );
            let begin = now();
            for _ in 0..4 {
                lab.kill_edge("edge1a");
                lab.kill_edge("edge1b");
                let_pass(Duration::from_secs(2));
                lab.start_edge("edge1a");
                lab.start_edge("edge1b");
                let_pass(Duration::from_secs(2));
            }
            let quiet = "10 edge2 / 20 edge1a edge1b / 30 edge3";
            switchback.serves(quiet);
            lab.partner_delivers(quiet, begin);
            assert_eq!(switchback.moves(), 1, "{:#?}", switchback.history());
            // The first pool goes and comes behind the second, its servers one after the other.
            let behind = [
                "10 edge2 / 20 edge1a / 30 edge3",
                "10 edge2 / 20 edge1b / 30 edge3",
            ];
            switchback.served_only(&[&ONE_LEFT[..], &behind, &[SECOND_SERVES, quiet]].concat());
        },
    );
}

/// The second pool's own work, in the order of the document.
const STEPS: [&str; 6] = [
    "begin stop edge2",
    "end stop edge2",
    "begin route edgepool2",
    "end route edgepool2",
    "begin start edge2",
    "end start edge2",
];

#[test]
fn the_zone_follows_the_route_and_each_hook_runs_once_in_order() {
    in_a_lab(
        "the_zone_follows_the_route_and_each_hook_runs_once_in_order",
        |lab| {
            let switchback = Switchback::start(
                lab,
                Setup {
                    hooks: true,
                    ..Setup::default()
                },
            );
            lab.partner_delivers(ALL_UP, now());
            let begin = now();
            lab.kill_edge("edge1a");
            lab.kill_edge("edge1b");
            Switchback::journal_has(lab, STEPS[2]);
            assert_eq!(
                switchback.moves(),
                0,
                "the route still points to the first pool"
            );
            open_the_gate(lab);
            switchback.serves(SECOND_SERVES);
            Switchback::journal_has(lab, STEPS[5]);
            lab.partner_delivers(SECOND_SERVES, begin);
            assert_eq!(Switchback::journal(lab), STEPS);
            switchback.served_only(&[&ONE_LEFT[..], &[SECOND_SERVES]].concat());
        },
    );
}

#[test]
fn a_nameserver_killed_in_the_middle_of_a_failover_goes_on_from_there() {
    in_a_lab(
        "a_nameserver_killed_in_the_middle_of_a_failover_goes_on_from_there",
        |lab| {
            let mut switchback = Switchback::start(
                lab,
                Setup {
                    hooks: true,
                    ..Setup::default()
                },
            );
            lab.partner_delivers(ALL_UP, now());
            let begin = now();
            lab.kill_edge("edge1a");
            lab.kill_edge("edge1b");
            Switchback::journal_has(lab, STEPS[2]);
            switchback.kill();
            open_the_gate(lab);
            switchback.start_again(lab);
            switchback.serves(SECOND_SERVES);
            Switchback::journal_has(lab, STEPS[5]);
            lab.partner_delivers(SECOND_SERVES, begin);
            // The route had no recorded end, and may be tried again; what had ended is not.
            let journal = Switchback::journal(lab);
            let routes = journal.iter().filter(|line| *line == STEPS[2]).count();
            assert!((1..=2).contains(&routes), "{journal:#?}");
            let others = |line: &&String| !line.contains("route");
            let done: Vec<&String> = journal.iter().filter(others).collect();
            assert_eq!(
                done,
                [STEPS[0], STEPS[1], STEPS[4], STEPS[5]],
                "{journal:#?}"
            );
            let begins_before = |step: &str| journal.iter().position(|line| line == step);
            assert!(
                begins_before(STEPS[1]) < begins_before(STEPS[2]),
                "{journal:#?}"
            );
            assert!(
                journal.iter().rposition(|line| line == STEPS[3]) < begins_before(STEPS[4]),
                "{journal:#?}"
            );
            // A new process knows nothing of health: until the verdicts are in, what stands behind
            // the active pool keeps the order that was published.
            let unknown = "10 edge2 / 20 edge1a edge1b / 30 edge3";
            switchback.served_only(&[&ONE_LEFT[..], &[unknown, SECOND_SERVES]].concat());
            assert_eq!(switchback.moves(), 1, "{:#?}", switchback.history());
        },
    );
}

#[test]
fn while_the_hooks_stop_and_start_the_services_nothing_else_moves() {
    in_a_lab(
        "while_the_hooks_stop_and_start_the_services_nothing_else_moves",
        |lab| {
            // The hooks have their work done: Prosody of the second pool is stopped and started.
            fs::write(lab.folder().join("real"), "").expect("written");
            open_the_gate(lab);
            let switchback = Switchback::start(
                lab,
                Setup {
                    hooks: true,
                    ..Setup::default()
                },
            );
            lab.partner_delivers(ALL_UP, now());
            let begin = now();
            lab.kill_edge("edge1a");
            lab.kill_edge("edge1b");
            Switchback::journal_has(lab, STEPS[0]);
            lab.kill_edge("edge2");
            has_done(lab, "stop-edge2");
            has_done(lab, "route-edgepool2");
            switchback.serves(SECOND_SERVES);
            Switchback::journal_has(lab, STEPS[4]);
            // Long enough for any verdict, and the third pool is up: only the mask holds it.
            let_pass(Duration::from_secs(5));
            switchback.serves(SECOND_SERVES);
            lab.revive_edge("edge2");
            has_done(lab, "start-edge2");
            lab.partner_delivers(SECOND_SERVES, begin);
            assert_eq!(Switchback::journal(lab), STEPS, "one operation, once");
            assert_eq!(switchback.moves(), 1, "{:#?}", switchback.history());
            switchback.served_only(&[&ONE_LEFT[..], &[SECOND_SERVES]].concat());
        },
    );
}

/// Lets the hook that waits for this end.
fn has_done(lab: &Lab, what: &str) {
    fs::write(lab.folder().join(format!("did-{what}")), "").expect("written");
}

fn open_the_gate(lab: &Lab) {
    fs::write(lab.folder().join("gate"), "").expect("written");
}
