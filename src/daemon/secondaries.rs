//! Zones that are transferred from primaries: the shell around [`Secondary`].
//!
//! The core owns the state of each zone. A visit runs on its own: it asks, checks, lays the
//! services over the new version, and writes that to the disk; then the core publishes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::disk::Disk;
use super::histories::Prepared;
use crate::answer::Notice;
use crate::clock;
use crate::config::{Config, LoadedZone};
use crate::secondary::{
    Action, Brought, Event, Header, Held, Memory, Outcome, Owned, Primary, Secondary, Timers, Told,
    TransferError,
};
use crate::store::Images;
use crate::telemetry;
use crate::time::{Mono, Now};
use crate::visit::{Found, Patience, VisitError, visit};
use crate::zone::{Absence, Name, Received, TreeTooLarge, Zone};

/// So many visits at a time: a start with thousands of zones must not starve the answers.
const VISITS: usize = 8;

/// All zones that are transferred from primaries.
pub(super) struct Secondaries {
    images: Images,
    zones: BTreeMap<Name, Followed>,
    /// What is remembered of them.
    memories: BTreeMap<Name, Memory>,
    ends: mpsc::Sender<VisitEnd>,
    waiting: VecDeque<Job>,
    under_way: usize,
    latest_visit: u64,
    /// When the first zone wants to be called, as of the last time that all were asked.
    due: Option<Mono>,
    /// Something has happened since then.
    is_stirred: bool,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Followed {
    pub(super) primaries: Arc<[Primary]>,
    pub(super) secondary: Secondary,
    /// The latest version, expired or not.
    pub(super) held: Option<Arc<Held>>,
    /// What services and servers own in it.
    owned: Arc<Owned>,
    /// Whether others may transfer it from us, who will ask what has changed.
    is_followed: bool,
    /// The visit that is waited for.
    visit: Option<u64>,
    /// Why the latest version is not on the disk, or what was there cannot be used.
    pub(super) unkept: Option<String>,
}

/// One visit that is to be made.
struct Job {
    origin: Name,
    visit: u64,
    primary: Primary,
    held: Option<Arc<Held>>,
    owned: Arc<Owned>,
    whole: bool,
    /// What is served now, if others will ask what has changed since.
    before: Option<Arc<Zone>>,
}

/// How a visit ended.
pub(super) struct VisitEnd {
    origin: Name,
    visit: u64,
    result: Result<Taken, Failure>,
}

impl VisitEnd {
    /// Whether a primary said that there is nothing new.
    pub(super) fn is_nothing_new(&self) -> bool {
        matches!(self.result, Ok(Taken::Current))
    }
}

enum Taken {
    Current,
    Version {
        held: Held,
        owned: Arc<Owned>,
        prepared: Prepared,
        unkept: Option<String>,
    },
}

struct Failure {
    why: String,
    wants_whole: bool,
}

/// The channel that ended visits come by: there is room for all that run.
pub(super) fn channel() -> (mpsc::Sender<VisitEnd>, mpsc::Receiver<VisitEnd>) {
    mpsc::channel(VISITS)
}

impl Secondaries {
    /// The zones of a configuration, as the disk has them; what else it has goes.
    pub(super) fn open(
        config: &Config,
        memories: BTreeMap<Name, Memory>,
        ends: mpsc::Sender<VisitEnd>,
        disk: &mut Disk,
    ) -> Secondaries {
        let now = clock::now();
        let mut secondaries = Secondaries {
            images: Images::of(&config.state_dir),
            zones: BTreeMap::new(),
            memories,
            ends,
            waiting: VecDeque::new(),
            under_way: 0,
            latest_visit: 0,
            due: None,
            is_stirred: true,
        };
        let mut owned = config.owned();
        for (zone, primaries) in transferred(config) {
            let origin = zone.zone.origin();
            let owned = Arc::new(owned.remove(origin).unwrap_or_default());
            let mut followed = secondaries.begin(now, origin, primaries, owned);
            followed.is_followed = is_followed(zone);
            secondaries.zones.insert(origin.clone(), followed);
        }
        secondaries.forget_others(disk);
        secondaries
    }

