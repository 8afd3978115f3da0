//! Whether the secondaries of a service's zones serve what is published: asked for their SOA, as
//! any client would. That a NOTIFY was acknowledged says only that it came.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::core::Core;
use crate::clock;
use crate::ids::{Serial, ServiceName};
use crate::time::Mono;
use crate::visit;
use crate::zone::Name;

/// A secondary has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Answers that wait to be taken; whoever gives one more waits.
const ANSWERS: usize = 16;

/// Each secondary of a service, and whether it is current.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) service: ServiceName,
    pub(super) asked: Mono,
    pub(super) seen: Vec<(String, bool)>,
}

/// Where answers go, and who is being asked.
pub(super) struct Followers {
    answers: mpsc::Sender<Seen>,
    /// The services whose secondaries are being asked.
    pub(super) asking: BTreeSet<ServiceName>,
}

/// The two ends of the channel of answers.
pub(super) fn channel() -> (Followers, mpsc::Receiver<Seen>) {
    let (answers, taken) = mpsc::channel(ANSWERS);
    let asking = BTreeSet::new();
    (Followers { answers, asking }, taken)
}

impl Core {
    /// Asks all secondaries of the zones that the service stands in, beside each other. The
    /// answer comes by the channel, and only if what the engine published is served.
    pub(super) fn look_at_secondaries(&mut self, service: ServiceName) {
        let unpublished = self.held.contains_key(&service) || self.unpublished.is_some();
        // The engine asks once a second; a round of many zones may take longer.
        if unpublished || !self.followers.asking.insert(service.clone()) {
            return;
        }
        let snapshot = self.publisher.snapshots().load_full();
        let mut wanted: BTreeMap<SocketAddr, Vec<(Name, Serial)>> = BTreeMap::new();
        for origin in self.publisher.zones_of(&service) {
            let Some(zone) = snapshot.zone(&origin) else {
                continue;
            };
            for target in zone.replication().targets.iter() {
                let zones = wanted.entry(target.address).or_default();
                zones.push((origin.clone(), zone.serial()));
            }
        }
        let (answers, asked) = (self.followers.answers.clone(), clock::mono());
        tokio::spawn(async move {
            let mut asking = JoinSet::new();
            for (at, zones) in wanted {
                asking.spawn(async move { (at.to_string(), is_current(at, &zones).await) });
            }
            let mut seen = Vec::new();
            while let Some(answer) = asking.join_next().await {
                seen.extend(answer);
            }
            seen.sort();
            let answer = Seen {
                service,
                asked,
                seen,
            };
            let _ = answers.send(answer).await;
        });
    }
}

/// Whether a secondary serves these serials, or newer ones.
async fn is_current(at: SocketAddr, zones: &[(Name, Serial)]) -> bool {
    for (origin, wanted) in zones {
        match visit::serial(at, origin, TIMEOUT).await {
            Ok(serial) if serial == *wanted || serial.is_newer_than(*wanted) => {}
            Ok(_) | Err(_) => return false,
        }
    }
    true
}
