//! **Pure.** What happened, as it is kept: every change of what the looks saw, every order, every
//! decision and its reason, every operation.
//!
//! | file | what |
//! | --- | --- |
//! | `entry` | one thing that happened, as it is kept and as people read it |
//! | `runs` | looks that saw the same, counted: what makes an entry of a change |
//! | `recorder` | the engine's inputs to entries |

mod entry;
mod recorder;
mod runs;

pub use entry::{Checkpoint, Entry, HookRun, Pace, Record};
pub use recorder::Recorder;
pub use runs::{EndedRun, Run, Runs, Saw, Watched};