    /// One zone, from what the disk has of it.
    fn begin(
        &self,
        now: Now,
        origin: &Name,
        primaries: &Arc<[Primary]>,
        owned: Arc<Owned>,
    ) -> Followed {
        let kept = self.read(origin, &owned);
        let (held, unkept) = match kept {
            Ok(held) => (held, None),
            Err(why) => {
                telemetry::alarm(&format!("zone {origin}: {why}"));
                (None, Some(why))
            }
        };
        let known = held.as_ref().map(|(held, header)| {
            let timers = Timers::of(&held.zone);
            let memory = self.memories.get(origin).copied();
            let memory = memory.filter(|memory| memory.serial == held.serial());
            // Written, and then the end came before its deadline was.
            let of_header = Memory {
                serial: held.serial(),
                refreshed: header.taken,
                expires: header.taken + timers.expire,
            };
            (memory.unwrap_or(of_header), timers)
        });
        Followed {
            primaries: Arc::clone(primaries),
            secondary: Secondary::new(now, primaries.len(), origin.wire(), known),
            held: held.map(|(held, _)| Arc::new(held)),
            owned,
            is_followed: false,
            visit: None,
            unkept,
        }
    }

    /// What the disk has of a zone.
    fn read(&self, origin: &Name, owned: &Owned) -> Result<Option<(Held, Header)>, String> {
        let read = tokio::task::block_in_place(|| self.images.read(origin));
        let Some((header, records)) = read.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        match Held::new(records, owned) {
            Ok(held) => Ok(Some((held, header))),
            Err(error) => Err(format!(
                "the version of before, serial {}, cannot be served: {error}",
                header.serial
            )),
        }
    }

    /// The zones of another configuration. What is held and the deadlines go on; a zone with
    /// other primaries is asked for at once.
    ///
    /// # Errors
    /// A version that is held cannot be served under the new services.
    pub(super) fn reconfigured(
        &self,
        config: &Config,
        now: Now,
    ) -> Result<BTreeMap<Name, Followed>, String> {
        let mut zones = BTreeMap::new();
        let mut owned = config.owned();
        for (zone, primaries) in transferred(config) {
            let origin = zone.zone.origin();
            let owned = Arc::new(owned.remove(origin).unwrap_or_default());
            let Some(before) = self.zones.get(origin) else {
                let mut followed = self.begin(now, origin, primaries, owned);
                followed.is_followed = is_followed(zone);
                zones.insert(origin.clone(), followed);
                continue;
            };
            let mut followed = before.clone();
            followed.is_followed = is_followed(zone);
            if let Some(held) = &before.held
                && owned != before.owned
            {
                let laid = held.laid_under(&owned);
                let laid = laid.map_err(|error| format!("zone {origin}: {error}"))?;
                followed.held = Some(Arc::new(laid));
            }
            followed.owned = owned;
            if *before.primaries != **primaries {
                let known = before.secondary.memory().zip(before.held.as_ref());
                let known = known.map(|(memory, held)| (memory, Timers::of(&held.zone)));
                followed.secondary = Secondary::new(now, primaries.len(), origin.wire(), known);
                followed.primaries = Arc::clone(primaries);
                followed.visit = None;
            }
            zones.insert(origin.clone(), followed);
        }
        Ok(zones)
    }

    /// Takes what [`Secondaries::reconfigured`] made.
    pub(super) fn adopt(&mut self, zones: BTreeMap<Name, Followed>, disk: &mut Disk) {
        self.zones = zones;
        self.forget_others(disk);
        self.is_stirred = true;
        self.waiting.retain(|job| {
            let zone = self.zones.get(&job.origin);
            zone.is_some_and(|zone| zone.visit == Some(job.visit))
        });
    }

    /// Removes from the disk what it has of zones that are transferred no more. A visit that is
    /// under way may leave a version behind, until this is called again.
    fn forget_others(&mut self, disk: &mut Disk) {
        if !disk.has_store() {
            // A plain server: the state belongs to another configuration.
            return;
        }
        let zones = &self.zones;
        self.memories.retain(|origin, _| {
            let is_kept = zones.contains_key(origin);
            if !is_kept {
                disk.forget_deadline(origin);
            }
            is_kept
        });
        match tokio::task::block_in_place(|| self.images.forget_others(zones.keys())) {
            Ok(removed) => removed
                .iter()
                .for_each(|path| telemetry::zone_forgotten(path)),
            Err(error) => telemetry::warning(&error),
        }
    }

    pub(super) fn zones(&self) -> &BTreeMap<Name, Followed> {
        &self.zones
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.due
    }

    /// A primary says that a zone has changed.
    pub(super) fn noticed(&mut self, now: Now, notice: &Notice) {
        let Some(zone) = self.zones.get_mut(&notice.origin) else {
            return;
        };
        let is_it = |primary: &Primary| primary.address.ip().to_canonical() == notice.from;
        if let Some(primary) = zone.primaries.iter().position(is_it) {
            let serial = notice.serial;
            zone.secondary
                .handle(now, Event::Notified { primary, serial });
            self.is_stirred = true;
        }
    }

