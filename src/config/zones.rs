//! `[[zone]]` to loaded zones, and what services and servers own in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ahead::{Ahead, Read, Unread};
use super::names;
use super::paths::Base;
use super::pools::Pools;
use super::primaries;
use super::problem::{At, Notes, Problem};
use super::secondaries::{NamedKeys, Secondaries, secondaries};
use super::services::Services;
use super::spec::{List, ZoneSpec};
use crate::secondary::Primary;
use crate::snapshot::ServiceRecord;
use crate::zone::rdata::{rtype, type_name};
use crate::zone::{Absence, Name, Position, Positions, Zone, ZoneError, ZoneFile};

/// A zone with where it came from.
#[derive(Clone, Debug)]
pub struct LoadedZone {
    /// The static data; absent for a zone that is transferred.
    pub zone: Arc<Zone>,
    /// The group that it was loaded for: the zones of a group share one serial counter.
    pub group: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Who may transfer it, and who is told of its changes.
    pub secondaries: Secondaries,
}

/// What all zones of one `[[zone]]` have in common.
pub(super) struct Provenance {
    pub(super) group: Option<String>,
    pub(super) secondaries: Secondaries,
    /// The place to which faults are reported.
    pub(super) at: usize,
}

/// Where a zone comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A master file.
    File(PathBuf),
    /// Primary servers, one at least.
    Primaries(Arc<[Primary]>),
}

impl LoadedZone {
    /// The primaries of a zone that is transferred.
    #[must_use]
    pub fn primaries(&self) -> Option<&Arc<[Primary]>> {
        match &self.source {
            Source::File(_) => None,
            Source::Primaries(primaries) => Some(primaries),
        }
    }
}

/// All zones that could be read.
#[derive(Default)]
pub(super) struct Zones {
    pub(super) loaded: Vec<LoadedZone>,
    pub(super) groups: BTreeSet<String>,
    /// The files that master files include.
    pub(super) included: BTreeSet<PathBuf>,
    positions: Vec<Positions>,
    /// The files of a directory, until each has its turn.
    ahead: Ahead,
    /// Origins that were named, readable or not.
    origins: HashSet<Name>,
}

/// Reads all zones.
pub(super) fn read(
    specs: &List<ZoneSpec>,
    keys: &NamedKeys,
    base: &Base,
    notes: &mut Notes,
) -> Zones {
    let mut zones = Zones::default();
    for spec in specs {
        let ZoneSpec {
            origin,
            file,
            group,
            directory,
            primary,
            transfer,
            notify,
        } = &spec.value;
        if let Some(group) = group {
            zones.groups.insert(group.value.clone());
        }
        let mut of = Provenance {
            group: group.as_ref().map(|group| group.value.clone()),
            secondaries: secondaries(transfer.as_ref(), notify.as_ref(), keys, notes),
            at: spec.at,
        };
        match (origin, file, directory, primary) {
            (Some(origin), Some(file), None, None) => {
                if let Some(name) = names::absolute(origin, notes) {
                    of.at = file.at;
                    zones.load(name, base.resolve(&file.value), &of, notes);
                }
            }
            (Some(origin), None, None, Some(list)) => {
                let primaries = primaries::read(list, keys.keys(), base, notes);
                if let Some(name) = names::absolute(origin, notes) {
                    of.at = origin.at;
                    zones.transferred(name, primaries, &of, notes);
                }
            }
            (None, None, Some(directory), None) => {
                of.at = directory.at;
                zones.directory(&base.resolve(&directory.value), &of, notes);
            }
            _ => notes.error(
                spec.at,
                "a [[zone]] has 'origin' with either 'file' or 'primary', or else 'directory', \
                 write one of them",
            ),
        }
    }
    zones
}

