//! Alerts about the network around: a program is told of a secondary that stays behind, and of our own
//! uplink.

use std::fs;
use std::time::Duration;

use crate::lab::{Lab, SERVICE, Setup, in_a_lab};
use crate::patience::wait_for;

const BOUND: Duration = Duration::from_secs(40);
const TOLD: &str = "\
[secondaries]
alarm_after = \"1s\"
[reference]
targets = [\"10.77.0.2:53\", \"10.77.0.7:53\"]
[[alert]]
name = \"page\"
run  = [\"./page\"]
on   = [\"secondary\", \"isolated\"]
";

/// Until the program was told something with these words in it.
fn is_told(lab: &Lab, words: &str) {
    wait_for(&format!("somebody to be told: {words}"), BOUND, || {
        let paged = fs::read_to_string(lab.path("paged")).ok()?;
        paged.contains(words).then_some(())
    });
}

#[test]
fn people_are_told_of_a_secondary_that_stays_behind_and_of_our_own_uplink() {
    let test = "alerts::people_are_told_of_a_secondary_that_stays_behind_and_of_our_own_uplink";
    let setup = Setup {
        more: TOLD,
        ..Setup::default()
    };
    in_a_lab(test, setup, |lab| {
        lab.is_up();
        lab.blackhole("knot");
        let moved = lab.switchback(&["failover", SERVICE, "--now", "--reason", "a change"]);
        assert!(moved.status.success(), "{moved:?}");
        is_told(lab, "10.77.0.5");
        lab.reconnect("knot");
        is_told(lab, "secondary 10.77.0.5:53 follows again");

        lab.blackhole("switchback");
        is_told(lab, "IPv4: our own uplink is down");
        let status = lab.status();
        assert_eq!(status["services"][0]["active"], "edgepool2", "{status:#}");
        lab.reconnect("switchback");
        is_told(lab, "IPv4: our uplink is back");
        // Each is said once. (While nobody reaches anybody the secondary stays behind again.)
        let paged = fs::read_to_string(lab.path("paged")).unwrap();
        for words in ["our own uplink is down", "our uplink is back"] {
            assert_eq!(paged.matches(words).count(), 1, "{paged}");
        }
    });
}