    /// A visit ended. What is to be published comes back with the serial to tell once it is.
    pub(super) fn visited(&mut self, now: Now, end: VisitEnd) -> Option<(Name, Held, Prepared)> {
        self.under_way = self.under_way.saturating_sub(1);
        self.is_stirred = true;
        let zone = self.zones.get_mut(&end.origin)?;
        if zone.visit != Some(end.visit) {
            return None;
        }
        zone.visit = None;
        let outcome = match end.result {
            Ok(Taken::Current) => Outcome::Current,
            Ok(Taken::Version {
                held,
                owned,
                prepared,
                unkept,
            }) => {
                zone.unkept = unkept;
                if let Some(why) = &zone.unkept {
                    telemetry::alarm(&format!("zone {}: {why}", end.origin));
                }
                // A reload while the visit ran may have given names to services.
                let laid = match owned == zone.owned {
                    true => Ok(held),
                    false => held.laid_under(&zone.owned),
                };
                match laid {
                    Ok(held) => return Some((end.origin, held, prepared)),
                    Err(error) => failed(&error.to_string(), false),
                }
            }
            Err(failure) => failed(&failure.why, failure.wants_whole),
        };
        zone.secondary.handle(now, Event::Visited(outcome));
        None
    }

    /// A version that a visit brought is served now, or why not.
    pub(super) fn published(
        &mut self,
        now: Now,
        origin: &Name,
        held: Held,
        refused: Option<String>,
    ) {
        let Some(zone) = self.zones.get_mut(origin) else {
            return;
        };
        self.is_stirred = true;
        let outcome = match refused {
            Some(why) => failed(&why, false),
            None => {
                let replaced = held.replaced(&zone.owned);
                let before = zone.held.as_ref().map(|held| held.replaced(&zone.owned));
                if before.as_ref() != Some(&replaced) {
                    for what in &replaced {
                        telemetry::warning(&format!("zone {origin}: {what}"));
                    }
                }
                let outcome = Outcome::Took {
                    serial: held.serial(),
                    timers: Timers::of(&held.zone),
                };
                zone.held = Some(Arc::new(held));
                outcome
            }
        };
        zone.secondary.handle(now, Event::Visited(outcome));
    }

    /// Carries out what the zones want at this time, and returns what is to be served.
    pub(super) fn act(&mut self, now: Now, disk: &mut Disk) -> Vec<Arc<Zone>> {
        let mut serve = Vec::new();
        // The core acts often, and of thousands of zones none may have anything to do.
        if !self.is_stirred && self.due.is_none_or(|due| due > now.mono) {
            return serve;
        }
        for (origin, zone) in &mut self.zones {
            if zone
                .secondary
                .poll_timeout()
                .is_some_and(|at| at <= now.mono)
            {
                zone.secondary.handle(now, Event::TimePassed);
            }
            while let Some(action) = zone.secondary.poll_action() {
                match action {
                    Action::Visit { primary, whole } => {
                        self.latest_visit += 1;
                        zone.visit = Some(self.latest_visit);
                        if let Some(primary) = zone.primaries.get(primary) {
                            self.waiting.push_back(Job {
                                origin: origin.clone(),
                                visit: self.latest_visit,
                                primary: primary.clone(),
                                held: zone.held.clone(),
                                owned: Arc::clone(&zone.owned),
                                whole,
                                before: zone.compared_with(),
                            });
                        }
                    }
                    Action::Expire | Action::Revive => {
                        serve.extend(zone.served(origin).ok());
                    }
                    Action::Remember(memory) => {
                        self.memories.insert(origin.clone(), memory);
                        disk.note_deadline(origin, &memory);
                    }
                    Action::Tell(told) => tell(origin, &zone.primaries, &told),
                }
            }
        }
        self.due = self
            .zones
            .values()
            .filter_map(|zone| zone.secondary.poll_timeout())
            .min();
        self.is_stirred = false;
        while self.under_way < VISITS
            && let Some(job) = self.waiting.pop_front()
        {
            self.under_way += 1;
            let (images, ends) = (self.images.clone(), self.ends.clone());
            tokio::spawn(async move {
                let (origin, visit) = (job.origin.clone(), job.visit);
                let result = make(job, images).await;
                // Nobody waits for it once the daemon ends.
                let _ = ends
                    .send(VisitEnd {
                        origin,
                        visit,
                        result,
                    })
                    .await;
            });
        }
        serve
    }
}

impl Followed {
    /// What is to be served of the zone now.
    ///
    /// # Errors
    /// None in practice, see [`Zone::without_data`].
    pub(super) fn served(&self, origin: &Name) -> Result<Arc<Zone>, TreeTooLarge> {
        match &self.held {
            Some(held) if self.secondary.is_good() => Ok(Arc::clone(&held.zone)),
            Some(_) => Zone::without_data(origin, Absence::Expired).map(Arc::new),
            None => Zone::without_data(origin, Absence::NotYet).map(Arc::new),
        }
    }

