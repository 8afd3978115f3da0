//! **IO.** The control socket: how people and programs on this machine ask the daemon what it
//! does and why, and tell it what to do.
//!
//! One connection carries one question: a line of JSON there ([`Request`]), a line of JSON back
//! ([`Response`]). The socket file has mode 0660: whoever may write to it may command the
//! daemon, so its directory and group are the access control.
//!
//! Reading order: [`protocol`] (what is asked), [`status`] and [`explain`] (what is answered),
//! [`socket`] (the daemon's side), [`client`] (the other side), [`text`] (answers as people
//! read them).

pub mod client;
pub mod explain;
pub mod protocol;
pub mod socket;
pub mod status;
pub mod text;

pub use client::{ClientError, ask};
pub use explain::{Explain, ExplainedPool};
pub use protocol::{Answer, Request, Response};
pub use socket::{Control, ControlSocket, SocketError, serve};
pub use status::Status;
