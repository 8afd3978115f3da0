//! All watches of this process.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::look::Target;
use super::phases::PhaseTimes;
use super::schedule::{Schedule, Timing};
use super::spec::{Assignment, Kind, Roots};
use super::thread::Thread;
use super::tls::{RootsError, Trust};
use super::watch::Watch;
use crate::clock;
use crate::health::Observation;
use crate::ids::{Endpoint, ProbeIndex};
use crate::programs::Hands;
use crate::time::Wall;

/// Why the watches cannot begin.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Root certificates cannot be loaded: all that is wrong, a line each.
    #[error("{}", lines(.0))]
    Roots(Vec<RootsError>),
    /// The thread of the watches cannot be started.
    #[error("no thread for the probes ({0}): raise the limits of processes and open files")]
    Thread(#[source] io::Error),
}

fn lines(errors: &[RootsError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Watches every assignment, on a thread of its own, until it is dropped.
///
/// Each server address (with its port) has one probe at a time and one held connection; a
/// second look overlaps the first by its nature, and confirming looks take the place of the
/// stream that broke.
#[derive(Debug)]
pub struct Prober {
    thread: Thread,
    observations: mpsc::Sender<Observation>,
    hands: Hands,
    dropped: Arc<AtomicU64>,
    watches: BTreeMap<(Endpoint, ProbeIndex), Running>,
    turns: HashMap<SocketAddr, Arc<Semaphore>>,
}

#[derive(Debug)]
struct Running {
    assignment: Assignment,
    trust: Option<Arc<Trust>>,
    holds: bool,
    asked: Arc<Notify>,
    ends: Arc<AtomicU64>,
    phases: Arc<PhaseTimes>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    /// Loads the roots and begins to watch; `hands` begin the programs that look. First looks are spread over the first second.
    ///
    /// Observations that find no room in the channel are dropped and counted
    /// ([`Prober::dropped`]): give it room for some looks of every assignment.
    ///
    /// # Errors
    /// If root certificates cannot be loaded or the thread cannot be had; nothing is watched
    /// then.
    pub fn start(
        assignments: Vec<Assignment>,
        observations: mpsc::Sender<Observation>,
        hands: Hands,
    ) -> Result<Prober, ProbeError> {
        let mut prober = Prober {
            thread: Thread::start().map_err(ProbeError::Thread)?,
            observations,
            hands,
            dropped: Arc::new(AtomicU64::new(0)),
            watches: BTreeMap::new(),
            turns: HashMap::new(),
        };
        prober.reassign(assignments)?;
        Ok(prober)
    }

    /// Watches `assignments` from now on and nothing else. Those that are unchanged keep their
    /// schedule and their held stream; root certificates are read anew.
    ///
    /// # Errors
    /// If root certificates cannot be loaded; everything stays as it was then.
    pub fn reassign(&mut self, assignments: Vec<Assignment>) -> Result<(), ProbeError> {
        let trusts = load(&assignments)?;
        let holders = holders(&assignments);
        let mut before = std::mem::take(&mut self.watches);
        let mut turns = HashMap::new();
        for assignment in assignments {
            let key = (assignment.endpoint.clone(), assignment.probe);
            let trust = wants_roots(assignment.spec.kind)
                .then(|| trusts.get(&assignment.spec.roots).cloned())
                .flatten();
            let to = assignment.target();
            let holds = holders.get(&to) == Some(&key);
            let turn = turns.entry(to).or_insert_with(|| {
                let known = self.turns.get(&to).map(Arc::clone);
                known.unwrap_or_else(|| Arc::new(Semaphore::new(1)))
            });
            let unchanged = before.remove(&key).filter(|running| {
                running.assignment == assignment
                    && running.trust == trust
                    && running.holds == holds
                    && !running.task.is_finished()
            });
            let running = match unchanged {
                Some(running) => running,
                None => self.watch(assignment, trust, holds, Arc::clone(turn)),
            };
            self.watches.insert(key, running);
        }
        self.turns = turns;
        Ok(())
    }

    /// Has every probe of `endpoint` take a full look now, besides its schedule. Looks that
    /// began before this call are not meant: wait for an observation whose `begun` is later.
    pub fn look_now(&self, endpoint: &Endpoint) {
        let from = (endpoint.clone(), ProbeIndex(0));
        for ((of, _), running) in self.watches.range(from..) {
            if of != endpoint {
                break;
            }
            running.asked.notify_one();
        }
    }

    /// When the certificate ends that an endpoint showed last; the earliest of several probes'.
    /// `None` if it has shown none yet.
    #[must_use]
    pub fn certificate_ends(&self, endpoint: &Endpoint) -> Option<Wall> {
        let from = (endpoint.clone(), ProbeIndex(0));
        let watches = self.watches.range(from..);
        let of_it = watches.take_while(|((of, _), _)| of == endpoint);
        let ends = of_it.map(|(_, running)| running.ends.load(Ordering::Relaxed));
        ends.filter(|end| *end > 0).min().map(Wall)
    }

    /// How long each step of a probe's looks took when it was last taken.
    #[must_use]
    pub fn phases(&self, endpoint: &Endpoint, probe: ProbeIndex) -> Vec<(&'static str, Duration)> {
        let running = self.watches.get(&(endpoint.clone(), probe));
        running.map_or_else(Vec::new, |running| running.phases.latest())
    }

    /// How many observations found no room in the channel since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends all watches and waits until their sockets are closed and their programs killed.
    pub async fn stop(mut self) {
        for (_, mut running) in std::mem::take(&mut self.watches) {
            running.task.abort();
            // An aborted task ends with an error that says so.
            let _ = (&mut running.task).await;
        }
    }

    fn watch(
        &self,
        assignment: Assignment,
        trust: Option<Arc<Trust>>,
        holds: bool,
        turn: Arc<Semaphore>,
    ) -> Running {
        let asked = Arc::new(Notify::new());
        let ends = Arc::new(AtomicU64::new(0));
        let phases = Arc::new(PhaseTimes::default());
        let spec = &assignment.spec;
        let timing = Timing {
            interval: spec.interval,
            tls_interval: spec.tls_interval,
            timeout: spec.timeout,
            rise: spec.rise,
            fall: spec.fall,
            deep: spec.kind == Kind::XmppTls,
            hold: holds,
        };
        let server = assignment.endpoint.server.as_str();
        let watch = Watch {
            endpoint: assignment.endpoint.clone(),
            probe: assignment.probe,
            target: Arc::new(Target {
                server: server.trim_end_matches('.').to_owned(),
                to: assignment.target(),
                spec: Arc::clone(spec),
                trust: trust.clone(),
                hands: self.hands.clone(),
            }),
            schedule: Schedule::new(timing, clock::mono(), phase(&assignment)),
            turn,
            asked: Arc::clone(&asked),
            ends: Arc::clone(&ends),
            phases: Arc::clone(&phases),
            observations: self.observations.clone(),
            dropped: Arc::clone(&self.dropped),
        };
        Running {
            assignment,
            trust,
            holds,
            asked,
            ends,
            phases,
            task: self.thread.spawn(watch.run()),
        }
    }
}

fn wants_roots(kind: Kind) -> bool {
    match kind {
        Kind::XmppTls | Kind::Tls => true,
        Kind::Tcp | Kind::Xmpp | Kind::Exec => false,
    }
}

/// Loads each set of roots once, and says all that is wrong.
fn load(assignments: &[Assignment]) -> Result<BTreeMap<Roots, Arc<Trust>>, ProbeError> {
    let (mut trusts, mut errors) = (BTreeMap::new(), BTreeMap::new());
    for assignment in assignments {
        let roots = &assignment.spec.roots;
        let known = trusts.contains_key(roots) || errors.contains_key(roots);
        if wants_roots(assignment.spec.kind) && !known {
            match Trust::load(roots) {
                Ok(trust) => {
                    trusts.insert(roots.clone(), Arc::new(trust));
                }
                Err(error) => {
                    errors.insert(roots.clone(), error);
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(trusts)
    } else {
        Err(ProbeError::Roots(errors.into_values().collect()))
    }
}

/// Which assignment keeps the idle stream of an address: the first of those that may.
fn holders(assignments: &[Assignment]) -> HashMap<SocketAddr, (Endpoint, ProbeIndex)> {
    let mut holders = HashMap::new();
    for assignment in assignments {
        let may = match assignment.spec.kind {
            Kind::Xmpp | Kind::XmppTls => assignment.spec.hold,
            Kind::Tcp | Kind::Tls | Kind::Exec => false,
        };
        if may {
            let key = (assignment.endpoint.clone(), assignment.probe);
            let holder = holders
                .entry(assignment.target())
                .or_insert_with(|| key.clone());
            if key < *holder {
                *holder = key;
            }
        }
    }
    holders
}

/// Where on the grid an assignment stands: the same at every start, and spread evenly over
/// many.
fn phase(assignment: &Assignment) -> u64 {
    let mut hasher = DefaultHasher::new();
    assignment.endpoint.hash(&mut hasher);
    assignment.probe.hash(&mut hasher);
    hasher.finish()
}
