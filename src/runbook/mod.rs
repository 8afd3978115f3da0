//! **Pure.** The runbook of one failover: its [`Plan`], and what is known of each task.

mod plan;

pub use plan::{Act, AfterCrash, Command, Condition, Each, Plan, Step};
