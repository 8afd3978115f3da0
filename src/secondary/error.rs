//! Why a visit to a primary brought nothing.

use crate::ids::{Serial, ServiceName};
use crate::zone::{Fault, Name};

/// What was wrong with a response, a stream of responses, or the zone that it makes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// A message that is no DNS message, or not the one we wait for.
    #[error("a response cannot be used: {0}; is this a DNS server, and the right one?")]
    Malformed(&'static str),
    /// The primary says an error.
    #[error("it answers {code}{remedy}", code = rcode(*.0), remedy = remedy(*.0))]
    Refused(u8),
    /// Not authoritative.
    #[error(
        "it is not authoritative for the zone, a primary is (RFC 5936 section 2.2.1), load the \
         zone there or correct 'primary'"
    )]
    NotAuthoritative,
    /// One record is wrong.
    #[error("record '{owner} {kind}': {message}")]
    Record {
        /// Its owner.
        owner: Name,
        /// Its type.
        kind: String,
        /// What is wrong, the rule, the remedy.
        message: &'static str,
    },
    /// The records make no zone.
    #[error("record {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; record "))]
    NoZone {
        /// Why not; at least one.
        faults: Vec<Fault>,
    },
    /// The records do not stand in the order of a transfer.
    #[error("the transfer cannot be used: {0} (RFC 5936 section 2.2, RFC 1995 section 4)")]
    Sequence(&'static str),
    /// The increments do not fit what we have.
    #[error(
        "the changes from serial {from} do not fit the zone that we hold: '{owner} {kind}' is to \
         go and is not there; the whole zone is asked for"
    )]
    NotThere {
        /// The serial that they start from.
        from: Serial,
        /// The owner of the record.
        owner: Name,
        /// Its type.
        kind: String,
    },
    /// The changes start elsewhere.
    #[error("the changes begin at serial {from}, we hold {held}; the whole zone is asked for")]
    OtherBase {
        /// Where they start.
        from: Serial,
        /// What we hold.
        held: Serial,
    },
    /// The zone hands off what a service is to answer.
    #[error(
        "'{owner}' of service '{service}' lies at or below a delegation or DNAME of the zone, it \
         would never be served (RFC 1034 section 4.2.1), remove that at the primary"
    )]
    HandedOff {
        /// The owner of the service's records.
        owner: Name,
        /// The service.
        service: ServiceName,
    },
    /// Too much.
    #[error("the transfer has more than {limit} {unit}, a zone is kept in memory, split it")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// The primary went back.
    #[error(
        "it has serial {theirs}, older than our {ours} (RFC 1982 section 3.2), raise its serial \
         above ours"
    )]
    Behind {
        /// The primary's.
        theirs: Serial,
        /// Ours.
        ours: Serial,
    },
}

impl TransferError {
    /// Whether the whole zone may be had where the changes were not.
    #[must_use]
    pub fn asks_for_the_whole(&self) -> bool {
        match self {
            TransferError::Sequence(_)
            | TransferError::NotThere { .. }
            | TransferError::OtherBase { .. }
            | TransferError::NoZone { .. } => true,
            // FORMERR, SERVFAIL and NOTIMP are what servers without IXFR answer.
            TransferError::Refused(code) => [1, 2, 4].contains(code),
            TransferError::Malformed(_)
            | TransferError::NotAuthoritative
            | TransferError::HandedOff { .. }
            | TransferError::Record { .. }
            | TransferError::TooLarge { .. }
            | TransferError::Behind { .. } => false,
        }
    }
}

/// The code as people write it (IANA "DNS RCODEs").
fn rcode(code: u8) -> String {
    domain::base::iana::Rcode::masked_from_int(code).to_string()
}

fn remedy(code: u8) -> &'static str {
    match code {
        5 => ": allow transfers to our address there, with the key if one is configured",
        9 => ": load the zone there, or check the key",
        _ => "",
    }
}
