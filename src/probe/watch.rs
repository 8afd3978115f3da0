//! The watch over one assignment: drives its [`Schedule`], takes the looks, reports.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::held::Held;
use super::look::{self, Look, Target};
use super::phases::PhaseTimes;
use super::schedule::{LATE, Loss, Occasion, Schedule, Start};
use super::xmpp::Stream;
use crate::clock;
use crate::health::{Observation, Verdict};
use crate::ids::{Endpoint, ProbeIndex};
use crate::time::{Mono, Now};

/// What a watch is made of.
pub(super) struct Watch {
    pub(super) endpoint: Endpoint,
    pub(super) probe: ProbeIndex,
    pub(super) target: Arc<Target>,
    pub(super) schedule: Schedule,
    /// One turn at a time at this address.
    pub(super) turn: Arc<Semaphore>,
    /// Somebody wants to know now.
    pub(super) asked: Arc<Notify>,
    pub(super) observations: mpsc::Sender<Observation>,
    /// When the certificate that was shown last ends, in milliseconds since 1970; 0 before.
    pub(super) ends: Arc<AtomicU64>,
    /// How long the steps took.
    pub(super) phases: Arc<PhaseTimes>,
    /// Observations that found no room.
    pub(super) dropped: Arc<AtomicU64>,
}

/// A look that waits for its turn, or is under way.
struct Running {
    start: Start,
    begun: Option<Now>,
    _turn: Option<OwnedSemaphorePermit>,
    future: Pin<Box<dyn Future<Output = Step> + Send>>,
}

enum Step {
    Admitted(Option<OwnedSemaphorePermit>),
    Ended(Look, Option<Stream>),
}

type Table = [Option<Running>; Occasion::ALL.len()];

impl Watch {
    /// Watches until it is dropped or nobody listens.
    pub(super) async fn run(mut self) {
        let mut table: Table = Default::default();
        let mut held: Option<Held> = None;
        let asked = Arc::clone(&self.asked);
        while !self.observations.is_closed() {
            let now = clock::mono();
            while let Some(start) = self.schedule.poll_start(now) {
                table[start.occasion.slot()] = Some(self.begin(start));
            }
            let wake = self.schedule.poll_timeout();
            tokio::select! {
                biased;
                loss = lost(&mut held) => {
                    held = None;
                    self.schedule.handle_lost(clock::mono(), loss);
                }
                (slot, step) = next(&mut table) => {
                    self.step(&mut table[slot], step, &mut held);
                }
                () = asked.notified() => self.schedule.handle_asked(),
                () = until(wake) => {}
            }
        }
    }

    fn begin(&mut self, start: Start) -> Running {
        let turn = if start.occasion.waits_its_turn() {
            match Arc::clone(&self.turn).try_acquire_owned() {
                Ok(turn) => Some(turn),
                Err(_) => {
                    let turns = Arc::clone(&self.turn);
                    return Running {
                        start,
                        begun: None,
                        _turn: None,
                        future: Box::pin(async move {
                            Step::Admitted(turns.acquire_owned().await.ok())
                        }),
                    };
                }
            }
        } else {
            None
        };
        self.admit(start, turn)
    }

    fn admit(&mut self, start: Start, turn: Option<OwnedSemaphorePermit>) -> Running {
        let begun = clock::now();
        self.schedule.handle_begun(start, begun.mono);
        let target = Arc::clone(&self.target);
        Running {
            start,
            begun: Some(begun),
            _turn: turn,
            future: Box::pin(async move {
                let (look, stream) = look::take(&target, start.full).await;
                Step::Ended(look, stream)
            }),
        }
    }

    fn step(&mut self, slot: &mut Option<Running>, step: Step, held: &mut Option<Held>) {
        let Some(running) = slot.take() else { return };
        match step {
            Step::Admitted(turn) => *slot = Some(self.admit(running.start, turn)),
            Step::Ended(look, stream) => {
                let begun = running.begun.unwrap_or_default();
                self.ended(running.start, begun, look, stream, held);
            }
        }
    }

    fn ended(
        &mut self,
        start: Start,
        begun: Now,
        look: Look,
        stream: Option<Stream>,
        held: &mut Option<Held>,
    ) {
        let ended = clock::now();
        if was_stopped(begun, ended, self.target.spec.timeout) {
            self.schedule
                .handle_ended(start, begun.mono, ended.mono, None);
            return;
        }
        self.phases.note(&look.phases);
        if let Some(end) = look.certificate_ends {
            self.ends.store(end.0, Ordering::Relaxed);
        }
        let verdict = Some(&look.verdict);
        self.schedule
            .handle_ended(start, begun.mono, ended.mono, verdict);
        if let Some(stream) = stream
            && self.schedule.wants_stream(ended.mono)
            && let Ok(stream) = Held::new(stream, self.target.spec.timeout)
        {
            *held = Some(stream);
            self.schedule.handle_held(ended.mono);
        }
        self.report(begun.mono, ended.mono, look.verdict, look.depth);
    }

    /// A full channel drops the observation: the listener is behind, and a layer without
    /// findings becomes unknown, never falsely good. It is counted.
    fn report(&self, begun: Mono, ended: Mono, verdict: Verdict, depth: crate::health::Layer) {
        let observation = Observation {
            endpoint: self.endpoint.clone(),
            probe: self.probe,
            begun,
            ended,
            verdict,
            depth,
        };
        if self.observations.try_send(observation).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether the process or the machine stood still during a look: its deadline fired late, or
/// the calendar moved on and the monotonic clock, which a suspended machine stops, did not. A
/// step of the calendar looks the same and costs one look.
fn was_stopped(begun: Now, ended: Now, timeout: Duration) -> bool {
    let took = ended.mono.since(begun.mono);
    took > timeout + LATE || ended.wall.since(begun.wall) > took + LATE
}

async fn until(wake: Option<Mono>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(clock::instant(wake)).await,
        None => std::future::pending().await,
    }
}

async fn lost(held: &mut Option<Held>) -> Loss {
    match held {
        Some(held) => held.lost().await,
        None => std::future::pending().await,
    }
}

/// The next of the looks to take a step. Safe to drop at any time.
async fn next(table: &mut Table) -> (usize, Step) {
    poll_fn(|context| {
        for (slot, running) in table.iter_mut().enumerate() {
            if let Some(running) = running
                && let Poll::Ready(step) = running.future.as_mut().poll(context)
            {
                return Poll::Ready((slot, step));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    #[test]
    fn a_look_across_a_standstill_is_recognised() {
        let now = |mono: u64, wall: u64| Now {
            mono: Mono(Duration::from_millis(mono)),
            wall: Wall(wall),
        };
        let timeout = Duration::from_secs(1);
        assert!(!was_stopped(now(0, 500), now(1100, 1600), timeout));
        // The process was stopped.
        assert!(was_stopped(now(0, 500), now(9000, 9500), timeout));
        // The machine was suspended, and the monotonic clock with it.
        assert!(was_stopped(now(0, 500), now(900, 60_500), timeout));
        // The calendar went back.
        assert!(!was_stopped(now(0, 60_500), now(900, 500), timeout));
    }
}
