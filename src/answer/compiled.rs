//! Answers written out before anybody asks, and the few that are as good as that.
//!
//! [`compile`] lets the engine answer once for many, and keeps what it wrote behind the question;
//! [`write()`] puts that behind the question of whoever asks. It is the shorter way through the
//! same algorithm, and takes it only where nothing is to be decided: a name that is there or is
//! not, in a zone with data, without an alias on the way. All else, and whatever does not fit the
//! client, it leaves to `resolve` and `encode`.
//!
//! Invariants: what it writes is what they would write, octet for octet; it takes nothing from
//! the heap.

use super::edns::Opt;
use super::encode::{Flags, TO_QUESTION, begin, header, sections};
use super::query::Query;
use super::resolve::{Answer, Rcode, answer};
use crate::snapshot::{Asked, Body, Fixed, FixedDraft, ServedZone, Snapshot};
use crate::zone::rdata::{host, layout, rtype};
use crate::zone::{Key, Node, Rrset};

const CLASS_IN: u16 = 1;
/// The static data of all zones is compiled up to so many octets.
const MOST_FIXED: usize = 16 << 20;
/// More SRV records than that are not compiled.
const MOST_HOSTS: u16 = 32;
/// No body is longer: no client takes more over UDP without fragments.
const LONGEST: usize = 4096;

/// Fills `out` with the response, if it takes no more than putting together what is there. False
/// if not; `out` then has anything.
pub(super) fn write(
    snapshot: &Snapshot,
    query: &Query<'_>,
    opt: Option<&Opt<'_>>,
    limit: usize,
    out: &mut Vec<u8>,
) -> bool {
    if query.qclass != CLASS_IN || is_particular(query.qtype) {
        return false;
    }
    let key = query.key();
    let Some(zone) = snapshot.zone_of(&key) else {
        return false;
    };
    if zone.zone().absence().is_some() {
        return false;
    }
    begin(query, out);
    let Some((rcode, authoritative, mut counts)) = behind_question(zone, &key, query, out) else {
        return false;
    };
    if out.len() + opt.map_or(0, Opt::len) > limit {
        return false;
    }
    if let Some(opt) = opt {
        opt.write(rcode, None, limit, out);
        counts[2] += 1;
    }
    let flags = Flags {
        rcode,
        authoritative,
        truncated: false,
    };
    header(query, flags, counts, out);
    true
}

/// Types that mean something else than an RRset at a name, or one of another zone.
fn is_particular(qtype: u16) -> bool {
    matches!(
        qtype,
        rtype::OPT | rtype::DS | rtype::CNAME | rtype::DNAME | rtype::TKEY..=rtype::ANY
    )
}

/// Appends what follows the question: RCODE, AA, and the records of each section.
fn behind_question(
    zone: ServedZone<'_>,
    key: &Key,
    query: &Query<'_>,
    out: &mut Vec<u8>,
) -> Option<(Rcode, bool, [u16; 3])> {
    let put = |body: &Body<'_>, out: &mut Vec<u8>| body.write(key.wire().len(), zone.serial(), out);
    let mut place = zone.find(key);
    if let Some(boundary) = place.boundary {
        let body = zone.body(&boundary, Asked::Referral)?;
        put(&body, out);
        return Some((Rcode::NoError, body.authoritative, body.counts));
    }
    let mut rcode = Rcode::NoError;
    if !place.exact {
        let source = place.has_wildcard();
        let source = source.then(|| zone.find(&key.child_of_suffix(place.encloser, b"*")));
        match source.filter(|source| source.exact) {
            Some(source) => place = source,
            None => rcode = Rcode::NameError,
        }
    }
    if rcode == Rcode::NoError {
        if let Some(body) = place.body(zone, query.qtype) {
            put(&body, out);
            return Some((rcode, body.authoritative, body.counts));
        }
        if let Some(rrset) = place.rrset(query.qtype) {
            return Some((rcode, true, [plain(rrset, out)?, 0, 0]));
        }
        if place.rrset(rtype::CNAME).is_some() {
            return None;
        }
    }
    let body = zone.negative_body()?;
    let soa = put(&body, out);
    // Before the TTL stand the owner, which is a pointer unless it is the root, type and class.
    let ttl_at = soa + if zone.apex().len() == 1 { 1 } else { 2 } + 4;
    let ttl = zone.negative_ttl(&place).to_be_bytes();
    out.get_mut(ttl_at..ttl_at + 4)?.copy_from_slice(&ttl);
    Some((rcode, true, body.counts))
}

/// Appends the records of an RRset with no names in them; `None` if it may have some.
fn plain(rrset: Rrset<'_>, out: &mut Vec<u8>) -> Option<u16> {
    if layout(rrset.rtype).is_some() {
        return None;
    }
    let mut count = 0;
    for rdata in rrset.records() {
        let length = u16::try_from(rdata.len()).ok()?;
        let [t0, t1] = rrset.rtype.to_be_bytes();
        let [c0, c1] = CLASS_IN.to_be_bytes();
        let [a, b, c, d] = rrset.ttl.to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        let [to, question] = TO_QUESTION;
        out.extend_from_slice(&[to, question, t0, t1, c0, c1, a, b, c, d, l0, l1]);
        out.extend_from_slice(rdata);
        count += 1;
    }
    Some(count)
}

