//! What response rate limiting does, as it leaves the process.

use serde::{Deserialize, Serialize};

use crate::time::Wall;

/// Responses over the limit of their network since the start, and who is over it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStatus {
    /// By class, those of which there were some.
    pub classes: Vec<ClassLimited>,
    /// Networks that are over the limit, some of them if there are many.
    pub networks: Vec<NetworkLimited>,
}

/// Responses of one class that were over the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassLimited {
    /// `answer`, `nodata`, `nxdomain`, `referral` or `error`.
    pub class: String,
    /// All of them, those too that were only counted.
    pub limited: u64,
    /// In their place went the way to TCP, or an error as short.
    pub slipped: u64,
    /// Nothing was sent.
    pub dropped: u64,
}

/// A network that is over the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkLimited {
    /// As in `192.0.2.0/24`.
    pub network: String,
    /// Of which class it gets too many.
    pub class: String,
    /// Since when.
    pub since: Wall,
}
