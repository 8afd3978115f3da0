//! Orders of operators: who gives them, and what comes back.

use serde::{Deserialize, Serialize};

use crate::failover::{Override, Subject};
use crate::ids::{OperationId, PoolName, ServiceName};
use crate::time::Wall;

/// The longest name of an author, and the longest reason, in octets.
pub const CLAIM_MAX: usize = 500;

/// Who says that he gives an order, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who; absent: the user at the other end of the socket. The daemon writes that user's name
    /// beside another one.
    #[serde(default)]
    pub author: Option<String>,
    /// Why. Needed for what lasts: an override, and a failover, which holds back failback.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Claim {
    /// Who gave the order: the one who is claimed, and the account where it is another.
    #[must_use]
    pub fn author(&self, user: &str) -> String {
        match self.author.as_deref() {
            Some(author) if author != user => format!("{author} (as {user})"),
            Some(_) | None => user.to_owned(),
        }
    }

    /// What is wrong with it, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let fields = [("author", &self.author), ("reason", &self.reason)];
        fields.into_iter().find_map(|(field, text)| {
            let text = text.as_deref()?;
            if text.trim().is_empty() {
                return Some(format!("the {field} is empty: say it, or leave it out"));
            }
            if text.len() > CLAIM_MAX {
                return Some(format!("the {field} is longer than {CLAIM_MAX} octets"));
            }
            let tame = !text.chars().any(char::is_control);
            (!tame).then(|| format!("the {field} holds a control character: one line of text"))
        })
    }
}

/// An order that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// What was done, a sentence each.
    pub done: Vec<String>,
    /// What whoever ordered it should know, a sentence each.
    pub warnings: Vec<String>,
    /// The services that move because of it, now or when they can.
    pub moving: Vec<Moving>,
}

/// A service that moves because of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// The service.
    pub service: ServiceName,
    /// The pool that it leaves.
    pub from: PoolName,
    /// The pool that it was told to go to. Absent: any other will do.
    pub to: Option<PoolName>,
    /// The operation; absent while it has to wait for something.
    pub operation: Option<OperationId>,
}

/// The overrides in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// When this was true.
    pub now: Wall,
    /// Each of them, the oldest first.
    pub overrides: Vec<Said>,
}

/// One override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// What: `drain-pool`, `drain-server`, `pin`, `freeze`.
    pub what: String,
    /// The pool, server or service that it is about.
    pub subject: String,
    /// The pool of a pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Who said it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub since: Wall,
    /// When it ends by itself.
    pub expires: Option<Wall>,
}

impl Said {
    /// An override as it is told.
    #[must_use]
    pub fn new(said: &Override) -> Said {
        let (what, subject) = match &said.subject {
            Subject::DrainPool(pool) => ("drain-pool", pool.to_string()),
            Subject::DrainServer(server) => ("drain-server", server.to_string()),
            Subject::Pin(service) => ("pin", service.to_string()),
            Subject::Freeze(service) => ("freeze", service.to_string()),
        };
        Said {
            what: what.to_owned(),
            subject,
            pool: said.pool.as_ref().map(ToString::to_string),
            author: said.author.clone(),
            reason: said.reason.clone(),
            since: said.since,
            expires: said.expires,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_to_be_somebody_else_can_be_seen() {
        let author = |name: Option<&str>| {
            let author = name.map(str::to_owned);
            Claim {
                author,
                reason: None,
            }
            .author("root")
        };
        assert_eq!(author(None), "root");
        assert_eq!(author(Some("root")), "root");
        assert_eq!(author(Some("alice")), "alice (as root)");
    }

    #[test]
    fn a_claim_is_one_line_of_bounded_length() {
        let fault = |reason: &str| {
            Claim {
                author: None,
                reason: Some(reason.to_owned()),
            }
            .fault()
        };
        assert_eq!(fault("new disks"), None);
        assert!(fault(" ").unwrap().contains("empty"));
        assert!(fault(&"x".repeat(501)).unwrap().contains("longer than 500"));
        assert!(fault("a\x1b[2J").unwrap().contains("control character"));
    }
}
