//! **Pure.** The runbook of one failover: its [`Plan`], and what is known of each task.

mod operation;
mod plan;
mod task;

pub use operation::{NextTask, Operation, Phase};
pub use plan::{
    Act, AfterCrash, Call, Command, Condition, Each, LONGEST_PAUSE, OnFailure, PARALLEL, Pause,
    Plan, Retries, Side, Step, Word, Work,
};
pub use task::{Impossible, Task, TaskEvent, TaskStatus};
