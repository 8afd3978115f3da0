//! Why a set of records must not be published.

use crate::ids::{ServerName, ServiceName};
use crate::zone::Name;
use crate::zone::rdata::type_name;

/// One reason not to publish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardViolation {
    /// Nothing would be left of a set.
    #[error(
        "service '{service}': '{owner}' would have no record, a published set is never empty, \
         list a server with an address"
    )]
    EmptySet {
        /// The service.
        service: ServiceName,
        /// The owner of the set.
        owner: Name,
    },
    /// A listed server has no address although its name is ours.
    #[error(
        "service '{service}': target '{server}' lies in our zones and has no address, partners \
         need one (RFC 2782), give it addresses"
    )]
    TargetWithoutAddress {
        /// The service.
        service: ServiceName,
        /// The server.
        server: ServerName,
    },
    /// A listed server is an alias in our zones.
    #[error(
        "service '{service}': target '{server}' is an alias in our zones, a target must not be \
         one (RFC 2782), remove the CNAME"
    )]
    TargetIsAlias {
        /// The service.
        service: ServiceName,
        /// The server.
        server: ServerName,
    },
    /// Port 0.
    #[error("service '{service}': '{owner}' has port 0, no one connects to it, set the port")]
    PortZero {
        /// The service.
        service: ServiceName,
        /// The owner of the SRV set.
        owner: Name,
    },
    /// The owner lies in no zone.
    #[error(
        "service '{service}': '{owner}' lies in no loaded zone, a service's records are served \
         inside a zone, load it or correct the name"
    )]
    OutsideZones {
        /// The service.
        service: ServiceName,
        /// The owner.
        owner: Name,
    },
    /// The owner lies where the zone hands off.
    #[error(
        "service '{service}': '{owner}' lies at or below a delegation or DNAME of its zone, it \
         would never be served (RFC 1034 section 4.2.1, RFC 6672 section 2.4), remove that"
    )]
    BelowBoundary {
        /// The service.
        service: ServiceName,
        /// The owner.
        owner: Name,
    },
    /// The zone file has what a service or server owns.
    #[error(
        "'{owner}' has a static {}, which {by} owns, one name and type has one source, remove it \
         from the zone file",
        type_name(*rtype)
    )]
    StaticConflict {
        /// The owner.
        owner: Name,
        /// The type of the static record: what is owned, or CNAME. With the owner, the key of
        /// [`crate::zone::ZoneFile::position`].
        rtype: u16,
        /// Who owns it: `service 'xmpp'` or `server 'edge1.test.'`.
        by: String,
    },
    /// Two own the same.
    #[error(
        "'{owner}' {} is owned by {first} and {second}, it has one owner, remove one",
        type_name(*rtype)
    )]
    OwnedTwice {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: u16,
        /// One of the two.
        first: String,
        /// The other.
        second: String,
    },
    /// A server's name is not a name.
    #[error("server '{server}': {reason}")]
    BadServerName {
        /// The server.
        server: ServerName,
        /// Why not.
        reason: String,
    },
    /// Two zones have the same origin.
    #[error("zone '{origin}' is loaded twice, an origin has one zone, remove one")]
    ZoneTwice {
        /// The origin.
        origin: Name,
    },
    /// A zone that cannot be served.
    #[error("zone '{origin}': {reason}")]
    BadZone {
        /// The origin.
        origin: Name,
        /// Why not.
        reason: String,
    },
}
