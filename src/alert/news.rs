//! What happened, as an alert.

use super::{Alert, Severity, Topic};
use crate::failover::Event;
use crate::health::Health;
use crate::ids::PoolName;
use crate::runbook::Phase;
use crate::time::Wall;

const DAY_S: u64 = 24 * 3600;

/// What the engine tells, if it is for people.
#[must_use]
pub fn event(at: Wall, event: &Event) -> Option<Alert> {
    let (topic, severity) = weigh(event)?;
    Some(Alert {
        service: event.service().cloned(),
        pool: pool(event).cloned(),
        operation: event.operation(),
        ..Alert::new(topic, severity, at, event.to_string())
    })
}

/// What it is about, and how much it matters.
fn weigh(event: &Event) -> Option<(Topic, Severity)> {
    Some(match event {
        Event::HealthChanged { from, to, .. } => match (from, to) {
            (_, Health::Down | Health::Degraded) => (Topic::Health, Severity::Alarm),
            // At the start every edge comes up out of nowhere.
            (Health::Unknown, Health::Up) => return None,
            (_, Health::Up) => (Topic::Health, Severity::Resolved),
            (_, Health::Unknown) => (Topic::Health, Severity::Notice),
        },
        Event::OperationBegan { .. } | Event::OrderVoid { .. } => {
            (Topic::Failover, Severity::Notice)
        }
        Event::OperationEnded { phase, .. } => match phase {
            Phase::Completed => (Topic::Failover, Severity::Resolved),
            Phase::Halted(_) | Phase::NeedsHuman(_) => (Topic::Halted, Severity::Alarm),
            Phase::Forward | Phase::Backward(_) => return None,
        },
        // A person is at it: whoever else was called may know.
        Event::Handled { .. } => (Topic::Halted, Severity::Notice),
        // A move that waits says so again and again: see `remind_every`.
        Event::ApprovalWanted { .. } => (Topic::Approval, Severity::Alarm),
        Event::Answered { .. } | Event::Withdrawn { .. } => (Topic::Approval, Severity::Resolved),
        Event::Uplink { up: true, .. } => (Topic::Isolated, Severity::Resolved),
        Event::Uplink { up: false, .. } => (Topic::Isolated, Severity::Alarm),
        Event::Published { .. }
        | Event::Task { .. }
        | Event::Reasoning { .. }
        | Event::Override { .. }
        | Event::Readmitted { .. } => return None,
    })
}

/// The pool that it is about: of a move its target.
fn pool(event: &Event) -> Option<&PoolName> {
    match event {
        Event::HealthChanged { pool, .. } | Event::Readmitted { pool, .. } => Some(pool),
        Event::OperationBegan { to, .. }
        | Event::OperationEnded { to, .. }
        | Event::ApprovalWanted { to, .. }
        | Event::Answered { to, .. }
        | Event::Withdrawn { to, .. }
        | Event::OrderVoid { to, .. } => Some(to),
        Event::Published { .. }
        | Event::Task { .. }
        | Event::Reasoning { .. }
        | Event::Uplink { .. }
        | Event::Handled { .. }
        | Event::Override { .. } => None,
    }
}

/// A certificate of `whose` ends at `ends`.
#[must_use]
pub fn certificate(at: Wall, whose: &str, ends: Wall) -> Alert {
    let days = ends.since(at).as_secs() / DAY_S;
    let text = if ends <= at {
        format!("the certificate of {whose} has ended: renew it")
    } else {
        format!("the certificate of {whose} ends in {days} days: renew it")
    };
    Alert {
        days_left: Some(days),
        ..Alert::new(Topic::Certificate, Severity::Alarm, at, text)
    }
}

/// A secondary does not follow, or follows again.
#[must_use]
pub fn secondary(at: Wall, text: String, follows: bool) -> Alert {
    let severity = if follows {
        Severity::Resolved
    } else {
        Severity::Alarm
    };
    Alert::new(Topic::Secondary, severity, at, text)
}

/// The state cannot be recorded, for this reason, or can again.
#[must_use]
pub fn store(at: Wall, failed: Option<&str>) -> Alert {
    match failed {
        Some(why) => {
            let text = format!("the state cannot be recorded, no hook runs: {why}");
            Alert::new(Topic::Store, Severity::Alarm, at, text)
        }
        None => {
            let text = "the state can be recorded again".to_owned();
            Alert::new(Topic::Store, Severity::Resolved, at, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Endpoint, OperationId};

    fn changed(from: Health, to: Health) -> Event {
        Event::HealthChanged {
            pool: "edgepool1".into(),
            endpoint: Endpoint {
                server: "edge1.contoso.test.".into(),
                address: [192, 0, 2, 1].into(),
            },
            from,
            to,
            saw: "refused".to_owned(),
        }
    }

    fn ended(phase: Phase) -> Event {
        Event::OperationEnded {
            id: OperationId(7),
            service: "xmpp-federation".into(),
            to: "edgepool2".into(),
            phase,
        }
    }

    #[test]
    fn what_is_for_people_has_a_topic_and_a_weight() {
        let of = |it: &Event| event(Wall(1), it).map(|alert| (alert.topic, alert.severity));
        use Severity::{Alarm, Resolved};
        assert_eq!(
            of(&changed(Health::Up, Health::Down)),
            Some((Topic::Health, Alarm))
        );
        assert_eq!(
            of(&changed(Health::Down, Health::Up)),
            Some((Topic::Health, Resolved))
        );
        assert_eq!(of(&changed(Health::Unknown, Health::Up)), None);
        assert_eq!(
            of(&ended(Phase::Completed)),
            Some((Topic::Failover, Resolved))
        );
        let halted = ended(Phase::Halted("verify failed".to_owned()));
        assert_eq!(of(&halted), Some((Topic::Halted, Alarm)));
        let alert = event(Wall(1), &halted).unwrap();
        assert_eq!(alert.operation, Some(OperationId(7)));
        assert!(
            alert.text.contains("HALTED: verify failed"),
            "{}",
            alert.text
        );
        let down = Event::Uplink {
            family: "IPv4".to_owned(),
            up: false,
        };
        assert_eq!(of(&down), Some((Topic::Isolated, Alarm)));
    }

    #[test]
    fn a_certificate_says_how_long_it_has() {
        let day = std::time::Duration::from_secs(DAY_S);
        let alert = certificate(Wall(1000), "edge1 (192.0.2.1)", Wall(1000) + day * 13);
        assert_eq!(alert.days_left, Some(13));
        let ended = certificate(Wall(1000), "edge1 (192.0.2.1)", Wall(999));
        assert_eq!(ended.days_left, Some(0));
        assert!(ended.text.contains("has ended"), "{}", ended.text);
    }
}
