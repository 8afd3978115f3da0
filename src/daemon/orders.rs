//! What an operator orders, from the words of the socket to the engine and back.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;

use super::core::{Core, send};
use crate::admin::{Answer, InForce, Moving, Ordered, Request, Response, Said};
use crate::clock;
use crate::failover::{Because, By, Handling, Order, Override, Subject, Which};
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::runbook::Operation;
use crate::time::Now;

/// An order that was taken, and whoever waits to hear of it.
pub(super) struct Taken {
    reply: oneshot::Sender<Response>,
    done: String,
    warnings: Vec<String>,
    /// The services that it may move, the pool that each was at, and where it was told to go.
    may_move: BTreeMap<ServiceName, (PoolName, Option<PoolName>)>,
}

/// An order in the engine's words, and in those of the answer.
struct Put {
    order: Order,
    done: String,
}

impl Core {
    /// The overrides in force.
    pub(super) fn in_force(&self, now: Now) -> Response {
        let mut overrides: Vec<&Override> = self.engine.overrides().0.iter().collect();
        overrides.sort_by_key(|said| said.since);
        Response::Ok(Answer::Overrides(InForce {
            now: now.wall,
            overrides: overrides.into_iter().map(Said::new).collect(),
        }))
    }

    /// Gives an order to the engine. A refusal is answered at once, and nothing has changed then;
    /// an order that is taken when what follows from it is durable.
    pub(super) fn order(
        &mut self,
        now: Now,
        request: Request,
        by: By,
        reply: oneshot::Sender<Response>,
    ) {
        if let Some(why) = self.is_outdated(&request) {
            return send(reply, Response::error(why));
        }
        let put = match self.put(now, request, by) {
            Ok(put) => put,
            Err(why) => return send(reply, Response::error(why)),
        };
        let replaced = match &put.order {
            Order::Set { said, .. } => self.engine.overrides().get(&said.subject).cloned(),
            Order::Clear { .. }
            | Order::Failover { .. }
            | Order::Failback { .. }
            | Order::Approve { .. }
            | Order::Reject { .. }
            | Order::Handle { .. }
            | Order::Readmit { .. } => None,
        };
        let before = self.stands();
        let (to, only) = self.goal(&put.order);
        let result = self.engine.handle_order(now, put.order.clone());
        let refused = result.err().map(|refusal| refusal.to_string());
        self.keep_order(now, put.order, refused.clone());
        if let Some(refusal) = refused {
            return send(reply, Response::error(refusal));
        }
        let may_move = before
            .into_iter()
            .filter(|(service, (_, moves))| match &only {
                Some(only) => only == service,
                None => !moves,
            })
            .map(|(service, (from, _))| (service, from))
            .map(|(service, from)| (service, (from, to.clone())))
            .collect();
        let warnings = replaced.map(|said| format!("it replaces: {said}"));
        self.ordered = Some(Taken {
            reply,
            done: put.done,
            warnings: warnings.into_iter().collect(),
            may_move,
        });
    }

    /// Whether an order was meant for another generation than what is served now.
    fn is_outdated(&self, request: &Request) -> Option<String> {
        let Request::Failover {
            service,
            if_generation: Some(meant),
            ..
        } = request
        else {
            return None;
        };
        let served = self.publisher.generation();
        (served != *meant).then(|| {
            format!(
                "generation {served} is served by now, not {meant}: look at the plan again \
                 (switchback plan {service})"
            )
        })
    }

    /// The active pool of every service, and whether an operation is under way.
    fn stands(&self) -> BTreeMap<ServiceName, (PoolName, bool)> {
        let published = self.engine.published();
        let stands = published.filter_map(|(name, published)| {
            let moves = self.engine.operations().any(|moves| moves.service == *name);
            Some((name.clone(), (published.ranking.active()?.clone(), moves)))
        });
        stands.collect()
    }

    /// Answers the order that was taken, once its consequences are carried out.
    pub(super) fn answer_order(&mut self, now: Now) {
        let Some(taken) = self.ordered.take() else {
            return;
        };
        let mut warnings = taken.warnings;
        if let Some(why) = self.disk.failed() {
            warnings.push(format!(
                "it is not recorded, and lost at a restart, until the state can be written: {why}"
            ));
        }
        let mut moving = Vec::new();
        for (service, (from, to)) in taken.may_move {
            let Some(view) = self.engine.service(now, &service) else {
                continue;
            };
            let under_way = view.memory.operation.as_ref().map(|operation| operation.id);
            let arrived = view.memory.published.ranking.active() != Some(&from);
            let ended = self.ended.get(&service).filter(|_| arrived);
            let operation = under_way.or(ended.map(|operation| operation.id));
            warnings.extend(self.ends_too_soon(now, &service, &from, &view.because));
            if operation.is_some() || waits(&view.because) {
                moving.push(Moving {
                    service,
                    from,
                    to,
                    operation,
                });
            } else if matches!(view.because, Because::DrainedInVain) {
                warnings.push(format!("{service} stays at {from}: {}", view.because));
            }
        }
        let done = vec![taken.done];
        send(
            taken.reply,
            Response::Ok(Answer::Ordered(Ordered {
                done,
                warnings,
                moving,
            })),
        );
    }

