//! What a zone must be beyond its text: one SOA, name servers, CNAMEs alone, equal TTLs.

use std::collections::HashSet;
use std::sync::Arc;

use super::build::Builder;
use super::draft::{Draft, Row};
use super::error::{Position, ZoneError};
use super::name::Name;
use super::parse::{MAX_ERRORS, ZoneFile};
use super::positions::Positions;
use super::rdata::{self, rtype, type_name};
use super::review;
use super::tree::TreeTooLarge;
use super::zone::Zone;

/// So many errors are collected: a zone that is wrong all over need not fill memory.
const MAX_COLLECTED: usize = 100 * MAX_ERRORS;

/// Checks the records of a zone, which read without or with `errors`, and builds it.
pub(super) fn check(
    mut draft: Draft,
    positions: Positions,
    errors: Vec<ZoneError>,
) -> Result<ZoneFile, Vec<ZoneError>> {
    draft.sort();
    let mut checker = Checker {
        draft: &draft,
        text_is_whole: errors.is_empty(),
        errors,
        warnings: Vec::new(),
        positions,
        builder: Builder::new(draft.apex().wire(), draft.rows().len()),
        kept: Vec::new(),
    };
    checker.apex();
    let mut from = 0;
    while from < draft.rows().len() {
        let here = draft.group(from);
        from = here.end;
        checker.owner(draft.rows().get(here).unwrap_or(&[]));
    }
    let Checker {
        mut errors,
        mut warnings,
        positions,
        builder,
        ..
    } = checker;
    if !errors.is_empty() {
        errors.sort_by(|a, b| {
            let place = |error: &ZoneError| (error.line, error.column);
            a.file.cmp(&b.file).then(place(a).cmp(&place(b)))
        });
        errors.truncate(MAX_ERRORS);
        return Err(errors);
    }
    let origin = draft.apex().clone();
    // The tree has all of it now, and both together are what loading takes at the most.
    drop(draft);
    let tree = builder.finish(origin.wire());
    let tree = tree.map_err(|error| vec![positions.start().error(error.to_string())])?;
    let zone = Zone::new(origin, tree);
    review::review(&zone, &positions, &mut warnings);
    warnings.truncate(MAX_ERRORS);
    Ok(ZoneFile {
        zone: Arc::new(zone),
        warnings,
        positions,
    })
}

struct Checker<'d> {
    draft: &'d Draft,
    /// With errors in the text, what seems to be missing may only have been unreadable.
    text_is_whole: bool,
    errors: Vec<ZoneError>,
    warnings: Vec<ZoneError>,
    positions: Positions,
    builder: Builder,
    /// The records of one owner that are to be served.
    kept: Vec<Row>,
}

