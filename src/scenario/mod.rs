//! **Pure.** A night as text, and what would have happened in it: the `.scenario` format, which a
//! person reads and writes, and its replay through the real engine in virtual time.
//!
//! | file | what |
//! | --- | --- |
//! | `model` | what a scenario says |
//! | `words` | a line to words with places; times and durations |
//! | `parse`, `head`, `terms`, `timed` | text to a scenario, or all that is wrong with it |
//! | `write` | a scenario to text, that reads as the same scenario |
//! | `export` | what was kept of a night to a scenario |
//! | `sights` | what looks see, and when they are taken |
//! | `replay`, `check` | what happens, and whether it is what was expected |
//!
//! docs/scenario.md is the reference of the format.

mod check;
mod export;
mod head;
mod model;
mod parse;
mod replay;
mod sights;
mod terms;
mod timed;
mod words;
mod write;

pub use export::export;
pub use model::{
    Expectation, Happening, HookLine, Looks, Place, Scenario, Settings, Standing, Targets, Timed,
};
pub use parse::{Faults, parse};
pub use replay::{Moved, Replay, ReplayError, Unmet, replay};
pub use words::{Fault, show_span, span};
pub use write::write;
