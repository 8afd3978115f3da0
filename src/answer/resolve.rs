//! The algorithm of RFC 1034 section 4.3.2, as states.
//!
//! | state | it means | what follows |
//! | --- | --- | --- |
//! | `Follow` | look for this name | any other |
//! | `Hit` | the data is in the answer section | additional addresses |
//! | `NoData` | the name exists, the type does not | SOA in authority |
//! | `Miss` | the name does not exist | NXDOMAIN, SOA in authority |
//! | `Delegation` | a zone cut stands at or above the name | NS in authority, glue |
//! | `Outside` | an alias led out of our zones | what we have so far |
//! | `Refused` | the query is not for us | REFUSED |
//! | `Absent` | the zone is ours, its data has not come or has expired | SERVFAIL |
//! | `Failed` | a synthesised name is too long | YXDOMAIN |

use std::borrow::Cow;

use super::edns::ExtendedError;
use super::query::Query;
use super::row::Row;
use super::{additional, chaos};
use crate::ids::Serial;
use crate::snapshot::{Place, ServedZone, Snapshot};
use crate::zone::rdata::rtype;
use crate::zone::{Absence, Key, Name, Node, Rrset, is_below};

/// An answer has at most so many aliases; a longer chain ends where it is, and the resolver goes on
/// (RFC 1034 section 5.3.3). It is what Knot gives: with more, a small question with a false sender
/// would get more octets of us than of it.
const MAX_LINKS: usize = 5;
const CLASS_IN: u16 = 1;
const CLASS_CH: u16 = 3;

/// The RCODE of a response (IANA "DNS RCODEs").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rcode {
    /// NOERROR.
    NoError,
    /// FORMERR.
    FormatError,
    /// SERVFAIL.
    ServerFailure,
    /// NXDOMAIN.
    NameError,
    /// NOTIMP.
    NotImplemented,
    /// REFUSED.
    Refused,
    /// NOTAUTH: not a zone that we are told of (RFC 1996, RFC 2136 section 2.2).
    NotAuth,
    /// YXDOMAIN: a name that DNAME makes is too long (RFC 6672 section 2.2).
    NameTooLong,
    /// BADVERS (RFC 6891 section 6.1.3).
    BadVersion,
    /// BADCOOKIE (RFC 7873 section 5.2.3).
    BadCookie,
}

impl Rcode {
    /// The number; its upper eight bits travel in OPT.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Rcode::NoError => 0,
            Rcode::FormatError => 1,
            Rcode::ServerFailure => 2,
            Rcode::NameError => 3,
            Rcode::NotImplemented => 4,
            Rcode::Refused => 5,
            Rcode::NameTooLong => 6,
            Rcode::NotAuth => 9,
            Rcode::BadVersion => 16,
            Rcode::BadCookie => 23,
        }
    }
}

/// What is to be said, before it is written.
#[derive(Clone, Debug)]
pub struct Answer<'s> {
    /// The RCODE.
    pub rcode: Rcode,
    /// AA: the first owner of the answer section, or what is missing, is in our authority.
    pub authoritative: bool,
    /// TC, whatever fits: the client is to ask again over a stream.
    pub over_stream: bool,
    /// How many octets at the end of the question's name other names may be compressed against:
    /// those of the owner that it was answered with, which all who get the same answer share.
    pub base: usize,
    /// Why, for those who read it.
    pub extended: Option<ExtendedError>,
    /// The answer section.
    pub answer: Row<Entry<'s>, 4>,
    /// The authority section.
    pub authority: Row<Entry<'s>, 1>,
    /// The additional section without OPT.
    pub additional: Row<Entry<'s>, 8>,
}

/// One RRset of a section.
#[derive(Clone, Debug)]
pub struct Entry<'s> {
    /// The owner.
    pub owner: Owner<'s>,
    /// The type.
    pub rtype: u16,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The RDATA of each record, as [`Rrset::from_packed`] takes it.
    pub packed: Cow<'s, [u8]>,
    /// In an SOA, what goes out in place of the serial of the file.
    pub serial: Option<Serial>,
    /// Whether the response is cut short (TC) if this does not fit.
    pub required: bool,
}

