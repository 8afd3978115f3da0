//! Who is at the other end of the control socket, as the kernel knows it.

use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

/// An account whose name cannot be had in this time is told by its number: a directory service
/// that hangs must not hold up a failover.
const LOOKUP_MAX: Duration = Duration::from_secs(1);

/// The user at the other end of a connection (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    uid: Option<u32>,
}

impl Peer {
    /// The peer of this connection.
    #[must_use]
    pub fn of(stream: &UnixStream) -> Peer {
        let uid = stream.peer_cred().ok().map(|cred| cred.uid());
        Peer { uid }
    }

    /// The name of its account as `lookup` finds it, else `uid 1000`.
    pub async fn user<L: Future<Output = Option<String>>>(
        self,
        lookup: impl FnOnce(u32) -> L,
    ) -> String {
        let Some(uid) = self.uid else {
            return "an unknown user".to_owned();
        };
        match timeout(LOOKUP_MAX, lookup(uid)).await {
            Ok(Some(name)) => name,
            Ok(None) | Err(_) => format!("uid {uid}"),
        }
    }
}
