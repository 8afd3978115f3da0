//! The pages that people read, as golden text: `UPDATE_EXPECT=1 cargo test --test cli_pages`
//! rewrites them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::PathBuf;

use switchback::admin::explain::{Explain, ExplainedPool};
use switchback::admin::limits::{ClassLimited, LimitStatus, NetworkLimited};
use switchback::admin::status::{
    Acknowledged, AlertStatus, AskedFor, CertificateStatus, Counters, EndpointStatus, Family, Halt,
    Ineligible, Isolation, Listening, Look, Mask, OperationStatus, PoolStatus, PrimaryTrouble,
    ProbeStatus, Ranked, SecondaryStatus, ServerStatus, ServiceStatus, Status, StoreStatus,
    TaskState, TaskStatus, Told, Transferred, TransferredState, Transport, TransportCounters,
    ZoneStatus,
};
use switchback::admin::text::{self, Paint};
use switchback::failover::Standby;
use switchback::health::{Health, PoolHealth};
use switchback::ids::{Generation, OperationId, Serial};
use switchback::time::Wall;

const NOW: Wall = Wall(1_795_473_459_120);

fn ago_s(seconds: u64) -> Wall {
    Wall(NOW.0 - seconds * 1000)
}

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

fn server(name: &str, address: [u8; 4], health: Health, probe: ProbeStatus) -> ServerStatus {
    ServerStatus {
        name: name.into(),
        health,
        endpoints: vec![EndpointStatus {
            address: address.into(),
            health,
            probes: vec![probe],
        }],
    }
}

fn looked(verdict: &str, detail: Option<&str>, good: u32, bad: u32) -> ProbeStatus {
    ProbeStatus {
        kind: "xmpp-tls".to_owned(),
        last: Some(Look {
            verdict: verdict.to_owned(),
            detail: detail.map(str::to_owned),
            at: Wall(NOW.0 - 340),
            took_ms: 12,
        }),
        good_in_a_row: good,
        bad_in_a_row: bad,
    }
}

fn ranked(pool: &str, priority: u16, health: PoolHealth, servers: &[&str]) -> Ranked {
    Ranked {
        pool: pool.into(),
        priority,
        health,
        servers: servers.iter().map(|name| (*name).into()).collect(),
    }
}

fn listening() -> Vec<Listening> {
    vec![
        Listening {
            transport: Transport::Dns,
            address: "192.0.2.53:53".parse().unwrap(),
        },
        Listening {
            transport: Transport::Tls,
            address: "192.0.2.53:853".parse().unwrap(),
        },
    ]
}

fn counters() -> Counters {
    Counters {
        queries: 120_034,
        responses: 120_030,
        truncated: 2,
        dropped: 4,
        tcp: TransportCounters {
            queries: 34,
            responses: 34,
            connections: 3,
            ..TransportCounters::default()
        },
        tls: TransportCounters {
            queries: 12,
            responses: 12,
            connections: 64,
            refused: 5,
            evicted: 1,
            ..TransportCounters::default()
        },
        ..Counters::default()
    }
}

/// One that has everything, one that does not answer.
fn secondaries() -> Vec<SecondaryStatus> {
    let serial = Serial(1_795_473_400);
    vec![
        SecondaryStatus {
            address: "192.0.2.5:53".parse().unwrap(),
            told: Some(Told {
                serial,
                attempts: 1,
                at: ago_s(59),
            }),
            acknowledged: Some(Acknowledged {
                serial,
                at: ago_s(59),
            }),
            asked: Some(AskedFor {
                what: "ixfr".to_owned(),
                serial,
                at: ago_s(58),
            }),
            problem: None,
        },
        SecondaryStatus {
            address: "[2001:db8::5]:5353".parse().unwrap(),
            told: Some(Told {
                serial,
                attempts: 5,
                at: ago_s(28),
            }),
            acknowledged: None,
            asked: None,
            problem: Some("it does not answer".to_owned()),
        },
    ]
}

