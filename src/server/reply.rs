//! One message to its response: signatures around the answer engine (RFC 8945), and the one
//! transfer that fits into a datagram (RFC 1995 section 2).

use super::counters::Tally;
use super::seen::Asked;
use crate::answer::{Asker, Standing, Transport, is_notify, respond_within, take_notify};
use crate::history::Difference;
use crate::snapshot::{ServedZone, Snapshot};
use crate::transfer::{
    Kind, Plan, TransferRequest, admit, plan, question_type, write, write_error,
};
use crate::tsig::{Request, read_request};
use crate::zone::rdata::rtype;
use crate::zone::{Name, skip_name};

const HEADER: usize = 12;
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
    let is_response = message.get(2).is_none_or(|flags| flags & 0x80 != 0);
    let exchange = Exchange {
        snapshot,
        asker,
        tally,
    };
    if is_response {
        return respond_within(snapshot, message, asker, 0, out);
    }
    match read_request(message, snapshot.keys(), asker.now) {
        Request::Plain => exchange.answer(message, None, less, out),
        Request::Rejected(rejection) => {
            rejection.write(message, asker.now, out);
            Some(Standing::Unknown)
        }
        Request::Signed(mut signed) => {
            let (key, room) = (signed.signer.key().name().clone(), signed.signer.room());
            exchange.answer(&signed.message, Some(&key), room + less, out)?;
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
        match question_type(message) {
            Some(rtype::IXFR) if self.asker.transport == Transport::Udp => {
                self.changes(message, key, room, out);
                return Some(Standing::Unknown);
            }
            Some(rtype::SOA) if self.snapshot.has_targets() => self.note_soa(message),
            _ => {}
        }
        respond_within(self.snapshot, message, self.asker, room, out)
    }

    fn note_soa(&self, message: &[u8]) {
        let qname = skip_name(message, HEADER).and_then(|end| message.get(HEADER..end));
        if let Some(Ok(name)) = qname.map(Name::from_wire)
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
