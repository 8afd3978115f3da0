//! One receiver, and one delivery to it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::program;
use crate::alert::{Alert, Message, Topic};
use crate::clock;
use crate::hook;
use crate::http::{self, HttpError, Stage, Target};
use crate::programs::Hands;
use crate::runbook::{Call, Command};

/// The form of the JSON body.
const VERSION: u32 = 1;

/// Who is told, of what, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name, for `status` and the log.
    pub name: String,
    /// How it is told.
    pub to: Destination,
    /// What it is told of.
    pub on: BTreeSet<Topic>,
    /// How long one delivery may take. Above zero.
    pub timeout: Duration,
    /// So many alerts an hour; of alarms twice as many.
    pub per_hour: u32,
    /// So many days before its end a certificate is worth an alert.
    pub certificate_days: u64,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A call over HTTP, with the JSON object as its body.
    Call(Call),
    /// A program, with the JSON object on its standard input.
    Program(Command),
}

/// What is sent.
#[derive(Serialize)]
struct Body<'m> {
    version: u32,
    /// This machine.
    host: String,
    #[serde(flatten)]
    message: &'m Message,
}

impl Receiver {
    /// Whether it wants to be told.
    #[must_use]
    pub fn wants(&self, alert: &Alert) -> bool {
        let soon = alert
            .days_left
            .is_none_or(|days| days < self.certificate_days);
        self.on.contains(&alert.topic) && soon
    }

    /// How many days before its end a certificate is worth an alert, if at all.
    #[must_use]
    pub fn notice_days(&self) -> Option<u64> {
        let wants = self.on.contains(&Topic::Certificate);
        wants.then_some(self.certificate_days)
    }

    /// Where it is, without what may be a secret: the path of an address often is one.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.to {
            Destination::Call(call) => {
                let parts: Vec<&str> = call.url.splitn(4, '/').collect();
                parts
                    .get(..3)
                    .map_or_else(String::new, |start| start.join("/"))
            }
            Destination::Program(command) => command.0.first().cloned().unwrap_or_default(),
        }
    }

    /// Delivers one message.
    pub(super) async fn deliver(&self, hands: &Hands, message: &Message) -> Result<(), String> {
        let body = Body {
            version: VERSION,
            host: host(),
            message,
        };
        let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
        match &self.to {
            Destination::Call(call) => {
                let mut request = hook::request(call, body, message.id.clone(), self.timeout)?;
                let deadline = clock::mono() + self.timeout;
                let found = addresses(hands, &request.target);
                let found = tokio::time::timeout(self.timeout, found).await;
                let found = found.unwrap_or(Err(HttpError::TimedOut(Stage::Name)));
                request.addresses = found.map_err(|error| error.to_string())?;
                request.timeout = deadline.since(clock::mono());
                let response = http::send(request).await;
                let response = response.map_err(|error| error.to_string())?;
                response.accept(&call.expect)
            }
            Destination::Program(command) => {
                program::run(hands, command, message, &body, self.timeout).await
            }
        }
    }
}

/// Where a target is. The system is asked elsewhere: it may load modules for an answer.
async fn addresses(hands: &Hands, target: &Target) -> Result<Vec<IpAddr>, HttpError> {
    if let Ok(address) = target.host().parse() {
        return Ok(vec![address]);
    }
    let found = hands.addresses(target.host()).await;
    found.map_err(|error| HttpError::Name {
        host: target.host().to_owned(),
        why: error.to_string(),
    })
}

fn host() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
