//! How much is logged, while the daemon runs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::admin::{Answer, Response};
use crate::clock;
use crate::telemetry;

/// The word for the levels of the start.
const RESET: &str = "reset";

/// Waits for the end of the latest change; one that follows takes its place.
static ENDING: Mutex<Option<AbortHandle>> = Mutex::new(None);

/// Changes the levels if it is told to, and says which are in force.
pub(super) fn log(set: Option<&str>, for_s: Option<u64>, by: &str) -> Response {
    if let Some(what) = set {
        let what = Some(what).filter(|what| *what != RESET);
        let period = for_s.filter(|_| what.is_some()).map(Duration::from_secs);
        let until = period.map(|period| clock::wall() + period);
        // Held from the change on, so that of two at once the later one's end is the one kept.
        let mut latest = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = || telemetry::levels(by, what, until);
        let change = match telemetry::set(what, until, tell) {
            Ok(change) => change,
            Err(error) => return Response::error(error.to_string()),
        };
        let ending = period.map(|period| tokio::spawn(end(change, period)).abort_handle());
        if let Some(before) = std::mem::replace(&mut *latest, ending) {
            before.abort();
        }
    }
    let (levels, until) = telemetry::current();
    Response::Ok(Answer::Log {
        levels: levels.words(),
        until,
    })
}

async fn end(change: u64, period: Duration) {
    tokio::time::sleep(period).await;
    telemetry::revert(change, || telemetry::levels("its time is over", None, None));
}
