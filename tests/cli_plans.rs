//! The pages of `plan` and `overrides`, as golden text: `UPDATE_EXPECT=1 cargo test --test cli_plans`
//! rewrites them. The JSON that they come from is the contract with programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::PathBuf;

use switchback::admin::orders::InForce;
use switchback::admin::plan::Plan;
use switchback::admin::text::{self, Paint};

const PLAN: &str = r#"{
 "service":"xmpp-federation","now":1795473459120,"generation":7,"from":"edgepool1","to":"edgepool2",
 "operation":12,"in_the_way":["pool edgepool2 is down"],
 "parts":[
  {"part":"publish","at":1795473459120,"ttl_s":5,"moves":false,"more_zones":0,"zones":[
   {"origin":"contoso.test.","from":1795473400,"to":1795473460,"rrsets":[
    {"owner":"_xmpp-server._tcp.contoso.test.","rtype":"SRV",
     "before":{"ttl":60,"records":["10 50 5269 edge1.contoso.test.","20 50 5269 edge2.contoso.test."]},
     "after":{"ttl":5,"records":["10 50 5269 edge1.contoso.test.","20 50 5269 edge2.contoso.test."]}}]}]},
  {"part":"step","name":"stop services on edge2.contoso.test."},
  {"part":"run","argv":["/etc/switchback/stop","it's","\u001b[2J"],"server":"edge2.contoso.test.",
   "environment":{"SWITCHBACK_STEP":"stop services","SWITCHBACK_SERVER":"edge2.contoso.test."},"timeout_ms":60000},
  {"part":"step","name":"route"},
  {"part":"call","method":"POST","url":"https://router.contoso.test/route","timeout_ms":5000},
  {"part":"step","name":"publish"},
  {"part":"publish","at":1795473519120,"ttl_s":5,"moves":true,"more_zones":3,"zones":[
   {"origin":"contoso.test.","from":1795473460,"to":1795473520,"rrsets":[
    {"owner":"_xmpp-server._tcp.contoso.test.","rtype":"SRV",
     "before":{"ttl":5,"records":["10 50 5269 edge1.contoso.test."]},
     "after":{"ttl":5,"records":["10 50 5269 edge2.contoso.test."]}},
    {"owner":"gone.contoso.test.","rtype":"A","before":{"ttl":5,"records":["10.77.0.11"]},"after":null}]}]}],
 "forecast":["open streams do not move: they stay at edgepool1 until one end closes them"]}"#;

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
fn overrides_say_who_and_why_and_until_when() {
    let mut in_force: InForce = serde_json::from_str(IN_FORCE).unwrap();
    let page = text::overrides(&in_force, Paint::Plain);
    in_force.overrides.clear();
    let none = text::overrides(&in_force, Paint::Plain);
    expect("overrides.txt", &format!("{page}\n{none}"));
}
