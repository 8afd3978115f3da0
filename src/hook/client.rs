//! The daemon's side: keeps one runner alive, hands it calls, passes on what it says.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock;
use crate::failover::{HookCall, HookEnd, HookOutcome, ProcessGroup};
use crate::ids::OperationId;
use crate::programs::Hands;
use crate::time::Mono;

use super::CALLS;
use super::lines::line;
use super::link::{Link, Place};
use super::protocol::{FromRunner, LINE_BYTES, RunKey, ToRunner};

/// Between two attempts to start a runner again, doubled from the least to the most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Why a hook cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The runner's process could not be made.
    #[error(
        "the hook runner cannot be started: {0}: check the program and the limits on processes"
    )]
    Start(#[source] io::Error),
    /// It did not answer as it should.
    #[error("hook runner: {0}")]
    Handshake(String),
    /// It has ended, and is being started again.
    #[error("no hook runner at the moment: it is being started again")]
    NoRunner,
    /// There is no room for another call.
    #[error("{CALLS} hooks run already: wait for one to end")]
    Busy,
    /// This very run is under way.
    #[error("this attempt of the hook is under way already: a new attempt needs a new number")]
    Twice,
}

/// What the runner reports. The receiver takes them in order, and promptly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunnerEvent {
    /// A run has a process group; the hook begins now.
    Started {
        /// Which run.
        key: RunKey,
        /// Its group.
        group: ProcessGroup,
    },
    /// A run is over. Every call that [`Runner::run`] accepted comes to this, once, unless the
    /// runner is stopped before.
    Ended {
        /// Which run.
        key: RunKey,
        /// How.
        end: HookEnd,
    },
    /// The runner died, or could not be started again; another attempt follows. Calls that were
    /// under way end as [`HookOutcome::Lost`] as soon as a new runner has confirmed that their
    /// process groups are gone.
    RunnerLost {
        /// Why.
        why: String,
    },
}

#[derive(Debug, Default)]
struct Shared {
    up: bool,
    /// The calls under way, and since when.
    calls: BTreeMap<RunKey, Mono>,
}

enum Order {
    Tell(ToRunner),
    Stop,
}

/// The runner process, kept alive.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Mutex<Shared>>,
    orders: mpsc::Sender<Order>,
    keeper: JoinHandle<()>,
}

impl Runner {
    /// Has the hook runner begun. When it returns, no hook of an earlier run on the directory of
    /// its [`greeting`](super::greeting), which must exist, is alive.
    ///
    /// `events` should have room for 64 events; a full channel delays, and loses nothing.
    ///
    /// # Errors
    /// The process cannot be made, or hooks of an earlier run cannot be ended.
    pub async fn start(
        hands: Hands,
        events: mpsc::Sender<RunnerEvent>,
    ) -> Result<Runner, HookError> {
        let place = Place { hands };
        let link = place.connect().await?;
        let shared = Arc::new(Mutex::new(Shared {
            up: true,
            calls: BTreeMap::new(),
        }));
        // A call and its abandonment, for each.
        let (orders, taken) = mpsc::channel(4 * CALLS);
        let keeper = Keeper {
            place,
            orders: taken,
            events,
            shared: Arc::clone(&shared),
        };
        Ok(Runner {
            shared,
            orders,
            keeper: tokio::spawn(keeper.keep(link)),
        })
    }

