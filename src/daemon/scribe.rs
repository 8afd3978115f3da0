//! The thread that writes the history. The core hands entries over and goes on at once: a slow or
//! failing disk costs entries, which are counted, and never the time of a failover.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::chronicle::Entry;
use crate::clock;
use crate::store::Chronicle;
use crate::time::Wall;

/// So many entries wait for the disk; more are lost, and counted.
const QUEUE: usize = 4096;
/// So many are written in one transaction.
const BATCH: usize = 1024;
/// Entries wait so long for others that are written with them.
const GATHER: Duration = Duration::from_millis(20);
/// A disk that fails is tried again so often.
const RETRY: Duration = Duration::from_secs(1);
/// Whoever reads waits so long for what was handed over before.
const FLUSH_MAX: Duration = Duration::from_secs(2);

enum Order {
    Write(Wall, Box<Entry>),
    /// Write what has been handed over, then say so.
    Flush(SyncSender<()>),
}

/// The core's end.
pub(super) struct Scribe {
    queue: SyncSender<Order>,
    /// Entries that were not taken since the last one that was.
    lost: u64,
    /// All that were lost since the start.
    lost_in_all: u64,
    desk: Archive,
}

/// What has been written, for whoever reads.
#[derive(Clone)]
pub(super) struct Archive {
    queue: SyncSender<Order>,
    chronicle: Arc<Chronicle>,
    failed: Arc<Mutex<Option<String>>>,
}

impl Scribe {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(super) fn start(chronicle: Chronicle) -> std::io::Result<Scribe> {
        let (queue, orders) = sync_channel(QUEUE);
        let chronicle = Arc::new(chronicle);
        let failed = Arc::new(Mutex::new(None));
        let desk = Archive {
            queue: queue.clone(),
            chronicle: Arc::clone(&chronicle),
            failed: Arc::clone(&failed),
        };
        // It ends when nobody can hand anything over any more.
        std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write_all(&orders, &chronicle, &failed))?;
        Ok(Scribe {
            queue,
            lost: 0,
            lost_in_all: 0,
            desk,
        })
    }

    /// Hands an entry over. It never waits.
    pub(super) fn note(&mut self, at: Wall, entry: Entry) {
        if self.lost > 0 {
            let lost = Entry::Lost { entries: self.lost };
            match self.queue.try_send(Order::Write(at, Box::new(lost))) {
                Ok(()) => self.lost = 0,
                Err(_) => {
                    self.lost += 1;
                    self.lost_in_all += 1;
                    return;
                }
            }
        }
        match self.queue.try_send(Order::Write(at, Box::new(entry))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost += 1;
                self.lost_in_all += 1;
            }
        }
    }

    /// How many entries were lost since the start.
    pub(super) fn lost_in_all(&self) -> u64 {
        self.lost_in_all
    }

    /// For whoever reads.
    pub(super) fn archive(&self) -> Archive {
        self.desk.clone()
    }

    /// Why nothing can be written, if it cannot.
    pub(super) fn failed(&self) -> Option<String> {
        let failed = self.desk.failed.lock();
        let failed = failed.unwrap_or_else(PoisonError::into_inner).clone();
        let lost = self.lost;
        failed.map(|why| match lost {
            0 => why,
            lost => format!("{why}; {lost} entries were lost"),
        })
    }

    /// Writes what waits, and ends. A disk that is too slow is given up.
    pub(super) fn stop(self) {
        self.desk.flush();
        self.desk.chronicle.close();
    }
}

impl Archive {
    /// Waits until what was handed over before is written, or the disk is too slow.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Order::Flush(done)).is_ok() {
            // Too slow: what is there is read.
            let _ = written.recv_timeout(FLUSH_MAX);
        }
    }

    /// The file.
    pub(super) fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }
}

/// Writes in batches until nobody can hand anything over any more.
fn write_all(orders: &Receiver<Order>, chronicle: &Chronicle, failed: &Mutex<Option<String>>) {
    let mut batch: Vec<(Wall, String)> = Vec::new();
    let mut flushes: Vec<SyncSender<()>> = Vec::new();
    while gather(orders, &mut batch, &mut flushes) {
        loop {
            let why = chronicle
                .append(&batch)
                .err()
                .map(|error| error.to_string());
            let done = why.is_none();
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = why;
            if done {
                break;
            }
            // Whoever waits to read reads what is there.
            flushes.clear();
            std::thread::sleep(RETRY);
        }
        batch.clear();
        // Whoever waited may have gone.
        for done in flushes.drain(..) {
            let _ = done.try_send(());
        }
    }
}

/// Gathers what is written together. `false`: nothing will come any more.
fn gather(
    orders: &Receiver<Order>,
    batch: &mut Vec<(Wall, String)>,
    flushes: &mut Vec<SyncSender<()>>,
) -> bool {
    let Ok(first) = orders.recv() else {
        return false;
    };
    let until = clock::mono() + GATHER;
    let mut next = Some(first);
    while let Some(order) = next.take() {
        match order {
            Order::Write(at, entry) => {
                if let Ok(json) = serde_json::to_string(&entry) {
                    batch.push((at, json));
                }
            }
            Order::Flush(done) => flushes.push(done),
        }
        if batch.len() >= BATCH {
            break;
        }
        let patience = match flushes.is_empty() {
            true => until.since(clock::mono()),
            false => Duration::ZERO,
        };
        next = orders.recv_timeout(patience).ok();
    }
    true
}
