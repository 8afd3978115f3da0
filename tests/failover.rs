//! Failover in virtual time: the truth table, all small inputs, and a seeded simulation of
//! crashes. Nothing here opens a socket or waits.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "failover/at_work.rs"]
mod at_work;
#[path = "failover/caches.rs"]
mod caches;
#[path = "failover/dice.rs"]
mod dice;
#[path = "failover/exhaustive.rs"]
mod exhaustive;
#[path = "failover/given.rs"]
mod given;
#[path = "failover/handling.rs"]
mod handling;
#[path = "failover/key.rs"]
mod key;
#[path = "failover/lives.rs"]
mod lives;
#[path = "failover/oracle.rs"]
mod oracle;
#[path = "failover/plans.rs"]
mod plans;
#[path = "failover/records.rs"]
mod records;
#[path = "failover/rehearsals.rs"]
mod rehearsals;
#[path = "failover/scenarios.rs"]
mod scenarios;
#[path = "failover/serials.rs"]
mod serials;
#[path = "failover/simulation.rs"]
mod simulation;
#[path = "failover/steps.rs"]
mod steps;
#[path = "failover/truth_table.rs"]
mod truth_table;
#[path = "failover/truth_table_modes.rs"]
mod truth_table_modes;
#[path = "failover/truth_table_operators.rs"]
mod truth_table_operators;
#[path = "failover/truth_table_servers.rs"]
mod truth_table_servers;
#[path = "failover/world.rs"]
mod world;
