//! switchback: an authoritative DNS server with built-in priority failover.
//!
//! An organisation's XMPP federation enters through one edge pool at a time. switchback is
//! delegated the federation names of a zone, watches port 5269 of every edge pool, orders the
//! SRV priorities by what it sees, and moves federation to the next pool when the active one
//! dies: DNS in one atomic swap, the other steps as hooks of one durable runbook.
//!
//! # The way of a fault
//! ```text
//!   edge ──look──▶ probe ──Observation──▶ failover::Engine ──Action──▶ daemon
//!                                              │                         ├─▶ store     durable first
//!                     health::Detector ◀───────┤                         ├─▶ snapshot  one swap
//!                     failover::decide ◀───────┤                         ├─▶ hook      the runbook's programs
//!                     runbook::Operation ◀─────┘                         └─▶ telemetry
//!   resolver ──query──▶ server ──▶ answer(&Snapshot) ──▶ response
//! ```
//!
//! # The map, in reading order
//! | module | what lives there |
//! | --- | --- |
//! | [`time`], [`ids`] | points in time; names, and numbers that only go forward |
//! | [`health`] | what looks see, and what is believed of it |
//! | [`runbook`] | the steps of a move, and what is known of each |
//! | [`failover`] | which pool is first, why, and what to do about it: [`failover::Engine`] |
//! | [`chronicle`] | what happened: the engine's inputs and words, as they are kept |
//! | [`scenario`] | a night as text, and its replay in virtual time |
//! | [`zone`] | master files to immutable zones |
//! | [`tsig`] | who sent a message: signatures and keys |
//! | [`secondary`] | zones that are kept elsewhere: when to ask, what a transfer brings |
//! | [`history`] | what changed in a zone from one serial to the next |
//! | [`limit`] | how many responses a network gets that may not have asked for them |
//! | [`snapshot`] | zones and rankings to one immutable thing that answers |
//! | [`answer`] | a query and a snapshot to a response |
//! | [`transfer`] | whole zones and their changes, for secondaries |
//! | [`alert`], [`courier`] | what people are told, and how it gets to them |
//! | [`inquiry`], [`verify`] | what the world says of a service, and what is wrong with it |
//! | [`config`] | TOML to all of the above, every error at once |
//! | [`clock`] | the only `now()` |
//! | [`files`] | files of others, read with limits |
//! | [`certificate`] | our certificate and its key, which must fit |
//! | [`store`] | the durable state; serials that never go back |
//! | [`programs`] | begins programs for a daemon that may not |
//! | [`sandbox`] | gives up the rights that are not needed any more |
//! | [`probe`] | looks at the edges |
//! | [`http`] | one HTTP request, within a deadline |
//! | [`hook`] | runs the programs of a runbook, in a process of their own |
//! | [`visit`] | visits to primaries: the IO of transfers in |
//! | [`lookup`], [`survey`] | ask DNS servers; look at a service from outside |
//! | [`server`] | UDP, TCP, TLS, HTTPS and QUIC |
//! | [`notify`] | tells secondaries of changes |
//! | [`admin`] | the control socket |
//! | [`supervisor`] | what the service manager is told, and the sockets it hands over |
//! | [`telemetry`] | the only place where decisions become log lines |
//! | [`daemon`] | owns the engine; start, reload, end |
//! | [`cli`] | arguments, printing, exit codes, the demo |
//!
//! # Invariants
//! - A module whose text begins **Pure.** has no clock, socket, file, lock, random number or
//!   log line: what it decides follows from its arguments, time included. The shell around it
//!   is thin. `tests/tidy/house.rs` holds the table of what may import what; arrows never point up.
//! - What is visible was durable before: generations and serials are reserved on disk, a step
//!   is recorded as started before it acts, and a step recorded as done never runs again.
//! - A query is answered from one snapshot. All records of a service and the serials of the
//!   zones that it touches change in the same swap ([`snapshot::Snapshot`]).
//! - A published SRV set is never empty and never a lone `.`: it is re-ordered.
//! - There is one engine and one task that drives it. Nobody else decides.
//! - Nothing that a stranger sends makes memory or the log grow without bound, or panics.

pub mod admin;
pub mod alert;
pub mod answer;
pub mod certificate;
pub mod chronicle;
pub mod cli;
pub mod clock;
pub mod config;
pub mod courier;
pub mod daemon;
pub mod dnstap;
pub mod failover;
pub mod files;
pub mod health;
pub mod history;
pub mod hook;
pub mod http;
pub mod ids;
pub mod inquiry;
pub mod limit;
pub mod lookup;
pub mod metrics;
pub mod notify;
pub mod probe;
pub mod programs;
pub mod runbook;
pub mod sandbox;
pub mod scenario;
pub mod secondary;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod supervisor;
pub mod survey;
pub mod telemetry;
pub mod time;
pub mod transfer;
pub mod tsig;
pub mod verify;
pub mod visit;
pub mod zone;
