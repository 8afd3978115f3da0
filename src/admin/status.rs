//! What the daemon knows, at one moment, as it leaves the process.
//!
//! These types are the contract with programs that read `switchback status --json`: fields are
//! added, never renamed. Times are milliseconds since 1970 in UTC ([`Wall`]); durations carry
//! their unit in the name.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::limits::LimitStatus;
use crate::failover::Standby;
use crate::health::{Health, PoolHealth};
use crate::ids::{Generation, OperationId, PoolName, Serial, ServerName, ServiceName};
use crate::sandbox::InForce;
use crate::time::Wall;

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The release of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started: Wall,
    /// When this was written.
    pub now: Wall,
    /// The number of the snapshot that answers.
    pub generation: Generation,
    /// Where it answers.
    pub listening: Vec<Listening>,
    /// What it is authoritative for, by origin.
    pub zones: Vec<ZoneStatus>,
    /// Set while it is our own uplink that is down.
    pub isolated: Option<Isolation>,
    /// What somebody should look at, one sentence each, the worst first.
    pub alarms: Vec<String>,
    /// The durable state.
    pub store: StoreStatus,
    /// The edge pools, by name.
    pub pools: Vec<PoolStatus>,
    /// The services, by name.
    pub services: Vec<ServiceStatus>,
    /// What was asked and answered since the start.
    pub counters: Counters,
    /// Our own certificate, if a transport needs one.
    #[serde(default)]
    pub certificate: Option<CertificateStatus>,
    /// Who is told of what happens.
    #[serde(default)]
    pub alerts: Vec<AlertStatus>,
    /// What response rate limiting does.
    #[serde(default)]
    pub rate_limit: LimitStatus,
    /// What the process has given up.
    #[serde(default)]
    pub sandbox: Option<InForce>,
}

/// One receiver of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The program, or the webhook's address without its path.
    pub to: String,
    /// How many alerts wait.
    pub waiting: u64,
    /// How many were delivered since the start.
    pub delivered: u64,
    /// How many were left out since the start: over the rate, or too old.
    pub left_out: u64,
    /// When one was delivered last.
    pub last_delivered: Option<Wall>,
    /// Since when deliveries fail.
    pub failing_since: Option<Wall>,
    /// Why the latest one did.
    pub problem: Option<String>,
}

/// The certificate that clients of the encrypted transports are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// Its file.
    pub path: String,
    /// When it ends; `None` if that cannot be read in it.
    pub not_after: Option<Wall>,
    /// Why what the file holds now is not shown, if it is not.
    pub refused: Option<String>,
}

/// One listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// What it speaks.
    pub transport: Transport,
    /// Its address, with the port that it really has.
    pub address: SocketAddr,
}

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// DNS over UDP and TCP (RFC 1035).
    Dns,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its origin, absolute.
    pub origin: String,
    /// Its serial now.
    pub serial: Serial,
    /// Set for a zone that is transferred from primaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred: Option<Transferred>,
    /// The secondaries that are told of its changes.
    #[serde(default)]
    pub secondaries: Vec<SecondaryStatus>,
}

/// A zone that is transferred from primaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    /// How it is, in a word: `current`, `expired`, `absent`.
    pub state: TransferredState,
    /// The primaries, in the order of the configuration.
    pub primaries: Vec<String>,
    /// The primary's serial of the version that we hold; ours counts on its own.
    pub primary_serial: Option<Serial>,
    /// When a primary last said that this is the newest.
    pub refreshed: Option<Wall>,
    /// When it expires, or did.
    pub expires: Option<Wall>,
    /// When a primary is asked next; `None` while one is being asked.
    pub next: Option<Wall>,
    /// Primaries that fail.
    pub troubles: Vec<PrimaryTrouble>,
    /// What the primary sends and a service or server owns, a sentence each.
    pub replaced: Vec<String>,
    /// Why a restart would lose the version, or has lost one.
    pub unkept: Option<String>,
}

/// How a transferred zone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferredState {
    /// Served.
    Current,
    /// Answered SERVFAIL, because no primary has been reached for too long.
    Expired,
    /// Answered SERVFAIL, because no primary has given it yet.
    Absent,
}

/// A primary that gave nothing when it was last asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryTrouble {
    /// Which.
    pub primary: String,
    /// Why: what, rule, remedy.
    pub why: String,
    /// When.
    pub at: Wall,
}

