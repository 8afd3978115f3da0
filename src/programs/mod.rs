//! **IO.** Begins programs: in this process, or through one that was there before the daemon gave
//! up its rights.
//!
//! ```text
//! daemon ──what to begin──▶ starter ──▶ hook runner, programs that look, programs of alerts
//!   ▲  (may start nothing)      │  (as the user of hooks)
//!   └──── pipes, their end ─────┘
//! ```
//!
//! The **starter** is a process of this program. It is given a [`Charge`] while the daemon is still
//! whole: what may be begun, and as whom. After that it takes no other word for it. So whoever
//! takes over the daemon can have nothing begun but what the configuration named at the start, and
//! cannot choose its arguments.
//!
//! It also asks the system for names of hosts and accounts, because the C library may load modules
//! and read whatever it likes for an answer.
//!
//! What it begins for the daemon ends with the daemon. Programs that look and those of alerts have
//! places of their own: neither takes those of the other, and hooks have theirs in their runner.

mod begun;
mod client;
mod own;
mod packets;
mod protocol;
mod starter;

pub use begun::Begun;
pub use client::Starter;
pub use protocol::{Charge, Identity, What};
pub use starter::main;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use client::Client;

/// Whoever begins programs for this process.
#[derive(Clone, Debug)]
pub enum Hands {
    /// The process itself.
    Own(Arc<Charge>),
    /// The starter.
    Starter(Client),
}

impl Default for Hands {
    /// This process itself, without a hook runner.
    fn default() -> Hands {
        Hands::own(Charge::default())
    }
}

impl Hands {
    /// This process itself, which begins whatever it is told.
    #[must_use]
    pub fn own(charge: Charge) -> Hands {
        Hands::Own(Arc::new(charge))
    }

    /// Begins `what`. Dropping what comes of it, or this future, ends it with its process group.
    ///
    /// # Errors
    /// It is not begun, and why.
    pub async fn begin(&self, what: What) -> io::Result<Begun> {
        match self {
            Hands::Own(charge) => own::begin(charge, &what).await?.watched(),
            Hands::Starter(client) => client.begin(what).await,
        }
    }

    /// The addresses of a host.
    ///
    /// # Errors
    /// The system's reason.
    pub async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Hands::Own(_) => own::addresses(host).await,
            Hands::Starter(client) => client.addresses(host).await,
        }
    }

    /// The name of an account, if it has one that can be had.
    pub async fn account(&self, uid: u32) -> Option<String> {
        match self {
            Hands::Own(_) => own::account(uid).await,
            Hands::Starter(client) => client.account(uid).await,
        }
    }

    /// Returns when nothing can be begun any more, with the reason. Never, if this process begins
    /// programs itself.
    pub async fn lost(&self) -> String {
        match self {
            Hands::Own(_) => std::future::pending().await,
            Hands::Starter(client) => client.lost().await,
        }
    }
}
