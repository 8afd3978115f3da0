//! **Pure.** Zones that are kept elsewhere: this server is a secondary for them.
//!
//! | file | what |
//! | --- | --- |
//! | `follow`, `timers` | when a primary is asked, how long the zone is good: [`Secondary`] |
//! | `primary` | where a zone comes from |
//! | `message` | queries, and responses as records |
//! | `stream` | AXFR and IXFR, message by message: [`Reception`] |
//! | `held` | the version that we hold, what changes make of it, what services take from it |
//! | `image` | that version as octets for the disk |
//!
//! Invariants: a transfer that is cut, malformed or no zone changes nothing; no SOA, however
//! hostile, makes us ask without pause; the deadline of a zone never moves without a good answer.

mod error;
mod follow;
mod held;
mod image;
mod message;
mod primary;
mod stream;
mod timers;

pub use error::TransferError;
pub use follow::{Action, Event, Memory, Outcome, Secondary, Told, Trouble};
pub use held::{Held, Owned, Owner};
pub use image::{Header, ImageError, read as read_image, write as write_image};
pub use message::{Response, query};
pub use primary::{Primary, PrimaryTls};
pub use stream::{Brought, Change, Limits, Reception, read_soa};
pub use timers::Timers;
