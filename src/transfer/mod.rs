//! **Pure.** Zones for secondaries: AXFR (RFC 5936) and IXFR (RFC 1995).
//!
//! [`TransferRequest::read`] reads a request, [`plan()`] decides what is sent, [`write()`] hands out the
//! messages one by one. Whoever sends them decides how fast: nothing is made before it is asked
//! for, and one transfer sees one snapshot.
//!
//! | what stands | what is sent |
//! | --- | --- |
//! | not our zone | NOTAUTH |
//! | no permit of the zone admits the client | REFUSED |
//! | no primary has given us the zone, or it has expired | SERVFAIL |
//! | IXFR, and the client has our serial or a newer one | our SOA |
//! | IXFR, and the history reaches its serial, and that is the shorter way | the changes since, as one |
//! | any other IXFR, AXFR | the whole zone |
//! | IXFR over UDP, and the changes do not fit | our SOA: the client comes back over TCP |
//!
//! Names are compressed where they stand octet for octet (RFC 5936 section 3.4), so that a
//! secondary gets our spelling.

mod pack;
mod plan;
mod request;

pub use pack::{Stopped, write, write_error};
pub use plan::{Denial, Plan, admit, is_small, plan};
pub use request::{Kind, TransferRequest, is_request};

#[cfg(test)]
mod tests;
