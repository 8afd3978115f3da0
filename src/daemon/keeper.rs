//! What is kept of what happens: the core's inputs, orders and words, on their way to the history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::core::Core;
use super::scribe::{Archive, Scribe};
use crate::chronicle::{Checkpoint, Entry, Pace, Recorder, Run};
use crate::config::Config;
use crate::failover::{Event, Input, Order, Policy};
use crate::ids::PoolName;
use crate::probe::Kind;
use crate::runbook::Operation;
use crate::store::{Chronicle, Opened};
use crate::telemetry;
use crate::time::{Mono, Now};

/// How everything stands is written down after so many entries, and after so long if there were
/// any: what is replayed begins there.
const CHECKPOINT_ENTRIES: u64 = 2000;
const CHECKPOINT_AFTER: Duration = Duration::from_secs(3600);

/// The recorder and the thread that writes.
pub(super) struct Keeper {
    recorder: Recorder,
    /// `None`: a plain server, which has nothing to remember.
    scribe: Option<Scribe>,
    entries: u64,
    checkpoint: Option<Mono>,
}

/// What a question about the past needs of the present.
pub(super) struct Present {
    pub(super) archive: Archive,
    pub(super) policy: Policy,
    pub(super) runs: Vec<Run>,
    /// Operations under way, and those that halted and that nobody has dealt with.
    pub(super) operations: Vec<Operation>,
}

impl Keeper {
    /// Opens the history of a daemon that has a state, which is locked already. What is wrong with
    /// it is added to `notices`.
    pub(super) fn open(
        config: &Config,
        has_state: bool,
        started: Now,
        notices: &mut Vec<String>,
    ) -> Keeper {
        let scribe = has_state.then(|| open_history(config, started, notices));
        Keeper {
            recorder: Recorder::default(),
            scribe: scribe.flatten(),
            entries: 0,
            checkpoint: None,
        }
    }

    pub(super) fn note(&mut self, now: Now, entry: Entry) {
        if let Some(scribe) = &mut self.scribe {
            scribe.note(now.wall, entry);
            self.entries = self.entries.saturating_add(1);
        }
    }

    /// Why nothing can be kept, if it cannot.
    pub(super) fn failed(&self) -> Option<String> {
        self.scribe.as_ref().and_then(Scribe::failed)
    }

    /// How many entries could not be kept since the start.
    pub(super) fn lost(&self) -> u64 {
        self.scribe.as_ref().map_or(0, Scribe::lost_in_all)
    }

    /// The configuration changed: how everything stands is written down anew.
    pub(super) fn reconfigured(&mut self, policy: &Policy) {
        let endpoints: BTreeSet<_> = policy
            .pools
            .values()
            .flat_map(|it| it.endpoints())
            .collect();
        self.recorder
            .retain(|endpoint| endpoints.contains(endpoint));
        self.checkpoint = None;
    }

    fn is_due(&self, now: Mono) -> bool {
        let Some(at) = self.checkpoint else {
            return true;
        };
        self.entries >= CHECKPOINT_ENTRIES || self.entries > 0 && now.since(at) >= CHECKPOINT_AFTER
    }

    pub(super) fn stop(mut self, now: Now) {
        self.note(now, Entry::Ended);
        if let Some(scribe) = self.scribe {
            scribe.stop();
        }
    }
}

impl Core {
    /// Gives an input to the engine, and keeps of it what is to be kept.
    pub(super) fn feed(&mut self, now: Now, input: Input) {
        let entry = if let Input::HookEnded {
            operation,
            task,
            undo,
            attempt,
            end,
        } = &input
        {
            let known = self.engine.operations().find(|it| it.id == *operation);
            known.and_then(|known| Recorder::hook(known, *task, *undo, *attempt, end))
        } else {
            self.keeper.recorder.input(now, &input)
        };
        if let Some(entry) = entry {
            self.keeper.note(now, entry);
        }
        self.engine.handle(now, input);
    }

    /// Keeps what the engine tells.
    pub(super) fn keep_event(&mut self, now: Now, event: Event) {
        self.keeper.note(now, Entry::Told(event));
    }

    /// Keeps an order and what became of it.
    pub(super) fn keep_order(&mut self, now: Now, order: Order, refused: Option<String>) {
        self.keeper.note(now, Entry::Ordered { order, refused });
    }

    /// Writes down how everything stands, if it is time, and no operation is under way.
    pub(super) fn keep_checkpoint(&mut self, now: Now) {
        if !self.keeper.is_due(now.mono) || self.engine.operations().next().is_some() {
            return;
        }
        let memory = self.engine.memory();
        let checkpoint = Checkpoint {
            policy: self.engine.policy().clone(),
            paces: paces(&self.config),
            services: memory.services,
            overrides: memory.overrides,
            runs: self.keeper.recorder.runs(),
        };
        self.keeper
            .note(now, Entry::Checkpoint(Box::new(checkpoint)));
        self.keeper.entries = 0;
        self.keeper.checkpoint = Some(now.mono);
    }

    /// The present, for a question about the past. `None`: nothing is kept here.
    pub(super) fn present(&self) -> Option<Present> {
        let mut operations: Vec<Operation> = self.engine.operations().cloned().collect();
        let memory = self.engine.memory();
        operations.extend(memory.services.into_values().filter_map(|it| it.halted));
        Some(Present {
            archive: self.keeper.scribe.as_ref()?.archive(),
            policy: self.engine.policy().clone(),
            runs: self.keeper.recorder.runs(),
            operations,
        })
    }
}

/// Opens the history. Without it, everything else goes on.
fn open_history(config: &Config, started: Now, notices: &mut Vec<String>) -> Option<Scribe> {
    let mut notice = |notice: String| {
        telemetry::alarm(&notice);
        notices.push(notice);
    };
    let opened = Chronicle::open(&config.state_dir, config.history, started.wall);
    let (chronicle, opened) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            notice(format!("no history is kept: {error}"));
            return None;
        }
    };
    if let Opened::SetAside(path) = opened {
        let path = path.display();
        notice(format!(
            "the history was damaged and is set aside as {path}; a new one has begun"
        ));
    }
    match Scribe::start(chronicle) {
        Ok(mut scribe) => {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            scribe.note(started.wall, Entry::Started { version });
            Some(scribe)
        }
        Err(error) => {
            notice(format!("no history is kept: no thread for it: {error}"));
            None
        }
    }
}

/// How often each probe of each pool looks.
fn paces(config: &Config) -> BTreeMap<PoolName, Vec<Pace>> {
    let paces = config.probes.iter().map(|(name, specs)| {
        let pace = |deep, interval| Pace { interval, deep };
        let paces = specs.iter().map(|spec| match spec.kind {
            Kind::XmppTls => pace(Some(spec.tls_interval), spec.interval),
            Kind::Tcp | Kind::Xmpp | Kind::Tls | Kind::Exec => pace(None, spec.interval),
        });
        (name.clone(), paces.collect())
    });
    paces.collect()
}
