//! What the tests begin with: policies, services, and the orders of an operator.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use switchback::failover::{
    By, Detection, Failback, Mode, OnHalt, Order, Policy, Pool, Server, Service, Standby, Subject,
    TtlRange,
};
use switchback::health::Layer;
use switchback::runbook::Plan;

/// Who gives the orders of the tests.
pub(crate) fn ann() -> By {
    By {
        author: "ann".into(),
        reason: "a test".into(),
    }
}

pub(crate) fn clear(subject: Subject) -> Order {
    Order::Clear { subject, by: ann() }
}

/// An operator's failover, and failback.
pub(crate) fn failover(to: &str) -> Order {
    Order::Failover {
        service: "fed".into(),
        to: Some(to.into()),
        by: ann(),
        force: false,
        now: true,
    }
}

pub(crate) fn failback() -> Order {
    Order::Failback {
        service: "fed".into(),
        by: ann(),
        force: false,
        now: true,
    }
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A policy of `pools` pools (`p1`, `p2` …) with one server each, and one service `fed`.
pub(crate) fn policy(pools: usize) -> Policy {
    let mut policy = Policy::default();
    for number in 1..=pools {
        policy
            .pools
            .insert(format!("p{number}").as_str().into(), pool(number, 1));
    }
    policy.services.insert("fed".into(), service(pools));
    policy
}

pub(crate) fn pool(number: usize, servers: usize) -> Pool {
    let server = |index: usize| Server {
        name: format!("edge{number}-{index}.test.").as_str().into(),
        addresses: vec![IpAddr::from([
            10,
            0,
            u8::try_from(number).unwrap(),
            u8::try_from(index).unwrap(),
        ])],
        weight: 50,
        vars: BTreeMap::new(),
    };
    Pool {
        servers: (1..=servers).map(server).collect(),
        min_healthy: 1,
        standby: Standby::Hot,
        detection: vec![Detection {
            depth: Layer::Tls,
            rise: 2,
            fall: 2,
            stale_after: secs(5),
            tls_stale_after: secs(15),
        }],
        vars: BTreeMap::from([("site".to_owned(), format!("Site{number}"))]),
    }
}

pub(crate) fn service(pools: usize) -> Service {
    Service {
        pools: (1..=pools)
            .map(|number| format!("p{number}").as_str().into())
            .collect(),
        ttl: TtlRange {
            min: secs(5),
            max: secs(60),
        },
        failover_after: Duration::ZERO,
        cap_per_hour: 4,
        failback: Failback::After(secs(600)),
        on_halt: OnHalt::Next,
        settle: secs(5),
        runbook: Plan::publish_only(),
        mode: Mode::Automatic,
        remind_every: secs(900),
    }
}
