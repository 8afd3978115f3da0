//! **IO.** Telling secondaries that a zone has changed (RFC 1996).
//!
//! One task sends and listens; the `Ledger` in it, which knows no socket and is told the time,
//! says who is told what and when again. Whoever swaps the snapshot only wakes the task: it looks
//! for itself at the serials that are served now, so that many swaps in a row are one message
//! and no failover ever waits for it.
//!
//! What is in flight has a bound: one message per zone and target, and so many targets as the
//! configuration names.

mod ledger;
mod message;
mod task;

pub use ledger::TargetState;
pub use task::Notifier;
