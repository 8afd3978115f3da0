//! The daemon's one task: message → engine → actions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::alerts::Ends;
use super::confine::Confinement;
use super::control::Message;
use super::disk::Disk;
use super::followers::{Followers, Seen};
use super::histories::Prepared;
use super::hooks::{Hooks, input_of};
use super::keeper::Keeper;
use super::orders::Taken;
use super::publisher::Publisher;
use super::pulse::Pulse;
use super::secondaries::{Secondaries, VisitEnd};
use super::silence::Silence;
use crate::admin::Response;
use crate::alert;
use crate::answer::Notice;
use crate::clock;
use crate::config::Config;
use crate::courier::Courier;
use crate::failover::{Action, Change, Engine, Input, Publication, ReferenceLook};
use crate::health::Observation;
use crate::hook::RunnerEvent;
use crate::ids::{Endpoint, ServiceName};
use crate::metrics::Moves;
use crate::notify::Notifier;
use crate::probe::{Prober, reference};
use crate::runbook::Operation;
use crate::server::{Certificate, Notices, Serving};
use crate::telemetry;
use crate::time::{Mono, Now, Wall};
use crate::zone::Zone;

/// What could not be done is tried again so often.
const RETRY: Duration = Duration::from_secs(1);
/// A reference target has so long to answer.
const REFERENCE_TIMEOUT: Duration = Duration::from_secs(1);
/// So many messages of one kind are taken before the engine's actions are carried out.
const BATCH: usize = 256;

/// The ends of the channels that the core reads.
pub(super) struct Inbox {
    pub(super) observations: mpsc::Receiver<Observation>,
    pub(super) references: mpsc::Receiver<reference::Answer>,
    pub(super) followers: mpsc::Receiver<Seen>,
    pub(super) hooks: mpsc::Receiver<RunnerEvent>,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) visits: mpsc::Receiver<VisitEnd>,
    pub(super) notices: Arc<Notices>,
}

/// Everything that changes while the daemon runs.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) config: Config,
    pub(super) disk: Disk,
    /// What is kept of what happens.
    pub(super) keeper: Keeper,
    pub(super) publisher: Publisher,
    pub(super) secondaries: Secondaries,
    pub(super) hooks: Hooks,
    pub(super) prober: Prober,
    pub(super) references: mpsc::Sender<reference::Answer>,
    pub(super) followers: Followers,
    pub(super) serving: Option<Serving>,
    /// The certificate of the encrypted transports.
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) started: Now,
    /// What the process has given up.
    pub(super) confinement: Confinement,
    /// What somebody should know until the daemon ends: a state file that was set aside.
    pub(super) notices: Vec<String>,
    /// Why the latest publication was refused, if it was.
    pub(super) unpublished: Option<String>,
    /// Publications that wait until the disk takes the journal that they belong to.
    pub(super) held: BTreeMap<ServiceName, Publication>,
    pub(super) retry_at: Option<Mono>,
    /// Tells secondaries of changes, once answers are given.
    pub(super) notifier: Option<Notifier>,
    /// An order that was taken, and is answered when what follows from it is durable.
    pub(super) ordered: Option<Taken>,
    /// Who of them does not follow.
    pub(super) silence: Silence,
    /// The latest operation of each service that ended since the start.
    pub(super) ended: BTreeMap<ServiceName, Operation>,
    /// What operations have come to since the start.
    pub(super) moves: Moves,
    /// Tells people.
    pub(super) courier: Courier,
    /// Which ends of certificates they were told.
    pub(super) ends: Ends,
    /// What the service manager hears, once answers are given.
    pub(super) pulse: Pulse,
}

/// What the engine wanted, sorted: durable things first, then visible ones.
#[derive(Default)]
struct Wanted {
    publications: BTreeMap<ServiceName, Publication>,
    looks: Vec<Endpoint>,
    references: Vec<std::net::SocketAddr>,
    followers: Vec<ServiceName>,
    abandoned: Vec<crate::ids::OperationId>,
}

enum Woken {
    Observed(Observation),
    Reference(reference::Answer),
    Followed(Seen),
    Hook(RunnerEvent),
    Message(Message),
    Visited(VisitEnd),
    Noticed(Vec<Notice>),
    Time,
    Shutdown,
}

