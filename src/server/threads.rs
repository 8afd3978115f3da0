//! The threads that speak to clients with connections. They are the server's own: a flood of
//! handshakes shares the cores with whoever decides a failover, but never stands before it in a
//! queue.

use std::io;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::sync::oneshot;

/// A runtime that may be dropped anywhere: it ends without waiting for its tasks.
pub(super) struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    /// As many threads as cores.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start() -> io::Result<Threads> {
        let runtime = Builder::new_multi_thread()
            .thread_name("server")
            .enable_all()
            .build()?;
        Ok(Threads {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// While it is held, sockets and tasks made by this thread belong here.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Does long work on a thread of its own.
///
/// # Errors
/// What the system says, if there is no thread to be had.
pub(super) fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || {
        // The receiver may have gone with its connection.
        let _ = done.send(work());
    })?;
    Ok(result)
}

/// The same on a thread that gives way at once to whoever wakes up (`SCHED_IDLE`): a nice value
/// would let it finish its slice, some milliseconds, first. Where others keep all cores busy, it
/// hardly goes on; and it stays so, for only the privileged take it back.
///
/// # Errors
/// As [`aside`].
pub(super) fn in_spare_time<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    aside(name, move || {
        // Where this is refused, the work disturbs a little more.
        let _ = set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Min,
            ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
        );
        work()
    })
}