    /// Whether the override that makes a service move ends before it does.
    fn ends_too_soon(
        &self,
        now: Now,
        service: &ServiceName,
        from: &PoolName,
        because: &Because,
    ) -> Option<String> {
        let Because::TtlDrains { remaining, why, .. } = because else {
            return None;
        };
        let subject = if **why == Because::Pinned {
            Subject::Pin(service.clone())
        } else {
            Subject::DrainPool(from.clone())
        };
        let expires = self.engine.overrides().get(&subject)?.expires?;
        (expires < now.wall + *remaining).then(|| {
            format!(
                "it ends in {} s, before {service} moves, which waits {} s until the old answer has \
                 left the caches: say it again with --now, or for longer",
                expires.since(now.wall).as_secs(),
                remaining.as_secs(),
            )
        })
    }

    /// What a request orders, in the engine's words.
    pub(super) fn order_of(&self, now: Now, request: Request, by: By) -> Result<Order, String> {
        self.put(now, request, by).map(|put| put.order)
    }

    /// What a request orders.
    fn put(&self, now: Now, request: Request, by: By) -> Result<Put, String> {
        let put = |order, done: String| Ok(Put { order, done });
        match request {
            Request::Failover {
                service,
                to,
                force,
                now,
                ..
            } => {
                reasoned(
                    &by,
                    "a failover holds back automatic failback until `failback`",
                )?;
                let done = format!("failover of {service}; it stays there until failback");
                put(
                    Order::Failover {
                        service,
                        to,
                        by,
                        force,
                        now,
                    },
                    done,
                )
            }
            Request::Failback {
                service,
                force,
                now,
                ..
            } => {
                let done = format!("failback of {service}; failback is automatic again, if it was");
                put(
                    Order::Failback {
                        service,
                        by,
                        force,
                        now,
                    },
                    done,
                )
            }
            Request::Approve { .. }
            | Request::Reject { .. }
            | Request::Readmit { .. }
            | Request::Retry { .. }
            | Request::Skip { .. }
            | Request::Abort { .. }
            | Request::Resume { .. }
            | Request::Drain { .. }
            | Request::Undrain { .. }
            | Request::Pin { .. }
            | Request::Unpin { .. }
            | Request::Freeze { .. }
            | Request::Thaw { .. }
            | Request::Status
            | Request::Explain { .. }
            | Request::Reload
            | Request::Service { .. }
            | Request::Published { .. }
            | Request::History { .. }
            | Request::Show { .. }
            | Request::Night { .. }
            | Request::Plan { .. }
            | Request::Overrides
            | Request::Log { .. }
            | Request::Dnstap { .. } => self.put_other(now, request, by),
        }
    }

    /// What a request orders that is about an override, about a pool that is kept out, or about
    /// an operation that stands.
    fn put_other(&self, now: Now, request: Request, by: By) -> Result<Put, String> {
        match request {
            Request::Approve { what, .. } => Ok(Put {
                done: format!("{what}: approved"),
                order: self.approved(&what, by),
            }),
            Request::Reject { what, .. } => Ok(Put {
                done: format!("{what}: rejected"),
                order: self.rejected(&what, by),
            }),
            Request::Readmit { service, pool, .. } => Ok(Put {
                done: format!("{pool} is a target of {service} again"),
                order: Order::Readmit { service, pool, by },
            }),
            Request::Drain {
                what,
                for_s,
                force,
                now: hurry,
                ..
            } => {
                let said = said(now, self.drained(&what)?, None, for_s, hurry, by)?;
                Ok(set(said, force))
            }
            Request::Pin {
                service,
                pool,
                for_s,
                now: hurry,
                ..
            } => {
                let subject = Subject::Pin(service);
                let said = said(now, subject, Some(pool), for_s, hurry, by)?;
                Ok(set(said, false))
            }
            Request::Freeze { service, for_s, .. } => {
                let said = said(now, Subject::Freeze(service), None, for_s, false, by)?;
                Ok(set(said, false))
            }
            Request::Retry { service, .. } => Ok(self.handled(service, Handling::Retry, by)),
            Request::Skip {
                service,
                step,
                server,
                ..
            } => Ok(self.skipped(service, step, server, by)),
            Request::Abort { service, .. } => Ok(self.handled(service, Handling::Abort, by)),
            Request::Resume { service, .. } => Ok(self.handled(service, Handling::Resume, by)),
            Request::Undrain { what, .. } => self.clear(self.undrained(&what)?, by),
            Request::Unpin { service, .. } => self.clear(Subject::Pin(service), by),
            Request::Thaw { service, .. } => self.clear(Subject::Freeze(service), by),
            Request::Status
            | Request::Explain { .. }
            | Request::Reload
            | Request::Service { .. }
            | Request::Published { .. }
            | Request::Plan { .. }
            | Request::Overrides
            | Request::Log { .. }
            | Request::Dnstap { .. }
            | Request::History { .. }
            | Request::Show { .. }
            | Request::Night { .. }
            | Request::Failover { .. }
            | Request::Failback { .. } => Err("this is no order".to_owned()),
        }
    }