fn well() -> Status {
    let edge1 = server(
        "edge1.contoso.test.",
        [10, 77, 0, 11],
        Health::Up,
        looked("good", None, 812, 0),
    );
    let edge2 = server(
        "edge2.contoso.test.",
        [10, 77, 0, 12],
        Health::Up,
        looked("good", None, 9, 0),
    );
    let pool = |name: &str, standby, server| PoolStatus {
        name: name.into(),
        health: PoolHealth::Up,
        standby,
        masked: None,
        servers: vec![server],
    };
    Status {
        sandbox: None,
        version: "0.1.0".to_owned(),
        pid: 4242,
        started: ago_s(273_600),
        now: NOW,
        generation: Generation(17),
        listening: listening(),
        zones: vec![ZoneStatus {
            transferred: None,
            origin: "contoso.test.".to_owned(),
            serial: Serial(1_795_473_400),
            secondaries: secondaries(),
        }],
        isolated: None,
        alarms: Vec::new(),
        store: StoreStatus {
            path: "/var/lib/switchback".to_owned(),
            failed: None,
        },
        pools: vec![
            pool("edgepool1", Standby::Hot, edge1),
            pool("edgepool2", Standby::Cold, edge2),
        ],
        services: vec![ServiceStatus {
            cached_until: None,
            name: "xmpp-federation".into(),
            mode: "settled".to_owned(),
            active: "edgepool1".into(),
            preferred: "edgepool1".into(),
            ranking: vec![
                ranked("edgepool1", 10, PoolHealth::Up, &["edge1.contoso.test."]),
                ranked("edgepool2", 20, PoolHealth::Up, &["edge2.contoso.test."]),
            ],
            ttl_s: 60,
            since: ago_s(7200),
            because: "edgepool1 is the most preferred pool that is up".to_owned(),
            operation: None,
            proposal: None,
            halted: None,
            ineligible: Vec::new(),
            overrides: Vec::new(),
            moves_in_the_last_hour: 0,
        }],
        counters: counters(),
        certificate: Some(certificate()),
        alerts: vec![told()],
        rate_limit: limited(),
    }
}

/// One that ends in 45 days.
fn certificate() -> CertificateStatus {
    CertificateStatus {
        path: "/etc/switchback/fullchain.pem".to_owned(),
        not_after: Some(Wall(NOW.0 + 45 * 86_400_000)),
        refused: None,
    }
}

/// A flood in the name of a victim.
fn limited() -> LimitStatus {
    LimitStatus {
        classes: vec![ClassLimited {
            class: "answer".to_owned(),
            limited: 90_210,
            slipped: 90_000,
            dropped: 210,
        }],
        networks: vec![NetworkLimited {
            network: "198.51.100.0/24".to_owned(),
            class: "answer".to_owned(),
            since: ago_s(75),
        }],
    }
}

/// One that is told.
fn told() -> AlertStatus {
    AlertStatus {
        name: "wall".to_owned(),
        to: "/usr/local/bin/wall".to_owned(),
        waiting: 0,
        delivered: 12,
        left_out: 3,
        last_delivered: Some(ago_s(240)),
        failing_since: None,
        problem: None,
    }
}

/// One that is not reached.
fn deaf() -> AlertStatus {
    AlertStatus {
        name: "oncall".to_owned(),
        to: "https://hooks.contoso.test".to_owned(),
        waiting: 4,
        delivered: 0,
        left_out: 0,
        last_delivered: None,
        failing_since: Some(ago_s(90)),
        problem: Some("status 502".to_owned()),
    }
}

fn task(name: &str, state: TaskState, server: Option<&str>, output: &str) -> TaskStatus {
    TaskStatus {
        since: NOW,
        deadline: None,
        name: name.to_owned(),
        state,
        server: server.map(Into::into),
        attempt: u32::from(state != TaskState::Waiting),
        took_ms: matches!(state, TaskState::Done | TaskState::Failed).then_some(430),
        output_tail: output.to_owned(),
    }
}

/// A zone that no primary has given for too long.
fn expired() -> Transferred {
    Transferred {
        state: TransferredState::Expired,
        primaries: vec![
            "192.0.2.1:53".to_owned(),
            "192.0.2.2:853 (ns2.test)".to_owned(),
        ],
        primary_serial: Some(Serial(2_026_112_401)),
        refreshed: Some(ago_s(7200)),
        expires: Some(ago_s(60)),
        next: Some(ago_s(0)),
        troubles: vec![PrimaryTrouble {
            primary: "192.0.2.1:53".to_owned(),
            why: "it cannot be reached: no route".to_owned(),
            at: ago_s(5),
        }],
        replaced: vec!["'edge1.contoso.test. A' of the primary is not served".to_owned()],
        unkept: Some("a restart would lose this version: disk full".to_owned()),
    }
}

