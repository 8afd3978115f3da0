//! What waits for one receiver.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::{Alert, Severity, Topic};
use crate::time::{Mono, Now, Wall};

/// So many alerts an hour, if nobody says otherwise.
pub const PER_HOUR: u32 = 30;
/// So many wait at the most.
const WAITING: usize = 64;
const HOUR: Duration = Duration::from_secs(3600);
/// Between two attempts, doubled from the least to the most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// What could not be delivered for so long is left out.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// An alert on its way, with what its receiver needs to tell it apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The same at each attempt, and no other message's.
    pub id: String,
    /// What happened.
    #[serde(flatten)]
    pub alert: Alert,
    /// Of a digest: how many alerts of each topic were left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<Topic, u32>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Deliver this, then call [`Ledger::ended`].
    Deliver(Box<Message>),
    /// Nothing before then, if there is a then.
    Wait(Option<Mono>),
}

/// What changed for the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Deliveries began to fail.
    Fails(String),
    /// They work again.
    Works,
}

/// How it stands, for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How many wait.
    pub waiting: usize,
    /// How many were delivered since the start.
    pub delivered: u64,
    /// How many were left out since the start.
    pub left_out: u64,
    /// When one was delivered last.
    pub last: Option<Wall>,
    /// Since when deliveries fail, and why the latest one did.
    pub failing: Option<(Wall, String)>,
}

/// Everything that waits for one receiver, and what came of the rest.
#[derive(Clone, Debug)]
pub struct Ledger {
    per_hour: u32,
    queue: VecDeque<(Mono, Message)>,
    under_way: bool,
    /// Failed attempts at the first in the queue.
    attempts: u32,
    due: Mono,
    /// When those of the last hour were taken.
    taken: VecDeque<Mono>,
    /// Not told yet.
    left_out: BTreeMap<Topic, u32>,
    number: u64,
    state: State,
}

impl Ledger {
    /// An empty one, for so many alerts an hour. Alarms may be twice as many.
    #[must_use]
    pub fn new(per_hour: u32) -> Ledger {
        Ledger {
            per_hour: per_hour.max(1),
            queue: VecDeque::new(),
            under_way: false,
            attempts: 0,
            due: Mono::default(),
            taken: VecDeque::new(),
            left_out: BTreeMap::new(),
            number: 0,
            state: State::default(),
        }
    }

    /// Takes another rate from now on. A delivery that was under way counts as one that has not
    /// been: whoever made it is gone.
    pub fn renew(&mut self, per_hour: u32) {
        self.per_hour = per_hour.max(1);
        self.under_way = false;
        self.due = Mono::default();
    }

    /// Takes an alert, or counts it among those that are left out.
    pub fn take(&mut self, now: Now, alert: Alert) {
        self.forget(now.mono);
        let room = if alert.severity == Severity::Alarm {
            self.per_hour.saturating_mul(2)
        } else {
            self.per_hour
        };
        if self.taken.len() >= usize::try_from(room).unwrap_or(usize::MAX) {
            return self.leave_out(alert.topic);
        }
        if self.queue.len() >= WAITING && !self.make_room(alert.severity) {
            return self.leave_out(alert.topic);
        }
        self.push(now, alert, BTreeMap::new());
    }

    /// What is to be done now.
    pub fn poll(&mut self, now: Now) -> Next {
        self.forget(now.mono);
        if self.under_way {
            return Next::Wait(None);
        }
        self.give_up(now.mono);
        if self.queue.is_empty() && !self.left_out.is_empty() {
            let full = usize::try_from(self.per_hour).unwrap_or(usize::MAX);
            match self.taken.front() {
                Some(first) if self.taken.len() >= full => {
                    return Next::Wait(Some(*first + HOUR));
                }
                Some(_) | None => self.push_digest(now),
            }
        }
        match self.queue.front() {
            None => Next::Wait(None),
            Some(_) if self.due > now.mono => Next::Wait(Some(self.due)),
            Some((_, message)) => {
                self.under_way = true;
                Next::Deliver(Box::new(message.clone()))
            }
        }
    }

