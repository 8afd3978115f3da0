//! **Pure.** Which pool is first, why, and what to do about it.

mod hook_call;
mod policy;
mod ranking;

pub use hook_call::{HookCall, HookEnd, HookOutcome, ProcessGroup};
pub use policy::{Detection, Failback, OnHalt, Policy, Pool, Server, Service, Standby, TtlRange};
pub use ranking::{Publication, RankedPool, RankedServer, Ranking};
