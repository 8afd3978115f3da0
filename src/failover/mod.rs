//! **Pure.** Which pool is first, why, and what to do about it.

mod because;
mod decide;
mod decisions;
mod engine;
mod gates;
mod hook_call;
mod lifecycle;
mod memory;
mod operations;
mod order;
mod orders;
mod overrides;
mod policy;
mod proposal;
mod rank;
mod ranking;
mod rehearsal;
mod service_state;
mod standing;
mod tasks;
mod uplink;
mod verification;
mod view;
mod waiting;

pub use because::Because;
pub use decide::{Decision, Standing, decide};
pub use engine::{Action, Engine, Input};
pub use hook_call::{HookCall, HookEnd, HookOutcome, ProcessGroup};
pub use lifecycle::PolicyRefusal;
pub use memory::{Change, Event, Memory, Move, ServiceMemory};
pub use order::{By, Handling, Order, OrderRefusal, Which};
pub use overrides::{Override, Overrides, Subject};
pub use policy::{
    Detection, Failback, Mode, OnHalt, Policy, Pool, Server, Service, Standby, TtlRange,
};
pub use proposal::{OrderedMove, Proposal, Word};
pub use rank::{Beliefs, PoolBelief, ServerBelief, rank};
pub use ranking::{Publication, RankedPool, RankedServer, Ranking};
pub use rehearsal::{Happening, Part, Rehearsal};
pub use uplink::ReferenceLook;
pub use view::{EndpointView, PoolView, ProbeView, ServiceView};
