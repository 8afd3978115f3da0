//! What was asked outside, and what came back.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::health::Verdict;
use crate::inquiry::{Failure, Reply};
use crate::time::Wall;
use crate::zone::Name;

/// Everything that was asked.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// When.
    pub now: Wall,
    /// The zones of the service.
    pub zones: Vec<ZoneEvidence>,
    /// What resolvers say of the service's sets.
    pub resolvers: Vec<ResolverEvidence>,
    /// The targets that the zones name.
    pub targets: Vec<TargetEvidence>,
}

/// One zone.
#[derive(Clone, Debug)]
pub struct ZoneEvidence {
    /// Its origin.
    pub origin: Name,
    /// Who delegates it; why that is not known.
    pub parent: Result<Parent, Failure>,
    /// Every name server that the parent or the zone itself names.
    pub servers: Vec<NameserverEvidence>,
}

/// The parent of a zone.
#[derive(Clone, Debug)]
pub struct Parent {
    /// Its origin.
    pub origin: Name,
    /// Each address of each of its servers.
    pub servers: Vec<ParentEvidence>,
}

/// What one server of the parent says.
#[derive(Clone, Debug)]
pub struct ParentEvidence {
    /// The server.
    pub server: Name,
    /// Its address.
    pub address: SocketAddr,
    /// What it says of the zone.
    pub said: Result<Delegation, Failure>,
}

/// A referral.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delegation {
    /// The name servers, sorted; none if it does not delegate the zone.
    pub servers: Vec<Name>,
    /// Their addresses, as far as it gives them.
    pub glue: BTreeMap<Name, Vec<IpAddr>>,
    /// Whether it answered with authority: it serves the zone itself.
    pub authoritative: bool,
    /// What it said if it is neither, in a word: `NXDOMAIN`, `REFUSED`.
    pub otherwise: Option<String>,
}

/// One name server of a zone.
#[derive(Clone, Debug)]
pub struct NameserverEvidence {
    /// Its name.
    pub name: Name,
    /// Whether the parent names it.
    pub delegated: bool,
    /// Whether the zone names it.
    pub listed: bool,
    /// Its addresses, as partners find them; why they are not known.
    pub found: Result<Vec<IpAddr>, Failure>,
    /// What it says at each of them.
    pub addresses: Vec<AddressEvidence>,
}

/// One address of a name server.
#[derive(Clone, Debug)]
pub struct AddressEvidence {
    /// The address.
    pub address: SocketAddr,
    /// Its SOA over UDP.
    pub udp: Result<Reply, Failure>,
    /// Its SOA over TCP.
    pub tcp: Result<Reply, Failure>,
    /// What it says of each set of the service, by owner and type; over TCP if UDP has no room.
    pub sets: Vec<(Name, u16, Result<Reply, Failure>)>,
    /// What it says of the names between the zone and the sets.
    pub between: Vec<(Name, Result<Reply, Failure>)>,
}

/// What one resolver says.
#[derive(Clone, Debug)]
pub struct ResolverEvidence {
    /// Which: its address, or `the root`.
    pub resolver: String,
    /// What it says of each set, by owner and type.
    pub sets: Vec<(Name, u16, Result<Reply, Failure>)>,
}

/// One SRV target.
#[derive(Clone, Debug)]
pub struct TargetEvidence {
    /// Its name.
    pub name: Name,
    /// Its addresses, as a partner finds them.
    pub found: Result<Vec<IpAddr>, Failure>,
    /// What it is an alias of, if it is one.
    pub alias: Option<Name>,
    /// The looks at it.
    pub looks: Vec<TargetLook>,
}

/// One look at one address of a target.
#[derive(Clone, Debug)]
pub struct TargetLook {
    /// Where.
    pub address: SocketAddr,
    /// What kind: `xmpp-tls`.
    pub kind: &'static str,
    /// The federated domain.
    pub domain: Option<String>,
    /// What was seen; why nothing could be looked at.
    pub verdict: Result<Verdict, String>,
    /// When the certificate ends.
    pub certificate_ends: Option<Wall>,
    /// How long the look took.
    pub took_ms: u64,
}