impl Core {
    /// Runs until `shutdown` is ready.
    pub(super) async fn run(&mut self, inbox: &mut Inbox, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            let woken = self.wait(inbox, &mut shutdown, None).await;
            if matches!(woken, Woken::Shutdown) {
                return;
            }
            self.take(inbox, woken);
            self.act().await;
            self.beat(clock::mono());
        }
    }

    /// Takes observations until every endpoint has been looked at, or `deadline` has come. Says
    /// whether it was not told to shut down.
    pub(super) async fn first_round(
        &mut self,
        inbox: &mut Inbox,
        deadline: Mono,
        shutdown: impl Future<Output = ()>,
    ) -> bool {
        tokio::pin!(shutdown);
        while !self.engine.has_seen_all() && clock::mono() < deadline {
            let woken = self.wait(inbox, &mut shutdown, Some(deadline)).await;
            if matches!(woken, Woken::Shutdown) {
                return false;
            }
            self.take(inbox, woken);
            self.act().await;
        }
        true
    }

    async fn wait(
        &mut self,
        inbox: &mut Inbox,
        shutdown: &mut (impl Future<Output = ()> + Unpin),
        deadline: Option<Mono>,
    ) -> Woken {
        let wake = self
            .engine
            .poll_timeout()
            .into_iter()
            .chain(self.retry_at)
            .chain(self.secondaries.poll_timeout())
            .chain(self.silence.poll_timeout())
            .chain(self.publisher.retired().poll_timeout())
            .chain([self.ends.poll_timeout()])
            .chain(self.pulse.poll_timeout())
            .chain(deadline);
        let wake = wake.min().map(clock::instant);
        let time = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown => Woken::Shutdown,
            Some(look) = inbox.observations.recv() => Woken::Observed(look),
            Some(answer) = inbox.references.recv() => Woken::Reference(answer),
            Some(seen) = inbox.followers.recv() => Woken::Followed(seen),
            Some(event) = inbox.hooks.recv() => Woken::Hook(event),
            Some(message) = inbox.messages.recv() => Woken::Message(message),
            Some(end) = inbox.visits.recv() => Woken::Visited(end),
            notices = inbox.notices.take() => Woken::Noticed(notices),
            () = time => Woken::Time,
        }
    }

    fn take(&mut self, inbox: &mut Inbox, woken: Woken) {
        match woken {
            Woken::Observed(look) => {
                telemetry::look(&look);
                self.feed(clock::now(), Input::Observed(look));
                for _ in 1..BATCH {
                    let Ok(look) = inbox.observations.try_recv() else {
                        break;
                    };
                    telemetry::look(&look);
                    self.feed(clock::now(), Input::Observed(look));
                }
            }
            Woken::Reference(answer) => {
                let reference::Answer {
                    target,
                    begun,
                    reachable,
                    ..
                } = answer;
                let look = ReferenceLook {
                    target,
                    begun,
                    reachable,
                };
                self.feed(clock::now(), Input::Reference(look));
            }
            Woken::Followed(Seen {
                service,
                asked,
                seen,
            }) => {
                self.followers.asking.remove(&service);
                let input = Input::Secondaries {
                    service,
                    asked,
                    seen,
                };
                self.engine.handle(clock::now(), input);
            }
            Woken::Hook(event) => {
                if let RunnerEvent::RunnerLost { why } = &event {
                    telemetry::runner_lost(why);
                }
                if let Some(input) = input_of(&event) {
                    self.feed(clock::now(), input);
                }
            }
            Woken::Message(message) => self.answer(message),
            Woken::Visited(end) => self.visited(end),
            Woken::Noticed(notices) => {
                let now = clock::now();
                for notice in notices {
                    self.secondaries.noticed(now, &notice);
                }
            }
            Woken::Time | Woken::Shutdown => self.engine.handle(clock::now(), Input::TimePassed),
        }
    }

    fn answer(&mut self, message: Message) {
        match message {
            Message::Status(reply) => send(reply, self.status(clock::now())),
            Message::Measures(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(Box::new(self.sight(clock::now())));
            }
            Message::Explain(service, reply) => send(reply, self.explain(clock::now(), &service)),
            Message::Draft(orders, reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.draft(clock::now(), orders));
            }
            Message::Service(service, reply) => {
                send(reply, self.one_service(clock::now(), &service));
            }
            Message::Overrides(reply) => send(reply, self.in_force(clock::now())),
            Message::Order(request, by, reply) => self.order(clock::now(), *request, by, reply),
            Message::Published(service, reply) => send(reply, self.published(&service)),
            Message::Served(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.publisher.snapshots().load_full());
            }
            Message::Present(reply) => {
                let _ = reply.send(self.present());
            }
            Message::Operation(id, reply) => {
                let _ = reply.send(self.disk.operation(id));
            }
            Message::Adopt(loaded, reply) => send(reply, self.adopt(*loaded)),
        }
    }

    /// Carries out what the engine wants. What is durable comes first, then what is visible.
    pub(super) async fn act(&mut self) {
        loop {
            let now = clock::now();
            let wanted = self.sort_actions(now);
            let zones = self.secondaries.act(now, &mut self.disk);
            self.commit(now);
            for zone in zones {
                self.renew(now, zone);
            }
            self.publish(now, wanted.publications);
            for operation in wanted.abandoned {
                for input in self.hooks.abandon(operation).await {
                    self.engine.handle(now, input);
                }
            }
            for endpoint in wanted.looks {
                self.prober.look_now(&endpoint);
            }
            self.look_at_references(wanted.references);
            for service in wanted.followers {
                self.look_at_secondaries(service);
            }
            if self.disk.failed().is_none() {
                for input in self.hooks.hand_over(now.mono).await {
                    self.feed(now, input);
                }
            }
            self.free_retired(now.mono);
            self.set_retry(now.mono);
            self.look_for_silence(now);
            self.look_at_certificates(now);
            // A call that could not be made, or a disk that fails, is news for the engine.
            if !self.engine.has_actions() {
                self.answer_order(now);
                self.keep_checkpoint(now);
                return;
            }
        }
    }

    /// Frees generations that nobody reads any more, beside the core: a large one takes a while.
    fn free_retired(&mut self, now: Mono) {
        let unread = self.publisher.retired().take_unread(now);
        if !unread.is_empty() {
            tokio::task::spawn_blocking(move || drop(unread));
        }
    }

    fn sort_actions(&mut self, now: Now) -> Wanted {
        let mut wanted = Wanted::default();
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Persist(changes) => {
                    self.disk.note(&changes);
                    self.note_ended(changes);
                }
                Action::Publish(service, publication) => {
                    self.moves.published(&service, &publication);
                    wanted.publications.insert(service, publication);
                }
                Action::RunHook(call) => self.hooks.push(now.mono, *call),
                Action::AbandonHooks(operation) => wanted.abandoned.push(operation),
                Action::Look(endpoints) => wanted.looks.extend(endpoints),
                Action::LookAtSecondaries(service) => wanted.followers.push(service),
                Action::LookAtReferences(targets) => wanted.references.extend(targets),
                Action::Tell(event) => {
                    telemetry::event(&event);
                    self.moves.event(&event);
                    self.tell_people(alert::event(now.wall, &event));
                    self.keep_event(now, event);
                }
            }
        }
        wanted
    }

    fn note_ended(&mut self, changes: Vec<Change>) {
        for change in changes {
            if let Change::Operation(operation) = change {
                self.moves.ended(&operation);
                self.ended.insert(operation.service.clone(), *operation);
            }
        }
    }

    /// Makes durable what waits. The engine hears of it when the disk begins to fail, and when
    /// it works again.
    fn commit(&mut self, now: Now) {
        let is_time = self.retry_at.is_none_or(|at| at <= now.mono);
        if !self.disk.is_pending() || self.disk.failed().is_some() && !is_time {
            return;
        }
        let worked = self.disk.failed().is_none();
        self.disk.commit(Vec::new());
        self.tell_of_the_disk(now, worked);
    }

    /// Whatever wrote last, the engine hears of it when the disk begins to fail, and when it works
    /// again.
    pub(super) fn tell_of_the_disk(&mut self, now: Now, worked: bool) {
        let works = self.disk.failed().is_none();
        if works != worked {
            telemetry::store(self.disk.failed());
            self.tell_people(Some(alert::store(now.wall, self.disk.failed())));
            self.feed(now, Input::Store { works });
        }
    }

    /// Publishes in one swap. A move by a runbook waits until its journal is durable; all else
    /// is served from the reserve of serials even while the disk fails.
    fn publish(&mut self, now: Now, publications: BTreeMap<ServiceName, Publication>) {
        self.held.extend(publications);
        let failed = self.disk.failed().is_some();
        let policy = self.engine.policy();
        let (waiting, ready) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(name, _)| {
                failed
                    && policy
                        .services
                        .get(name)
                        .is_some_and(|service| service.runbook.has_hooks())
            });
        self.held = waiting;
        let ready: BTreeMap<_, _> = ready;
        if ready.is_empty() {
            return;
        }
        let worked = !failed;
        match self.publisher.publish(ready, &mut self.disk) {
            Ok(()) => {
                self.unpublished = None;
                self.tell_secondaries();
            }
            Err(error) => {
                telemetry::refused(&error);
                self.unpublished = Some(error.to_string());
            }
        }
        self.tell_of_the_disk(now, worked);
    }

    /// After a swap. It waits for nobody.
    pub(super) fn tell_secondaries(&mut self) {
        if let Some(notifier) = &self.notifier {
            notifier.wake();
            self.silence.begin(clock::mono());
        }
    }

    /// Serves a version that a visit brought.
    fn visited(&mut self, end: VisitEnd) {
        let now = clock::now();
        let nothing_new = end.is_nothing_new();
        if let Some((origin, held, prepared)) = self.secondaries.visited(now, end) {
            let zone = Arc::clone(&held.zone);
            let worked = self.disk.failed().is_none();
            let refused = self.publisher.renew(zone, &prepared, &mut self.disk).err();
            self.tell_of_the_disk(now, worked);
            self.tell_secondaries();
            let refused = refused.map(|error| error.to_string());
            match refused {
                None => self.moves.visits.taken += 1,
                Some(_) => self.moves.visits.failed += 1,
            }
            self.secondaries.published(now, &origin, held, refused);
        } else if nothing_new {
            self.moves.visits.current += 1;
        } else {
            self.moves.visits.failed += 1;
        }
    }

    /// Serves a zone that has expired, or is good again.
    fn renew(&mut self, now: Now, zone: Arc<Zone>) {
        let worked = self.disk.failed().is_none();
        match self
            .publisher
            .renew(zone, &Prepared::default(), &mut self.disk)
        {
            Ok(()) => self.tell_secondaries(),
            Err(error) => {
                telemetry::refused(&error);
                self.unpublished = Some(error.to_string());
            }
        }
        self.tell_of_the_disk(now, worked);
    }

    fn look_at_references(&self, targets: Vec<std::net::SocketAddr>) {
        if targets.is_empty() {
            return;
        }
        let answers = self.references.clone();
        // At most one such task a second and family, each ends with its timeout.
        tokio::spawn(async move {
            reference::look_at(&targets, REFERENCE_TIMEOUT, &answers).await;
        });
    }

    fn set_retry(&mut self, now: Mono) {
        let needed = self.disk.failed().is_some() || self.hooks.is_waiting();
        self.retry_at = match self.retry_at {
            _ if !needed => None,
            Some(at) if at > now => Some(at),
            _ => Some(now + RETRY),
        };
    }

    /// A point of the monotonic clock as people read it.
    pub(super) fn wall_of(&self, now: Now, at: Mono) -> Wall {
        let ago = now.mono.since(at);
        Wall(
            now.wall
                .0
                .saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// Ends everything in order: hooks, probes, the disk, and last the answers.
    pub(super) async fn shut_down(mut self) {
        self.prober.stop().await;
        self.hooks.stop().await;
        self.keeper.stop(clock::now());
        let mut disk = self.disk;
        if !disk.commit(self.publisher.last_writes()) {
            telemetry::store(disk.failed());
        }
        if let Some(serving) = self.serving.take() {
            serving.shut_down().await;
        }
    }
}

/// A client that went away needs no answer.
pub(super) fn send(reply: oneshot::Sender<Response>, response: Response) {
    let _ = reply.send(response);
}
