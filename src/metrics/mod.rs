//! **IO.** What the daemon does, as numbers: a page that Prometheus reads.
//!
//! `catalogue` lists every metric; `sight` is what the daemon knows at one moment, and how it
//! becomes a [`page`]; `endpoint` serves it over HTTP. Nothing is gathered for it between two
//! readings but counts: those of the hot path live in [`crate::server`], a set for each thread.
//!
//! Labels are what the configuration names, or words of this program. Nothing that a stranger
//! sends becomes one.

mod catalogue;
mod endpoint;
mod moves;
mod page;
mod sight;

pub use catalogue::{CATALOGUE, Family, Kind};
pub use endpoint::{Endpoint, EndpointError, Source};
pub use moves::{Moves, Visits};
pub use page::Format;
pub use sight::{Probed, Sight};
