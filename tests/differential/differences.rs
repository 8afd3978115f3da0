//! The differences between servers that are explained: which behaviour is ours, and why. A rule
//! says what the peer's answer is where it applies, from ours or from the zones: it explains that
//! answer and no other.

use std::collections::BTreeSet;

use switchback::zone::Name;

use super::message::{CNAME, DNAME, Rr};
use super::questions::{Mode, Question};
use super::run::ours;
use super::view::{View, is_at_or_below};
use super::world::{Record, World, Zone, name};

const SOA: u16 = 6;
/// DS, which is the parent's.
const DS: u16 = 43;

/// What named also says with SERVFAIL and TC.
pub(crate) const ENDLESS: &str = "aliases that never end";

/// We give so many aliases in one answer.
const MOST_ALIASES: usize = 5;
const NO_GLUE: &str = "glue that does not fit, and no TC";
const NO_SOA: &str = "an SOA that does not fit, and no TC";

/// One question with two answers.
pub(crate) struct Case<'c> {
    pub(crate) world: &'c World,
    pub(crate) question: &'c Question,
    pub(crate) peer: &'static str,
    pub(crate) ours: View,
    pub(crate) theirs: View,
}

/// One explained difference.
pub(crate) struct Difference {
    pub(crate) name: &'static str,
    /// Who differs.
    pub(crate) peers: &'static [&'static str],
    /// Which behaviour is ours, and by which section of which RFC.
    pub(crate) because: &'static str,
    /// What such a peer says to this question; `None` where the rule has nothing to say.
    theirs: fn(&Case<'_>) -> Option<View>,
}

/// All of them. What is compared elsewhere: where to truncate and which RRset ANY gets (`run`).
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "an alias into another zone, not followed",
        peers: &["named"],
        because: "RFC 1034 section 4.3.2 step 3a goes back to step 1, and step 2 takes the nearest \
                  of all zones that are there: we follow. named ends the answer with the zone.",
        theirs: ends_with_the_zone,
    },
    Difference {
        name: "an alias into another zone, looked for in the first",
        peers: &["knot", "named"],
        because: "RFC 1034 section 4.3.2 step 3a goes back to step 1, and step 2 takes the nearest \
                  of all zones that are there: we follow. Knot looks in the zone of the question, \
                  and so may speak for what lies in a child that it has too; named does for DS.",
        theirs: only_the_first_zone,
    },
    Difference {
        name: ENDLESS,
        peers: &["nsd", "knot", "named"],
        because: "RFC 1034 section 3.6.2 calls a loop an error and section 5.3.3 leaves it to the \
                  resolver: how far a server goes round is free. We give each alias once, at most \
                  5, and NOERROR.",
        theirs: goes_round_less_or_more,
    },
    Difference {
        name: "a long chain of aliases",
        peers: &["nsd", "named"],
        because: "RFC 1034 section 3.6.2 says that chains are followed, not how far, and section \
                  5.3.3 has the resolver go on where an answer ends with an alias. We give 5, as \
                  Knot does, so that nobody gets more octets of us than of it.",
        theirs: goes_on_further,
    },
    Difference {
        name: "glue from a wildcard",
        peers: &["nsd", "knot"],
        because: "RFC 1034 section 4.3.3: a wildcard does not apply in what is delegated, so we \
                  give the glue that stands there. They make it from a wildcard below the cut.",
        theirs: glue_from_a_wildcard,
    },
    Difference {
        name: "a name that DNAME makes too long",
        peers: &["knot"],
        because: "RFC 6672 section 2.2: YXDOMAIN, and no name is denied that could have an SOA. \
                  Knot adds one, or a cut that has nothing to do with it, goes on with the target \
                  of the DNAME itself, and says NXDOMAIN where the name that was asked for is too \
                  long to grow at all.",
        theirs: too_long_is_missing,
    },
    Difference {
        name: "DS from the grandparent",
        peers: &["nsd"],
        because: "RFC 4035 section 3.1.4.1: the DS of a zone is its parent's to say, and we ask \
                  the parent if we have it. NSD asks a zone above that, and so refers to the \
                  parent.",
        theirs: without_the_parent,
    },
];

