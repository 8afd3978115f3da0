//! **IO.** Asks DNS servers, as a partner's resolver would.
//!
//! | file | what |
//! | --- | --- |
//! | `exchange` | one question to one server: UDP from a fresh port with a random id, TCP |
//! | `resolver` | questions to the world: through a resolver, or by ourselves from the root |
//! | `system` | which resolvers the system uses |
//!
//! Invariants: every question has a deadline; so many are under way at a time, and no more; an
//! answer counts only if it comes from the server asked, has the id and the question.

mod exchange;
mod resolver;
mod system;

pub use resolver::{Addresses, Delegator, ROOT_HINTS, Resolver};
pub use system::{SystemError, resolvers};

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::inquiry::Reply;

/// How long servers are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For each attempt over UDP.
    pub udp: Duration,
    /// Attempts over UDP. At least 1.
    pub attempts: u32,
    /// For a whole exchange over TCP, the connection included.
    pub tcp: Duration,
}

impl Default for Patience {
    /// 1.5 s twice, and 4 s.
    fn default() -> Self {
        Patience {
            udp: Duration::from_millis(1500),
            attempts: 2,
            tcp: Duration::from_secs(4),
        }
    }
}

/// What a server said, and how long that took.
#[derive(Clone, Debug)]
pub struct Said {
    /// The response.
    pub reply: Reply,
    /// From the last attempt to the response.
    pub took: Duration,
}

/// Asks, so many questions at a time. Clones share the bound.
#[derive(Clone, Debug)]
pub struct Lookup {
    patience: Patience,
    turns: Arc<Semaphore>,
}

impl Lookup {
    /// Questions with this patience, `at_once` of them at a time (1 at least).
    #[must_use]
    pub fn new(patience: Patience, at_once: usize) -> Lookup {
        Lookup {
            patience,
            turns: Arc::new(Semaphore::new(at_once.max(1))),
        }
    }
}
