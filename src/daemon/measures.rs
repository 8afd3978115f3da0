//! What the core knows, for the metrics.

use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use super::core::Core;
use crate::admin::orders::Said;
use crate::dnstap::Tapped;
use crate::ids::{Endpoint, ProbeIndex};
use crate::metrics::{Probed, Sight};
use crate::server::Serving;
use crate::store::{HISTORY_FILE, STATE_FILE};
use crate::time::Now;

/// The files of the state directory that grow.
const FILES: [(&str, &str); 2] = [("state", STATE_FILE), ("history", HISTORY_FILE)];

impl Core {
    /// Everything, at this moment.
    pub(super) fn sight(&self, now: Now) -> Sight {
        let serving = self.serving.as_ref();
        Sight {
            status: self.whole_status(now),
            overrides: self.engine.overrides().0.iter().map(Said::new).collect(),
            counters: serving.map(Serving::counters).unwrap_or_default(),
            measured: serving.map(Serving::measured).unwrap_or_default(),
            swapped: self.publisher.swapped(),
            probed: self.probed(),
            looks_dropped: self.prober.dropped(),
            moves: self.moves.clone(),
            written: self.disk.written(),
            files: Vec::new(),
            tapped: Tapped::default(),
            history_lost: self.keeper.lost(),
            processor: processor(),
        }
    }

    /// In the order of the status.
    fn probed(&self) -> Vec<Probed> {
        let mut all = Vec::new();
        for (name, pool) in &self.engine.policy().pools {
            let probes = self.config.probes.get(name).map_or(0, |specs| specs.len());
            for server in &pool.servers {
                for address in &server.addresses {
                    let endpoint = Endpoint {
                        server: server.name.clone(),
                        address: *address,
                    };
                    let probes = (0..).map(ProbeIndex).take(probes);
                    let phases = probes.map(|probe| self.prober.phases(&endpoint, probe));
                    all.push(Probed {
                        phases: phases.collect(),
                        certificate_ends: self.prober.certificate_ends(&endpoint),
                    });
                }
            }
        }
        all
    }
}

/// The sizes of those files that are there.
pub(super) async fn files(directory: &Path) -> Vec<(&'static str, u64)> {
    let directory = directory.to_owned();
    let sizes = tokio::task::spawn_blocking(move || {
        let sizes = FILES.iter().filter_map(|(name, file)| {
            let about = std::fs::metadata(directory.join(file)).ok()?;
            Some((*name, about.len()))
        });
        sizes.collect()
    });
    sizes.await.unwrap_or_default()
}

/// The processor time of this process.
fn processor() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let used = [usage.user_time(), usage.system_time()];
    let used = used.map(|time| {
        let (seconds, us) = (u64::try_from(time.tv_sec()), u32::try_from(time.tv_usec()));
        Duration::new(seconds.unwrap_or(0), us.unwrap_or(0) * 1000)
    });
    used.iter().sum()
}
