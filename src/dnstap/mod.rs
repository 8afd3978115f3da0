//! **IO.** Queries and answers for others to see: dnstap, or a log of queries as text.
//!
//! The threads that answer copy into bounded buffers ([`crate::server::Taps`]) while it is on; one
//! thread here empties these, writes frames, and waits for whoever reads. Nobody waits for it: what
//! it does not take in time is lost and counted. `frame` knows how dnstap is written
//! (<https://dnstap.info>), `sink` where to, `text` writes a line for each query instead.

mod frame;
mod sink;
mod text;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use sink::{Sink, SinkError};

use crate::server::{Exchange, Taps};

/// How often the buffers are emptied.
const EVERY: Duration = Duration::from_millis(20);
/// Words for the thread that wait.
const WORDS: usize = 4;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Frames of dnstap.
    Dnstap,
    /// A line for each query.
    Text,
}

/// What became of it since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tapped {
    /// Whether exchanges are copied.
    pub is_on: bool,
    /// Frames or lines that were written.
    pub written: u64,
    /// Exchanges that were not: no room, or nobody takes them.
    pub lost: u64,
    /// Why nothing can be written, if nothing can.
    pub failed: Option<String>,
}

/// The thread, as others see it. It ends when the last of these is dropped.
pub struct Dnstap {
    taps: Taps,
    words: SyncSender<bool>,
    shared: Arc<Shared>,
    target: String,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_on: AtomicBool,
    written: AtomicU64,
    lost: AtomicU64,
    failed: Mutex<Option<String>>,
    ends: AtomicBool,
}

impl Dnstap {
    /// Starts the thread; `tell` hears when writing begins to fail, and when it works again.
    ///
    /// # Errors
    /// What the system says about a thread more.
    pub fn start(
        sink: Sink,
        taps: Taps,
        on: bool,
        tell: impl Fn(Option<&str>) + Send + 'static,
    ) -> std::io::Result<Dnstap> {
        let (words, told) = sync_channel(WORDS);
        let shared = Arc::new(Shared::default());
        let target = sink.target();
        let writer = Writer {
            sink,
            taps: taps.clone(),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("dnstap".to_owned())
            .spawn(move || writer.run(&told, &tell))?;
        let dnstap = Dnstap {
            taps,
            words,
            shared,
            target,
            thread: Mutex::new(Some(thread)),
        };
        if on {
            dnstap.switch(true);
        }
        Ok(dnstap)
    }

    /// From here on exchanges are written, or are not.
    pub fn switch(&self, on: bool) {
        self.shared.is_on.store(on, Relaxed);
        // With no room for the word, one that comes later in the queue is followed by a look at
        // the flag all the same.
        let _ = self.words.try_send(on);
    }

    /// Writes what was answered until now, and ends. It waits for that: seconds, where somebody takes
    /// nothing.
    pub fn stop(&self) {
        self.shared.ends.store(true, Relaxed);
        let _ = self.words.try_send(false);
        let thread = self.thread.lock();
        if let Some(thread) = thread.unwrap_or_else(PoisonError::into_inner).take() {
            // Its panic has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    /// What became of it.
    #[must_use]
    pub fn tapped(&self) -> Tapped {
        let failed = self.shared.failed.lock();
        Tapped {
            is_on: self.shared.is_on.load(Relaxed),
            written: self.shared.written.load(Relaxed),
            lost: self.shared.lost.load(Relaxed) + self.taps.lost(),
            failed: failed.unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Where it is written.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

struct Writer {
    sink: Sink,
    taps: Taps,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, told: &Receiver<bool>, tell: &impl Fn(Option<&str>)) {
        let (mut is_on, mut spare) = (false, Vec::new());
        loop {
            let gone = if is_on {
                told.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected)
            } else {
                told.recv().is_err()
            };
            let ends = gone || self.shared.ends.load(Relaxed);
            let wanted = self.shared.is_on.load(Relaxed) && !ends;
            if wanted && !is_on {
                self.taps.switch(true);
            }
            if is_on || wanted {
                self.write(&mut spare, tell);
            }
            if is_on && !wanted {
                // What was answered before the word is written too.
                self.taps.switch(false);
                self.sink.close();
                spare = Vec::new();
            }
            is_on = wanted;
            if ends {
                return;
            }
        }
    }

    fn write(&mut self, spare: &mut Vec<u8>, tell: &impl Fn(Option<&str>)) {
        let Writer { sink, taps, shared } = self;
        let mut result = sink.open();
        let (mut frames, mut exchanges, mut count) = (Vec::new(), 0, 0);
        taps.take(spare, &mut |exchange: Exchange<'_>| {
            if result.is_ok() {
                frames.clear();
                let of_it = sink.form().write(&exchange, &mut frames);
                result = sink.write(&frames);
                if result.is_ok() {
                    exchanges += 1;
                    count += of_it;
                    return;
                }
            }
            shared.lost.fetch_add(1, Relaxed);
        });
        // What could be written until then is, even if no more can be.
        if result.is_ok() || exchanges > 0 {
            let flushed = sink.flush();
            match &flushed {
                Ok(()) => shared.written.fetch_add(count, Relaxed),
                Err(_) => shared.lost.fetch_add(exchanges, Relaxed),
            };
            result = result.and(flushed);
        }
        let why = result.err().map(|error| error.to_string());
        let mut failed = shared.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if why.is_some() {
            sink.close();
        }
        if why.is_some() != failed.is_some() {
            tell(why.as_deref());
        }
        // Between two tries the reason is that of the first.
        if why.is_none() || failed.is_none() {
            *failed = why;
        }
    }
}

impl Form {
    /// Appends an exchange; how many frames or lines.
    fn write(self, exchange: &Exchange<'_>, out: &mut Vec<u8>) -> u64 {
        match self {
            Form::Dnstap => frame::write(exchange, out),
            Form::Text => text::write(exchange, out),
        }
    }
}
