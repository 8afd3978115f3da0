//! Looks at a zone that is without error for what is odd.

use super::error::ZoneError;
use super::name::Name;
use super::parse::MAX_ERRORS;
use super::positions::Positions;
use super::rdata::{self, rtype, type_name};
use super::rrset::Rrset;
use super::tree::Node;
use super::zone::Zone;

/// The greatest message is 65,535 octets: header and question take some of it, and the owner of
/// each record at least a pointer, beside type, class, TTL and length.
const MOST_OF_MESSAGE: usize = 65_535 - 12 - 4 - 11;
const BESIDE_RDATA: usize = 12;

/// Adds warnings about `zone`.
pub(super) fn review(zone: &Zone, positions: &Positions, warnings: &mut Vec<ZoneError>) {
    let mut reviewer = Reviewer {
        zone,
        positions,
        warnings,
    };
    for node in zone.tree().nodes() {
        reviewer.node(&node);
    }
}

struct Reviewer<'z> {
    zone: &'z Zone,
    positions: &'z Positions,
    warnings: &'z mut Vec<ZoneError>,
}

impl Reviewer<'_> {
    fn node(&mut self, node: &Node<'_>) {
        let boundary = node.boundary();
        for rrset in node.rrsets() {
            if let Some(boundary) = boundary
                && let Some(what) = occluded(node, &boundary, rrset.rtype)
            {
                self.warn(node, rrset.rtype, what);
                continue;
            }
            self.rrset(node, &rrset);
            if boundary.is_some_and(|boundary| boundary.index() != node.index()) {
                continue;
            }
            for record in rrset.records() {
                if let Some(host) = rdata::host(rrset.rtype, record) {
                    self.host(node, rrset.rtype, host);
                }
            }
        }
    }

    /// Looks at the RRset by itself.
    fn rrset(&mut self, node: &Node<'_>, rrset: &Rrset<'_>) {
        let size: usize = rrset
            .records()
            .map(|rdata| BESIDE_RDATA + rdata.len())
            .sum();
        if size > MOST_OF_MESSAGE {
            let what = "does not fit a message of 65,535 octets and is never answered whole (RFC \
                        1035 section 4.2.2), split it over several names";
            self.warn(node, rrset.rtype, what);
        }
        let is_wildcard = node.owner().starts_with(b"\x01*");
        if is_wildcard && [rtype::NS, rtype::DNAME].contains(&rrset.rtype) {
            let what = "stands at a wildcard, where it means nothing that all agree on (RFC 4592 \
                        sections 4.2 and 4.4), name what it is for";
            self.warn(node, rrset.rtype, what);
        }
        for rdata in rrset.records() {
            if let Some((has, wanted)) = rdata::digest_lengths(rrset.rtype, rdata)
                && has != wanted
            {
                let what = format!(
                    "has a digest of {has} octets where its type has {wanted}, no one can use it \
                     (RFC 4509, RFC 4255, RFC 6698, RFC 8976), correct it"
                );
                self.warn(node, rrset.rtype, &what);
            }
        }
        if rrset.rtype == rtype::DS && node.rrset(rtype::NS).is_none() {
            let what = "stands at no delegation, it belongs beside the NS of a child (RFC 4034 \
                        section 5), add these or remove it";
            self.warn(node, rrset.rtype, what);
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
            let source = key.child_of_suffix(encloser.labels(), b"*");
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
            && let Some(position) = self.positions.of_node(node, rtype)
        {
            self.warnings.push(position.error(text));
        }
    }
}

/// Why records of this type at `node`, which lies at or below a cut or DNAME, are never served.
fn occluded(node: &Node<'_>, boundary: &Node<'_>, rtype: u16) -> Option<&'static str> {
    let is_glue = [rtype::A, rtype::AAAA].contains(&rtype);
    let is_cut = boundary.rrset(rtype::NS).is_some();
    if boundary.index() != node.index() {
        let what = "stands below a delegation or a DNAME and is never served (RFC 1034 section \
                    4.2.1, RFC 6672 section 2.4), move or remove it";
        return (!(is_cut && is_glue)).then_some(what);
    }
    let of_cut = [rtype::NS, rtype::DS, rtype::NSEC, rtype::RRSIG];
    let what = "stands at a delegation, where all but NS and DS is the child's to say (RFC 2181 \
                section 6), move it into the child's zone";
    (is_cut && !is_glue && !of_cut.contains(&rtype)).then_some(what)
}