    fn approved(&self, what: &str, by: By) -> Order {
        let which = self.which(what);
        Order::Approve { which, by }
    }

    fn rejected(&self, what: &str, by: By) -> Order {
        let which = self.which(what);
        Order::Reject { which, by }
    }

    /// What `approve` and `reject` are about: a service, else the number of an operation.
    fn which(&self, what: &str) -> Which {
        let service = ServiceName::from(what);
        let number = what.strip_prefix("op-").and_then(|id| id.parse().ok());
        match number {
            Some(id) if !self.engine.policy().services.contains_key(&service) => {
                Which::Operation(OperationId(id))
            }
            Some(_) | None => Which::Service(service),
        }
    }

    fn clear(&self, subject: Subject, by: By) -> Result<Put, String> {
        let said = self.engine.overrides().get(&subject);
        let done = said.map(|said| format!("taken back: {said}"));
        Ok(Put {
            order: Order::Clear { subject, by },
            done: done.unwrap_or_default(),
        })
    }

    /// Where an order wants a service to be, and which service alone it is about.
    fn goal(&self, order: &Order) -> (Option<PoolName>, Option<ServiceName>) {
        match order {
            Order::Failover { service, to, .. } => (to.clone(), Some(service.clone())),
            Order::Failback { service, .. } | Order::Readmit { service, .. } => {
                (None, Some(service.clone()))
            }
            Order::Handle { service, how, .. } => {
                let to = self
                    .operation_of(service)
                    .and_then(|operation| where_to(operation, how));
                (to, Some(service.clone()))
            }
            Order::Approve { which, .. } | Order::Reject { which, .. } => (None, self.whose(which)),
            Order::Set { said, .. } => match &said.subject {
                Subject::Pin(service) => (said.pool.clone(), Some(service.clone())),
                Subject::Freeze(service) => (None, Some(service.clone())),
                Subject::DrainPool(_) | Subject::DrainServer(_) => (None, None),
            },
            Order::Clear { subject, .. } => match subject {
                Subject::Pin(service) | Subject::Freeze(service) => (None, Some(service.clone())),
                Subject::DrainPool(_) | Subject::DrainServer(_) => (None, None),
            },
        }
    }

    fn whose(&self, which: &Which) -> Option<ServiceName> {
        match which {
            Which::Service(service) => Some(service.clone()),
            Which::Operation(id) => self.engine.proposed(*id).cloned(),
        }
    }

    /// The operation of a service that is under way, or stands.
    fn operation_of(&self, service: &ServiceName) -> Option<Operation> {
        let mut operations = self.engine.operations();
        let under_way = operations.find(|operation| operation.service == *service);
        let standing = || {
            let view = self.engine.service(clock::now(), service)?;
            view.memory.halted.clone()
        };
        under_way.cloned().or_else(standing)
    }

    /// What a person says of an operation, and what it comes to.
    fn handled(&self, service: ServiceName, how: Handling, by: By) -> Put {
        let operation = self.operation_of(&service);
        let done = operation.map_or_else(
            || format!("the pools of {service} are targets again"),
            |operation| comes_to(&operation, &how),
        );
        let order = Order::Handle { service, how, by };
        Put { order, done }
    }

    fn skipped(&self, service: ServiceName, step: String, server: Option<String>, by: By) -> Put {
        let server = server.map(|server| self.asked_about(&service, &server));
        self.handled(service, Handling::Skip { step, server }, by)
    }

