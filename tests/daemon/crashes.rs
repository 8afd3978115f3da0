//! Kill -9 before and after every durable write of a failover, for each kind of runbook: with the
//! real daemon, its real hook runner, and hooks that write down that they ran.
//!
//! After the restart the operation arrives, or stands and asks about just the step that was under
//! way; no step that was recorded as done runs again; DNS shows what the runbook says.

use serde_json::Value;
use switchback::clock;
use switchback::store::{Store, Table};

use crate::house::{House, eventually};
use crate::standing::{journal, write_hook};

/// More writes than any of these failovers has.
const MOST: usize = 200;

const DOCUMENT_ORDER: &str = r#"
[[service.step]]
name = "stop"
run  = ["./stop"]
each = "server"
undo = ["./start"]
after_crash = "RULE"
[[service.step]]
name = "route"
run  = ["./route"]
undo = ["./route"]
after_crash = "RULE"
[[service.step]]
publish = true
[[service.step]]
verify = "path"
[[service.step]]
name = "start"
run  = ["./start"]
each = "server"
after_crash = "RULE"
[[service.step]]
verify = "healthy"
"#;

const VERIFY_FIRST: &str = r#"
[[service.step]]
name = "stop"
run  = ["./stop"]
each = "server"
parallel = true
undo = ["./start"]
after_crash = "RULE"
[[service.step]]
name = "route"
run  = ["./route"]
undo = ["./route"]
after_crash = "RULE"
retries = 1
backoff = "100ms"
[[service.step]]
wait = "100ms"
[[service.step]]
name = "start"
run  = ["./start"]
each = "server"
after_crash = "RULE"
[[service.step]]
verify = "open"
[[service.step]]
publish = true
[[service.step]]
fence = ["./cut"]
"#;

#[test]
fn document_order_is_killed_at_every_write_and_runs_on() {
    each_write("before", &DOCUMENT_ORDER.replace("RULE", "retry"));
    each_write("after", &DOCUMENT_ORDER.replace("RULE", "retry"));
}

#[test]
fn document_order_is_killed_at_every_write_and_asks() {
    each_write("after", &DOCUMENT_ORDER.replace("RULE", "ask"));
    each_write("before", &DOCUMENT_ORDER.replace("RULE", "ask"));
}

#[test]
fn verify_first_is_killed_at_every_write_and_runs_on() {
    each_write("before", &VERIFY_FIRST.replace("RULE", "retry"));
    each_write("after", &VERIFY_FIRST.replace("RULE", "retry"));
}

#[test]
fn verify_first_is_killed_at_every_write_and_asks() {
    each_write("after", &VERIFY_FIRST.replace("RULE", "ask"));
    each_write("before", &VERIFY_FIRST.replace("RULE", "ask"));
}

fn each_write(when: &str, steps: &str) {
    for number in 1..MOST {
        if !survives(&format!("{when}:{number}"), steps) {
            assert!(number > 6, "a failover has more writes than {number}");
            return;
        }
    }
    panic!("after {MOST} writes the failover has not ended");
}

/// Kills the daemon there, and judges what the next one makes of it. Says whether it came so far.
fn survives(dies: &str, steps: &str) -> bool {
    let mut house = House::build("");
    for hook in ["stop", "route", "start", "cut"] {
        write_hook(&house, hook);
    }
    house.write("ok", "");
    house.write("switchback.toml", &house.config(steps));
    // The first pool is dead from the start: the failover begins with the first looks.
    house.serve_until(dies);
    house.close(0);
    let died = eventually("it dies, or arrives", || {
        if house.is_dead() {
            return Some(true);
        }
        let status = house.status();
        let ended = !status["services"][0]["operation"]["ended"].is_null();
        ended.then_some(false)
    });
    if !died {
        return false;
    }
    let record = recorded(&house);
    let ran = journal(&house).len();
    house.serve();
    let service = eventually("the operation has ended", || {
        let service = house.status()["services"][0].clone();
        let stands = service["halted"].is_object();
        let under_way = service["operation"].is_object() && service["operation"]["ended"].is_null();
        let arrived = service["active"] == "edgepool2" && !under_way;
        (stands || arrived).then_some(service)
    });
    judge(dies, &house, &record, &service, ran);
    true
}

/// What the disk holds of the operation, read while nobody else does.
fn recorded(house: &House) -> Value {
    let state = house.path("state");
    if !state.join("state.redb").exists() {
        return Value::Null;
    }
    let (store, _) = Store::open(&state, clock::wall()).unwrap();
    let rows = store.scan(Table::Services).unwrap();
    let row = rows.first().map(|(_, json)| json.as_str());
    let memory: Value = row.map_or(Value::Null, |json| serde_json::from_str(json).unwrap());
    memory["operation"].clone()
}

fn judge(dies: &str, house: &House, record: &Value, service: &Value, ran: usize) {
    let empty = Vec::new();
    let tasks = record["tasks"].as_array().unwrap_or(&empty);
    let name = |task: &Value| {
        let step = usize::try_from(task["step"].as_u64().unwrap()).unwrap();
        record["plan"]["steps"][step]["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let now = journal(house);
    for task in tasks.iter().filter(|task| task["status"] == "done") {
        let step = name(task);
        let again = now[ran..]
            .iter()
            .any(|line| line.split(' ').next() == Some(step.as_str()));
        assert!(!again, "{dies}: {step} was done and ran again: {now:?}");
    }
    let started: Vec<String> = tasks
        .iter()
        .filter(|task| task["status"]["started"].is_object())
        .map(name)
        .collect();
    if service["halted"].is_object() {
        let question = service["halted"]["because"].as_str().unwrap();
        let step = started
            .first()
            .unwrap_or_else(|| panic!("{dies}: nothing was under way: {question}"));
        assert!(
            question.starts_with(&format!("was the step \"{step}\"")),
            "{dies}: {question}"
        );
    } else {
        // A run that was interrupted is there twice, all others once.
        let expected = ["stop", "route", "start"];
        for step in expected {
            let count = now
                .iter()
                .filter(|line| line.split(' ').next() == Some(step))
                .count();
            let most = 1 + usize::from(started.iter().any(|name| name == step));
            assert!(
                (1..=most).contains(&count),
                "{dies}: {step}: {now:?}, {record}"
            );
        }
    }
    let order = house.served().order;
    let active = if service["active"] == "edgepool2" {
        "edge2"
    } else {
        "edge1"
    };
    assert_eq!(order[0], active, "{dies}: DNS shows what status says");
    let published = |task: &&Value| name(task) == "publish" && task["status"] == "done";
    if service["halted"].is_object() {
        let done = tasks.iter().any(|task| published(&task));
        assert_eq!(order[0] == "edge2", done, "{dies}: DNS and runbook agree");
    } else {
        assert_eq!(order[0], "edge2", "{dies}");
    }
}
