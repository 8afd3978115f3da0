//! What can be asked over the control socket: one form per verb.

use serde::{Deserialize, Serialize};

use super::orders::Claim;
use crate::ids::{Generation, OperationId, PoolName, ServiceName};
use crate::time::Wall;

/// What can be asked.
///
/// Every order carries `by`: who says it, and why (see [`Claim`]); `for_s` is after how many
/// seconds it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Everything that the daemon knows, as [`super::Status`].
    Status,
    /// Why the pools of a service stand in this order, as [`super::Explain`].
    Explain {
        /// The service.
        service: ServiceName,
    },
    /// What partners should see of a service, as [`crate::verify::Expected`].
    Published {
        /// The service.
        service: ServiceName,
    },
    /// Read the configuration and the zones again: all of it, or nothing.
    Reload,
    /// One service, as in [`super::Status`]: for who follows an operation.
    Service {
        /// The service.
        service: ServiceName,
    },
    /// The overrides in force.
    Overrides,
    /// What happened, as [`super::Past`], the latest last.
    History {
        /// Only what concerns this service.
        #[serde(default)]
        service: Option<ServiceName>,
        /// Only from then on.
        #[serde(default)]
        since: Option<Wall>,
        /// So many entries at the most, the latest; [`super::past::ENTRIES_MAX`] at the most.
        #[serde(default)]
        limit: Option<usize>,
        /// Every change of what the looks saw as well, and every word of an operation.
        #[serde(default)]
        all: bool,
    },
    /// One operation, as [`super::Shown`].
    Show {
        /// Its number.
        operation: OperationId,
    },
    /// What happened since then, as the text of a scenario.
    Night {
        /// From when on.
        since: Wall,
    },
    /// What orders would do, each when what follows from the one before it is over, as a list of
    /// [`super::Plan`].
    Plan {
        /// The orders: [`super::plan::ORDERS_MAX`] at the most.
        orders: Vec<Request>,
    },
    /// The levels of the log: change them, if there is a change, and say which are in force.
    Log {
        /// What is other than at the start: `debug`, `probe=debug,hook=warn`; `reset` for nothing.
        #[serde(default)]
        set: Option<String>,
        /// When it ends by itself.
        #[serde(default)]
        for_s: Option<u64>,
    },
    /// Copies of queries and answers: switch them, if there is a word, and say what became of them.
    Dnstap {
        /// Whether they are written from here on.
        #[serde(default)]
        on: Option<bool>,
    },
    /// Move a service to another pool; automatic failback waits for [`Request::Failback`].
    Failover {
        /// The service.
        service: ServiceName,
        /// The new pool. Absent: the best of the others.
        #[serde(default)]
        to: Option<PoolName>,
        /// Whether to go to a pool of which nothing is known, or that is active for another service.
        #[serde(default)]
        force: bool,
        /// Whether not to wait until the old answer has left the caches.
        #[serde(default)]
        now: bool,
        /// Whether to refuse if another generation is served by now: what was planned may be void.
        #[serde(default)]
        if_generation: Option<Generation>,
        /// Who, and why.
        by: Claim,
    },
    /// Move a service to its most preferred pool that can serve.
    Failback {
        /// The service.
        service: ServiceName,
        /// As for [`Request::Failover`].
        #[serde(default)]
        force: bool,
        /// As for [`Request::Failover`].
        #[serde(default)]
        now: bool,
        /// Who, and why.
        by: Claim,
    },
    /// Take a pool or a server out of service.
    Drain {
        /// The name of the pool or the server.
        what: String,
        /// When it ends by itself.
        #[serde(default)]
        for_s: Option<u64>,
        /// Whether it may leave a service without a pool that serves, or its active pool too few
        /// servers.
        #[serde(default)]
        force: bool,
        /// As for [`Request::Failover`].
        #[serde(default)]
        now: bool,
        /// Who, and why.
        by: Claim,
    },
    /// Take a drain back.
    Undrain {
        /// The name of the pool or the server.
        what: String,
        /// Who, and why.
        by: Claim,
    },
    /// Keep a service at a pool, whatever health says.
    Pin {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
        /// When it ends by itself.
        #[serde(default)]
        for_s: Option<u64>,
        /// As for [`Request::Failover`].
        #[serde(default)]
        now: bool,
        /// Who, and why.
        by: Claim,
    },
    /// Take a pin back.
    Unpin {
        /// The service.
        service: ServiceName,
        /// Who, and why.
        by: Claim,
    },
    /// Let a service not move; an operation under way waits before its next step.
    Freeze {
        /// The service.
        service: ServiceName,
        /// When it ends by itself.
        #[serde(default)]
        for_s: Option<u64>,
        /// Who, and why.
        by: Claim,
    },
    /// Take a freeze back.
    Thaw {
        /// The service.
        service: ServiceName,
        /// Who, and why.
        by: Claim,
    },
    /// Let a move begin that waits for a word, or for caches.
    Approve {
        /// The service, or the number of the operation that it would become: `op-7`.
        what: String,
        /// Who, and why.
        by: Claim,
    },
    /// Take such a move back.
    Reject {
        /// The service, or the number of the operation that it would become: `op-7`.
        what: String,
        /// Who, and why.
        by: Claim,
    },
    /// Run again what an operation stands at, and go on.
    Retry {
        /// The service.
        service: ServiceName,
        /// Who, and why.
        by: Claim,
    },
    /// Take what an operation stands at as done, and go on.
    Skip {
        /// The service.
        service: ServiceName,
        /// The name of the step.
        step: String,
        /// The server, if only one of the step's is meant.
        #[serde(default)]
        server: Option<String>,
        /// Who, and why.
        by: Claim,
    },
    /// Take back what an operation has done, whether it stands or is under way.
    Abort {
        /// The service.
        service: ServiceName,
        /// Who, and why.
        by: Claim,
    },
    /// Close an operation that stands as it is, and let the service decide by itself again.
    Resume {
        /// The service.
        service: ServiceName,
        /// Who, and why.
        by: Claim,
    },
    /// Make a pool a target again after a runbook towards it has halted.
    Readmit {
        /// The service.
        service: ServiceName,
        /// The pool.
        pool: PoolName,
        /// Who, and why.
        by: Claim,
    },
}

