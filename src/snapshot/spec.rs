//! All that a snapshot is made of.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use crate::failover::Publication;
use crate::ids::{Generation, Serial, ServerName, ServiceName};
use crate::zone::{Name, Zone};

/// All that a snapshot is made of.
#[derive(Clone, Debug)]
pub struct SnapshotSpec {
    /// The number of the snapshot.
    pub generation: Generation,
    /// What answers depend on beside the zones.
    pub settings: Arc<Settings>,
    /// The zones, each with the serial that it is served with.
    pub zones: Vec<(Arc<Zone>, Serial)>,
    /// The services.
    pub services: Vec<ServiceSpec>,
    /// All servers with all their addresses; for those that no publication lists.
    pub servers: Vec<(ServerName, Vec<IpAddr>)>,
}

/// One service with what is published of it.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The service.
    pub name: ServiceName,
    /// What it owns.
    pub records: Vec<ServiceRecord>,
    /// The order, the listed servers, the TTL.
    pub publication: Publication,
    /// The longest life of a negative answer at its names (`ttl.min`). Whole seconds.
    pub negative_ttl: Duration,
}

/// A set of records that follows a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceRecord {
    /// One SRV record for each listed server of each pool, in the order of the ranking.
    Srv {
        /// The owner: `_xmpp-server._tcp.contoso.test.`.
        owner: Name,
        /// The port.
        port: u16,
    },
    /// A and AAAA of the listed servers of the active pool.
    Address {
        /// The owner: `xmpp.contoso.test.`.
        owner: Name,
    },
}
