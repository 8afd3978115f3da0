//! switchback: an authoritative DNS server with built-in priority failover.

pub mod clock;
pub mod failover;
pub mod health;
pub mod ids;
pub mod runbook;
pub mod time;

// Modules are declared in alphabetical order within each block.
pub mod admin;
pub mod answer;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod hook;
pub mod probe;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod zone;
