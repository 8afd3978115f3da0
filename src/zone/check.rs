//! What a zone must be beyond its text: one SOA, name servers, CNAMEs alone, equal TTLs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::error::{Position, ZoneError};
use super::name::Name;
use super::parse::{MAX_ERRORS, ZoneFile};
use super::rdata::{self, rtype, type_name};
use super::tree::{Node, Record};
use super::zone::Zone;

type Positions = HashMap<(Name, u16), Position>;

/// Checks the records of a zone, which read without or with `errors`, and builds it.
pub(super) fn check(
    origin: &Name,
    records: Vec<(Record, Position)>,
    errors: Vec<ZoneError>,
    start: &Position,
) -> Result<ZoneFile, Vec<ZoneError>> {
    let mut checker = Checker {
        origin,
        text_is_whole: errors.is_empty(),
        errors,
        warnings: Vec::new(),
        positions: HashMap::new(),
        kept: Vec::new(),
    };
    let mut owners: BTreeMap<Box<[u8]>, Vec<(Record, Position)>> = BTreeMap::new();
    for (record, position) in records {
        if record.owner.is_at_or_below(origin) {
            let key = record.owner.key();
            owners
                .entry(key.as_slice().into())
                .or_default()
                .push((record, position));
        } else {
            checker.errors.push(position.error(format!(
                "'{}' is outside the zone, a zone holds names at or below '{origin}', is a dot \
                 missing or one too many?",
                record.owner
            )));
        }
    }
    let apex = owners.get(origin.key().as_slice());
    checker.apex(apex.map_or(&[], Vec::as_slice), start);
    for here in owners.into_values() {
        checker.owner(here);
    }
    checker.finish(start)
}

struct Checker<'o> {
    origin: &'o Name,
    /// With errors in the text, what seems to be missing may only have been unreadable.
    text_is_whole: bool,
    errors: Vec<ZoneError>,
    warnings: Vec<ZoneError>,
    positions: Positions,
    kept: Vec<Record>,
}

impl Checker<'_> {
    fn apex(&mut self, here: &[(Record, Position)], start: &Position) {
        let mut soas = here.iter().filter(|(record, _)| record.rtype == rtype::SOA);
        let first = soas.next();
        if first.is_none() && self.text_is_whole {
            self.errors.push(start.error(format!(
                "'{}' has no SOA, a zone has exactly one at its apex (RFC 1035 section 5.2), add \
                 it",
                self.origin
            )));
        }
        for (_, position) in soas {
            self.errors.push(
                position.error(
                    "a second SOA, a zone has exactly one (RFC 1035 section 5.2), remove it",
                ),
            );
        }
        if self.text_is_whole && !here.iter().any(|(record, _)| record.rtype == rtype::NS) {
            let position = first.map_or(start, |(_, position)| position);
            self.errors.push(position.error(format!(
                "'{}' has no NS, a zone names its servers at its apex (RFC 1034 section 4.2.1), \
                 add them",
                self.origin
            )));
        }
    }

    /// Checks the records of one owner and keeps those that are to be served.
    fn owner(&mut self, here: Vec<(Record, Position)>) {
        let has = |rtype| here.iter().find(|(record, _)| record.rtype == rtype);
        if let Some((cname, _)) = has(rtype::CNAME) {
            let beside = here.iter().find(|(record, _)| {
                ![rtype::CNAME, rtype::RRSIG, rtype::NSEC].contains(&record.rtype)
            });
            if let Some((record, position)) = beside {
                self.errors.push(position.error(format!(
                    "'{}' has {} and CNAME, a CNAME stands alone (RFC 2181 section 10.1), remove \
                     one of them",
                    cname.owner,
                    type_name(record.rtype)
                )));
            }
        }
        if let Some((record, position)) = has(rtype::SOA)
            && record.owner != *self.origin
        {
            self.errors.push(position.error(format!(
                "SOA at '{}', it stands at the apex '{}' only (RFC 1035 section 5.2), remove it",
                record.owner, self.origin
            )));
        }
        let mut first: BTreeMap<u16, (u32, Position)> = BTreeMap::new();
        let mut seen: HashMap<(u16, Vec<u8>), ()> = HashMap::new();
        for (record, position) in here {
            let kind = type_name(record.rtype);
            let data = rdata::canonical(record.rtype, &record.rdata);
            if seen.insert((record.rtype, data), ()).is_some() {
                self.warnings.push(position.error(format!(
                    "the same {kind} of '{}' again, an RRset has no duplicates (RFC 2181 section \
                     5), it is served once",
                    record.owner
                )));
                continue;
            }
            let position = match first.get(&record.rtype) {
                None => {
                    first.insert(record.rtype, (record.ttl, position.clone()));
                    self.positions
                        .insert((record.owner.clone(), record.rtype), position.clone());
                    position
                }
                Some((ttl, at)) => {
                    if *ttl != record.ttl && record.rtype != rtype::RRSIG {
                        self.errors.push(position.error(format!(
                            "TTL {} of '{} {kind}' is not the {ttl} of {at}, the TTLs of an RRset \
                             are equal (RFC 2181 section 5.2), make them so",
                            record.ttl, record.owner
                        )));
                    }
                    position
                }
            };
            if [rtype::CNAME, rtype::DNAME].contains(&record.rtype)
                && first
                    .get(&record.rtype)
                    .is_some_and(|(_, at)| *at != position)
            {
                self.errors.push(position.error(format!(
                    "a second {kind} of '{}', a name has one at most (RFC 2181 section 10.1, RFC \
                     6672 section 2.4), remove it",
                    record.owner
                )));
            }
            self.kept.push(record);
        }
    }

    fn finish(mut self, start: &Position) -> Result<ZoneFile, Vec<ZoneError>> {
        if !self.errors.is_empty() {
            self.errors.sort_by(|a, b| {
                let place = |error: &ZoneError| (error.line, error.column);
                a.file.cmp(&b.file).then(place(a).cmp(&place(b)))
            });
            self.errors.truncate(MAX_ERRORS);
            return Err(self.errors);
        }
        let zone = Zone::build(self.origin, &self.kept, start).map_err(|error| vec![error])?;
        drop(self.kept);
        let mut reviewer = Reviewer {
            zone: &zone,
            positions: &self.positions,
            warnings: &mut self.warnings,
        };
        for node in zone.tree().nodes() {
            reviewer.node(&node);
        }
        self.warnings.truncate(MAX_ERRORS);
        Ok(ZoneFile {
            zone: Arc::new(zone),
            warnings: self.warnings,
            positions: self.positions,
        })
    }
}