/// One secondary of one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondaryStatus {
    /// Where it is told.
    pub address: SocketAddr,
    /// The serial that it was told last, how often, and when.
    pub told: Option<Told>,
    /// The serial that it acknowledged last, and when.
    pub acknowledged: Option<Acknowledged>,
    /// What it asked for last.
    pub asked: Option<AskedFor>,
    /// Why the last attempt to tell it was none.
    pub problem: Option<String>,
}

/// What a secondary was told (RFC 1996).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The serial.
    pub serial: Serial,
    /// How often.
    pub attempts: u32,
    /// When last.
    pub at: Wall,
}

/// What a secondary acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The serial.
    pub serial: Serial,
    /// When.
    pub at: Wall,
}

/// What a secondary asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedFor {
    /// `soa`, `ixfr` or `axfr`.
    pub what: String,
    /// The serial that it was given.
    pub serial: Serial,
    /// When.
    pub at: Wall,
}

/// Our own uplink is down: every reference target of these families failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Since when.
    pub since: Wall,
    /// Which families.
    pub families: Vec<Family>,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "ipv4")]
    V4,
    /// IPv6.
    #[serde(rename = "ipv6")]
    V6,
}

/// The durable state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Where it lies; empty for a server without one.
    pub path: String,
    /// Why it cannot be written, if it cannot.
    pub failed: Option<String>,
}

/// One edge pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: PoolName,
    /// What is believed of it.
    pub health: PoolHealth,
    /// Whether its port is open while it stands by.
    pub standby: Standby,
    /// Set while it is the target of an operation: its verdicts wait.
    pub masked: Option<Mask>,
    /// Its servers, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// A pool's verdicts wait, because an operation is at work on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// The operation.
    pub operation: OperationId,
    /// When the mask ends at the latest.
    pub until: Wall,
}

/// One edge server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name, the SRV target.
    pub name: ServerName,
    /// What is believed of it.
    pub health: Health,
    /// Its addresses.
    pub endpoints: Vec<EndpointStatus>,
}

/// One address of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// The address.
    pub address: IpAddr,
    /// What is believed of it.
    pub health: Health,
    /// Its probes, in the order of the configuration.
    pub probes: Vec<ProbeStatus>,
}

/// One probe of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// Its kind, as in the configuration: `xmpp-tls`.
    pub kind: String,
    /// The last look, if there was one.
    pub last: Option<Look>,
    /// Good looks in a row, up to the last.
    pub good_in_a_row: u32,
    /// Bad looks in a row, up to the last.
    pub bad_in_a_row: u32,
}

/// One finished look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// What it saw, in one word ([`crate::health::Verdict::word`]).
    pub verdict: String,
    /// What the far end or the system said about it.
    pub detail: Option<String>,
    /// When it ended.
    pub at: Wall,
    /// How long it took.
    pub took_ms: u64,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// What it is about, in a word or two: `settled`, `in trouble`, `moving`, `paused`,
    /// `all down`, `halted`, `frozen` …
    pub mode: String,
    /// The pool that is published first.
    pub active: PoolName,
    /// The pool that the configuration prefers.
    pub preferred: PoolName,
    /// The pools as published.
    pub ranking: Vec<Ranked>,
    /// The TTL of its records.
    pub ttl_s: u64,
    /// Since when this pool has been the active one.
    pub since: Wall,
    /// Why the order is this, in a sentence.
    pub because: String,
    /// The operation under way, else the last one since the start, with `ended` set.
    pub operation: Option<OperationStatus>,
    /// The move that waits for a person's word.
    #[serde(default)]
    pub proposal: Option<ProposalStatus>,
    /// Set when a runbook halted and nobody has dealt with it.
    pub halted: Option<Halt>,
    /// Pools that are no target until somebody says otherwise.
    pub ineligible: Vec<Ineligible>,
    /// The operator's words in force, a sentence each: who, what, why, until when.
    pub overrides: Vec<String>,
    /// Moves of the active pool within the last hour.
    pub moves_in_the_last_hour: u32,
    /// Until when caches may hold answers from before the latest change.
    #[serde(default)]
    pub cached_until: Option<Wall>,
}

