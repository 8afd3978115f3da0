//! **IO.** The daemon: the sole owner of the engine, and of what it commands.
//!
//! One task, [`core::Core`], owns the engine, the store and the snapshot. Everything else
//! (probes, hooks, the control socket, signals) sends it messages over bounded channels, and it
//! takes them one by one: message → [`Engine::handle`] → actions, in order. What is to be
//! durable is committed before the action behind it is carried out.
//!
//! [`Engine::handle`]: crate::failover::Engine::handle

mod alerts;
mod certificate;
mod confine;
mod control;
mod core;
mod disk;
mod dnstap;
mod error;
mod explain;
mod followers;
mod ground;
mod histories;
mod history_total;
mod hooks;
mod keeper;
mod limits;
mod logging;
mod measures;
mod orders;
mod past;
mod plan;
mod publisher;
mod pulse;
mod reload;
mod retired;
mod scribe;
mod secondaries;
mod silence;
mod start;
mod status;
mod trial;
mod zone_status;

pub use error::DaemonError;
pub use plan::outlines;
pub use start::{Options, Prepared, Ready, Source, prepare, run};
