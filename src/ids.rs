//! **Pure.** What things are called: pools, servers, services, operations, and the numbers
//! that only go forward.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// What operators call a service: `xmpp-federation`.
    ServiceName
);
name!(
    /// What operators call an edge pool: `edgepool1`.
    PoolName
);
name!(
    /// An edge server's host name, the target of its SRV records: absolute, in lower case, with
    /// the final dot (`edge1.contoso.test.`). `config` admits no other form.
    ServerName
);

/// One address of one server: what is looked at, and what is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The server.
    pub server: ServerName,
    /// One of its addresses.
    pub address: IpAddr,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.server, self.address)
    }
}

/// Which of its pool's probes: the index into [`crate::failover::Pool::detection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProbeIndex(pub u16);

/// One failover or failback. Unique for the life of the state directory.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op-{}", self.0)
    }
}

/// The number of a snapshot. It grows by one with every swap and never goes back, across
/// restarts as well.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The serial number of a zone (RFC 1035 section 3.3.13), compared as RFC 1982 says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Serial(pub u32);

impl Serial {
    /// Whether `self` is newer than `other`: RFC 1982 section 3.2 with `SERIAL_BITS` 32. Two
    /// serials exactly 2³¹ apart are unordered; for those the answer is `false` both ways.
    #[must_use]
    pub fn is_newer_than(self, other: Serial) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }

    /// The serial `by` steps on. `by` is below 2³¹ (RFC 1982 section 3.1).
    #[must_use]
    pub fn plus(self, by: u32) -> Serial {
        debug_assert!(
            by < 1 << 31,
            "RFC 1982 section 3.1 allows additions below 2^31"
        );
        Serial(self.0.wrapping_add(by))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_compare_around_the_wrap() {
        assert!(Serial(1).is_newer_than(Serial(0)));
        assert!(Serial(0).is_newer_than(Serial(u32::MAX)));
        assert!(!Serial(u32::MAX).is_newer_than(Serial(0)));
        assert!(!Serial(7).is_newer_than(Serial(7)));
        assert!(
            !Serial(0).is_newer_than(Serial(1 << 31)) && !Serial(1 << 31).is_newer_than(Serial(0))
        );
        assert_eq!(Serial(u32::MAX).plus(2), Serial(1));
    }
}