/// A move that waits for a person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalStatus {
    /// The operation that it becomes: what `approve` and `reject` are told.
    pub id: OperationId,
    /// The pool that federation would leave.
    pub from: PoolName,
    /// The pool that it would move to.
    pub to: PoolName,
    /// Why, in a sentence.
    pub because: String,
    /// Since when it waits.
    pub since: Wall,
    /// `approved` or `rejected`, by whom and why; absent while nobody has said anything.
    pub word: Option<String>,
}

/// One pool as published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// The pool.
    pub pool: PoolName,
    /// The priority of its SRV records.
    pub priority: u16,
    /// What is believed of it.
    pub health: PoolHealth,
    /// Those of its servers that are listed.
    pub servers: Vec<ServerName>,
}

/// A pool that is no target, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ineligible {
    /// The pool.
    pub pool: PoolName,
    /// Why, in a sentence.
    pub because: String,
}

/// A runbook that halted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// The operation.
    pub operation: OperationId,
    /// When it halted.
    pub at: Wall,
    /// At which step, why, and what was undone, in a sentence.
    pub because: String,
    /// What a person may do now: what it means, and the command.
    #[serde(default)]
    pub remedies: Vec<(String, String)>,
}

/// One failover or failback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStatus {
    /// Its id.
    pub id: OperationId,
    /// The pool that federation leaves.
    pub from: PoolName,
    /// The pool that it moves to.
    pub to: PoolName,
    /// How far it is, in a word: `running`, `paused`, `undoing`, `done`, `halted`,
    /// `needs a human` …
    pub state: String,
    /// When it ended; `None` while it is under way.
    pub ended: Option<Wall>,
    /// Its tasks, in order.
    pub steps: Vec<TaskStatus>,
}

/// One task: a step, or a step for one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The step's name.
    pub name: String,
    /// How far it is.
    pub state: TaskState,
    /// The server it is for, if the step runs once per server.
    pub server: Option<ServerName>,
    /// Which attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// Since when it has been in this state.
    #[serde(default)]
    pub since: Wall,
    /// When its latest run is over at the latest.
    #[serde(default)]
    pub deadline: Option<Wall>,
    /// The end of what it printed, or why it failed.
    pub output_tail: String,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Not begun.
    Waiting,
    /// At work.
    Running,
    /// Done, and recorded as done.
    Done,
    /// It failed, and is run again after a pause.
    Retrying,
    /// It failed.
    Failed,
    /// It had started when the daemon ended; nobody knows what came of it.
    Unknown,
    /// Its undo is at work.
    Undoing,
    /// Taken back.
    Undone,
}

/// What was asked and answered since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Queries read.
    pub queries: u64,
    /// Responses written.
    pub responses: u64,
    /// Responses with TC set.
    pub truncated: u64,
    /// Packets that got no response: not DNS, or responses themselves.
    pub dropped: u64,
    /// The same over UDP alone.
    #[serde(default)]
    pub udp: TransportCounters,
    /// Over TCP.
    #[serde(default)]
    pub tcp: TransportCounters,
    /// Over TLS.
    #[serde(default)]
    pub tls: TransportCounters,
    /// Over HTTPS; a request that carries no query is a query that was dropped.
    #[serde(default)]
    pub https: TransportCounters,
    /// Over QUIC.
    #[serde(default)]
    pub quic: TransportCounters,
}

/// What was asked and answered over one transport since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportCounters {
    /// Queries read.
    pub queries: u64,
    /// Responses written.
    pub responses: u64,
    /// Responses with TC set.
    pub truncated: u64,
    /// Packets that got no response.
    pub dropped: u64,
    /// Connections open now; 0 over UDP, as the two below.
    pub connections: u64,
    /// Connections closed to make room for a newer one.
    pub evicted: u64,
    /// Connections closed at once because their network had its share.
    pub refused: u64,
}

impl Status {
    /// Whether somebody should look at it now.
    #[must_use]
    pub fn needs_a_human(&self) -> bool {
        !self.alarms.is_empty()
            || self.isolated.is_some()
            || self.store.failed.is_some()
            || self.services.iter().any(ServiceStatus::needs_a_human)
    }
}

impl ServiceStatus {
    /// Whether somebody should look at it now.
    #[must_use]
    pub fn needs_a_human(&self) -> bool {
        let asks = self.proposal.as_ref();
        asks.is_some_and(|proposal| proposal.word.is_none())
            || self.halted.is_some()
            || !self.ineligible.is_empty()
    }
}