impl Zones {
    fn directory(&mut self, directory: &Path, of: &Provenance, notes: &mut Notes) {
        let at = of.at;
        let mut files = match std::fs::read_dir(directory) {
            Ok(entries) => entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .collect::<Vec<_>>(),
            Err(error) => {
                notes.error(
                    at,
                    format!(
                        "directory '{}' cannot be read ({error}), correct the path",
                        directory.display()
                    ),
                );
                return;
            }
        };
        files.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "zone")
        });
        files.sort();
        if files.is_empty() {
            notes.warn(
                at,
                format!(
                    "directory '{}' holds no ORIGIN.zone, so no zone is loaded from it",
                    directory.display()
                ),
            );
        }
        self.ahead = Ahead::read(&files);
        for file in files {
            let stem = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            let value = format!("{}.", stem.trim_end_matches('.'));
            if let Some(name) = names::absolute(&At { value, at }, notes) {
                self.load(name, file, of, notes);
            }
        }
    }

    /// A zone that primaries have; its data comes later.
    fn transferred(
        &mut self,
        origin: Name,
        primaries: Option<Arc<[Primary]>>,
        of: &Provenance,
        notes: &mut Notes,
    ) {
        if !self.take_origin(&origin, of.at, notes) {
            return;
        }
        let zone = Zone::without_data(&origin, Absence::NotYet);
        if let (Some(primaries), Ok(zone)) = (primaries, zone) {
            self.positions.push(Positions::default());
            self.loaded.push(LoadedZone {
                zone: Arc::new(zone),
                group: of.group.clone(),
                source: Source::Primaries(primaries),
                secondaries: of.secondaries.clone(),
            });
        }
    }

    /// Whether no other entry has the zone `origin`.
    fn take_origin(&mut self, origin: &Name, at: usize, notes: &mut Notes) -> bool {
        let is_new = self.origins.insert(origin.clone());
        if !is_new {
            notes.error(
                at,
                format!("zone '{origin}' is loaded twice, it has one source, remove one"),
            );
        }
        is_new
    }

    /// Reads one master file.
    pub(super) fn load(&mut self, origin: Name, file: PathBuf, of: &Provenance, notes: &mut Notes) {
        let at = of.at;
        if !self.take_origin(&origin, at, notes) {
            return;
        }
        match self.ahead.take(&origin, &file) {
            Ok(Read { zone, included }) => {
                let ZoneFile {
                    zone,
                    warnings,
                    positions,
                } = zone;
                self.included.extend(included);
                warnings
                    .into_iter()
                    .for_each(|warning| notes.warn_elsewhere(warning.into()));
                self.positions.push(positions);
                self.loaded.push(LoadedZone {
                    zone,
                    group: of.group.clone(),
                    source: Source::File(file),
                    secondaries: of.secondaries.clone(),
                });
            }
            Err(Unread::File(error)) => notes.error(
                at,
                format!(
                    "zone file '{}' cannot be read ({error}), correct the path",
                    file.display()
                ),
            ),
            Err(Unread::Text(errors)) => errors
                .into_iter()
                .for_each(|error| notes.error_elsewhere(error.into())),
        }
    }

    /// The deepest loaded zone that `name` lies in.
    fn zone_of(by_origin: &HashMap<&Name, usize>, name: &Name) -> Option<usize> {
        at_or_above(name).find_map(|above| by_origin.get(&above).copied())
    }

    /// Checks that what services and servers own lies in a zone, and that nothing else does.
    pub(super) fn check_ownership(&self, pools: &Pools, services: &Services, notes: &mut Notes) {
        let loaded = self.loaded.iter().enumerate();
        let by_origin: HashMap<&Name, usize> = loaded
            .map(|(index, zone)| (zone.zone.origin(), index))
            .collect();
        let mut owned: BTreeMap<(Name, u16), (String, usize)> = BTreeMap::new();
        let mut claim = |name: &Name, kind: u16, who: String, at: usize, notes: &mut Notes| {
            if let Some((other, earlier)) = owned.get(&(name.clone(), kind)) {
                let line = notes.line(*earlier);
                let kind = type_name(kind);
                notes.error(at, format!("{kind} at '{name}' belongs to {other} already (line {line}), a name and type has one owner, remove one"));
                return;
            }
            owned.insert((name.clone(), kind), (who, at));
        };
        for (server, name) in &pools.servers {
            if Self::zone_of(&by_origin, &name.value).is_some() {
                for kind in [rtype::A, rtype::AAAA] {
                    claim(
                        &name.value,
                        kind,
                        format!("server '{server}'"),
                        name.at,
                        notes,
                    );
                }
            }
        }
        for (service, records) in &services.records {
            for record in records {
                let (owner, kinds): (&Name, &[u16]) = match &record.value {
                    ServiceRecord::Srv { owner, .. } => (owner, &[rtype::SRV]),
                    ServiceRecord::Address { owner } => (owner, &[rtype::A, rtype::AAAA]),
                };
                let named = at_or_above(owner).any(|above| self.origins.contains(&above));
                if !named {
                    notes.error(record.at, format!("'{owner}' lies in no [[zone]], a service's records are served inside a zone, load it or correct the name"));
                }
                for kind in kinds.iter().take(if named { 2 } else { 0 }) {
                    claim(
                        owner,
                        *kind,
                        format!("service '{service}'"),
                        record.at,
                        notes,
                    );
                }
            }
        }
        for ((name, kind), (who, at)) in &owned {
            if let Some(index) = Self::zone_of(&by_origin, name) {
                self.check_static(index, name, *kind, who, *at, notes);
            }
        }
    }

    fn check_static(
        &self,
        index: usize,
        name: &Name,
        kind: u16,
        who: &str,
        at: usize,
        notes: &mut Notes,
    ) {
        let (Some(zone), Some(positions)) = (self.loaded.get(index), self.positions.get(index))
        else {
            return;
        };
        for (found, remedy) in [
            (kind, "one name and type has one source"),
            (
                rtype::CNAME,
                "an alias stands alone (RFC 1034 section 3.6.2)",
            ),
        ] {
            if kind == rtype::AAAA && found == rtype::CNAME {
                // Told of the name's A, which has the same owner.
                continue;
            }
            if let Some(place) = positions.get(zone.zone.tree(), name, found) {
                notes.error_elsewhere(at_place(&place, format!("'{name}' has a static {} although {who} owns its {}, {remedy}, remove it here", type_name(found), type_name(kind))));
            }
        }
        if zone
            .zone
            .tree()
            .find(&name.key())
            .node
            .and_then(|node| node.boundary())
            .is_some()
        {
            notes.error(at, format!("'{name}' of {who} lies at or below a delegation or DNAME of zone '{}', it would never be served (RFC 1034 section 4.2.1), remove that", zone.zone.origin()));
        }
    }
}

/// The name, then the names above it up to the root.
fn at_or_above(name: &Name) -> impl Iterator<Item = Name> {
    std::iter::successors(Some(name.clone()), Name::parent)
}

fn at_place(place: &Position, message: String) -> Problem {
    Problem {
        file: Arc::clone(&place.file),
        line: place.line,
        column: place.column,
        message,
    }
}

impl From<ZoneError> for Problem {
    fn from(error: ZoneError) -> Problem {
        let ZoneError {
            file,
            line,
            column,
            message,
        } = error;
        Problem {
            file,
            line,
            column,
            message,
        }
    }
}
