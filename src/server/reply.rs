//! One message to its response: signatures around the answer engine (RFC 8945), and the one
//! transfer that fits into a datagram (RFC 1995 section 2).

use super::counters::Tally;
use super::seen::Asked;
use crate::answer::{
    Asker, Query, Refusal, Standing, Transport, is_notify, read, respond_to, take_notify,
};
use crate::history::Difference;
use crate::snapshot::{ServedZone, Snapshot};
use crate::transfer::{Kind, Plan, TransferRequest, admit, plan, write, write_error};
use crate::tsig::{Request, read_request};
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// Over UDP, changes that take so many times what fits are not put together.
const HOPELESS: usize = 4;

/// Fills `out` with the response to a message, with `less` octets less than the client takes.
/// `None` if none is to be sent.
pub(super) fn reply(
    snapshot: &Snapshot,
    message: &[u8],
    asker: &Asker,
    less: usize,
    tally: &Tally,
    out: &mut Vec<u8>,
) -> Option<Standing> {
    out.clear();
    // A response gets none, whatever its signature.
    let read = read(message)?;
    let exchange = Exchange {
        snapshot,
        asker,
        tally,
    };
    // Only what read well is known to have no signature.
    let is_plain = read.is_ok_and(|query| !query.has_tsig);
    let request = match is_plain {
        true => Request::Plain,
        false => read_request(message, snapshot.keys(), asker.now),
    };
    match request {
        Request::Plain => exchange.answer(message, &read, None, less, out),
        Request::Rejected(rejection) => {
            rejection.write(message, asker.now, out);
            Some(Standing::Unknown)
        }
        Request::Signed(mut signed) => {
            let (key, room) = (signed.signer.key().name().clone(), signed.signer.room());
            let message = &signed.message;
            let read = self::read(message)?;
            exchange.answer(message, &read, Some(&key), room + less, out)?;
            signed.signer.sign(out, asker.now);
            // Whoever has the key is asked for nothing else.
            Some(Standing::Proven)
        }
    }
}

struct Exchange<'a> {
    snapshot: &'a Snapshot,
    asker: &'a Asker,
    tally: &'a Tally,
}

impl Exchange<'_> {
    /// The response to a message without its signature, with `room` octets left for one.
    fn answer(
        &self,
        message: &[u8],
        read: &Result<Query<'_>, Refusal<'_>>,
        key: Option<&Name>,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Option<Standing> {
        if is_notify(message) {
            let notice = take_notify(self.snapshot, message, self.asker, key, out);
            if let Some(notice) = notice {
                self.tally.notices.put(notice);
            }
            return (!out.is_empty()).then_some(Standing::Unknown);
        }
        let query = read.as_ref().unwrap_or_else(|refusal| &refusal.query);
        match query.qtype {
            _ if query.opcode() != 0 => {}
            rtype::IXFR if self.asker.transport == Transport::Udp => {
                self.changes(message, key, room, out);
                return Some(Standing::Unknown);
            }
            rtype::SOA if self.snapshot.has_targets() => self.note_soa(query.qname),
            _ => {}
        }
        Some(respond_to(self.snapshot, read, self.asker, room, out))
    }

    fn note_soa(&self, qname: &[u8]) {
        if let Ok(name) = Name::from_wire(qname)
            && let Some(zone) = self.snapshot.zone(&name)
        {
            let Asker { client, now, .. } = *self.asker;
            self.tally.seen.note(zone, client, Asked::Soa, now);
        }
    }

    /// IXFR over UDP: the changes if they fit, else our SOA, upon which the client comes back
    /// over TCP.
    fn changes(&self, message: &[u8], key: Option<&Name>, room: usize, out: &mut Vec<u8>) {
        let request = match TransferRequest::read(message) {
            Ok(request) => request,
            Err(rcode) => return write_error(message, Err(rcode), false, out),
        };
        let zone = match admit(self.snapshot, &request, self.asker.client, key) {
            Ok(zone) => zone,
            Err(denial) => {
                let edns = request.udp_payload().is_some();
                return write_error(message, Ok(denial), edns, out);
            }
        };
        let Asker { client, now, .. } = *self.asker;
        self.tally.seen.note(zone, client, Asked::Changes, now);
        let ours = self.snapshot.settings().udp_payload;
        let limit = Transport::Udp.limit(request.udp_payload(), ours);
        let mut put = |plan: &Plan| {
            write(zone, &request, plan, room, Some(limit), &mut |message| {
                std::mem::swap(out, message);
                true
            })
        };
        if let Some(changes) = changes_within(zone, &request, limit)
            && put(&Plan::Incremental(changes)).is_ok()
        {
            return;
        }
        // One SOA fits: its names have 255 octets at most each.
        let _ = put(&Plan::Current);
    }
}

/// The changes that a client lacks, if there is a chance that they fit into `limit` octets.
fn changes_within(
    zone: ServedZone<'_>,
    request: &TransferRequest<'_>,
    limit: usize,
) -> Option<Difference> {
    let Kind::Since(serial) = request.kind else {
        return None;
    };
    let size = zone.replication().history.size_since(serial)?;
    if size > HOPELESS * limit {
        return None;
    }
    match plan(zone, request) {
        Plan::Incremental(changes) => Some(changes),
        Plan::Current | Plan::Full => None,
    }
}
