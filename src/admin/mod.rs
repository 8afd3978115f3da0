//! **IO.** The control socket: how people and programs on this machine ask the daemon what it
//! does and why, and tell it what to do.
//!
//! One connection carries one question: a line of JSON there ([`Request`]), a line of JSON back
//! ([`Response`]). The socket file has mode 0660: whoever may write to it may command the
//! daemon, so its directory and group are the access control.
//!
//! Reading order: [`request`] (what is asked), [`protocol`] (how it travels), [`status`],
//! [`explain`], [`orders`], [`past`] and [`plan`] (what is answered), [`socket`] (the daemon's side), [`client`] (the
//! other side), [`text`] (answers as people read them).
//!
//! A new verb is a variant of [`Request`] and its word in `VERBS`, a variant of [`Answer`] with a
//! type of its own, an arm in `daemon/control.rs`, a page in [`text`], and a command: its arguments
//! in a file below `cli/args`, its doing in `cli`.

pub mod client;
pub mod explain;
pub mod limits;
pub mod orders;
pub mod past;
pub mod peer;
pub mod plan;
pub mod protocol;
pub mod request;
pub mod socket;
pub mod status;
pub mod text;

pub use client::{ClientError, ask};
pub use explain::{Explain, ExplainedPool};
pub use orders::{Claim, InForce, Moving, Ordered, Said};
pub use past::{Past, Shown};
pub use peer::Peer;
pub use plan::Plan;
pub use protocol::{Answer, Response};
pub use request::Request;
pub use socket::{Control, ControlSocket, SocketError, serve};
pub use status::Status;
