//! The pages about the past, as golden text: `UPDATE_EXPECT=1 cargo test --test cli_past` rewrites
//! them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::PathBuf;

use switchback::admin::text::{self, Paint};
use switchback::admin::{Past, Shown};
use switchback::chronicle::Record;
use switchback::time::Wall;

const NOW: Wall = Wall(1_795_473_459_120);

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

/// As who lives in UTC reads it.
fn utc(at: Wall) -> String {
    at.to_string()
}

/// Entries as they leave the process: their JSON is the contract with programs.
fn night() -> Vec<Record> {
    let entries = r#"[
        {"at":1795473440000,"entry":"started","version":"0.1.0"},
        {"at":1795473441000,"entry":"saw","endpoint":{"server":"edge1.contoso.test.","address":"10.77.0.11"},
         "probe":0,"depth":"tls","verdict":"refused","ended":{"verdict":"good","looks":317,"first_ms":[1000],"last_ms":316000}},
        {"at":1795473442000,"entry":"told","event":"health-changed","pool":"edgepool1",
         "endpoint":{"server":"edge1.contoso.test.","address":"10.77.0.11"},"from":"up","to":"down","saw":"refused"},
        {"at":1795473442000,"entry":"told","event":"operation-began","id":7,"service":"xmpp-federation",
         "from":"edgepool1","to":"edgepool2","because":{"kind":"trouble","from":"edgepool1","health":"down"}},
        {"at":1795473443000,"entry":"hook","operation":7,"service":"xmpp-federation","step":"route","attempt":1,
         "outcome":{"exit":1},"took_ms":430,"output":"Set-CsSite: access denied\nevil \u001b[2J"},
        {"at":1795473445000,"entry":"hook","operation":7,"service":"xmpp-federation","step":"route","attempt":2,
         "outcome":"timed-out","took_ms":60000,"output":""},
        {"at":1795473446000,"entry":"told","event":"operation-ended","id":7,"service":"xmpp-federation",
         "to":"edgepool2","phase":{"halted":"route failed: timed out"}},
        {"at":1795473447000,"entry":"ordered","order":{"readmit":{"service":"xmpp-federation","pool":"edgepool2",
         "by":{"author":"ann","reason":"the rights are there"}}}},
        {"at":1795473448000,"entry":"ordered","order":{"failback":{"service":"xmpp-federation","force":false,"now":false,
         "by":{"author":"bob","reason":""}}},"refused":"no"},
        {"at":1795473449000,"entry":"lost","entries":1204}
    ]"#;
    serde_json::from_str(entries).unwrap()
}

#[test]
fn the_page_of_history() {
    let past = Past {
        now: NOW,
        entries: night(),
        more: true,
        unreadable: 1,
    };
    expect("history.txt", &text::history(&past, &utc, Paint::Plain));
    let empty = text::history(&Past::default(), &utc, Paint::Plain);
    assert_eq!(empty, "nothing has happened\n");
}

#[test]
fn the_page_of_an_operation() {
    let operation = r#"{"id":7,"service":"xmpp-federation","from":"edgepool1","to":"edgepool2",
        "reason":"edgepool1 is down","began":1795473442000,"mask_until":1795473542000,
        "phase":{"halted":"route failed: timed out"},
        "plan":{"steps":[
            {"name":"stop services","act":{"Run":{"command":["/stop"],"each":"Server"}},
             "timeout":{"secs":60,"nanos":0},"undo":["/start"],"after_crash":"Ask"},
            {"name":"route","act":{"Run":{"command":["/route"],"each":"Operation"}},
             "timeout":{"secs":60,"nanos":0},"undo":null,"after_crash":"Ask"},
            {"name":"publish","act":"Publish","timeout":{"secs":10,"nanos":0},"undo":null,"after_crash":"Retry"}]},
        "tasks":[
            {"step":0,"server":"edge2.contoso.test.","status":"undone","attempts":2,"output":"bye",
             "since":1795473446000,"took_ms":1200},
            {"step":1,"server":null,"status":{"failed":"timed out"},"attempts":2,"output":"",
             "since":1795473445000,"took_ms":60000},
            {"step":2,"server":null,"status":"waiting","attempts":0,"output":"","since":1795473442000}]}"#;
    let shown = Shown {
        now: NOW,
        operation: serde_json::from_str(operation).unwrap(),
        entries: night(),
    };
    expect("show.txt", &text::shown(&shown, &utc, Paint::Plain));
}
