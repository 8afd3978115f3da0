//! **Pure.** What daemon and starter say to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Grows with every change of what stands below.
pub(super) const PROTOCOL: u32 = 1;

/// What the starter may do, and as whom. It is told once, before the daemon gives up its rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The hook runner: program and arguments.
    pub runner: Vec<String>,
    /// What the runner is told first, a line.
    pub greeting: String,
    /// The programs that may be begun, with their arguments. `None`: any.
    pub programs: Option<BTreeSet<Vec<String>>>,
    /// As whom; `None`: as whoever it was begun by.
    pub identity: Option<Identity>,
}

/// A user with all that comes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
    /// Where it is at home.
    pub home: PathBuf,
}

/// What is begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The hook runner. Its standard input and output are pipes.
    Runner,
    /// A program that looks at a server. Its output streams go into one pipe.
    Look {
        /// Program and arguments.
        words: Vec<String>,
        /// Its environment beside `PATH`.
        environment: BTreeMap<String, String>,
    },
    /// A program that tells somebody. Its standard input is a pipe.
    Alert {
        /// Program and arguments.
        words: Vec<String>,
        /// Its environment beside `PATH`.
        environment: BTreeMap<String, String>,
    },
}

/// All that the starter is given, as a line on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// [`PROTOCOL`] of the daemon.
    pub(super) protocol: u32,
    pub(super) charge: Charge,
}

/// From the daemon, a packet each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Request {
    Begin { id: u64, what: What },
    Kill { id: u64 },
    Addresses { id: u64, host: String },
    Account { id: u64, uid: u32 },
}

/// From the starter, a packet each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// It has taken its charge.
    Ready,
    /// It cannot, and says why.
    Unfit(String),
    /// With the pipes that the daemon gets: first the one to write to, then the one to read from.
    Begun {
        id: u64,
        writes: bool,
        reads: bool,
    },
    /// It is not begun.
    Refused {
        id: u64,
        why: String,
    },
    /// Its end, as `wait(2)` tells it.
    Ended {
        id: u64,
        status: i32,
    },
    Addresses {
        id: u64,
        found: Result<Vec<IpAddr>, String>,
    },
    Account {
        id: u64,
        name: Option<String>,
    },
}
