//! The daemon as its operator meets it: starts, reloads, crashes and a full disk.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(
    clippy::print_stderr,
    reason = "a test that fails shows what the daemon said"
)]

mod alerts;
mod crashes;
mod dnstap;
mod failures;
mod far_end;
mod history;
mod house;
mod kept;
mod logs;
mod metrics;
mod orders;
mod plans;
#[path = "../shared/programs.rs"]
mod programs;
mod settings;
mod standing;
mod supervised;
mod watching;

use std::os::unix::fs::PermissionsExt;

use house::{House, eventually, zone};

/// A hook that waits for the file `gate`, then a publication.
const GATED: &str = r#"
[[service.step]]
name = "route"
run  = ["./route"]
after_crash = "retry"
[[service.step]]
publish = true
"#;

fn gated() -> House {
    let house = House::build("");
    house.write("switchback.toml", &house.config(GATED));
    let here = house.path("").display().to_string();
    let script =
        format!("#!/bin/sh\ncd {here}; : > ran\nwhile [ ! -e gate ]; do sleep 0.05; done\n");
    house.write("route", &script);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(house.path("route"), executable).unwrap();
    house
}

fn alarms(house: &House) -> String {
    house.status()["alarms"].to_string()
}

#[test]
fn the_first_start_of_all_answers_with_what_it_has_seen() {
    let mut house = House::build("");
    house.close(0);
    house.serve();
    assert_eq!(house.served().order, ["edge2", "edge1"]);
}

#[test]
fn a_restart_answers_at_once_with_the_order_of_before_and_a_newer_serial() {
    let mut house = House::build("");
    house.serve();
    house.close(0);
    house.serves(["edge2", "edge1"]);
    let (serial, generation) = (house.serial(), house.status()["generation"].as_u64());
    house.kill();
    // Nothing that is looked at now would say so.
    house.open(0);
    house.close(1);
    house.serve();
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    assert!(house.serial() > serial);
    assert!(house.status()["generation"].as_u64() > generation);
    house.serves(["edge1", "edge2"]);
}

#[test]
fn a_reload_takes_all_or_nothing_and_says_why() {
    let mut house = House::build("");
    house.serve();
    let (serial, generation) = (house.serial(), house.status()["generation"].clone());

    house.write(
        "contoso.test.zone",
        &(zone(2, "192.0.2.99") + "broken A 192.0.2\n"),
    );
    let (taken, said) = house.reload();
    assert!(!taken);
    assert!(said.contains("contoso.test.zone:6:"), "{said}");
    assert!(said.contains("nothing has changed"), "{said}");

    house.write("contoso.test.zone", &zone(2, "192.0.2.99"));
    house.write(
        "switchback.toml",
        &(house.config("") + "colour = \"red\"\n"),
    );
    let (taken, said) = house.reload();
    assert!(!taken && said.contains("colour"), "{said}");
    assert_eq!(house.www().to_string(), "192.0.2.80");
    assert_eq!(house.status()["generation"], generation);
    assert_eq!(house.serial(), serial);

    house.write("switchback.toml", &house.config(""));
    let (taken, said) = house.reload();
    assert!(taken, "{said}");
    assert_eq!(house.www().to_string(), "192.0.2.99");
    assert!(house.serial() > serial, "whatever the file says");
    assert_eq!(house.served().order, ["edge1", "edge2"]);
}

#[test]
fn caches_are_counted_on_after_a_reload_that_changes_a_port_and_no_pool() {
    let mut house = House::build("");
    house.serve_well();
    let drains = || house.status()["services"][0]["cached_until"].as_u64();
    assert_eq!(drains(), None, "nothing was ever answered otherwise");
    assert!(house.reload().0);
    assert_eq!(drains(), None, "nor is it after a reload of the same");
    let config = house.config("");
    let (before, port) = config.split_once("contoso.test.\", port = ").unwrap();
    let after = port.trim_start_matches(|octet: char| octet.is_ascii_digit());
    let other = format!("{before}contoso.test.\", port = 9{after}");
    house.write("switchback.toml", &other);
    let (taken, said) = house.reload();
    assert!(taken, "{said}");
    assert!(drains().is_some());
}

#[test]
fn sighup_reloads_too_and_the_log_says_how_it_went() {
    let mut house = House::build("");
    house.serve();
    house.write("contoso.test.zone", "nonsense\n");
    house.hang_up();
    eventually("the log says why", || {
        let log = house.log();
        (log.contains("reload refused") && log.contains("contoso.test.zone:1:")).then_some(())
    });
    assert_eq!(house.www().to_string(), "192.0.2.80");
    house.write("contoso.test.zone", &zone(2, "192.0.2.99"));
    house.hang_up();
    eventually("the new zone is served", || {
        (house.www().to_string() == "192.0.2.99").then_some(())
    });
}

