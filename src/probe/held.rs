//! The held connection: an idle stream that sees a crash at once.

use std::io;
use std::time::Duration;

use super::scan::Said;
use super::schedule::Loss;
use super::xmpp::{Cut, Stream};

/// The one idle stream of a server's address.
#[derive(Debug)]
pub(super) struct Held(Stream);

impl Held {
    /// Holds the stream that a good look left; `timeout` as for
    /// [`super::tcp::watch_over`].
    pub(super) fn new(mut stream: Stream, timeout: Duration) -> io::Result<Held> {
        stream.idle(timeout)?;
        Ok(Held(stream))
    }

    /// Waits until the stream is over. Safe to drop at any time.
    pub(super) async fn lost(&mut self) -> Loss {
        loop {
            match self.0.hear().await {
                // RFC 6120 section 4.9.3.4: the server tidies up idle streams.
                Ok(Said::Error(condition)) if condition == "connection-timeout" => {
                    return Loss::Clean;
                }
                Ok(Said::Error(_) | Said::End) | Err(Cut::Closed) => return Loss::Broken,
                Ok(Said::Features { .. } | Said::Proceed | Said::Failure) => {}
                Err(Cut::TooLong | Cut::NotXmpp(_)) => return Loss::Flooded,
            }
        }
    }
}
