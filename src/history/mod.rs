//! **Pure.** What changed in a zone from one serial to the next, and the last of these changes:
//! what incremental transfers are made of (RFC 1995).
//!
//! A zone has two layers, static data and what is laid over it, and so has a [`Layers`].
//! [`Layers::changes_since`] compares two of them; static data that is the same object is not
//! looked at, so a failover costs as much as what it moves. A [`Difference`] is records in wire
//! format, with the two SOA in front, as RFC 1995 section 4 sends them; a [`History`] is a chain of
//! them with bounds, and [`History::since`] folds what follows a serial into one.
//!
//! Invariant: in a history each difference begins at the serial at which the one before it ends.

mod chain;
mod delta;
mod difference;

pub use chain::{History, MOST_DIFFERENCES, MOST_OCTETS};
pub use delta::{FixedChanges, Layers};
pub use difference::{Difference, Digest, WireRecord, WireRecords, digest, write_record};

#[cfg(test)]
mod tests;
