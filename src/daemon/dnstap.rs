//! Who is shown queries and answers: opened before rights are given up, switched by a verb.

use std::sync::Arc;

use crate::admin::{Answer, Response};
use crate::config::{Config, DnstapTo};
use crate::dnstap::{Dnstap, Form, Sink, SinkError, Tapped};
use crate::server::Taps;
use crate::telemetry;

/// Opens what the configuration names.
///
/// # Errors
/// If it is a file that cannot be made.
pub(super) fn open(config: &Config) -> Result<Option<Sink>, SinkError> {
    let Some(dnstap) = &config.dnstap else {
        return Ok(None);
    };
    match &dnstap.to {
        DnstapTo::Socket(path) => Ok(Some(Sink::socket(path))),
        DnstapTo::File(path, most) => Sink::file(path, Form::Dnstap, *most).map(Some),
        DnstapTo::Queries(path, most) => Sink::file(path, Form::Text, *most).map(Some),
    }
}

/// Begins to write there, or to wait for the word to.
pub(super) fn begin(sink: Option<Sink>, taps: Taps, config: &Config) -> Option<Arc<Dnstap>> {
    let on = config.dnstap.as_ref().is_some_and(|dnstap| dnstap.on);
    match Dnstap::start(sink?, taps, on, telemetry::dnstap) {
        Ok(dnstap) => Some(Arc::new(dnstap)),
        Err(error) => {
            telemetry::alarm(&format!("no dnstap: no thread for it: {error}"));
            None
        }
    }
}

/// Writes what was answered until now, and ends it.
pub(super) fn end(tap: Option<Arc<Dnstap>>) {
    if let Some(tap) = tap {
        tokio::task::block_in_place(|| tap.stop());
    }
}

/// Switches it if it is told to, and says what became of it.
pub(super) fn tap(tap: Option<&Dnstap>, on: Option<bool>, by: &str) -> Response {
    let Some(tap) = tap else {
        return Response::error(
            "there is no [dnstap] in the configuration, which says where to write, add it and restart",
        );
    };
    if let Some(on) = on {
        tap.switch(on);
        telemetry::tapping(on, tap.target(), by);
    }
    let Tapped {
        is_on,
        written,
        lost,
        failed,
    } = tap.tapped();
    Response::Ok(Answer::Dnstap {
        target: tap.target().to_owned(),
        on: is_on,
        written,
        lost,
        failed,
    })
}