    /// The server of a step that is meant, with or without its final dot. One that is not among
    /// them is refused by the engine.
    fn asked_about(&self, service: &ServiceName, what: &str) -> ServerName {
        let operation = self.operation_of(service);
        let tasks = operation.iter().flat_map(|operation| &operation.tasks);
        let mut servers = tasks.filter_map(|task| task.server.as_ref());
        let meant = servers.find(|server| is_named(server, what));
        meant.cloned().unwrap_or_else(|| what.into())
    }

    /// What a name that is to be drained stands for: a pool, else a server, with or without its
    /// final dot.
    fn drained(&self, what: &str) -> Result<Subject, String> {
        let policy = self.engine.policy();
        let pool = PoolName::from(what);
        if policy.pools.contains_key(&pool) {
            return Ok(Subject::DrainPool(pool));
        }
        let mut servers = policy.pools.values().flat_map(|pool| &pool.servers);
        let server = servers.find(|server| is_named(&server.name, what));
        server
            .map(|server| Subject::DrainServer(server.name.clone()))
            .ok_or_else(|| {
                format!(
                    "{what} is neither a pool nor a server of the configuration; `switchback \
                     status` lists them"
                )
            })
    }

    /// The same for a drain that is taken back: of something that is no longer configured, too.
    fn undrained(&self, what: &str) -> Result<Subject, String> {
        let subjects = self.engine.overrides().0.iter().map(|said| &said.subject);
        let mut ours = subjects.filter(|subject| match subject {
            Subject::DrainPool(pool) => pool.as_str() == what,
            Subject::DrainServer(server) => is_named(server, what),
            Subject::Pin(_) | Subject::Freeze(_) => false,
        });
        ours.next()
            .cloned()
            .ok_or_else(|| format!("{what} is not drained; `switchback overrides` lists what is"))
    }
}

fn set(said: Override, force: bool) -> Put {
    let done = said.to_string();
    Put {
        order: Order::Set { said, force },
        done,
    }
}

fn said(
    now: Now,
    subject: Subject,
    pool: Option<PoolName>,
    for_s: Option<u64>,
    hurry: bool,
    by: By,
) -> Result<Override, String> {
    reasoned(
        &by,
        "an override outlasts whoever said it, and another has to know whether it may go",
    )?;
    if for_s == Some(0) {
        return Err("for 0 seconds: say how long, or leave it out".to_owned());
    }
    Ok(Override {
        subject,
        pool,
        author: by.author,
        reason: by.reason,
        since: now.wall,
        expires: for_s.map(|seconds| now.wall + Duration::from_secs(seconds)),
        now: hurry,
    })
}

fn is_named(server: &ServerName, what: &str) -> bool {
    let name = server.as_str();
    name.eq_ignore_ascii_case(what) || name.trim_end_matches('.').eq_ignore_ascii_case(what)
}

/// Where a service will be when this is said of its operation.
fn where_to(operation: Operation, how: &Handling) -> Option<PoolName> {
    match how {
        Handling::Abort => Some(operation.from),
        Handling::Retry | Handling::Skip { .. } if operation.turned_back.is_some() => {
            Some(operation.from)
        }
        Handling::Retry | Handling::Skip { .. } => Some(operation.to),
        Handling::Resume => None,
    }
}

/// What follows when a person says this of an operation.
fn comes_to(operation: &Operation, how: &Handling) -> String {
    let id = operation.id;
    let names = |tasks: &[usize]| {
        let names = tasks.iter().map(|task| operation.name_of(*task));
        names.collect::<Vec<String>>().join(", ")
    };
    match how {
        Handling::Retry => format!(
            "{id} goes on; once more: {}",
            names(&operation.in_question())
        ),
        Handling::Skip { step, .. } => format!("{id} goes on; \"{step}\" counts as done"),
        Handling::Resume => format!("{id} is closed as it is; its pools are targets again"),
        Handling::Abort => match operation.way_back() {
            (back, left) if back.is_empty() && left.is_empty() => {
                format!("{id} is aborted; it had done nothing yet")
            }
            (back, left) if left.is_empty() => format!("{id} is taken back: {}", names(&back)),
            (back, left) => format!(
                "{id} is taken back: {}; nothing takes back: {}",
                names(&back),
                names(&left)
            ),
        },
    }
}

/// Whether a service is about to move, and has to wait for something that ends by itself or by
/// a person's word.
fn waits(because: &Because) -> bool {
    matches!(
        because,
        Because::WaitsForOperation { .. }
            | Because::NeedsApproval { .. }
            | Because::TtlDrains { .. }
            | Because::StoreFailed { .. }
    )
}

fn reasoned(by: &By, why: &str) -> Result<(), String> {
    if by.reason.is_empty() {
        return Err(format!("no reason: {why}; say it with --reason"));
    }
    Ok(())
}
