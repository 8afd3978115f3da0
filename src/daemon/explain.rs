//! Why the pools of a service stand in this order, and what would change it.

use super::core::Core;
use super::status::PRIORITY_STEP;
use crate::admin::{Answer, Explain, ExplainedPool, Response};
use crate::clock;
use crate::failover::{ProbeView, Service, ServiceView, Standby, Subject};
use crate::health::Health;
use crate::ids::{PoolName, ServiceName};
use crate::survey;
use crate::time::Now;
use crate::zone::Name;

impl Core {
    /// Explains one service.
    pub(super) fn explain(&self, now: Now, name: &ServiceName) -> Response {
        let policy = self.engine.policy();
        let (Some(service), Some(view)) =
            (policy.services.get(name), self.engine.service(now, name))
        else {
            return self.no_service(name);
        };
        let published = &view.memory.published;
        let active = published.ranking.active();
        let places = (1u16..).zip(&published.ranking.pools);
        let pools = places.map(|(place, ranked)| ExplainedPool {
            pool: ranked.pool.clone(),
            priority: place.saturating_mul(PRIORITY_STEP),
            health: self
                .engine
                .pool(&ranked.pool)
                .map(|pool| pool.health)
                .unwrap_or_default(),
            because: self.reasons(now, service, &ranked.pool, active == Some(&ranked.pool)),
            next: self.next_changes(&ranked.pool),
        });
        Response::Ok(Answer::Explain(Explain {
            service: name.clone(),
            now: now.wall,
            because: view.because.to_string(),
            ttl_s: published.ttl.as_secs(),
            ttl_because: ttl_because(service, &view),
            pools: pools.collect(),
            lines: self.lines(now, name, service, &view),
        }))
    }

    /// What partners should see of one service.
    pub(super) fn published(&self, name: &ServiceName) -> Response {
        let snapshot = self.publisher.snapshots().load();
        let view = self.engine.service(clock::now(), name);
        let expected = view.and_then(|view| {
            let published = Some(&view.memory.published);
            let serial_of = |origin: &Name| snapshot.serial(origin);
            survey::expect(&self.config, name, published, &serial_of)
        });
        match expected {
            Some(expected) => Response::Ok(Answer::Published(Box::new(expected))),
            None => self.no_service(name),
        }
    }

    /// Why a pool stands at its place, and why its health is what it is.
    fn reasons(&self, now: Now, service: &Service, name: &PoolName, active: bool) -> Vec<String> {
        let mut reasons = Vec::new();
        let place = service
            .pools
            .iter()
            .position(|pool| pool == name)
            .map_or(0, |place| place + 1);
        reasons.push(if active {
            format!("it is the active pool (number {place} of the configured order)")
        } else {
            format!("behind the active pool by health, then as configured (number {place})")
        });
        let Some(view) = self.engine.pool(name) else {
            return reasons;
        };
        if view.masked {
            reasons.push("masked: an operation is at work on it, so its looks do not count".into());
        }
        let Some(pool) = self.engine.policy().pools.get(name) else {
            return reasons;
        };
        if pool.standby == Standby::Cold {
            let path = if view.path_is_open {
                "open"
            } else {
                "not open"
            };
            reasons.push(format!("cold standby: its path is {path}"));
        }
        for endpoint in pool.endpoints() {
            for probe in self.engine.endpoint(name, &endpoint).probes {
                reasons.push(self.sentence(now, &endpoint.to_string(), &probe));
            }
        }
        reasons
    }

    fn sentence(&self, now: Now, endpoint: &str, probe: &ProbeView) -> String {
        match &probe.latest {
            None => format!("{endpoint} is {}: not looked at yet", probe.health),
            Some(look) => format!(
                "{endpoint} is {}: the last look, {:.1} s ago, saw {}",
                probe.health,
                now.mono.since(look.ended).as_secs_f32(),
                look.verdict
            ),
        }
    }

    /// What would change the health of a pool next.
    fn next_changes(&self, name: &PoolName) -> Vec<String> {
        let Some(pool) = self.engine.policy().pools.get(name) else {
            return Vec::new();
        };
        let mut next = Vec::new();
        for endpoint in pool.endpoints() {
            for probe in self.engine.endpoint(name, &endpoint).probes {
                let (rise, fall) = probe.thresholds;
                let (good, bad) = probe.rows;
                let missing = match probe.health {
                    Health::Up => {
                        format!("down after {} more bad", fall.saturating_sub(bad).max(1))
                    }
                    Health::Down | Health::Degraded | Health::Unknown => {
                        format!("up after {} more good", rise.saturating_sub(good).max(1))
                    }
                };
                next.push(format!("{endpoint}: {missing} in a row"));
            }
        }
        next
    }

    fn lines(
        &self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        view: &ServiceView<'_>,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(operation) = &view.memory.operation {
            lines.push(format!(
                "{} from {} to {}: {}",
                operation.id, operation.from, operation.to, operation.reason
            ));
        }
        if let Some(alarm) = &view.memory.halted {
            lines.push(format!(
                "{} towards {} did not arrive; see `switchback status`",
                alarm.id, alarm.to
            ));
        }
        for pool in &view.memory.ineligible {
            lines.push(format!("{pool} is no target: a runbook towards it halted"));
        }
        let ours = self
            .engine
            .overrides()
            .0
            .iter()
            .filter(|said| match &said.subject {
                Subject::Pin(other) | Subject::Freeze(other) => other == name,
                Subject::DrainPool(pool) => service.pools.contains(pool),
                Subject::DrainServer(_) => true,
            });
        lines.extend(ours.map(|said| format!("override: {said}")));
        if view.memory.failback_suspended {
            lines.push("an operator's failover suspends automatic failback".to_owned());
        }
        let hour = std::time::Duration::from_secs(3600);
        let recent = view
            .memory
            .moves
            .iter()
            .filter(|past| now.wall.since(past.at) < hour);
        let returning = recent.filter(|past| past.returning).count();
        lines.push(format!(
            "{returning} of {} returns within the last hour are used",
            service.cap_per_hour
        ));
        lines
    }
}

fn ttl_because(service: &Service, view: &ServiceView<'_>) -> String {
    let (ttl, range) = (view.memory.published.ttl, service.ttl);
    if range.min == range.max {
        "both values are the same".to_owned()
    } else if ttl == range.max {
        "settled: no suspicion, and no change is known to come soon".to_owned()
    } else {
        format!(
            "there is or lately was a suspicion, an operation, or a change that is known to come; {} s when it is over",
            range.max.as_secs()
        )
    }
}
