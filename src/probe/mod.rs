//! **IO.** Looks at the edge servers, and says what it saw.

mod spec;

pub use spec::{Assignment, Kind, ProbeSpec, Roots};
