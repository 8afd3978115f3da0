//! Questions about the past. They are answered apart from the core, which only says how things
//! stand now.

use tokio::sync::oneshot;

use super::control::{Desk, Message};
use super::keeper::Present;
use crate::admin::past::ENTRIES_MAX;
use crate::admin::{Answer, Past, Request, Response, Shown};
use crate::chronicle::{Entry, Record};
use crate::clock;
use crate::failover::{Event, Order, Policy, Subject};
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::runbook::Operation;
use crate::scenario;
use crate::store::StoreError;
use crate::time::Wall;

/// So many entries are shown if nobody says how many.
const LIMIT: usize = 200;
/// An answer has so many octets at the most: less than a line of the socket may have.
const OCTETS_MAX: usize = 12 << 20;

impl Desk {
    /// Answers a question about the past.
    pub(super) async fn past(&self, request: Request) -> Response {
        let (reply, present) = oneshot::channel();
        let ending = || Response::error("the daemon is ending");
        if self.core.send(Message::Present(reply)).await.is_err() {
            return ending();
        }
        let present = match present.await {
            Ok(Some(present)) => present,
            Ok(None) => return Response::error("no history is kept: see the daemon's log"),
            Err(_) => return ending(),
        };
        let recorded = if let Request::Show { operation } = &request {
            match self.recorded(*operation).await {
                Ok(recorded) => recorded,
                Err(refused) => return refused,
            }
        } else {
            None
        };
        let reading = move || {
            present.archive.flush();
            answer(&request, &present, recorded)
        };
        match tokio::task::spawn_blocking(reading).await {
            Ok(Ok(answer)) => Response::Ok(answer),
            Ok(Err(why)) => Response::error(why),
            Err(error) => Response::error(format!("reading the history broke off: {error}")),
        }
    }

    async fn recorded(&self, id: OperationId) -> Result<Option<Operation>, Response> {
        let (reply, recorded) = oneshot::channel();
        let ending = || Response::error("the daemon is ending");
        if self.core.send(Message::Operation(id, reply)).await.is_err() {
            return Err(ending());
        }
        let recorded = recorded.await.map_err(|_| ending())?;
        recorded.map_err(Response::error)
    }
}

fn answer(
    request: &Request,
    present: &Present,
    recorded: Option<Operation>,
) -> Result<Answer, String> {
    let disk = |error: StoreError| error.to_string();
    if let Request::History {
        service,
        since,
        limit,
        all,
    } = request
    {
        let limit = limit.unwrap_or(LIMIT).clamp(1, ENTRIES_MAX);
        if let Some(service) = service
            && !present.policy.services.contains_key(service)
        {
            return Err(format!("there is no service {service}"));
        }
        let about = |entry: &Entry| {
            let about = service.as_ref();
            about.is_none_or(|service| concerns(entry, service, &present.policy))
        };
        // A checkpoint is for replaying, and long.
        let wanted = |record: &Record| {
            !matches!(record.entry, Entry::Checkpoint(_))
                && (*all || !is_detail(&record.entry))
                && about(&record.entry)
        };
        let past = read(present, since.unwrap_or_default(), limit, wanted).map_err(disk)?;
        return Ok(Answer::History(past));
    }
    if let Request::Show { operation } = request {
        let standing = present.operations.iter().find(|it| it.id == *operation);
        let Some(found) = standing.cloned().or(recorded) else {
            return Err(format!(
                "there is no operation {operation}: `switchback history` names those that there \
                 were"
            ));
        };
        let began = Wall(found.began.0.saturating_sub(1000));
        let wanted = |record: &Record| record.entry.operation() == Some(*operation);
        let past = read(present, began, ENTRIES_MAX, wanted).map_err(disk)?;
        return Ok(Answer::Show(Box::new(Shown {
            now: past.now,
            operation: found,
            entries: past.entries,
        })));
    }
    if let Request::Night { since } = request {
        let told = night(present, *since, clock::wall());
        return told.map_err(|why| why.map_or_else(|why| why, disk));
    }
    Err("this is no question about the past".to_owned())
}

