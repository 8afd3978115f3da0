//! An edge: a port that accepts connections, until it is closed.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{JoinHandle, park_timeout};
use std::time::Duration;

/// Between two looks for a connection.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Edge {
    address: (Ipv4Addr, u16),
    open: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Edge {
    pub(crate) fn open(last: u8, port: u16) -> Edge {
        let mut edge = Edge {
            address: (Ipv4Addr::new(127, 0, 0, last), port),
            open: None,
        };
        edge.reopen();
        edge
    }

    pub(crate) fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let closed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&closed);
        let thread = std::thread::spawn(move || {
            while !told.load(Relaxed) {
                match listener.accept() {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => park_timeout(PAUSE),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        self.open = Some((closed, thread));
    }

    pub(crate) fn close(&mut self) {
        if let Some((closed, thread)) = self.open.take() {
            closed.store(true, Relaxed);
            thread.join().unwrap();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.close();
    }
}
