//! What the engine can be asked: read-only views for status and `explain`.

use super::engine::{Engine, limits};
use super::{Because, Memory, Overrides, Policy, Publication, ServiceMemory};
use crate::health::{Health, LatestLook, Layer, PoolHealth};
use crate::ids::{Endpoint, OperationId, PoolName, ProbeIndex, ServiceName};
use crate::runbook::Operation;
use crate::time::{Mono, Now};

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolView {
    /// Its health.
    pub health: PoolHealth,
    /// Whether its path is open: so many servers as it needs can be reached.
    pub path_is_open: bool,
    /// Whether a running operation masks it.
    pub masked: bool,
    /// Since when it has been fit to fail back to.
    pub fit_since: Option<Mono>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// Its health: the worst of its probes.
    pub health: Health,
    /// Each of its probes.
    pub probes: Vec<ProbeView>,
}

/// One endpoint under one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeView {
    /// What follows from its looks.
    pub health: Health,
    /// The latest look.
    pub latest: Option<LatestLook>,
    /// Looks in a row that were good at every layer, and that were not at some layer.
    pub rows: (u32, u32),
    /// The rows that would change the health: rise and fall.
    pub thresholds: (u32, u32),
    /// The deepest layer that is looked at.
    pub depth: Layer,
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView<'a> {
    /// Its durable state.
    pub memory: &'a ServiceMemory,
    /// Why it stands as it stands, at the time of the question.
    pub because: Because,
}

impl Engine {
    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What is to outlive it, as it stands now.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let services = self.services.iter();
        Memory {
            services: services
                .map(|(name, state)| (name.clone(), state.memory.clone()))
                .collect(),
            overrides: self.overrides.clone(),
            next_operation: self.next_operation,
        }
    }

    /// The overrides in force.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// Since when each uplink (IPv4, IPv6) has been down.
    #[must_use]
    pub fn isolated_since(&self) -> [Option<Mono>; 2] {
        [
            self.uplinks[0].isolated_since(),
            self.uplinks[1].isolated_since(),
        ]
    }

    /// One pool.
    #[must_use]
    pub fn pool(&self, name: &PoolName) -> Option<PoolView> {
        let state = self.pools.get(name)?;
        Some(PoolView {
            health: state.belief.health,
            path_is_open: state.belief.path_is_open,
            masked: state.masked,
            fit_since: state.fit_since,
        })
    }

    /// One endpoint of a pool.
    #[must_use]
    pub fn endpoint(&self, pool: &PoolName, endpoint: &Endpoint) -> EndpointView {
        let detection = self
            .policy
            .pools
            .get(pool)
            .map(|p| &p.detection[..])
            .unwrap_or_default();
        let probes = (0u16..).zip(detection).filter_map(|(index, detection)| {
            let watch = self.watches.get(&(endpoint.clone(), ProbeIndex(index)))?;
            let limits = limits(detection);
            Some(ProbeView {
                health: watch.health(detection.depth),
                latest: watch.latest().cloned(),
                rows: watch.rows(detection.depth),
                thresholds: (limits.thresholds.rise, limits.thresholds.fall),
                depth: detection.depth,
            })
        });
        let probes: Vec<ProbeView> = probes.collect();
        let health = probes
            .iter()
            .map(|probe| probe.health)
            .min()
            .unwrap_or_default();
        EndpointView { health, probes }
    }

    /// One service.
    #[must_use]
    pub fn service(&self, now: Now, name: &ServiceName) -> Option<ServiceView<'_>> {
        let state = self.services.get(name)?;
        Some(ServiceView {
            memory: &state.memory,
            because: self.because(now, name)?,
        })
    }

    /// The operations under way.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.services
            .values()
            .filter_map(|state| state.memory.operation.as_ref())
    }

    /// How many operations have halted and wait for an operator.
    #[must_use]
    pub fn halted(&self) -> usize {
        let services = self.services.values();
        services
            .filter(|state| state.memory.halted.is_some())
            .count()
    }

    /// The service whose proposal has this number.
    #[must_use]
    pub fn proposed(&self, id: OperationId) -> Option<&ServiceName> {
        let has = |state: &super::service_state::ServiceState| {
            let proposal = state.memory.proposal.as_ref();
            proposal.is_some_and(|proposal| proposal.id == id)
        };
        self.services
            .iter()
            .find(|(_, state)| has(state))
            .map(|(name, _)| name)
    }

    /// What is published of every service.
    pub fn published(&self) -> impl Iterator<Item = (&ServiceName, &Publication)> {
        self.services
            .iter()
            .map(|(name, state)| (name, &state.memory.published))
    }
}
