//! Requests on their way to the core, and its answers on their way back.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::certificate;
use super::dnstap;
use super::keeper::Present;
use super::logging;
use super::measures;
use super::plan::Draft;
use super::reload::{self, Loaded};
use super::start::Source;
use crate::admin::{Answer, Control, Peer, Request, Response};
use crate::clock;
use crate::dnstap::Dnstap;
use crate::failover::By;
use crate::ids::{OperationId, ServiceName};
use crate::metrics::{self, Sight};
use crate::programs::Hands;
use crate::runbook::Operation;
use crate::server::Certificate;
use crate::snapshot::Snapshot;
use crate::supervisor::Supervisor;
use crate::telemetry;

/// What the core is asked.
pub(super) enum Message {
    /// Everything.
    Status(oneshot::Sender<Response>),
    /// The same for the metrics.
    Measures(oneshot::Sender<Box<Sight>>),
    /// Why a service stands as it stands.
    Explain(ServiceName, oneshot::Sender<Response>),
    /// What partners should see of a service.
    Published(ServiceName, oneshot::Sender<Response>),
    /// What is served now.
    Served(oneshot::Sender<Arc<Snapshot>>),
    /// One service, as in the status.
    Service(ServiceName, oneshot::Sender<Response>),
    /// The overrides in force.
    Overrides(oneshot::Sender<Response>),
    /// What an operator orders, and who it is.
    Order(Box<Request>, By, oneshot::Sender<Response>),
    /// What a question about the past needs of the present.
    Present(oneshot::Sender<Option<Present>>),
    /// An operation that has ended, as it is recorded.
    Operation(
        OperationId,
        oneshot::Sender<Result<Option<Operation>, String>>,
    ),
    /// What a plan needs.
    Draft(Vec<Request>, oneshot::Sender<Result<Draft, String>>),
    /// To take a configuration that was read.
    Adopt(Box<Loaded>, oneshot::Sender<Response>),
}

/// The far end of the core's inbox.
#[derive(Clone)]
pub(super) struct Desk {
    /// What is read again.
    pub(super) source: Source,
    /// The certificate of the encrypted transports.
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) core: mpsc::Sender<Message>,
    /// Look up who gives orders.
    pub(super) hands: Hands,
    /// Who is shown queries and answers.
    pub(super) tap: Option<Arc<Dnstap>>,
    /// Is told of reloads.
    pub(super) supervisor: Option<Arc<Supervisor>>,
}

impl Desk {
    /// Reads the configuration and the zones again. Once begun it goes to its end, whether
    /// somebody waits for that or not: the service manager does.
    pub(super) async fn reload(&self) -> Response {
        let desk = self.clone();
        let reload = tokio::spawn(async move {
            if let Some(supervisor) = &desk.supervisor {
                supervisor.reloading().await;
            }
            let response = desk.read_again().await;
            // Refused or not: what was served before is served on.
            if let Some(supervisor) = &desk.supervisor {
                supervisor.ready().await;
            }
            response
        });
        reload
            .await
            .unwrap_or_else(|error| Response::error(format!("the reload broke off: {error}")))
    }

    /// Reads apart from the core: a large zone must not hold up a failover.
    async fn read_again(&self) -> Response {
        let source = self.source.clone();
        match tokio::task::spawn_blocking(move || reload::read(&source)).await {
            Ok(Ok(loaded)) => {
                let loaded = self.compared(loaded).await;
                let adopted = self
                    .ask(|reply| Message::Adopt(Box::new(loaded), reply))
                    .await;
                self.renewed(adopted).await
            }
            Ok(Err(problems)) => {
                telemetry::reload(Some(&problems.to_string()));
                Response::error(format!("{problems}\nnothing has changed"))
            }
            Err(error) => Response::error(format!(
                "the reload broke off: {error}; nothing has changed"
            )),
        }
    }

    /// Takes the certificate as its files are now, if the configuration was taken: what is refused
    /// changes nothing.
    async fn renewed(&self, adopted: Response) -> Response {
        let (
            Response::Ok(Answer::Reloaded {
                generation,
                mut warnings,
            }),
            Some(certificate),
        ) = (adopted.clone(), &self.certificate)
        else {
            return adopted;
        };
        let read = Arc::clone(certificate);
        let renewal = tokio::task::spawn_blocking(move || read.renew(clock::wall()));
        if let Ok(renewal) = renewal.await {
            warnings.extend(certificate::told(&renewal));
        }
        Response::Ok(Answer::Reloaded {
            generation,
            warnings,
        })
    }