/// Looks at a zone that is without error for what is odd.
struct Reviewer<'z> {
    zone: &'z Zone,
    positions: &'z Positions,
    warnings: &'z mut Vec<ZoneError>,
}

impl Reviewer<'_> {
    fn node(&mut self, node: &Node<'_>) {
        let boundary = node.boundary();
        let below = boundary.is_some_and(|boundary| boundary.index() != node.index());
        for rrset in node.rrsets() {
            if below {
                if ![rtype::A, rtype::AAAA].contains(&rrset.rtype) {
                    let what = "stands below a delegation or a DNAME and is never served (RFC \
                                1034 section 4.2.1, RFC 6672 section 2.4), move or remove it";
                    self.warn(node, rrset.rtype, what);
                }
                continue;
            }
            for record in rrset.records() {
                if let Some(host) = rdata::host(rrset.rtype, record) {
                    self.host(node, rrset.rtype, host);
                }
            }
        }
    }

    /// Looks at a host that an NS, MX or SRV of ours points at.
    fn host(&mut self, node: &Node<'_>, rtype: u16, host: &[u8]) {
        let Ok(name) = Name::from_wire(host) else {
            return;
        };
        if !name.is_at_or_below(self.zone.origin()) || host == [0] {
            return;
        }
        let key = name.key();
        let found = self.zone.tree().find(&key);
        let target = found.node.filter(|_| found.exact);
        let has = |rtype| target.is_some_and(|target| target.rrset(rtype).is_some());
        if has(rtype::CNAME) {
            let what = format!(
                "points at '{name}', which is an alias; it must be a name with addresses (RFC \
                 2181 section 10.3, RFC 2782), name the alias' target"
            );
            return self.warn(node, rtype, &what);
        }
        if has(rtype::A) || has(rtype::AAAA) {
            return;
        }
        let cut = found.node.and_then(|found| found.boundary());
        let glue_is_ours = cut.is_none_or(|cut| cut.index() == node.index());
        let wildcard = found.node.is_some_and(|encloser| {
            let source = key.child_of_prefix(encloser.key_len(), b"*");
            !found.exact && self.zone.tree().get(&source).is_some()
        });
        if glue_is_ours && !wildcard {
            let what = format!(
                "points at '{name}', which has no address in this zone; partners need one \
                 (RFC 1034 section 4.2.1), add A or AAAA"
            );
            self.warn(node, rtype, &what);
        }
    }

    fn warn(&mut self, node: &Node<'_>, rtype: u16, what: &str) {
        let Ok(owner) = Name::from_wire(node.owner()) else {
            return;
        };
        let text = format!("{} of '{owner}' {what}", type_name(rtype));
        if self.warnings.len() < MAX_ERRORS
            && let Some(position) = self.positions.get(&(owner, rtype))
        {
            self.warnings.push(position.error(text));
        }
    }
}