impl Request {
    /// The verbs, as error messages list them.
    pub const VERBS: &'static [&'static str] = &[
        "status",
        "explain",
        "published",
        "reload",
        "service",
        "overrides",
        "history",
        "show",
        "night",
        "plan",
        "log",
        "dnstap",
        "failover",
        "failback",
        "drain",
        "undrain",
        "pin",
        "unpin",
        "freeze",
        "thaw",
        "approve",
        "reject",
        "retry",
        "skip",
        "abort",
        "resume",
        "readmit",
    ];
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{decode_request, encode};
    use super::*;

    #[test]
    fn every_verb_survives_the_wire_and_is_listed() {
        let service: ServiceName = "xmpp-federation".into();
        let by = || r#""by":{"author":"ann","reason":"new disks"}"#;
        let lines = [
            r#""status""#.to_owned(),
            format!(r#""explain","service":"{service}""#),
            format!(r#""published","service":"{service}""#),
            r#""reload""#.to_owned(),
            format!(r#""service","service":"{service}""#),
            r#""overrides""#.to_owned(),
            format!(r#""history","service":"{service}","since":1,"limit":9,"all":true"#),
            r#""show","operation":7"#.to_owned(),
            r#""night","since":1"#.to_owned(),
            format!(
                r#""plan","orders":[{{"request":"failover","service":"{service}",{}}}]"#,
                by()
            ),
            r#""log","set":"probe=debug","for_s":600"#.to_owned(),
            r#""dnstap","on":true"#.to_owned(),
            format!(r#""failover","service":"{service}","to":"p2",{}"#, by()),
            format!(r#""failback","service":"{service}",{}"#, by()),
            format!(r#""drain","what":"p1","for_s":7200,{}"#, by()),
            format!(r#""undrain","what":"p1",{}"#, by()),
            format!(r#""pin","service":"{service}","pool":"p1",{}"#, by()),
            format!(r#""unpin","service":"{service}",{}"#, by()),
            format!(r#""freeze","service":"{service}",{}"#, by()),
            format!(r#""thaw","service":"{service}",{}"#, by()),
            format!(r#""approve","what":"op-7",{}"#, by()),
            format!(r#""reject","what":"op-7",{}"#, by()),
            format!(r#""retry","service":"{service}",{}"#, by()),
            format!(r#""skip","service":"{service}","step":"route",{}"#, by()),
            format!(r#""abort","service":"{service}",{}"#, by()),
            format!(r#""resume","service":"{service}",{}"#, by()),
            format!(r#""readmit","service":"{service}","pool":"p1",{}"#, by()),
        ];
        assert_eq!(lines.len(), Request::VERBS.len());
        for (line, verb) in lines.iter().zip(Request::VERBS) {
            assert!(line.starts_with(&format!("\"{verb}\"")), "{line}");
            let line = format!("{{\"version\":1,\"request\":{line}}}\n");
            let request = decode_request(line.as_bytes()).unwrap();
            let line = encode(&request).unwrap();
            assert_eq!(line.iter().filter(|octet| **octet == b'\n').count(), 1);
            assert_eq!(decode_request(&line).unwrap(), request);
        }
    }
}
