//! The threads that speak to clients with connections. They are the server's own: a flood of
//! handshakes shares the cores with whoever decides a failover, but never stands before it in a
//! queue.

use std::io;

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

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
