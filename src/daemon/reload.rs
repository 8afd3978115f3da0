//! Taking a new configuration: all of it, or nothing.

use std::collections::BTreeSet;

use super::DaemonError;
use super::core::Core;
use super::ground::Ground;
use super::histories::Prepared;
use super::start::{Source, assignments, publications};
use crate::admin::{Answer, Response};
use crate::chronicle::Entry;
use crate::clock;
use crate::config::{self, Config, Problems, Warning};
use crate::failover::Input;
use crate::ids::ServiceName;
use crate::snapshot::Snapshot;
use crate::telemetry;

/// A configuration that was read, with its zones.
pub(super) struct Loaded {
    config: Config,
    warnings: Vec<Warning>,
    prepared: Prepared,
}

impl Loaded {
    /// Compares the zones with those that are served; large ones take a while.
    pub(super) fn compare_with(&mut self, served: &Snapshot) {
        self.prepared = Prepared::compare(served, &mut self.config.zones);
    }
}

/// Reads the configuration and all its zones.
pub(super) fn read(source: &Source) -> Result<Loaded, Problems> {
    let (config, warnings) = match source {
        Source::File(path) => config::load(path)?,
        Source::Plain { listen, zones } => (config::plain(listen, zones)?, Vec::new()),
    };
    Ok(Loaded {
        config,
        warnings,
        prepared: Prepared::default(),
    })
}

impl Core {
    /// Takes a configuration, or refuses it and changes nothing.
    pub(super) fn adopt(&mut self, loaded: Loaded) -> Response {
        let Loaded {
            config,
            warnings,
            prepared,
        } = loaded;
        let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        if config.listen != self.config.listen {
            warnings.push("[listen] changed: that takes a restart".to_owned());
        }
        if config.state_dir != self.config.state_dir {
            warnings.push("state_dir changed: that takes a restart".to_owned());
        }
        if config.confined != self.config.confined {
            warnings.push("[sandbox] changed: that takes a restart".to_owned());
        }
        if config.dnstap != self.config.dnstap {
            warnings.push(
                "[dnstap] changed: that takes a restart; `switchback dnstap` switches it"
                    .to_owned(),
            );
        }
        if config.history != self.config.history {
            warnings.push("[history] changed: that takes a restart".to_owned());
        }
        let worked = self.disk.failed().is_none();
        let result = self.try_adopt(config, &prepared);
        self.tell_of_the_disk(clock::now(), worked);
        telemetry::reload(result.as_ref().err());
        let refused = result.as_ref().err().cloned();
        self.keeper.note(clock::now(), Entry::Reloaded { refused });
        match result {
            Ok(()) => {
                let generation = self.publisher.generation();
                Response::Ok(Answer::Reloaded {
                    generation,
                    warnings,
                })
            }
            Err(why) => Response::error(format!("{why}\nnothing has changed")),
        }
    }

    /// The new policy is tried on a copy of the engine, and what it would publish on a snapshot
    /// that nobody sees: only when nothing speaks against it anything changes.
    fn try_adopt(&mut self, config: Config, prepared: &Prepared) -> Result<(), String> {
        if let Some(sealed) = &self.confinement.sealed {
            sealed.admits(&config)?;
        }
        self.engine
            .admit(&config.policy)
            .map_err(|refusal| refusal.to_string())?;
        let mut engine = self.engine.clone();
        let input = Input::Policy {
            policy: Box::new(config.policy.clone()),
            changed: services_with_other_records(&self.config, &config),
        };
        engine.handle(clock::now(), input);
        let published = publications(&engine);
        let followed = self.secondaries.reconfigured(&config, clock::now())?;
        let ground = Ground::new(&config, &followed);
        ground
            .try_out(&published)
            .map_err(|error: DaemonError| error.to_string())?;
        self.prober
            .reassign(assignments(&config))
            .map_err(|error| error.to_string())?;
        if let Err(error) = self
            .publisher
            .reload(ground, prepared, published, &mut self.disk)
        {
            // The probes go back too: they were fit for the old configuration before.
            let _ = self.prober.reassign(assignments(&self.config));
            return Err(error.to_string());
        }
        self.tell_secondaries();
        self.engine = engine;
        self.keeper.reconfigured(&config.policy);
        self.courier.adopt(&config.alerts);
        self.config = config;
        self.secondaries.adopt(followed, &mut self.disk);
        self.held.clear();
        Ok(())
    }
}

/// The services that are in both configurations and own other records in the second, or these at
/// other ports.
fn services_with_other_records(before: &Config, after: &Config) -> BTreeSet<ServiceName> {
    let known = before.records.iter();
    let differs = known.filter(|(name, records)| {
        let next = after.records.get(*name);
        next.is_some_and(|next| next != *records)
    });
    differs.map(|(name, _)| name.clone()).collect()
}