/// The differences that are not in the views: who differs, what, and why it may.
pub(crate) const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "one fits, the other does not",
        "all",
        "RFC 1035 section 4.1.4 leaves compression free, and RFC 2181 section 9 what is left out. \
         Who sets TC must have more to say over TCP than fits.",
    ),
    (
        NO_GLUE,
        "nsd, named",
        "RFC 9471 section 3.1: glue below the cut that does not fit sets TC, and we set it. They \
         leave some out.",
    ),
    (
        NO_SOA,
        "knot",
        "RFC 2308 section 3: an SOA goes with each denial, and RFC 2181 section 9: what is needed \
         and does not fit sets TC. Knot leaves it out.",
    ),
    (
        "ANY",
        "all",
        "RFC 8482 section 4.1: one RRset is enough, and an alias is one. We give the one that its \
         own question gets.",
    ),
    (
        "names below a DNAME",
        "nsd, knot",
        "RFC 6672 section 2.4 forbids them. We and named load such a zone and hide them; NSD and \
         Knot refuse it, and are not asked.",
    ),
    (
        "names of one zone in another",
        "nsd",
        "RFC 1034 section 4.2.1: what lies below a cut is the child's. NSD keeps the names of all \
         zones in one tree, so that names hidden in a parent exist in the child; it is not asked \
         where that matters.",
    ),
];

/// All of it as a page.
pub(crate) fn page() -> String {
    let mut page = "# Where servers differ\n\nRandom zones and questions are put to NSD, Knot and \
                    named (`tests/differential`), and each answer is held against ours. These \
                    differences are known; any other fails the test. The page is written by it.\n\n\
                    | what | who | why, and what we do |\n| --- | --- | --- |\n"
        .to_owned();
    for rule in DIFFERENCES {
        let who = rule.peers.join(", ");
        page.push_str(&format!("| {} | {who} | {} |\n", rule.name, rule.because));
    }
    for (what, who, why) in ELSEWHERE {
        page.push_str(&format!("| {what} | {who} | {why} |\n"));
    }
    page
}

/// The rule that explains a difference; where it takes two, the first.
pub(crate) fn explain(case: &Case<'_>) -> Option<&'static str> {
    let rules = || {
        DIFFERENCES
            .iter()
            .filter(|rule| rule.peers.contains(&case.peer))
    };
    rules().find_map(|rule| {
        let expected = (rule.theirs)(case).filter(|expected| *expected != case.ours)?;
        let then = Case {
            ours: expected,
            theirs: case.theirs.clone(),
            ..*case
        };
        let second = || rules().filter_map(|other| (other.theirs)(&then));
        let explains = then.ours == then.theirs || second().any(|found| found == then.theirs);
        explains.then_some(rule.name)
    })
}

impl Case<'_> {
    /// What theirs lacks over UDP that ours has, if it is the same else.
    pub(crate) fn lacks_some(&self) -> Option<&'static str> {
        let (ours, theirs) = (&self.ours, &self.theirs);
        let lacks_soa = View {
            authority: BTreeSet::new(),
            ..ours.clone()
        };
        let lacks_glue = View {
            glue: theirs.glue.clone(),
            ..ours.clone()
        };
        let is_denial = ours.authority.iter().all(|one| one.rtype == SOA);
        match self.peer {
            _ if self.question.mode == Mode::Stream => None,
            "knot" if is_denial && *theirs == lacks_soa => Some(NO_SOA),
            "nsd" | "named" if *theirs == lacks_glue && theirs.glue.is_subset(&ours.glue) => {
                Some(NO_GLUE)
            }
            _ => None,
        }
    }
}