    /// How the delivery ended that [`Ledger::poll`] asked for.
    pub fn ended(&mut self, now: Now, result: Result<(), String>) -> Option<Change> {
        self.under_way = false;
        match result {
            Ok(()) => {
                self.queue.pop_front();
                self.attempts = 0;
                self.due = now.mono;
                self.state.delivered += 1;
                self.state.last = Some(now.wall);
                self.state.failing.take().map(|_| Change::Works)
            }
            Err(why) => {
                let pause = RETRY
                    .0
                    .saturating_mul(1 << self.attempts.min(16))
                    .min(RETRY.1);
                self.attempts = self.attempts.saturating_add(1);
                self.due = now.mono + pause;
                let first = self.state.failing.is_none();
                let since = self
                    .state
                    .failing
                    .take()
                    .map_or(now.wall, |(since, _)| since);
                self.state.failing = Some((since, why.clone()));
                first.then_some(Change::Fails(why))
            }
        }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> State {
        State {
            waiting: self.queue.len(),
            ..self.state.clone()
        }
    }

    fn push(&mut self, now: Now, alert: Alert, left_out: BTreeMap<Topic, u32>) {
        self.number += 1;
        let id = format!("{}-{}", now.wall.0, self.number);
        self.taken.push_back(now.mono);
        self.queue.push_back((
            now.mono,
            Message {
                id,
                alert,
                left_out,
            },
        ));
    }

    fn push_digest(&mut self, now: Now) {
        let left_out = std::mem::take(&mut self.left_out);
        let count: u64 = left_out.values().map(|count| u64::from(*count)).sum();
        let each = left_out
            .iter()
            .map(|(topic, count)| format!("{count} {}", topic.word()));
        let each: Vec<String> = each.collect();
        let text = format!(
            "{count} more were left out: {}; switchback status says how things are now",
            each.join(", ")
        );
        let alert = Alert::new(Topic::Digest, Severity::Notice, now.wall, text);
        self.push(now, alert, left_out);
    }

    /// Drops the oldest of those that matter least, if they matter less than this.
    fn make_room(&mut self, severity: Severity) -> bool {
        // The first may be under way.
        let others = self.queue.iter().enumerate().skip(1);
        let least = others.min_by_key(|(place, (_, it))| (it.alert.severity, *place));
        let Some((place, _)) = least.filter(|(_, (_, it))| it.alert.severity < severity) else {
            return false;
        };
        if let Some((_, message)) = self.queue.remove(place) {
            self.leave_out_all(&message);
        }
        true
    }

    fn give_up(&mut self, now: Mono) {
        while let Some((since, _)) = self.queue.front() {
            if now.since(*since) < GIVE_UP {
                return;
            }
            self.attempts = 0;
            if let Some((_, message)) = self.queue.pop_front() {
                self.leave_out_all(&message);
            }
        }
    }

    fn leave_out_all(&mut self, message: &Message) {
        if message.left_out.is_empty() {
            return self.leave_out(message.alert.topic);
        }
        // A digest: those that it told of are untold again.
        for (topic, count) in &message.left_out {
            *self.left_out.entry(*topic).or_default() += count;
        }
    }

    fn leave_out(&mut self, topic: Topic) {
        *self.left_out.entry(topic).or_default() += 1;
        self.state.left_out += 1;
    }

    fn forget(&mut self, now: Mono) {
        while self.taken.front().is_some_and(|at| now.since(*at) >= HOUR) {
            self.taken.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            mono: Mono(Duration::from_secs(seconds)),
            wall: Wall(seconds * 1000),
        }
    }

    fn alert(topic: Topic, severity: Severity) -> Alert {
        Alert::new(topic, severity, Wall(0), "it".to_owned())
    }

    fn notice() -> Alert {
        alert(Topic::Health, Severity::Notice)
    }

    fn deliver(ledger: &mut Ledger, now: Now) -> Option<Message> {
        match ledger.poll(now) {
            Next::Deliver(message) => Some(*message),
            Next::Wait(_) => None,
        }
    }

    #[test]
    fn one_is_under_way_at_a_time_and_each_has_its_id() {
        let mut ledger = Ledger::new(30);
        ledger.take(at(0), notice());
        ledger.take(at(0), notice());
        let first = deliver(&mut ledger, at(0)).unwrap();
        assert_eq!(ledger.poll(at(9)), Next::Wait(None));
        assert_eq!(ledger.ended(at(9), Ok(())), None);
        let second = deliver(&mut ledger, at(9)).unwrap();
        assert_ne!(first.id, second.id);
        ledger.ended(at(9), Ok(()));
        let state = ledger.state();
        assert_eq!(
            (state.delivered, state.waiting, state.last),
            (2, 0, Some(Wall(9000)))
        );
    }

    #[test]
    fn what_fails_is_tried_again_later_and_later_under_the_same_id() {
        let mut ledger = Ledger::new(30);
        ledger.take(at(0), notice());
        let mut now = 0;
        let mut pauses = Vec::new();
        let first = deliver(&mut ledger, at(0)).unwrap();
        let fails = ledger.ended(at(0), Err("status 500".to_owned()));
        assert_eq!(fails, Some(Change::Fails("status 500".to_owned())));
        for _ in 0..12 {
            let Next::Wait(Some(due)) = ledger.poll(at(now)) else {
                panic!("it does not wait");
            };
            pauses.push(due.since(at(now).mono).as_secs());
            now = due.0.as_secs();
            assert_eq!(deliver(&mut ledger, at(now)).as_ref(), Some(&first));
            assert_eq!(ledger.ended(at(now), Err("status 502".to_owned())), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(
            ledger.state().failing,
            Some((Wall(0), "status 502".to_owned()))
        );
        now += 300;
        deliver(&mut ledger, at(now)).unwrap();
        assert_eq!(ledger.ended(at(now), Ok(())), Some(Change::Works));
        assert_eq!(ledger.state().failing, None);
    }

    #[test]
    fn what_is_over_the_rate_is_left_out_and_counted_in_a_digest() {
        let mut ledger = Ledger::new(2);
        for _ in 0..10 {
            ledger.take(at(0), notice());
        }
        // Alarms have as much room again.
        for _ in 0..3 {
            ledger.take(at(1), alert(Topic::Halted, Severity::Alarm));
        }
        for _ in 0..4 {
            assert!(deliver(&mut ledger, at(2)).is_some());
            ledger.ended(at(2), Ok(()));
        }
        // The digest waits for its place in the rate.
        assert_eq!(ledger.poll(at(2)), Next::Wait(Some(at(3600).mono)));
        let Next::Wait(Some(_)) = ledger.poll(at(3600)) else {
            panic!("two alarms of the last hour fill it");
        };
        let digest = deliver(&mut ledger, at(3601)).unwrap();
        assert_eq!(digest.alert.topic, Topic::Digest);
        assert!(
            digest
                .alert
                .text
                .starts_with("9 more were left out: 8 health, 1 halted"),
            "{}",
            digest.alert.text
        );
        assert_eq!(digest.left_out[&Topic::Health], 8);
        ledger.ended(at(3601), Ok(()));
        assert_eq!(ledger.poll(at(3601)), Next::Wait(None));
        assert_eq!(ledger.state().left_out, 9);
    }

    #[test]
    fn a_full_queue_gives_up_what_matters_less_and_never_grows() {
        let mut ledger = Ledger::new(1000);
        for _ in 0..200 {
            ledger.take(at(0), notice());
        }
        assert_eq!(ledger.state().waiting, WAITING);
        ledger.take(at(0), alert(Topic::Halted, Severity::Alarm));
        assert_eq!(ledger.state().waiting, WAITING);
        let mut topics = Vec::new();
        while let Some(message) = deliver(&mut ledger, at(1)) {
            topics.push(message.alert.topic);
            ledger.ended(at(1), Ok(()));
        }
        assert!(topics.contains(&Topic::Halted));
        assert_eq!(topics.last(), Some(&Topic::Digest));
        assert_eq!(ledger.state().left_out, 200 - 64 + 1);
    }

    #[test]
    fn after_a_day_it_is_given_up_and_the_digest_says_so() {
        let mut ledger = Ledger::new(30);
        ledger.take(at(0), alert(Topic::Failover, Severity::Notice));
        deliver(&mut ledger, at(0)).unwrap();
        ledger.ended(at(0), Err("no".to_owned()));
        let later = deliver(&mut ledger, at(24 * 3600)).unwrap();
        assert_eq!(later.left_out[&Topic::Failover], 1);
    }
}