/// The latest entries that are wanted.
fn read(
    present: &Present,
    since: Wall,
    limit: usize,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Past, StoreError> {
    let mut past = Past {
        now: clock::wall(),
        ..Past::default()
    };
    let mut octets = 0;
    present.archive.chronicle().read(|at, json| {
        // The calendar may have gone back: an older entry does not end the search.
        if at < since {
            return true;
        }
        let Ok(entry) = serde_json::from_str(json) else {
            past.unreadable += 1;
            return true;
        };
        let record = Record { at, entry };
        if !wanted(&record) {
            return true;
        }
        octets += json.len();
        if past.entries.len() >= limit || octets > OCTETS_MAX {
            past.more = true;
            return false;
        }
        past.entries.push(record);
        true
    })?;
    past.entries.reverse();
    Ok(past)
}

/// What is shown only to who asks for all of it.
fn is_detail(entry: &Entry) -> bool {
    match entry {
        Entry::Told(Event::Task { status, .. }) => !status.starts_with("failed"),
        // The order that says it stands beside it.
        Entry::Told(Event::Override { what, .. }) => what != "expired",
        // A hook's end and its task's are the same news; the task's has the reason.
        Entry::Told(Event::Readmitted { .. })
        | Entry::Hook(_)
        | Entry::Saw(_)
        | Entry::Checkpoint(_)
        | Entry::Reference { .. } => true,
        Entry::Told(_)
        | Entry::Started { .. }
        | Entry::Ended
        | Entry::Reloaded { .. }
        | Entry::Ordered { .. }
        | Entry::Store { .. }
        | Entry::Lost { .. } => false,
    }
}

fn concerns(entry: &Entry, service: &ServiceName, policy: &Policy) -> bool {
    if let Some(about) = entry.service() {
        return about == service;
    }
    let pools = policy.services.get(service).map(|known| &known.pools);
    let has = |pool: &PoolName| pools.is_some_and(|pools| pools.contains(pool));
    let home = |server: &ServerName| {
        let mut ours = policy.pools.iter().filter(|(name, _)| has(name));
        ours.any(|(_, pool)| pool.servers.iter().any(|it| it.name == *server))
    };
    let drained = |subject: &Subject| match subject {
        Subject::DrainPool(pool) => has(pool),
        Subject::DrainServer(server) => home(server),
        Subject::Pin(_) | Subject::Freeze(_) => false,
    };
    match entry {
        Entry::Saw(saw) => home(&saw.watched.endpoint.server),
        Entry::Told(Event::HealthChanged { pool, .. }) => has(pool),
        Entry::Told(Event::Override { said, .. }) => drained(&said.subject),
        Entry::Ordered { order, .. } => match order {
            Order::Set { said, .. } => drained(&said.subject),
            Order::Clear { subject, .. } => drained(subject),
            Order::Failover { .. }
            | Order::Failback { .. }
            | Order::Approve { .. }
            | Order::Reject { .. }
            | Order::Handle { .. }
            | Order::Readmit { .. } => false,
        },
        // What concerns all concerns each.
        Entry::Told(_)
        | Entry::Hook(_)
        | Entry::Started { .. }
        | Entry::Ended
        | Entry::Reloaded { .. }
        | Entry::Checkpoint(_)
        | Entry::Reference { .. }
        | Entry::Store { .. }
        | Entry::Lost { .. } => true,
    }
}

/// The text of the scenario of what happened since then; or what the disk said, or why not.
fn night(present: &Present, since: Wall, now: Wall) -> Result<Answer, Result<StoreError, String>> {
    let mut records = Vec::new();
    let (mut enough, mut octets) = (false, 0_usize);
    let read = present.archive.chronicle().read(|at, json| {
        let Ok(entry) = serde_json::from_str(json) else {
            return true;
        };
        octets += json.len();
        let begins = matches!(entry, Entry::Checkpoint(_)) && at <= since;
        records.push(Record { at, entry });
        enough = begins;
        !begins && octets <= 4 * OCTETS_MAX
    });
    read.map_err(Ok)?;
    if !enough && octets > 4 * OCTETS_MAX {
        return Err(Err(format!(
            "more happened since {since} than one scenario holds: export a shorter time (--since)"
        )));
    }
    records.reverse();
    let Some(scenario) = scenario::export(&records, &present.runs, since, now) else {
        return Err(Err(
            "nothing can be exported yet: the history says nowhere how everything stood".to_owned(),
        ));
    };
    let scenario = scenario::write(&scenario);
    if scenario.len() > OCTETS_MAX {
        return Err(Err(format!(
            "the scenario since {since} is longer than {} MiB: export a shorter time (--since)",
            OCTETS_MAX >> 20
        )));
    }
    Ok(Answer::Night { scenario })
}
