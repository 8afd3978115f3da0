//! What speaks against a drill.

use super::report::Baseline;
use crate::admin::status::ServiceStatus;
use crate::health::PoolHealth;
use crate::ids::PoolName;

/// What the daemon knows that speaks against it, a sentence each.
pub(super) fn obstacles(now: &ServiceStatus, to: &PoolName) -> Vec<String> {
    let mut against = Vec::new();
    for ranked in &now.ranking {
        let concerned = ranked.pool == now.active || ranked.pool == *to;
        if concerned && ranked.health != PoolHealth::Up {
            against.push(format!("{} is {}", ranked.pool, ranked.health));
        }
    }
    if let Some(operation) = now.operation.as_ref().filter(|it| it.ended.is_none()) {
        against.push(format!("{} to {} is under way", operation.id, operation.to));
    }
    if let Some(proposal) = &now.proposal {
        against.push(format!(
            "a move to {} waits for somebody's word",
            proposal.to
        ));
    }
    if let Some(halt) = &now.halted {
        against.push(format!(
            "{} has halted, and nobody has dealt with it",
            halt.operation
        ));
    }
    let ineligible = now.ineligible.iter();
    against.extend(
        ineligible
            .filter(|it| it.pool == *to || it.pool == now.active)
            .map(|it| format!("{} is no target: {}", it.pool, it.because)),
    );
    against.extend(
        now.overrides
            .iter()
            .map(|said| format!("an override stands: {said}")),
    );
    against
}

/// Who does not say what is published before anything has moved: what he says later proves nothing.
pub(super) fn dissent(baseline: &[Baseline], active: &PoolName) -> Vec<String> {
    let mut against: Vec<String> = baseline
        .iter()
        .filter(|one| one.says.as_ref() != Some(active))
        .map(|one| match (&one.says, &one.silent) {
            (Some(pool), _) => format!("{} says {pool} is first", one.name),
            (None, Some(why)) => format!("{}: {why}", one.name),
            (None, None) => format!("{} names no pool of the service", one.name),
        })
        .collect();
    if !against.is_empty() {
        against.push("switchback verify says more of who answers what".to_owned());
    }
    against
}