    /// The version that a new one is to be compared with, for those who follow us.
    fn compared_with(&self) -> Option<Arc<Zone>> {
        let held = self.held.as_ref()?;
        (self.is_followed && self.secondary.is_good()).then(|| Arc::clone(&held.zone))
    }

    /// What the primary sends and a service or server owns.
    pub(super) fn replaced(&self) -> Vec<String> {
        let held = self.held.as_ref();
        held.map(|held| held.replaced(&self.owned))
            .unwrap_or_default()
    }
}

fn failed(why: &str, wants_whole: bool) -> Outcome {
    Outcome::Failed {
        why: why.to_owned(),
        wants_whole,
    }
}

fn transferred(config: &Config) -> impl Iterator<Item = (&LoadedZone, &Arc<[Primary]>)> {
    let zones = config.zones.iter();
    zones.filter_map(|zone| Some((zone, zone.primaries()?)))
}

/// Whether anybody may transfer it from us.
fn is_followed(zone: &LoadedZone) -> bool {
    !zone.secondaries.permits.is_empty()
}

/// Makes a visit, up to the disk.
async fn make(job: Job, images: Images) -> Result<Taken, Failure> {
    let held = job.held.as_deref();
    let patience = Patience::default();
    let found = visit(&job.primary, &job.origin, held, job.whole, patience).await;
    let brought = match found {
        Ok(Found::Current) => return Ok(Taken::Current),
        Ok(Found::Newer(brought)) => brought,
        Err(error) => {
            return Err(Failure {
                wants_whole: held.is_some() && wants_whole(&error),
                why: error.to_string(),
            });
        }
    };
    // Sorting a million records takes a while: not on a thread that answers.
    let prepared = tokio::task::spawn_blocking(move || prepare(&job, brought, &images)).await;
    prepared.unwrap_or_else(|error| {
        Err(Failure {
            why: format!("the transfer could not be worked on: {error}; report this"),
            wants_whole: false,
        })
    })
}

fn wants_whole(error: &VisitError) -> bool {
    error.asks_for_the_whole()
}

/// From what a transfer brought to a version that is on the disk and can be served.
fn prepare(job: &Job, brought: Brought, images: &Images) -> Result<Taken, Failure> {
    let is_change = matches!(brought, Brought::Changes(_));
    let version = || -> Result<Held, TransferError> {
        let records = match (brought, &job.held) {
            (Brought::Changes(changes), Some(held)) => held.changed(changes)?,
            (Brought::Whole(records), _) => records,
            // Neither comes without a version that is held: the check tells what is missing.
            (Brought::Changes(_) | Brought::Nothing(_), _) => Received::new(&job.origin),
        };
        Held::new(records, &job.owned)
    };
    let held = version().map_err(|error| Failure {
        wants_whole: is_change && error.asks_for_the_whole(),
        why: error.to_string(),
    })?;
    let header = Header {
        origin: job.origin.to_string(),
        serial: held.serial(),
        taken: clock::wall(),
        from: job.primary.to_string(),
    };
    let written = images.write(&job.origin, &header, held.records());
    let before = job.before.as_ref();
    let prepared = before.map(|before| Prepared::between(before, &held.zone));
    Ok(Taken::Version {
        unkept: written
            .err()
            .map(|error| format!("a restart would lose this version: {error}")),
        held,
        owned: Arc::clone(&job.owned),
        prepared: prepared.unwrap_or_default(),
    })
}

fn tell(origin: &Name, primaries: &[Primary], told: &Told) {
    let of = |primary: usize| {
        primaries
            .get(primary)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    match told {
        Told::Took { primary, serial } => telemetry::zone_took(origin, &of(*primary), *serial),
        Told::Trouble { primary, why } => telemetry::zone_trouble(origin, &of(*primary), why),
        Told::Reached { primary } => telemetry::zone_reached(origin, &of(*primary)),
        Told::Expired { refreshed } => telemetry::zone_expired(origin, *refreshed),
    }
}