impl Checker<'_> {
    /// The apex is before all other names.
    fn apex(&mut self) {
        let draft = self.draft;
        let apex = draft.rows().get(draft.group(0)).unwrap_or(&[]);
        let is_apex = |row: &&Row| draft.owner(row).eq_ignore_ascii_case(draft.apex().wire());
        let here = || apex.iter().filter(is_apex);
        let mut soas = here().filter(|row| row.rtype == rtype::SOA);
        let first = soas.next();
        if first.is_none() && self.text_is_whole {
            let at = self.positions.start();
            self.error(&at, format!(
                "'{}' has no SOA, a zone has exactly one at its apex (RFC 1035 section 5.2), add \
                 it",
                draft.apex()
            ));
        }
        for row in soas {
            self.error(
                &self.positions.position(row.mark),
                "a second SOA, a zone has exactly one (RFC 1035 section 5.2), remove it",
            );
        }
        if self.text_is_whole && !here().any(|row| row.rtype == rtype::NS) {
            let at = first.map_or_else(
                || self.positions.start(),
                |row| self.positions.position(row.mark),
            );
            self.error(&at, format!(
                "'{}' has no NS, a zone names its servers at its apex (RFC 1034 section 4.2.1), \
                 add them",
                draft.apex()
            ));
        }
    }

    /// Checks the records of one owner and adds those that are to be served.
    fn owner(&mut self, rows: &[Row]) {
        self.stands_alone(rows);
        self.kept.clear();
        for rrset in rows.chunk_by(|a, b| a.rtype == b.rtype) {
            self.rrset(rrset);
        }
        if !self.errors.is_empty() {
            return;
        }
        match self.builder.add(self.draft, &self.kept) {
            Ok(node) => {
                for rrset in self.kept.chunk_by(|a, b| a.rtype == b.rtype) {
                    if let Some(first) = rrset.first() {
                        self.positions.note(node, first.rtype, first.mark);
                    }
                }
            }
            Err(error) => self.too_large(error),
        }
    }

    fn too_large(&mut self, error: TreeTooLarge) {
        let at = self.positions.start();
        self.error(&at, error.to_string());
    }

    /// No other data beside a CNAME, no SOA below the apex.
    fn stands_alone(&mut self, rows: &[Row]) {
        let has = |rtype| rows.iter().find(|row| row.rtype == rtype);
        if let Some(cname) = has(rtype::CNAME) {
            let may_stand = [rtype::CNAME, rtype::RRSIG, rtype::NSEC];
            if let Some(beside) = rows.iter().find(|row| !may_stand.contains(&row.rtype)) {
                let text = format!(
                    "'{}' has {} and CNAME, a CNAME stands alone (RFC 2181 section 10.1), remove \
                     one of them",
                    self.name(cname),
                    type_name(beside.rtype)
                );
                self.error(&self.positions.position(beside.mark), text);
            }
        }
        if let Some(soa) = has(rtype::SOA)
            && !self
                .draft
                .owner(soa)
                .eq_ignore_ascii_case(self.draft.apex().wire())
        {
            let text = format!(
                "SOA at '{}', it stands at the apex '{}' only (RFC 1035 section 5.2), remove it",
                self.name(soa),
                self.draft.apex()
            );
            self.error(&self.positions.position(soa.mark), text);
        }
    }

    /// Keeps the records of one owner and type, each once.
    fn rrset(&mut self, rows: &[Row]) {
        let Some((first, others)) = rows.split_first() else {
            return;
        };
        self.kept.push(*first);
        if others.is_empty() {
            return;
        }
        let kind = type_name(first.rtype);
        let draft = self.draft;
        let data = |row: &Row| rdata::canonical(row.rtype, draft.rdata(row));
        let mut seen = HashSet::from([data(first)]);
        for row in others {
            let at = self.positions.position(row.mark);
            if !seen.insert(data(row)) {
                let text = format!(
                    "the same {kind} of '{}' again, an RRset has no duplicates (RFC 2181 section \
                     5), it is served once",
                    self.name(row)
                );
                if self.warnings.len() < MAX_ERRORS {
                    self.warnings.push(at.error(text));
                }
                continue;
            }
            if row.ttl != first.ttl && row.rtype != rtype::RRSIG {
                let text = format!(
                    "TTL {} of '{} {kind}' is not the {} of {}, the TTLs of an RRset are equal \
                     (RFC 2181 section 5.2), make them so",
                    row.ttl,
                    self.name(row),
                    first.ttl,
                    self.positions.position(first.mark)
                );
                self.error(&at, text);
            }
            if [rtype::CNAME, rtype::DNAME].contains(&row.rtype) {
                let text = format!(
                    "a second {kind} of '{}', a name has one at most (RFC 2181 section 10.1, RFC \
                     6672 section 2.4), remove it",
                    self.name(row)
                );
                self.error(&at, text);
            }
            self.kept.push(*row);
        }
    }

    fn name(&self, row: &Row) -> Name {
        Name::from_wire(self.draft.owner(row)).unwrap_or_else(|_| Name::root())
    }

    /// Errors are sorted by place before the first hundred of them are told.
    fn error(&mut self, at: &Position, text: impl Into<String>) {
        if self.errors.len() < MAX_COLLECTED {
            self.errors.push(at.error(text));
        }
    }
}
