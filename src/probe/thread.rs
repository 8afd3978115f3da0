//! The thread that all watches share.
//!
//! A look waits for the network three or four times and computes for some microseconds between.
//! On a scheduler of many threads each of these waits wakes a thread that finds the one before
//! it done already; on one thread it costs nothing. And a flood of queries, which keeps the
//! other threads busy, makes no look late.

use std::future::Future;
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Ends, and all that runs on it, when it is dropped.
#[derive(Debug)]
pub(super) struct Thread {
    tasks: Handle,
    /// Its end is what the thread waits for.
    _alive: oneshot::Sender<()>,
}

impl Thread {
    /// # Errors
    /// If the process may have no further thread or descriptor.
    pub(super) fn start() -> io::Result<Thread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let tasks = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        thread::Builder::new()
            .name("probes".to_owned())
            .spawn(move || runtime.block_on(ended).is_ok())?;
        Ok(Thread {
            tasks,
            _alive: alive,
        })
    }

    /// Runs `task` until its end, its abortion, or the end of the thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.tasks.spawn(task)
    }
}
