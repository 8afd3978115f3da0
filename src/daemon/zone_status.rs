//! What the core knows of transferred zones, as `switchback status` shows it.

use super::core::Core;
use super::secondaries::Followed;
use crate::admin::status::{PrimaryTrouble, Transferred, TransferredState};
use crate::time::Now;
use crate::zone::Name;

impl Core {
    /// How a zone is that is transferred from primaries.
    pub(super) fn transferred(&self, now: Now, origin: &Name) -> Option<Transferred> {
        let followed = self.secondaries.zones().get(origin)?;
        let memory = followed.secondary.memory();
        let next = followed.secondary.next_round();
        Some(Transferred {
            state: state(followed),
            primaries: followed.primaries.iter().map(ToString::to_string).collect(),
            primary_serial: followed.held.as_ref().map(|held| held.serial()),
            refreshed: memory.map(|memory| memory.refreshed),
            expires: memory.map(|memory| memory.expires),
            next: next.map(|next| now.wall + next.since(now.mono)),
            troubles: troubles(followed),
            replaced: followed.replaced(),
            unkept: followed.unkept.clone(),
        })
    }

    /// Transferred zones that are not answered, or would be lost.
    pub(super) fn zone_alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        for (origin, followed) in self.secondaries.zones() {
            let mut why: Vec<String> = troubles(followed)
                .into_iter()
                .map(|trouble| format!("primary {}: {}", trouble.primary, trouble.why))
                .collect();
            why.dedup();
            let why = why.join("; ");
            match state(followed) {
                TransferredState::Current => {}
                TransferredState::Expired => {
                    alarms.push(format!(
                        "zone {origin} has expired, it is answered SERVFAIL: {why}"
                    ));
                }
                // At a start the first visit is under way: nothing has gone wrong yet.
                TransferredState::Absent if why.is_empty() => {}
                TransferredState::Absent => {
                    alarms.push(format!(
                        "zone {origin} has not come, it is answered SERVFAIL: {why}"
                    ));
                }
            }
            if let Some(why) = &followed.unkept {
                alarms.push(format!("zone {origin}: {why}"));
            }
        }
        alarms
    }
}

fn state(followed: &Followed) -> TransferredState {
    match &followed.held {
        Some(_) if followed.secondary.is_good() => TransferredState::Current,
        Some(_) => TransferredState::Expired,
        None => TransferredState::Absent,
    }
}

fn troubles(followed: &Followed) -> Vec<PrimaryTrouble> {
    let troubles = followed.secondary.troubles().filter_map(|trouble| {
        Some(PrimaryTrouble {
            primary: followed.primaries.get(trouble.primary)?.to_string(),
            why: trouble.why.clone(),
            at: trouble.at,
        })
    });
    troubles.collect()
}