/// The owner of an RRset.
#[derive(Clone, Debug)]
pub enum Owner<'s> {
    /// The name in the question.
    Question,
    /// A name of the snapshot, in wire format.
    Stored(&'s [u8]),
    /// A name that was made on the way, of a DNAME.
    Made(Name),
}

impl<'s> Answer<'s> {
    /// Nothing but an RCODE.
    #[must_use]
    pub fn empty(rcode: Rcode) -> Answer<'s> {
        Answer {
            rcode,
            authoritative: false,
            over_stream: false,
            base: usize::MAX,
            extended: None,
            answer: Row::new(),
            authority: Row::new(),
            additional: Row::new(),
        }
    }

    /// The same, with a reason.
    pub(super) fn because(self, why: ExtendedError) -> Answer<'s> {
        Answer {
            extended: Some(why),
            ..self
        }
    }
}

impl Owner<'_> {
    /// The name in wire format.
    pub(super) fn wire<'a>(&'a self, qname: &'a [u8]) -> &'a [u8] {
        match self {
            Owner::Question => qname,
            Owner::Stored(wire) => wire,
            Owner::Made(name) => name.wire(),
        }
    }
}

impl<'s> Entry<'s> {
    /// A stored RRset under some owner.
    pub(super) fn new(owner: Owner<'s>, rrset: Rrset<'s>) -> Entry<'s> {
        Entry {
            owner,
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            packed: Cow::Borrowed(rrset.packed()),
            serial: None,
            required: true,
        }
    }

    /// The same in a zone, which has a serial.
    fn of(zone: ServedZone<'s>, owner: Owner<'s>, rrset: Rrset<'s>) -> Entry<'s> {
        Entry {
            serial: (rrset.rtype == rtype::SOA).then(|| zone.serial()),
            ..Entry::new(owner, rrset)
        }
    }
}

enum State<'s> {
    Follow(Owner<'s>),
    Hit,
    NoData(ServedZone<'s>, Place<'s>),
    Miss(ServedZone<'s>, Place<'s>),
    Delegation(ServedZone<'s>, Node<'s>),
    Outside,
    Refused,
    Absent(Absence),
    Failed,
}

/// The answer to a query that reads well.
#[must_use]
pub fn answer<'s>(snapshot: &'s Snapshot, query: &Query<'_>) -> Answer<'s> {
    let sorry = |rcode, why| Answer::empty(rcode).because(why);
    match (query.qclass, query.qtype) {
        (CLASS_IN, rtype::OPT) => return Answer::empty(Rcode::FormatError),
        (CLASS_IN, rtype::TKEY | rtype::TSIG | rtype::MAILA | rtype::MAILB) => {
            return sorry(Rcode::NotImplemented, ExtendedError::NotSupported);
        }
        (CLASS_IN, rtype::AXFR | rtype::IXFR) => {
            return sorry(Rcode::Refused, ExtendedError::Prohibited);
        }
        (CLASS_IN, _) => {}
        (CLASS_CH, _) => return chaos::answer(snapshot.settings(), query),
        _ => return sorry(Rcode::Refused, ExtendedError::NotSupported),
    }
    let mut resolver = Resolver {
        snapshot,
        qname: query.qname,
        qtype: query.qtype,
        links: Row::new(),
        answer: Answer::empty(Rcode::NoError),
    };
    let mut state = State::Follow(Owner::Question);
    while let State::Follow(owner) = state {
        state = resolver.step(owner);
    }
    resolver.conclude(&state);
    additional::add_addresses(snapshot, &mut resolver.answer);
    resolver.answer
}

struct Resolver<'s, 'q> {
    snapshot: &'s Snapshot,
    qname: &'q [u8],
    qtype: u16,
    /// The names that aliases led through.
    links: Row<Owner<'s>, 4>,
    answer: Answer<'s>,
}

