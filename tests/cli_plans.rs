//! The pages of `plan` and `overrides`, as golden text: `UPDATE_EXPECT=1 cargo test --test cli_plans`
//! rewrites them. The JSON that they come from is the contract with programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::PathBuf;

use switchback::admin::orders::InForce;
use switchback::admin::plan::Plan;
use switchback::admin::text::{self, Paint};

const PLAN: &str = r#"{
 "now":1795473459120,"generation":7,"in_the_way":["pool edgepool2 is down"],"services":[
 {"service":"xmpp-federation","from":"edgepool1","to":"edgepool2","operation":12,
 "because":"an operator ordered it","at_most_ms":125000,
 "parts":[
  {"part":"publish","at":1795473459120,"ttl_s":5,"change":"ttl","more_zones":0,"zones":[
   {"origin":"contoso.test.","from":1795473400,"to":1795473460,"rrsets":[
    {"owner":"_xmpp-server._tcp.contoso.test.","rtype":"SRV",
     "before":{"ttl":60,"records":["10 50 5269 edge1.contoso.test.","20 50 5269 edge2.contoso.test."]},
     "after":{"ttl":5,"records":["10 50 5269 edge1.contoso.test.","20 50 5269 edge2.contoso.test."]}}]}]},
  {"part":"step","name":"stop services on edge2.contoso.test.","at_most_ms":120000},
  {"part":"run","argv":["/etc/switchback/stop","it's","\u001b[2J"],"server":"edge2.contoso.test.","undo":false,
   "environment":{"SWITCHBACK_STEP":"stop services","SWITCHBACK_SERVER":"edge2.contoso.test."},"timeout_ms":60000},
  {"part":"step","name":"route","at_most_ms":5000},
  {"part":"call","method":"POST","url":"https://router.contoso.test/route","server":null,"undo":false,
   "headers":[["content-type","application/json"],["Authorization","(not shown)"],["X-Site","two\u001b[2J"]],
   "body":{"operation":"op-12","to_pool":"edgepool2"},"timeout_ms":5000},
  {"part":"step","name":"publish","at_most_ms":0},
  {"part":"publish","at":1795473519120,"ttl_s":5,"change":"moves","more_zones":3,"zones":[
   {"origin":"contoso.test.","from":1795473460,"to":1795473520,"rrsets":[
    {"owner":"_xmpp-server._tcp.contoso.test.","rtype":"SRV",
     "before":{"ttl":5,"records":["10 50 5269 edge1.contoso.test."]},
     "after":{"ttl":5,"records":["10 50 5269 edge2.contoso.test."]}},
    {"owner":"gone.contoso.test.","rtype":"A","before":{"ttl":5,"records":["10.77.0.11"]},"after":null}]}]}],
 "forecast":["open streams do not move: they stay at edgepool1 until one end closes them"]}]}"#;

/// A drain of a server that two services list: one goes on without it, the other did not publish it.
const DRAIN: &str = r#"{
 "now":1795473459120,"generation":7,"in_the_way":[],"services":[
 {"service":"sip-federation","from":"edgepool2","to":null,"operation":null,"at_most_ms":null,
 "because":"it is the most preferred pool and it serves","parts":[],"forecast":[]},
 {"service":"xmpp-federation","from":"edgepool1","to":null,"operation":null,"at_most_ms":null,
 "because":"it is the most preferred pool and it serves",
 "parts":[
  {"part":"publish","at":1795473459120,"ttl_s":60,"change":"records","more_zones":0,"zones":[
   {"origin":"contoso.test.","from":1795473400,"to":1795473460,"rrsets":[
    {"owner":"_xmpp-server._tcp.contoso.test.","rtype":"SRV",
     "before":{"ttl":60,"records":["10 50 5269 edge1.contoso.test.","10 50 5269 edge3.contoso.test."]},
     "after":{"ttl":60,"records":["10 50 5269 edge1.contoso.test."]}}]}]}],
 "forecast":["answers from before have left the caches by 2026-11-23T22:38:39.120Z"]}]}"#;

const IN_FORCE: &str = r#"{"now":1795473459120,"overrides":[
 {"what":"drain-pool","subject":"edgepool1","author":"alice (as root)","reason":"new disks",
  "since":1795469859120,"expires":1795477059120},
 {"what":"drain-server","subject":"edge3.contoso.test.","author":"bob","reason":"\u001b[31mred",
  "since":1795473399120,"expires":null},
 {"what":"pin","subject":"xmpp-federation","pool":"edgepool2","author":"bob","reason":"a test",
  "since":1795473449120,"expires":null},
 {"what":"freeze","subject":"sip-federation","author":"carol","reason":"the audit",
  "since":1795473458120,"expires":1795473519120}]}"#;

fn expect(name: &str, page: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli")
        .join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, page).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    assert_eq!(page, golden, "UPDATE_EXPECT=1 rewrites {name}");
}

#[test]
fn a_plan_says_what_stands_in_the_way_then_each_part_in_order() {
    let plan: Plan = serde_json::from_str(PLAN).unwrap();
    expect("plan.txt", &text::plan(&plan, Paint::Plain));
}

#[test]
fn a_plan_of_a_drain_says_of_each_service_what_changes_and_why_it_stays() {
    let plan: Plan = serde_json::from_str(DRAIN).unwrap();
    expect("plan_drain.txt", &text::plan(&plan, Paint::Plain));
    let nothing = Plan {
        services: Vec::new(),
        ..plan
    };
    let page = text::plan(&nothing, Paint::Plain);
    assert_eq!(page, "it concerns no service; generation 7\n");
}

#[test]
fn overrides_say_who_and_why_and_until_when() {
    let mut in_force: InForce = serde_json::from_str(IN_FORCE).unwrap();
    let page = text::overrides(&in_force, Paint::Plain);
    in_force.overrides.clear();
    let none = text::overrides(&in_force, Paint::Plain);
    expect("overrides.txt", &format!("{page}\n{none}"));
}