/// The aliases of our answer, in their order: owner, target, records.
fn links(case: &Case<'_>) -> Vec<(Vec<u8>, Vec<u8>, Vec<Rr>)> {
    let mut at = lower(&case.question.name);
    let (mut links, mut met) = (Vec::new(), BTreeSet::new());
    while met.insert(at.clone()) {
        let is_here = |one: &&Rr| one.rtype == CNAME && one.owner == at;
        let Some(cname) = case.ours.answer.iter().find(is_here) else {
            break;
        };
        let is_above =
            |one: &&Rr| one.rtype == DNAME && one.owner != at && is_at_or_below(&at, &one.owner);
        let above = case.ours.answer.iter().filter(is_above);
        let records = above.chain([cname]).cloned().collect();
        let target = cname.rdata.clone();
        links.push((at, target.clone(), records));
        at = target;
    }
    links
}

fn lower(text: &str) -> Vec<u8> {
    name(text).to_lower().wire().to_vec()
}

/// The apex of the zone that a name lies in.
fn zone_of(world: &World, wire: &[u8]) -> Option<Vec<u8>> {
    let apexes = world.zones.iter().map(|zone| lower(&zone.origin));
    apexes
        .filter(|apex| is_at_or_below(wire, apex))
        .max_by_key(Vec::len)
}

/// The apex of the zone that answers for a name: the DS of an apex is its parent's to say.
fn answering(case: &Case<'_>, wire: &[u8]) -> Option<Vec<u8>> {
    let apex = zone_of(case.world, wire)?;
    if case.question.rtype == DS && apex == wire && apex != [0] {
        return zone_of(case.world, &wire[1 + usize::from(wire[0])..]);
    }
    Some(apex)
}

/// The answer up to the alias that leads out of its zone.
fn ends_with_the_zone(case: &Case<'_>) -> Option<View> {
    let mut answer = BTreeSet::new();
    for (owner, target, records) in links(case) {
        answer.extend(records);
        if answering(case, &owner) != answering(case, &target) {
            return Some(View {
                rcode: 0,
                aa: case.ours.aa,
                answer,
                authority: BTreeSet::new(),
                glue: BTreeSet::new(),
            });
        }
    }
    None
}

/// What we would say, had we no zone but that of the question.
fn only_the_first_zone(case: &Case<'_>) -> Option<View> {
    links(case).first()?;
    let first = answering(case, &lower(&case.question.name))?;
    let alone = case.world.only(&Name::from_wire(&first).ok()?);
    let snapshot = alone.snapshot().ok()?;
    let packet = case.question.whole().packet(1);
    Some(View::of(&ours(&snapshot, &packet, true), case.world))
}

/// NOERROR, SERVFAIL or YXDOMAIN, and aliases of an endless chain: those of ours, fewer or more.
fn goes_round_less_or_more(case: &Case<'_>) -> Option<View> {
    let links = links(case);
    let (_, last, _) = links.last()?;
    let is_alias = |one: &Rr| [CNAME, DNAME].contains(&one.rtype);
    let ours = &case.ours;
    let is_endless = ours.rcode == 0
        && ours.authority.is_empty()
        && ours.answer.iter().all(is_alias)
        && zone_of(case.world, last).is_some();
    let theirs = &case.theirs;
    let goes_round = [0, 2, 6].contains(&theirs.rcode)
        && theirs.authority.is_empty()
        && theirs.answer.iter().all(is_alias)
        && (theirs.answer.is_subset(&ours.answer) || ours.answer.is_subset(&theirs.answer));
    (is_endless && goes_round).then(|| theirs.clone())
}

