//! A world: the zones of one origin and its children that are loaded together.

use std::fmt::Write as _;
use std::sync::Arc;

use switchback::ids::{Generation, Serial};
use switchback::snapshot::{Settings, Snapshot, SnapshotSpec};
use switchback::zone::{self, Name};

use super::peers::ZoneSource;

/// Zones whose names all end in `base`, so that many worlds can stand side by side at one
/// server and one can be moved to another base.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The last label and a dot: `w00017.`; `.` for a world that has the root.
    pub(crate) base: String,
    pub(crate) zones: Vec<Zone>,
}

#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) origin: String,
    pub(crate) records: Vec<Record>,
}

/// One record as a master file has it, names absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) owner: String,
    pub(crate) ttl: u32,
    pub(crate) rtype: &'static str,
    pub(crate) rdata: String,
}

impl Zone {
    /// The master file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for record in &self.records {
            let Record {
                owner,
                ttl,
                rtype,
                rdata,
            } = record;
            writeln!(text, "{owner} {ttl} IN {rtype} {rdata}").unwrap();
        }
        text
    }

    fn has_names_below_dname(&self) -> bool {
        let dnames = self.records.iter().filter(|one| one.rtype == "DNAME");
        dnames.into_iter().any(|dname| {
            let above = name(&dname.owner);
            self.records.iter().any(|other| {
                let owner = name(&other.owner);
                owner != above && owner.is_at_or_below(&above)
            })
        })
    }
}

impl World {
    /// The zones as a peer loads them.
    pub(crate) fn sources(&self) -> impl Iterator<Item = ZoneSource> {
        self.zones.iter().map(|zone| ZoneSource {
            origin: zone.origin.clone(),
            text: zone.text().into_bytes(),
        })
    }

    /// The zones as we load them, or what is wrong with them.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, String> {
        let load = |one: &Zone| {
            let mut include = |_: &str| Err("no includes".to_owned());
            let loaded = zone::parse(
                &one.origin,
                one.text().as_bytes(),
                &name(&one.origin),
                &mut include,
            );
            match loaded {
                Ok(file) => Ok((file.zone.clone(), Serial(file.zone.file_serial().0))),
                Err(errors) => Err(format!("{errors:?}\n{}", one.text())),
            }
        };
        Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            settings: Arc::new(Settings::default()),
            zones: self.zones.iter().map(load).collect::<Result<_, _>>()?,
            services: Vec::new(),
            servers: Vec::new(),
        })
        .map_err(|violations| format!("{violations:?}"))
    }

    /// The same world elsewhere.
    pub(crate) fn moved(&self, base: &str) -> World {
        let moved = |text: &str| text.replace(&self.base, base);
        let zone = |zone: &Zone| Zone {
            origin: moved(&zone.origin),
            records: zone
                .records
                .iter()
                .map(|record| Record {
                    owner: moved(&record.owner),
                    rdata: moved(&record.rdata),
                    ..record.clone()
                })
                .collect(),
        };
        World {
            base: base.to_owned(),
            zones: self.zones.iter().map(zone).collect(),
        }
    }

    /// Whether a DNAME has names below it (RFC 6672 section 2.4 forbids them; NSD and Knot do
    /// not load such a zone, named and we hide them).
    pub(crate) fn has_names_below_dname(&self) -> bool {
        self.zones.iter().any(Zone::has_names_below_dname)
    }
}

impl World {
    /// Whether NSD, which keeps the names of all zones in one tree, takes names of one zone for
    /// names of another: a parent's that are hidden in the child (RFC 1034 section 4.2.1), a
    /// child's below a DNAME of the parent's, or those between a parent and a child to which it
    /// does not delegate.
    pub(crate) fn mixes_names_of_zones(&self) -> bool {
        let owners = |zone: &Zone| -> Vec<Name> {
            zone.records.iter().map(|one| name(&one.owner)).collect()
        };
        self.zones.iter().any(|child| {
            let (apex, known) = (name(&child.origin), owners(child));
            let is_known = |owner: &Name| known.iter().any(|one| one.is_at_or_below(owner));
            let is_parent = |zone: &&Zone| {
                zone.origin != child.origin && apex.is_at_or_below(&name(&zone.origin))
            };
            let parents: Vec<&Zone> = self.zones.iter().filter(is_parent).collect();
            let nearest = parents.iter().max_by_key(|zone| zone.origin.len());
            let is_cut = nearest.is_none_or(|zone| owners(zone).contains(&apex));
            let mut hidden = parents.iter().flat_map(|zone| owners(zone));
            let mut records = parents.iter().flat_map(|zone| &zone.records);
            let is_hidden =
                |one: &Record| one.rtype == "DNAME" && apex.is_at_or_below(&name(&one.owner));
            records.any(is_hidden)
                || !is_cut
                || hidden.any(|owner| owner.is_at_or_below(&apex) && !is_known(&owner))
        })
    }

    /// The world without one of its zones.
    pub(crate) fn without(&self, origin: &Name) -> World {
        let is_other = |zone: &&Zone| name(&zone.origin) != *origin;
        World {
            base: self.base.clone(),
            zones: self.zones.iter().filter(is_other).cloned().collect(),
        }
    }

    /// The world with one of its zones alone.
    pub(crate) fn only(&self, origin: &Name) -> World {
        let is_it = |zone: &&Zone| name(&zone.origin) == *origin;
        World {
            base: self.base.clone(),
            zones: self.zones.iter().filter(is_it).cloned().collect(),
        }
    }
}

/// An absolute name from text.
pub(crate) fn name(text: &str) -> Name {
    match text.parse() {
        Ok(name) => name,
        Err(error) => panic!("{text}: {error}"),
    }
}
