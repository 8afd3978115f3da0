//! `switchback drill`: there and back, with a secondary and a resolver as witnesses.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lab::{Lab, SERVICE, Setup, in_a_lab};
use crate::namespaces::say;
use crate::patience::wait_for;

const BOUND: Duration = Duration::from_secs(30);
/// A runbook with a hook that waits while the file `closed` is there.
const GATED: &str = "[[service.step]]\nname = \"route\"\nrun = [\"./route\"]\ntimeout = \"60s\"\n\
                     [[service.step]]\npublish = true\n";

fn drill(lab: &Lab, words: &[&str]) -> (Value, Option<i32>, String) {
    let output = lab.switchback(&[&["drill", SERVICE, "--json"], words].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (json, output.status.code(), said)
}

fn active(lab: &Lab) -> Value {
    lab.status()["services"][0]["active"].clone()
}

/// The witnesses of this kind that have seen it, with their times in milliseconds.
fn seen(leg: &Value, kind: &str) -> Vec<u64> {
    let witnesses = leg["witnesses"].as_array().unwrap();
    let of_kind = witnesses.iter().filter(|it| it["kind"] == kind);
    of_kind.filter_map(|it| it["after_ms"].as_u64()).collect()
}

/// What was measured.
fn tell(leg: &Value) {
    say(&format!(
        "lab: drill: to {}: decided after {} ms, swapped after {}, name servers after {:?}, the \
         resolver after {}, the runbook over after {}",
        leg["to"],
        leg["decision_ms"],
        leg["swap_ms"],
        seen(leg, "server"),
        leg["last_resolver_ms"],
        leg["over_ms"],
    ));
}

/// Each step as it would run, there and then back, and how long it can take.
fn the_runbook_is_shown_both_ways(shadow: &Value) {
    let plans = shadow["plans"].as_array().unwrap();
    let pools = ["edgepool1", "edgepool2"];
    assert_eq!(plans.len(), 2, "{shadow:#}");
    for (index, plan) in plans.iter().enumerate() {
        let ours = &plan["services"][0];
        let (from, to) = (pools[index], pools[1 - index]);
        assert_eq!((&ours["from"], &ours["to"]), (&from.into(), &to.into()));
        assert_eq!(ours["operation"], index);
        assert_eq!(ours["at_most_ms"], 60_000);
        let parts = ours["parts"].as_array().unwrap();
        let part = |kind: &str| parts.iter().find(|part| part["part"] == kind).unwrap();
        assert_eq!(part("step")["name"], "route");
        let run = part("run");
        assert!(
            run["argv"][0].as_str().unwrap().ends_with("/route"),
            "{run}"
        );
        assert_eq!(run["environment"]["SWITCHBACK_TO_POOL"], to);
        let swap = parts.iter().find(|part| part["change"] == "moves").unwrap();
        assert_eq!(swap["zones"][0]["origin"], "contoso.test.");
    }
    // The way back begins with the serials that the way there would leave.
    let serials = |plan: &Value| {
        let parts = plan["services"][0]["parts"].as_array().unwrap().iter();
        let zones = parts.filter_map(|part| {
            let zone = &part["zones"][0];
            Some((zone["from"].as_u64()?, zone["to"].as_u64()?))
        });
        zones.collect::<Vec<_>>()
    };
    let (there, back) = (serials(&plans[0]), serials(&plans[1]));
    assert_eq!(there.last().unwrap().1, back.first().unwrap().0);
}

#[test]
fn a_drill_goes_there_and_back_and_says_who_saw_it() {
    let test = "drill::a_drill_goes_there_and_back_and_says_who_saw_it";
    let setup = Setup {
        more: GATED,
        ..Setup::default()
    };
    in_a_lab(test, setup, |lab| {
        lab.is_up();
        let (shadow, code, said) = drill(lab, &["--shadow"]);
        assert_eq!(code, Some(0), "{shadow}{said}");
        assert_eq!(
            (shadow["from"].as_str(), shadow["to"].as_str()),
            (Some("edgepool1"), Some("edgepool2"))
        );
        // The daemon, two name servers, a resolver.
        assert_eq!(shadow["before"].as_array().unwrap().len(), 4, "{shadow}");
        the_runbook_is_shown_both_ways(&shadow);
        assert_eq!(
            lab.status()["services"][0]["operation"],
            Value::Null,
            "nothing was ordered"
        );

        let (none, code, said) = drill(lab, &[]);
        assert_eq!((code, &none), (Some(3), &Value::Null), "{said}");
        assert!(
            said.contains("not confirmed, nothing has changed"),
            "{said}"
        );

        let (report, code, said) = drill(lab, &["--yes", "--reason", "monthly"]);
        assert_eq!(code, Some(0), "{report:#}{said}");
        let legs = report["legs"].as_array().unwrap();
        assert_eq!(legs.len(), 2);
        for leg in legs {
            assert_eq!(leg["arrived"], true, "{leg:#}");
            assert_eq!(
                (leg["state"].as_str(), leg["steps"][0]["name"].as_str()),
                (Some("done"), Some("route"))
            );
            assert!(leg["steps"][0]["took_ms"].is_u64(), "{leg:#}");
            assert_eq!(
                (seen(leg, "daemon").len(), seen(leg, "server").len()),
                (1, 2),
                "{leg:#}"
            );
            let (first, last) = (&leg["first_resolver_ms"], &leg["last_resolver_ms"]);
            assert_eq!(first, last);
            assert!(leg["swap_ms"].as_u64() <= first.as_u64(), "{leg:#}");
            tell(leg);
        }
        lab.blackhole("knot");
        let (shadow, code, _) = drill(lab, &["--shadow"]);
        assert_eq!(code, Some(1));
        let against = shadow["against"].to_string();
        assert!(
            against.contains("ns2.contoso.test. 10.77.0.5: no answer over UDP"),
            "{against}"
        );
        assert_eq!(active(lab), "edgepool1");
        // With force it goes, and says who did not see it.
        let (report, code, said) = drill(lab, &["--yes", "--force", "--patience", "1s"]);
        assert_eq!(code, Some(1), "{report:#}{said}");
        let legs = report["legs"].as_array().unwrap();
        assert_eq!(legs.len(), 2, "{report:#}");
        assert!(
            legs.iter()
                .all(|leg| leg["arrived"] == true && seen(leg, "server").len() == 1),
            "{report:#}"
        );
        assert_eq!(active(lab), "edgepool1");
    });
}

#[test]
fn a_drill_is_refused_where_it_would_hurt_and_nothing_changes() {
    let test = "drill::a_drill_is_refused_where_it_would_hurt_and_nothing_changes";
    let setup = Setup {
        certificates: [2099, 2021],
        ..Setup::default()
    };
    in_a_lab(test, setup, |lab| {
        let (_, code, said) = drill(lab, &["--yes"]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("edgepool2 is degraded"), "{said}");
        assert!(said.contains("nothing has changed"), "{said}");
        // The daemon has its own word: it would leave that pool at once.
        let (_, code, said) = drill(lab, &["--yes", "--force"]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("would leave it again"), "{said}");
        assert_eq!(active(lab), "edgepool1");
    });
}

#[test]
fn ctrl_c_says_where_things_stand_and_how_to_go_back() {
    let test = "drill::ctrl_c_says_where_things_stand_and_how_to_go_back";
    let setup = Setup {
        more: GATED,
        ..Setup::default()
    };
    in_a_lab(test, setup, |lab| {
        lab.is_up();
        fs::write(lab.path("closed"), "").unwrap();
        let mut drill = lab.begin(&["drill", SERVICE, "--yes"], "drill.out");
        let state = |lab: &Lab| lab.status()["services"][0]["operation"]["state"].clone();
        wait_for("the hook to run", BOUND, || {
            (state(lab) == "running").then_some(())
        });
        kill(
            Pid::from_raw(i32::try_from(drill.id()).unwrap()),
            Signal::SIGINT,
        )
        .unwrap();
        let status = drill.wait().unwrap();
        assert_eq!(status.code(), Some(1));
        let said = fs::read_to_string(lab.path("drill.out")).unwrap();
        assert!(said.contains("edgepool1 is active; op-"), "{said}");
        assert!(said.contains("goes on without this command"), "{said}");
        assert!(
            said.contains("to bring it back: switchback failback xmpp-federation"),
            "{said}"
        );
        fs::remove_file(lab.path("closed")).unwrap();
        wait_for("the operation to go on", BOUND, || {
            (active(lab) == "edgepool2").then_some(())
        });
        // What it says is what helps.
        assert!(lab.switchback(&["failback", SERVICE]).status.success());
        assert_eq!(active(lab), "edgepool1");
    });
}
