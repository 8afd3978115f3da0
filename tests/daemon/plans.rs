//! Plans: what is said before is what is done then.

use serde_json::Value;

use crate::far_end::{server, takes};
use crate::house::{House, eventually};
use crate::orders::{json, order};

/// Secrets of the call below: none of them stands in a plan.
const TOKEN: &str = "t0ken-of-the-router";
const BEARER: &str = "bearer-of-the-router";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The parts of the only service of a plan, of this kind.
fn parts<'a>(plan: &'a Value, kind: &str) -> Vec<&'a Value> {
    let services = plan["services"].as_array().unwrap();
    assert_eq!(services.len(), 1, "{plan:#}");
    let parts = services[0]["parts"].as_array().unwrap().iter();
    parts.filter(|part| part["part"] == kind).collect()
}

/// The serial of the zone when all is done.
fn last_serial(plan: &Value) -> u32 {
    let publications = parts(plan, "publish");
    let last = publications.last().unwrap();
    last["zones"][0]["to"].as_u64().unwrap().try_into().unwrap()
}

fn plan(house: &House, words: &[&str]) -> Value {
    json(&house.switchback(&[&["plan", "--json"], words].concat()))
}

#[test]
fn a_plan_of_what_waits_for_approval_is_what_approve_then_does() {
    let (router, called) = server(|_, stream| takes(stream));
    let mut house = House::build("");
    house.write("token", TOKEN);
    house.write("secret", SECRET);
    let step = format!(
        "mode = \"approve\"\n[[service.step]]\nname = \"route\"\nretries = 2\ntimeout = \"20s\"\n\
         call = {{ url = \"http://{router}/hook\", secret_file = \"secret\", headers = {{ \
         Authorization = \"Bearer {BEARER}\", X-Route = {{ file = \"token\" }}, X-Site = \"two\" }} }}\n\
         [[service.step]]\npublish = true\n"
    );
    house.write("switchback.toml", &house.config(&step));
    house.serve_well();
    let (code, said) = order(&house, &["plan", "xmpp-federation", "--approve"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("no move of service xmpp-federation waits"),
        "{said}"
    );
    house.close(0);
    let waits = eventually("a move waits for a word", || {
        house.status()["services"][0]["proposal"]["id"].as_u64()
    });
    // What is proposed lowers the TTL, and that is the last that happens before the word.
    eventually("the TTL is short", || {
        (house.served().ttl == 5).then_some(())
    });
    let waits = format!("op-{waits}");

    let (code, page) = order(&house, &["plan", &waits, "--approve"]);
    assert_eq!(code, Some(0), "{page}");
    for hidden in [TOKEN, BEARER, SECRET, &SECRET[6..]] {
        assert!(!page.contains(hidden), "{page}");
    }
    let planned = plan(&house, &[&waits, "--approve"]);
    let ours = &planned["services"][0];
    assert_eq!(format!("op-{}", ours["operation"]), waits);
    // Three runs, and pauses of one and of two seconds between them.
    assert_eq!(ours["at_most_ms"], 63_000);
    assert!(called.lock().unwrap().is_empty(), "nothing is called");

    let (code, said) = order(&house, &["approve", &waits]);
    assert_eq!(code, Some(0), "{said}");
    house.serves(["edge2", "edge1"]);
    assert_eq!(house.serial(), last_serial(&planned));
    let called = called.lock().unwrap();
    let ([sent], [call]) = (&called[..], &parts(&planned, "call")[..]) else {
        panic!("{called:?} {planned:#}");
    };
    assert_eq!(sent.body(), call["body"]);
    let said = |name: &str| {
        let headers = call["headers"].as_array().unwrap().iter();
        let mut fields = headers.filter(|field| field[0] == name);
        fields.next().map(|field| field[1].as_str().unwrap())
    };
    for name in ["content-type", "X-Site", "webhook-id"] {
        let sent = sent.headers[&name.to_ascii_lowercase()].as_str();
        assert_eq!(said(name), Some(sent), "{name}");
    }
    for (name, sent_as) in [
        ("Authorization", format!("Bearer {BEARER}")),
        ("X-Route", TOKEN.to_owned()),
    ] {
        assert_eq!(sent.headers[&name.to_ascii_lowercase()], sent_as);
        assert!(said(name).unwrap().starts_with('('), "{name}");
    }
    assert!(said("webhook-signature").unwrap().ends_with("/secret)"));
    assert!(sent.headers.contains_key("webhook-signature"));
}

#[test]
fn a_plan_of_a_drain_and_of_the_way_back_is_what_they_then_do() {
    let mut house = House::build("");
    let step = "[[service.step]]\nname = \"route\"\nrun = [\"/bin/true\"]\n\
                [[service.step]]\npublish = true\n";
    house.write("switchback.toml", &house.config(step));
    house.serve_well();

    let drained = plan(&house, &["edgepool1", "--drain", "--now"]);
    let ours = &drained["services"][0];
    assert_eq!(
        (&ours["from"], &ours["to"]),
        (&"edgepool1".into(), &"edgepool2".into())
    );
    assert_eq!(parts(&drained, "run").len(), 1);
    // A server that is a pool by itself cannot go without the pool.
    let (code, page) = order(&house, &["plan", "edge1.contoso.test", "--drain"]);
    assert_eq!(code, Some(1));
    assert!(
        page.contains("in the way: without edge1.contoso.test."),
        "{page}"
    );
    let drain = ["drain", "edgepool1", "--now", "--reason", "new disks"];
    let (code, said) = order(&house, &drain);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(house.serial(), last_serial(&drained));

    // It stays there: nothing but a failback leads back.
    let undrained = plan(&house, &["edgepool1", "--undrain"]);
    let ours = &undrained["services"][0];
    assert_eq!(
        (&ours["to"], &ours["operation"]),
        (&Value::Null, &Value::Null)
    );
    let (_, page) = order(&house, &["plan", "edgepool1", "--undrain"]);
    assert!(
        page.starts_with("xmpp-federation  stays at edgepool2"),
        "{page}"
    );
    let (code, said) = order(&house, &["undrain", "edgepool1"]);
    assert_eq!(code, Some(0), "{said}");

    let back = plan(&house, &["xmpp-federation", "--failback", "--now"]);
    let ours = &back["services"][0];
    assert_eq!(
        (&ours["from"], &ours["to"]),
        (&"edgepool2".into(), &"edgepool1".into())
    );
    let (code, said) = order(&house, &["failback", "xmpp-federation", "--now"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(house.serial(), last_serial(&back));
    let (code, said) = order(&house, &["plan", "edgepool9", "--drain"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("neither a pool nor a server"), "{said}");
}

#[test]
fn a_plan_says_each_rrset_serial_and_program_and_changes_nothing() {
    let mut house = House::build("");
    let step = "[[service.step]]\nname = \"route\"\nrun = [\"/bin/true\", \"two words\"]\n\
                each = \"server\"\n[[service.step]]\npublish = true\n";
    house.write("switchback.toml", &house.config(step));
    house.serve_well();
    let (serial, log) = (house.serial(), house.log().len());
    let (code, page) = order(&house, &["plan", "xmpp-federation", "--now"]);
    assert_eq!(code, Some(0), "{page}");
    for line in [
        "edgepool1 -> edgepool2, as op-0",
        "step route on edge2.contoso.test.",
        "/bin/true 'two words'",
        "SWITCHBACK_TO_POOL=edgepool2",
        "SWITCHBACK_SERVER=edge2.contoso.test",
        "- 60     10 50 ",
        "+ 5      10 50 ",
        "open streams do not move",
    ] {
        assert!(page.contains(line), "no {line:?} in {page}");
    }
    let output = house.switchback(&["plan", "xmpp-federation", "--now", "--json"]);
    let plan = json(&output);
    assert_eq!((house.serial(), house.log().len()), (serial, log));
    assert_eq!(house.served().order, ["edge1", "edge2"]);

    let parts = plan["services"][0]["parts"].as_array().unwrap();
    let moves = parts.iter().find(|part| part["change"] == "moves").unwrap();
    let first = parts.iter().find(|part| part["part"] == "publish").unwrap();
    assert_eq!(first["zones"][0]["from"], serial);
    let zone = &moves["zones"][0];
    let planned: Vec<&Value> = zone["rrsets"].as_array().unwrap().iter().collect();
    let srv = planned.iter().find(|it| it["rtype"] == "SRV").unwrap();
    assert!(
        srv["after"]["records"][0]
            .as_str()
            .unwrap()
            .ends_with("edge2.contoso.test."),
        "{srv}"
    );
    // The plan holds: what is done is what was said.
    let stale = ["--if-generation", "1"];
    let failover = ["failover", "xmpp-federation", "--reason", "x", "--now"];
    let (code, said) = order(&house, &[&failover[..], &stale].concat());
    assert_eq!(code, Some(3));
    assert!(said.contains("look at the plan again"), "{said}");
    let generation = plan["generation"].to_string();
    let fresh = ["--if-generation", &generation];
    let (code, said) = order(&house, &[&failover[..], &fresh].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(house.served().order, ["edge2", "edge1"]);
    let served = house.served();
    assert_eq!(served.ttl, 5);

    let (code, page) = order(&house, &["plan", "xmpp-federation", "--to", "edgepool2"]);
    assert_eq!(code, Some(1), "{page}");
    assert!(
        page.contains("is the active pool of xmpp-federation already"),
        "{page}"
    );
}
