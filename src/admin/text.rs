//! Answers as people read them: what is wrong first, then what is served, then what was seen.

mod explain;
mod secondaries;
mod status;
mod style;
mod transferred;

pub use explain::explain;
pub use status::status;
pub use style::{Paint, duration, tame};