fn in_trouble() -> Status {
    let mut status = well();
    status.alarms = vec!["xmpp-federation: the runbook halted, edgepool1 is down".to_owned()];
    status.isolated = Some(Isolation {
        since: ago_s(65),
        families: vec![Family::V4, Family::V6],
    });
    status.store.failed = Some("No space left on device".to_owned());
    status.alerts.push(deaf());
    status.zones[0].transferred = Some(expired());
    let probe = looked("stream-error", Some("evil\x1b[2J"), 0, 3);
    status.pools[0] = PoolStatus {
        name: "edgepool1".into(),
        health: PoolHealth::Down,
        standby: Standby::Hot,
        masked: None,
        servers: vec![server(
            "edge1.contoso.test.",
            [10, 77, 0, 11],
            Health::Down,
            probe,
        )],
    };
    status.pools[1].masked = Some(Mask {
        operation: OperationId(7),
        until: Wall(NOW.0 + 90_000),
    });
    let service = &mut status.services[0];
    service.mode = "halted".to_owned();
    service.active = "edgepool2".into();
    service.ttl_s = 5;
    service.halted = Some(Halt {
        operation: OperationId(7),
        at: ago_s(30),
        because: "step \"route\" ended with exit code 1; 1 step was undone".to_owned(),
        remedies: vec![(
            "run \"route\" again".into(),
            "switchback retry xmpp-federation".into(),
        )],
    });
    service.ineligible = vec![Ineligible {
        pool: "edgepool2".into(),
        because: "its runbook halted".to_owned(),
    }];
    service.overrides = vec!["edgepool3 drained by alice: new disks, until 18:00".to_owned()];
    service.moves_in_the_last_hour = 2;
    service.ranking.reverse();
    service.operation = Some(OperationStatus {
        id: OperationId(7),
        from: "edgepool1".into(),
        to: "edgepool2".into(),
        state: "halted".to_owned(),
        ended: Some(ago_s(30)),
        steps: vec![
            task(
                "stop services",
                TaskState::Undone,
                Some("edge2.contoso.test."),
                "",
            ),
            task(
                "route",
                TaskState::Failed,
                None,
                "Set-CsSite: access denied\nexit code 1",
            ),
            task("publish", TaskState::Waiting, None, ""),
        ],
    });
    status
}

#[test]
fn a_quiet_status_page() {
    expect("status_well.txt", &text::status(&well(), Paint::Plain));
    assert!(!well().needs_a_human());
}

#[test]
fn what_is_wrong_comes_first() {
    let page = text::status(&in_trouble(), Paint::Plain);
    assert!(page.starts_with("ALARM"));
    expect("status_trouble.txt", &page);
    assert!(in_trouble().needs_a_human());
}

#[test]
fn colours_change_no_word_and_nobody_else_sends_escapes() {
    for status in [well(), in_trouble()] {
        let plain = text::status(&status, Paint::Plain);
        assert!(!plain.contains('\x1b'));
        let mut coloured = text::status(&status, Paint::Colours);
        for sgr in ["1;31", "32", "33", "1", "2", "0"] {
            coloured = coloured.replace(&format!("\x1b[{sgr}m"), "");
        }
        assert_eq!(coloured, plain);
    }
}

#[test]
fn a_status_survives_json() {
    let json = serde_json::to_string(&in_trouble()).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), in_trouble());
}

#[test]
fn an_explanation() {
    let answer = Explain {
        service: "xmpp-federation".into(),
        now: NOW,
        because: "edgepool2 took over when edgepool1 went down 12m ago".to_owned(),
        ttl_s: 5,
        ttl_because: "a failback is due within 60 s".to_owned(),
        pools: vec![
            ExplainedPool {
                pool: "edgepool2".into(),
                priority: 10,
                health: PoolHealth::Up,
                because: vec!["1 of 1 servers is up, 1 is needed".to_owned()],
                next: vec!["fails over when 2 more looks are bad".to_owned()],
            },
            ExplainedPool {
                pool: "edgepool1".into(),
                priority: 20,
                health: PoolHealth::Down,
                because: vec!["edge1.contoso.test. (10.77.0.11) refused 3 looks".to_owned()],
                next: vec!["fails back 10m after it is up again".to_owned()],
            },
        ],
        lines: vec!["1 of 4 moves within the last hour".to_owned()],
    };
    expect("explain.txt", &text::explain(&answer, Paint::Plain));
}