impl<'s> Resolver<'s, '_> {
    /// RFC 1034 section 4.3.2 steps 2 and 3 for one name of the chain.
    fn step(&mut self, owner: Owner<'s>) -> State<'s> {
        let key = Key::of_wire(owner.wire(self.qname));
        let Some(zone) = self.zone_for(&key) else {
            return if self.answer.answer.is_empty() {
                State::Refused
            } else {
                State::Outside
            };
        };
        if let Some(absence) = zone.zone().absence() {
            // Behind an alias, whoever asked goes on by itself and meets the failure there.
            return if self.answer.answer.is_empty() {
                State::Absent(absence)
            } else {
                State::Outside
            };
        }
        if self.answer.answer.is_empty() {
            self.answer.authoritative = true;
        }
        let place = zone.find(&key);
        if let Some(boundary) = place.boundary {
            let is_here = boundary.owner().len() == key.wire().len();
            let is_cut = zone.is_cut(&boundary);
            if is_cut && !(is_here && self.qtype == rtype::DS) {
                return State::Delegation(zone, boundary);
            }
            if !is_cut && !is_here {
                return self.follow_dname(owner, boundary);
            }
        }
        if place.exact {
            if key.wire().starts_with(b"\x01*") {
                // As for the names that are made of it.
                self.share(&owner, key.suffix(place.encloser.saturating_sub(1)).len());
            }
            return self.name_found(owner, zone, place);
        }
        // RFC 4592 section 3.3: the source of synthesis is `*` right below the encloser.
        if place.has_wildcard() {
            let source = zone.find(&key.child_of_suffix(place.encloser, b"*"));
            if source.exact {
                self.share(&owner, key.suffix(place.encloser).len());
                return self.name_found(owner, zone, source);
            }
        }
        State::Miss(zone, place)
    }

    /// Lets names be compressed against so much of the question's, if that is what `owner` is.
    fn share(&mut self, owner: &Owner<'_>, octets: usize) {
        if matches!(owner, Owner::Question) {
            self.answer.base = octets;
        }
    }

    /// The zone for a name. The DS of an apex lives on the parent's side of the cut (RFC 4035
    /// section 3.1.4.1), so the parent answers if we have it.
    fn zone_for(&self, key: &Key) -> Option<ServedZone<'s>> {
        let zone = self.snapshot.zone_of(key)?;
        if self.qtype == rtype::DS && zone.apex().len() == key.wire().len() {
            return self.snapshot.zone_above(zone).or(Some(zone));
        }
        Some(zone)
    }

    /// Step 3a, and 3c for a wildcard: the name exists, what of it was asked?
    fn name_found(
        &mut self,
        owner: Owner<'s>,
        zone: ServedZone<'s>,
        place: Place<'s>,
    ) -> State<'s> {
        let rrset = match self.qtype {
            rtype::ANY => place.any_rrset(),
            // Only a parent has a DS to give, whatever stands at an apex (RFC 4035 section 2.4).
            rtype::DS if place.is_apex_of(zone) => None,
            asked => place.rrset(asked),
        };
        if let Some(rrset) = rrset {
            self.add(Entry::of(zone, owner, rrset));
            return State::Hit;
        }
        match place.rrset(rtype::CNAME) {
            Some(_) if self.links.len() >= MAX_LINKS => State::Outside,
            Some(alias) => {
                self.answer.answer.push(Entry::new(owner, alias));
                match alias.records().next() {
                    Some(target) => self.follow(Owner::Stored(target)),
                    None => State::Outside,
                }
            }
            None => State::NoData(zone, place),
        }
    }

    /// Adds an RRset to the answer section, unless a chain that came by here before has added it
    /// (RFC 2181 section 5: a set has no duplicates).
    fn add(&mut self, new: Entry<'s>) {
        let is_here = |entry: &Entry<'_>| {
            let (one, other) = (entry.owner.wire(self.qname), new.owner.wire(self.qname));
            entry.rtype == new.rtype && one.eq_ignore_ascii_case(other)
        };
        if !self.answer.answer.iter().any(is_here) {
            self.answer.answer.push(new);
        }
    }

    /// Goes on with the target of an alias, unless the chain is closed.
    fn follow(&mut self, target: Owner<'s>) -> State<'s> {
        let is_it = |name: &[u8]| target.wire(&[]).eq_ignore_ascii_case(name);
        let seen = is_it(self.qname) || self.links.iter().any(|link| is_it(link.wire(&[])));
        if seen {
            return State::Outside;
        }
        self.links.push(target.clone());
        State::Follow(target)
    }

    /// RFC 6672 section 3.2: the DNAME, a CNAME made of it, and on with its target.
    fn follow_dname(&mut self, owner: Owner<'s>, at: Node<'s>) -> State<'s> {
        let dname = at.rrset(rtype::DNAME);
        let Some(dname) = dname.filter(|_| self.links.len() < MAX_LINKS) else {
            return State::Outside;
        };
        let name = owner.wire(self.qname);
        let prefix = name.len().saturating_sub(at.owner().len());
        let mut target = name.get(..prefix).unwrap_or(&[]).to_vec();
        target.extend_from_slice(dname.records().next().unwrap_or(&[]));
        self.add(Entry::new(Owner::Stored(at.owner()), dname));
        let Ok(target) = Name::from_wire(&target) else {
            return State::Failed;
        };
        // Then the chain grows without end.
        let mut targets = dname.records();
        let leads_below_itself = targets.next().is_some_and(|to| is_below(to, at.owner()));
        let mut packed = Vec::new();
        crate::zone::pack(target.wire(), &mut packed);
        self.answer.answer.push(Entry {
            owner,
            rtype: rtype::CNAME,
            ttl: dname.ttl,
            packed: Cow::Owned(packed),
            serial: None,
            required: true,
        });
        // Asked for the CNAME itself, the one just made is the answer.
        if self.qtype == rtype::CNAME || self.qtype == rtype::ANY {
            State::Hit
        } else if leads_below_itself {
            State::Outside
        } else {
            self.follow(Owner::Made(target))
        }
    }

    /// Steps 4 to 6: what the last state means for the whole answer.
    fn conclude(&mut self, state: &State<'s>) {
        match state {
            State::Follow(_) | State::Hit | State::Outside => {}
            State::NoData(zone, place) => self.deny(*zone, place),
            State::Miss(zone, place) => {
                // Also at the end of an alias chain (RFC 6604 section 3).
                self.answer.rcode = Rcode::NameError;
                self.deny(*zone, place);
            }
            State::Delegation(zone, cut) => {
                if self.answer.answer.is_empty() {
                    self.answer.authoritative = false;
                    self.answer.base = cut.owner().len();
                }
                if let Some(servers) = cut.rrset(rtype::NS) {
                    let owner = Owner::Stored(cut.owner());
                    self.answer.authority.push(Entry::new(owner, servers));
                    additional::add_glue(self.snapshot, *zone, *cut, &mut self.answer);
                }
            }
            State::Refused => {
                self.answer.rcode = Rcode::Refused;
                self.answer.extended = Some(ExtendedError::NotAuthoritative);
            }
            State::Absent(absence) => {
                self.answer.rcode = Rcode::ServerFailure;
                self.answer.extended = Some(match absence {
                    Absence::NotYet => ExtendedError::NotReady,
                    Absence::Expired => ExtendedError::InvalidData,
                });
            }
            State::Failed => self.answer.rcode = Rcode::NameTooLong,
        }
    }

    /// The SOA that says how long the absence may be kept (RFC 2308 section 3).
    fn deny(&mut self, zone: ServedZone<'s>, place: &Place<'s>) {
        if self.answer.answer.is_empty() {
            self.answer.base = zone.apex().len();
        }
        if let Some(soa) = zone.soa() {
            let mut entry = Entry::of(zone, Owner::Stored(zone.apex()), soa);
            entry.ttl = zone.negative_ttl(place);
            self.answer.authority.push(entry);
        }
    }
}