/// Compiles what `snapshot` has not compiled yet: after a move only what it moved.
pub fn compile(snapshot: &mut Snapshot) {
    if !snapshot.has_fixed() {
        let fixed = compile_fixed(snapshot);
        snapshot.set_fixed(fixed);
    }
    for (number, owner) in snapshot.to_compile() {
        let written = write_out(snapshot, owner.wire(), rtype::SRV);
        // So few hosts that all of them are pointed at, whatever the question is.
        if let Some(written) = written.filter(|it| it.counts[0] <= MOST_HOSTS) {
            snapshot.set_body(number, &written.body());
        }
    }
}

fn compile_fixed(snapshot: &Snapshot) -> Fixed {
    let mut draft = FixedDraft::default();
    for zone in snapshot.zones() {
        // Of a type that is nowhere, so that the apex has none of it.
        let negative = write_out(snapshot, zone.apex(), NOWHERE);
        let negative = negative.as_ref().map(Written::body);
        let is_soa_alone = |body: &Body<'_>| body.counts == [0, 1, 0];
        draft.add_zone(negative.filter(is_soa_alone).as_ref());
        for node in zone.zone().tree().nodes() {
            if draft.size() > MOST_FIXED {
                break;
            }
            for (asked, rtype) in worth_writing(snapshot, zone, node) {
                if let Some(written) = write_out(snapshot, node.owner(), rtype) {
                    draft.add_node(zone.number(), node.index(), asked, &written.body());
                }
            }
        }
    }
    draft.finish()
}

/// A type that nobody has: reserved by IANA.
const NOWHERE: u16 = 65535;

/// What is compiled of a static node: RRsets with names in them, and a referral.
fn worth_writing<'s>(
    snapshot: &'s Snapshot,
    zone: ServedZone<'s>,
    node: Node<'s>,
) -> impl Iterator<Item = (Asked, u16)> + use<'s> {
    let asked = move |rrset: &Rrset<'_>| match node.boundary() {
        None if is_particular(rrset.rtype) => None,
        None => Asked::of(rrset.rtype),
        Some(cut) => {
            let is_cut = rrset.rtype == rtype::NS && cut.index() == node.index();
            (is_cut && zone.is_cut(&cut)).then_some(Asked::Referral)
        }
    };
    // What a generation gives of its own is not for all of them.
    let moves = |rrset: &Rrset<'_>| {
        let mut hosts = rrset.records().filter_map(|rdata| host(rrset.rtype, rdata));
        hosts.any(|host| {
            let key = Key::of_wire(host);
            let zone = snapshot.zone_of(&key);
            zone.is_some_and(|zone| zone.find(&key).is_owned())
        })
    };
    node.rrsets().filter_map(move |rrset| {
        let asked = asked(&rrset).filter(|_| !moves(&rrset))?;
        Some((asked, rrset.rtype))
    })
}

/// What the engine wrote behind a question.
struct Written {
    base: u8,
    authoritative: bool,
    counts: [u16; 3],
    serial_at: Option<u16>,
    moving: Vec<[u8; 2]>,
    octets: Vec<u8>,
}

impl Written {
    fn body(&self) -> Body<'_> {
        Body {
            base: self.base,
            authoritative: self.authoritative,
            counts: self.counts,
            serial_at: self.serial_at,
            moving: &self.moving,
            octets: &self.octets,
        }
    }
}

/// Lets the engine answer the question for `owner` and `rtype`.
fn write_out(snapshot: &Snapshot, owner: &[u8], rtype: u16) -> Option<Written> {
    let question = [owner, &rtype.to_be_bytes(), &CLASS_IN.to_be_bytes()].concat();
    let query = Query::of_question(&question, owner, rtype, CLASS_IN);
    let answer: Answer<'_> = answer(snapshot, &query);
    let (mut out, mut moving) = (Vec::new(), Vec::new());
    begin(&query, &mut out);
    let start = out.len();
    let room = usize::from(u16::MAX);
    let (counts, cut) = sections(&query, &answer, room, &mut out, Some(&mut moving));
    let is_plain = answer.rcode == Rcode::NoError && answer.extended.is_none();
    if cut || !is_plain || out.len() > LONGEST {
        return None;
    }
    let octets = out.split_off(start);
    let moving = moving.into_iter().map(|at| u16::try_from(at - start));
    let moving = moving.map(|at| at.map(u16::to_be_bytes));
    let soa = answer.answer.iter().chain(answer.authority.iter());
    let has_serial = soa.last().is_some_and(|entry| entry.serial.is_some());
    let serial_at = has_serial.then(|| octets.len().checked_sub(20)).flatten();
    Some(Written {
        base: u8::try_from(owner.len()).ok()?,
        authoritative: answer.authoritative,
        counts,
        serial_at: serial_at.and_then(|at| u16::try_from(at).ok()),
        moving: moving.collect::<Result<_, _>>().ok()?,
        octets,
    })
}
