//! Answers as people read them: what is wrong first, then what is served, then what was seen.

mod bar;
mod explain;
mod limits;
mod orders;
mod past;
mod plan;
mod receivers;
mod secondaries;
mod status;
mod style;
mod transferred;

pub use bar::{bar, drain, progress};
pub use explain::explain;
pub use orders::{ordered, overrides};
pub use past::{history, shown};
pub use plan::{outline, plan};
pub use status::{status, task, task_label};
pub use style::{Paint, duration, tame};