#[test]
fn a_reload_that_takes_away_an_active_pool_is_refused_by_its_name() {
    let mut house = House::build("");
    house.serve();
    let without = |pool: &str, other: &str| {
        let list = format!("[\"{other}\", \"edgepool3\"]");
        let port = house
            .config("")
            .split("port     = ")
            .nth(1)
            .unwrap()
            .to_owned();
        let port = port.lines().next().unwrap().to_owned();
        let config = house
            .config("")
            .replace("[\"edgepool1\", \"edgepool2\"]", &list);
        let third = "[[pool]]\nname = \"edgepool3\"\n\
                     servers = [{ name = \"edge3.contoso.test.\", addresses = [\"127.0.2.3\"] }]\n";
        assert!(config.contains(&port) && config.contains(pool));
        config.replace("[[service]]", &format!("{third}[[service]]"))
    };
    house.write("switchback.toml", &without("edgepool1", "edgepool2"));
    let (taken, said) = house.reload();
    assert!(!taken);
    assert!(
        said.contains("pool edgepool1 is active for service xmpp-federation"),
        "{said}"
    );
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    house.write("switchback.toml", &without("edgepool2", "edgepool1"));
    let (taken, said) = house.reload();
    assert!(taken, "{said}");
    house.serves(["edge1", "edge3"]);
}

#[test]
fn a_reload_leaves_the_pools_of_an_operation_alone_and_a_crash_goes_on_with_it() {
    let mut house = gated();
    // In a sandbox a start runs only what the configuration names, and this one has left it.
    const FREE: &str = "[sandbox]\nlandlock = \"off\"\nseccomp = \"off\"\n";
    house.write(
        "switchback.toml",
        &house.config(&format!("{GATED}\n{FREE}")),
    );
    house.serve();
    house.close(0);
    let operation = |house: &House| house.status()["services"][0]["operation"].clone();
    eventually("the hook runs", || {
        (operation(&house)["steps"][0]["state"] == "running").then_some(())
    });
    house.write("switchback.toml", &house.config(FREE));
    let (taken, said) = house.reload();
    assert!(taken, "the plan of an operation is its own: {said}");
    house.kill();
    house.write("switchback.toml", &house.config(FREE));
    house.write("gate", "");
    house.serve();
    house.serves(["edge2", "edge1"]);
    eventually("it is done", || {
        (operation(&house)["state"] == "done").then_some(())
    });
    assert_eq!(operation(&house)["steps"][0]["attempt"], 2);
}

#[test]
fn with_a_full_disk_the_answers_follow_the_edges_and_it_is_said_aloud() {
    let mut house = House::build("");
    house.serve();
    house.limit_files(Some(1));
    house.close(0);
    house.serves(["edge2", "edge1"]);
    let serial = house.serial();
    assert!(
        alarms(&house).contains("the state cannot be recorded"),
        "{}",
        alarms(&house)
    );
    assert_eq!(house.switchback(&["status"]).status.code(), Some(1));
    eventually("nor is anything remembered", || {
        alarms(&house)
            .contains("what happens is not kept for `history`")
            .then_some(())
    });
    house.limit_files(None);
    eventually("the alarms end", || {
        (!alarms(&house).contains("the state cannot be recorded")
            && !alarms(&house).contains("is not kept"))
        .then_some(())
    });
    let story = house.switchback(&["history"]).stdout;
    let story = String::from_utf8_lossy(&story).into_owned();
    assert!(story.contains("published edgepool2 > edgepool1"), "{story}");
    house.kill();
    house.serve();
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    assert!(house.serial() > serial);
}

#[test]
fn with_a_full_disk_no_hook_runs() {
    let mut house = gated();
    house.serve();
    house.limit_files(Some(1));
    house.close(0);
    eventually("it says what it waits for", || {
        let because = house.status()["services"][0]["because"].to_string();
        because
            .contains("the state cannot be recorded, so no hook runs")
            .then_some(())
    });
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    assert!(!house.path("ran").exists());
    house.limit_files(None);
    house.write("gate", "");
    house.serves(["edge2", "edge1"]);
}

#[test]
fn a_plain_server_reads_its_zones_again_at_sighup() {
    let mut house = House::build("");
    house.serve_plain();
    assert_eq!(
        (house.serial(), house.www().to_string()),
        (1, "192.0.2.80".into())
    );
    house.write("contoso.test.zone", "nonsense\n");
    house.hang_up();
    eventually("the log says why", || {
        house.log().contains("reload refused").then_some(())
    });
    assert_eq!(house.www().to_string(), "192.0.2.80");
    house.write("contoso.test.zone", &zone(7, "192.0.2.99"));
    house.hang_up();
    eventually("the new zone is served", || {
        (house.serial() == 7).then_some(())
    });
    assert_eq!(house.www().to_string(), "192.0.2.99");
}