    /// Hands over `call`, which must be recorded as started by now. It does not wait for it.
    ///
    /// # Errors
    /// The call was not handed over, and no event will come of it.
    pub async fn run(&self, call: HookCall) -> Result<(), HookError> {
        let key = RunKey::of(&call);
        let mut shared = lock(&self.shared);
        if !shared.up {
            return Err(HookError::NoRunner);
        }
        if shared.calls.contains_key(&key) {
            return Err(HookError::Twice);
        }
        if shared.calls.len() >= CALLS {
            return Err(HookError::Busy);
        }
        let order = Order::Tell(ToRunner::Run(Box::new(call)));
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => HookError::Busy,
            TrySendError::Closed(_) => HookError::NoRunner,
        })?;
        shared.calls.insert(key, clock::mono());
        Ok(())
    }

    /// Ends what runs for `operation`; the ends are reported as usual.
    pub async fn abandon(&self, operation: OperationId) {
        // The queue is full only when the runner does not read: then it will be lost, and its
        // hooks with it.
        let _ = self
            .orders
            .send(Order::Tell(ToRunner::Abandon(operation)))
            .await;
    }

    /// Ends the runner and all that it runs. No events come after it.
    pub async fn stop(self) {
        let _ = self.orders.send(Order::Stop).await;
        let _ = self.keeper.await;
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that owns the runner.
struct Keeper {
    place: Place,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<RunnerEvent>,
    shared: Arc<Mutex<Shared>>,
}

/// Why a link is no longer served.
enum Parted {
    Stopped,
    Lost(String),
}

impl Keeper {
    async fn keep(mut self, mut link: Link) {
        loop {
            let why = match self.serve(&mut link).await {
                Parted::Stopped => return link.farewell().await,
                Parted::Lost(why) => why,
            };
            lock(&self.shared).up = false;
            // Whatever is left of it must not run beside its successor.
            link.child.kill();
            let how = link.child.wait().await;
            let how = how.map_or_else(|error| error.to_string(), |status| status.to_string());
            self.report(RunnerEvent::RunnerLost {
                why: format!("{why} ({how})"),
            })
            .await;
            link = match self.again().await {
                Some(link) => link,
                None => return,
            };
            if !self.settle(&how).await {
                return link.farewell().await;
            }
        }
    }

    /// Passes lines on until one side ends. It never waits in one direction while the other is
    /// full: two processes that do so wait for ever.
    async fn serve(&mut self, link: &mut Link) -> Parted {
        // Bounded by the calls under way: `run` refuses more than [`CALLS`].
        let mut unsent: Vec<u8> = Vec::new();
        loop {
            tokio::select! {
                order = self.orders.recv(), if unsent.len() < LINE_BYTES => match order {
                    Some(Order::Tell(what)) => match line(&what) {
                        Ok(line) => unsent.extend(line),
                        Err(error) => return Parted::Lost(format!("a call cannot be written: {error}")),
                    },
                    Some(Order::Stop) | None => return Parted::Stopped,
                },
                sent = link.stdin.write(&unsent), if !unsent.is_empty() => match sent {
                    Ok(sent) => drop(unsent.drain(..sent)),
                    Err(error) => {
                        return Parted::Lost(format!("the hook runner takes no calls: {error}"));
                    }
                },
                line = link.lines.next::<FromRunner>() => {
                    if let Err(why) = self.heard(line).await {
                        return Parted::Lost(why);
                    }
                }
            }
        }
    }

    async fn heard(&self, line: io::Result<Option<FromRunner>>) -> Result<(), String> {
        match line {
            Ok(Some(FromRunner::Started { key, group })) => {
                self.report(RunnerEvent::Started { key, group }).await;
            }
            Ok(Some(FromRunner::Ended { key, end })) => {
                lock(&self.shared).calls.remove(&key);
                self.report(RunnerEvent::Ended { key, end }).await;
            }
            Ok(Some(FromRunner::Ready { .. } | FromRunner::Refused(_))) => {
                return Err("the hook runner spoke out of turn".to_owned());
            }
            Ok(None) => return Err("the hook runner ended".to_owned()),
            Err(error) => return Err(format!("the hook runner spoke nonsense: {error}")),
        }
        Ok(())
    }

    /// Starts another runner, however often it takes; `None` if told to stop meanwhile.
    async fn again(&mut self) -> Option<Link> {
        let mut pause = RETRY.0;
        loop {
            // Orders taken here were given before the loss was known: their calls end as lost,
            // like the others. A runner that is dropped half connected ends by itself.
            let connected = {
                let mut connecting = pin!(self.place.connect());
                loop {
                    tokio::select! {
                        connected = &mut connecting => break connected,
                        order = self.orders.recv() => match order {
                            Some(Order::Tell(_)) => {}
                            Some(Order::Stop) | None => return None,
                        },
                    }
                }
            };
            let error = match connected {
                Ok(link) => return Some(link),
                Err(error) => error,
            };
            self.report(RunnerEvent::RunnerLost {
                why: error.to_string(),
            })
            .await;
            let deadline = clock::mono() + pause;
            while clock::mono() < deadline {
                let left = deadline.since(clock::mono());
                match timeout(left, self.orders.recv()).await {
                    Ok(Some(Order::Stop) | None) => return None,
                    Ok(Some(Order::Tell(_))) | Err(_) => {}
                }
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// A new runner has confirmed that nothing is alive: what was under way is lost. `false` if
    /// told to stop meanwhile.
    async fn settle(&mut self, how: &str) -> bool {
        let lost = {
            let mut shared = lock(&self.shared);
            // Calls that wait in the queue are among `calls`; none can join them under the lock.
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Tell(_) => {}
                    Order::Stop => return false,
                }
            }
            shared.up = true;
            std::mem::take(&mut shared.calls)
        };
        for (key, since) in lost {
            let end = HookEnd {
                outcome: HookOutcome::Lost(format!(
                    "the hook runner ended under it ({how}); its process group is gone"
                )),
                output: String::new(),
                took: clock::mono().since(since),
            };
            self.report(RunnerEvent::Ended { key, end }).await;
        }
        true
    }

    async fn report(&self, event: RunnerEvent) {
        // Without a receiver the daemon is ending, and `orders` will say so.
        let _ = self.events.send(event).await;
    }
}