    /// Compares what was read with what is served, apart from the core too. If that cannot be, the
    /// core does it when it needs it.
    async fn compared(&self, mut loaded: Loaded) -> Loaded {
        let (reply, served) = oneshot::channel();
        if self.core.send(Message::Served(reply)).await.is_err() {
            return loaded;
        }
        if let Ok(served) = served.await {
            tokio::task::block_in_place(|| loaded.compare_with(&served));
        }
        loaded
    }

    /// Plans apart from the core.
    async fn plan(&self, orders: Vec<Request>) -> Response {
        let (reply, draft) = oneshot::channel();
        let ending = || Response::error("the daemon is ending");
        let message = Message::Draft(orders, reply);
        if self.core.send(message).await.is_err() {
            return ending();
        }
        let draft = match draft.await {
            Ok(Ok(draft)) => draft,
            Ok(Err(why)) => return Response::error(why),
            Err(_) => return ending(),
        };
        tokio::task::spawn_blocking(move || draft.answer())
            .await
            .unwrap_or_else(|error| Response::error(format!("the plan broke off: {error}")))
    }

    async fn ask(&self, message: impl FnOnce(oneshot::Sender<Response>) -> Message) -> Response {
        let (reply, answer) = oneshot::channel();
        let ending = || Response::error("the daemon is ending");
        if self.core.send(message(reply)).await.is_err() {
            return ending();
        }
        answer.await.unwrap_or_else(|_| ending())
    }
}

impl Desk {
    /// Who asks.
    async fn user(&self, peer: Peer) -> String {
        peer.user(|uid| async move { self.hands.account(uid).await })
            .await
    }
}

impl Control for Desk {
    async fn handle(&self, request: Request, peer: Peer) -> Response {
        match request {
            Request::Status => self.ask(Message::Status).await,
            Request::Explain { service } => {
                self.ask(|reply| Message::Explain(service, reply)).await
            }
            Request::Published { service } => {
                self.ask(|reply| Message::Published(service, reply)).await
            }
            Request::Reload => self.reload().await,
            Request::Service { service } => {
                self.ask(|reply| Message::Service(service, reply)).await
            }
            Request::Log { set, for_s } => {
                let user = self.user(peer).await;
                logging::log(set.as_deref(), for_s, &user)
            }
            Request::Dnstap { on } => {
                let user = self.user(peer).await;
                dnstap::tap(self.tap.as_deref(), on, &user)
            }
            Request::Overrides => self.ask(Message::Overrides).await,
            Request::History { .. } | Request::Show { .. } | Request::Night { .. } => {
                self.past(request).await
            }
            Request::Plan { orders } => self.plan(orders).await,
            Request::Failover { ref by, .. }
            | Request::Failback { ref by, .. }
            | Request::Drain { ref by, .. }
            | Request::Undrain { ref by, .. }
            | Request::Pin { ref by, .. }
            | Request::Unpin { ref by, .. }
            | Request::Freeze { ref by, .. }
            | Request::Thaw { ref by, .. }
            | Request::Approve { ref by, .. }
            | Request::Reject { ref by, .. }
            | Request::Retry { ref by, .. }
            | Request::Skip { ref by, .. }
            | Request::Abort { ref by, .. }
            | Request::Resume { ref by, .. }
            | Request::Readmit { ref by, .. } => {
                if let Some(fault) = by.fault() {
                    return Response::error(fault);
                }
                let author = by.author(&self.user(peer).await);
                let reason = by.reason.clone().unwrap_or_default();
                let by = By { author, reason };
                self.ask(|reply| Message::Order(Box::new(request), by, reply))
                    .await
            }
        }
    }
}

impl metrics::Source for Desk {
    async fn sight(&self) -> Option<Sight> {
        let (reply, sight) = oneshot::channel();
        self.core.send(Message::Measures(reply)).await.ok()?;
        let mut sight = *sight.await.ok()?;
        sight.tapped = self.tap.as_deref().map(Dnstap::tapped).unwrap_or_default();
        let directory = PathBuf::from(&sight.status.store.path);
        sight.files = measures::files(&directory).await;
        Some(sight)
    }
}
