//! Following what an order set in motion, until every service has arrived or stands.
//!
//! The daemon is asked again and again; it may be restarted meanwhile, since an operation outlives
//! it. On a terminal the last line shows how far the operation is; what is done with stays above.

use std::io::Write;
use std::time::Duration;

use super::Exit;
use super::args::Daemon;
use super::ask::{ask, other_answer, write_json};
use super::output::{CommandError, Out};
use crate::admin::status::{OperationStatus, ServiceStatus, TaskState};
use crate::admin::text::{self, tame};
use crate::admin::{Answer, Moving, Ordered, Request};
use crate::clock;
use crate::ids::OperationId;
use crate::time::Mono;

/// The daemon is asked so often.
const EVERY: Duration = Duration::from_millis(200);
/// A daemon that is restarted answers again within this time.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How a followed order ended, as `--json` writes it.
#[derive(serde::Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    ordered: &'a Ordered,
    /// The services that moved because of it, as they are now.
    services: Vec<ServiceStatus>,
    /// Whether all of them have arrived.
    arrived: bool,
}

/// Follows every service that moves because of an order.
pub(super) fn to_the_end(
    daemon: &Daemon,
    ordered: Ordered,
    json: bool,
    out: &mut Out,
) -> Result<Exit, CommandError> {
    let mut services = Vec::new();
    let mut arrived = true;
    for moving in &ordered.moving {
        let mut trail = Trail::new(moving, json, out);
        let service = trail.follow(daemon)?;
        let here = has_arrived(moving, &service);
        trail.end(&service, here)?;
        arrived &= here;
        services.push(service);
    }
    if json {
        write_json(
            &Outcome {
                ordered: &ordered,
                services,
                arrived,
            },
            out,
        )?;
    }
    Ok(if arrived { Exit::Well } else { Exit::NotWell })
}

fn has_arrived(moving: &Moving, service: &ServiceStatus) -> bool {
    match &moving.to {
        Some(to) => service.active == *to,
        None => service.active != moving.from,
    }
}

/// What was already said of one service.
struct Trail<'a> {
    moving: &'a Moving,
    silent: bool,
    out: &'a mut Out,
    operation: Option<OperationId>,
    /// How the tasks stood when they were last told.
    told: Vec<TaskState>,
    because: String,
    /// Whether the cursor stands behind a line that is written over.
    open_line: bool,
}

impl<'a> Trail<'a> {
    fn new(moving: &'a Moving, silent: bool, out: &'a mut Out) -> Trail<'a> {
        Trail {
            moving,
            silent,
            out,
            operation: None,
            told: Vec::new(),
            because: String::new(),
            open_line: false,
        }
    }

    /// The service, when nothing moves any more.
    fn follow(&mut self, daemon: &Daemon) -> Result<ServiceStatus, CommandError> {
        let request = Request::Service {
            service: self.moving.service.clone(),
        };
        let mut silent_since: Option<Mono> = None;
        loop {
            match ask(daemon, &request) {
                Ok(Answer::Service(service)) => {
                    silent_since = None;
                    self.tell(&service)?;
                    if self.is_over(&service) {
                        return Ok(*service);
                    }
                }
                Ok(_) => return Err(other_answer()),
                Err(refused @ CommandError::Refused(_)) => return Err(refused),
                Err(error) => {
                    let since = *silent_since.get_or_insert_with(clock::mono);
                    if clock::mono().since(since) > SILENCE_MAX {
                        return Err(error);
                    }
                    self.note("the daemon does not answer; what it began goes on when it is back")?;
                }
            }
            std::thread::park_timeout(EVERY);
        }
    }

    /// Nothing is under way, and nothing is about to be.
    fn is_over(&self, service: &ServiceStatus) -> bool {
        let under_way = service
            .operation
            .as_ref()
            .is_some_and(|operation| operation.ended.is_none());
        let waits = matches!(service.mode.as_str(), "waiting" | "wants approval");
        !under_way && (!waits || has_arrived(self.moving, service))
    }

    fn tell(&mut self, service: &ServiceStatus) -> Result<(), CommandError> {
        if self.silent {
            return Ok(());
        }
        let under_way = service
            .operation
            .as_ref()
            .filter(|operation| operation.ended.is_none() || self.is_ours(operation.id));
        let Some(operation) = under_way else {
            return self.note(&service.because);
        };
        if self.operation != Some(operation.id) {
            self.operation = Some(operation.id);
            self.told = vec![TaskState::Waiting; operation.steps.len()];
            let head = format!(
                "{}: {} from {} to {}, {} steps",
                service.name,
                operation.id,
                operation.from,
                operation.to,
                operation.steps.len()
            );
            let head = self.out.paint().head(&head);
            self.line(&head)?;
        }
        for (index, task) in operation.steps.iter().enumerate() {
            if self.told.get(index) == Some(&task.state) {
                continue;
            }
            if let Some(told) = self.told.get_mut(index) {
                *told = task.state;
            }
            let is_news = task.state != TaskState::Running || !self.out.is_terminal();
            if is_news {
                self.line(&text::task(task, self.out.paint()))?;
            }
        }
        if operation.state == "paused" {
            self.note(&service.because)?;
        }
        self.bar(operation)
    }

    fn is_ours(&self, id: OperationId) -> bool {
        self.moving.operation == Some(id) || self.operation == Some(id)
    }

    /// Says something once, until something else is to be said.
    fn note(&mut self, because: &str) -> Result<(), CommandError> {
        // The time that is left is no news.
        let news: String = because.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.silent || self.because == news {
            return self.countdown(because);
        }
        self.because = news;
        let line = format!("  {}: {}", self.moving.service, tame(because));
        let line = self.out.paint().odd(&line);
        self.line(&line)
    }

    /// A line that stays.
    fn line(&mut self, text: &str) -> Result<(), CommandError> {
        self.wipe()?;
        writeln!(self.out, "{text}")?;
        self.out.flush()?;
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), CommandError> {
        if std::mem::take(&mut self.open_line) {
            write!(self.out, "\r\x1b[K")?;
        }
        Ok(())
    }

    /// A line that is written over: what is waited for.
    fn countdown(&mut self, because: &str) -> Result<(), CommandError> {
        if self.silent || !self.out.is_terminal() {
            return Ok(());
        }
        self.wipe()?;
        write!(self.out, "  {}", self.out.paint().quiet(&tame(because)))?;
        self.out.flush()?;
        self.open_line = true;
        Ok(())
    }

    /// The line that is written over: how far the operation is, and what runs.
    fn bar(&mut self, operation: &OperationStatus) -> Result<(), CommandError> {
        if !self.out.is_terminal() || operation.ended.is_some() {
            return Ok(());
        }
        self.wipe()?;
        write!(
            self.out,
            "{}",
            text::progress(operation, clock::wall(), self.out.paint())
        )?;
        self.out.flush()?;
        self.open_line = true;
        Ok(())
    }

    fn end(mut self, service: &ServiceStatus, arrived: bool) -> Result<(), CommandError> {
        if self.silent {
            return Ok(());
        }
        let paint = self.out.paint();
        if arrived {
            let line = format!("{}: {} is active", service.name, service.active);
            return self.line(&paint.good(&line));
        }
        let why = match &service.halted {
            Some(halt) => format!("{} did not arrive: {}", halt.operation, tame(&halt.because)),
            None => tame(&service.because),
        };
        let line = format!(
            "{}: {} is active still; {why}",
            service.name, service.active
        );
        self.line(&paint.loud(&line))
    }
}