/// All of ours, which ends with as many aliases as we give, and what follows from there.
fn goes_on_further(case: &Case<'_>) -> Option<View> {
    let (ours, theirs) = (&case.ours, &case.theirs);
    let is_alias = |one: &Rr| [CNAME, DNAME].contains(&one.rtype);
    let is_cut = links(case).len() == MOST_ALIASES
        && ours.rcode == 0
        && ours.authority.is_empty()
        && ours.answer.iter().all(is_alias);
    (is_cut && ours.aa == theirs.aa && ours.answer.is_subset(&theirs.answer))
        .then(|| theirs.clone())
}

/// More glue than ours, at names that the zone of the cut does not have.
fn glue_from_a_wildcard(case: &Case<'_>) -> Option<View> {
    let cuts: BTreeSet<&Vec<u8>> = case.ours.authority.iter().map(|one| &one.owner).collect();
    let is_cut = |zone: &Zone, record: &Record| {
        let owner = lower(&record.owner);
        record.rtype == "NS" && cuts.contains(&owner) && owner != lower(&zone.origin)
    };
    let has_cut = |zone: &&Zone| zone.records.iter().any(|record| is_cut(zone, record));
    let zones = case.world.zones.iter().filter(has_cut);
    let records = zones.flat_map(|zone| &zone.records);
    let owners: BTreeSet<Vec<u8>> = records.map(|record| lower(&record.owner)).collect();
    let mut expected = case.ours.clone();
    let made_up = |one: &&Rr| !owners.contains(&one.owner);
    expected
        .glue
        .extend(case.theirs.glue.iter().filter(made_up).cloned());
    Some(expected)
}

/// NXDOMAIN or YXDOMAIN, what the target of the DNAME has, and authority that has nothing to do
/// with it, where we say YXDOMAIN.
fn too_long_is_missing(case: &Case<'_>) -> Option<View> {
    let theirs = &case.theirs;
    let says_so = case.ours.rcode == 6 && [3, 6].contains(&theirs.rcode);
    let mut reached: BTreeSet<Vec<u8>> = BTreeSet::new();
    let dnames = case.ours.answer.iter().filter(|one| one.rtype == DNAME);
    reached.extend(dnames.map(|one| one.rdata.clone()));
    // The names that aliases lead to from there.
    loop {
        let is_reached = |one: &&Rr| one.rtype == CNAME && reached.contains(&one.owner);
        let next = theirs.answer.iter().filter(is_reached);
        let more: Vec<_> = next.map(|one| one.rdata.clone()).collect();
        let before = reached.len();
        reached.extend(more);
        if reached.len() == before {
            break;
        }
    }
    let is_above = |one: &Rr| {
        let below = |name: &Vec<u8>| *name != one.owner && is_at_or_below(name, &one.owner);
        one.rtype == DNAME && reached.iter().any(below)
    };
    let goes_on = |one: &&Rr| reached.contains(&one.owner) || is_above(one);
    let answer = theirs.answer.iter().filter(goes_on).cloned();
    says_so.then(|| View {
        rcode: theirs.rcode,
        answer: case.ours.answer.iter().cloned().chain(answer).collect(),
        authority: theirs.authority.clone(),
        glue: theirs.glue.clone(),
        ..case.ours.clone()
    })
}

/// What we would say to a question for the DS of a zone, had we not its parent, but a zone above
/// that.
fn without_the_parent(case: &Case<'_>) -> Option<View> {
    let asked = lower(&case.question.name);
    let child = links(case).pop().map_or(asked, |(_, target, _)| target);
    let is_apex = zone_of(case.world, &child).as_ref() == Some(&child);
    if case.question.rtype != DS || !is_apex || child == [0] {
        return None;
    }
    let above = |wire: &[u8]| zone_of(case.world, &wire[1 + usize::from(wire[0])..]);
    let parent = above(&child).filter(|parent| *parent != [0])?;
    above(&parent)?;
    let less = case.world.without(&Name::from_wire(&parent).ok()?);
    let snapshot = less.snapshot().ok()?;
    let packet = case.question.whole().packet(1);
    Some(View::of(&ours(&snapshot, &packet, true), case.world))
}
