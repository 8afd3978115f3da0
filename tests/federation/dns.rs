//! Asking for the records of the federation, and watching how the answer changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::patience::{let_pass, now};

/// One SRV answer as a line: `10 edge1a edge1b / 20 edge2`, by priority, targets in order of
/// their first label.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order(BTreeMap<u16, BTreeSet<String>>);

impl Order {
    /// The targets of the lowest priority.
    pub(crate) fn first(&self) -> Vec<&str> {
        self.0
            .values()
            .next()
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect()
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (priority, targets)) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { " / " };
            write!(f, "{separator}{priority}")?;
            targets
                .iter()
                .try_for_each(|target| write!(f, " {target}"))?;
        }
        Ok(())
    }
}

/// Asks `server` once, by UDP; `None` if no answer comes in time.
pub(crate) fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Option<Message> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a socket");
    socket.connect(server).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_millis(250)))
        .expect("a timeout");
    let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_str(name).expect("a name"), kind));
    socket.send(&query.to_vec().expect("a query")).ok()?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(Message::from_vec(&buffer[..length]).expect("an answer that can be read"))
}

/// The order of the SRV set `owner`. That the set is empty, that a target is not an edge, or that
/// an address in the same message belongs to no target, is never right, and panics.
pub(crate) fn order(server: SocketAddr, owner: &str) -> Option<Order> {
    let message = ask(server, owner, RecordType::SRV)?;
    if message.metadata.response_code != ResponseCode::NoError {
        return None;
    }
    let mut order = Order::default();
    let mut targets = BTreeSet::new();
    for record in &message.answers {
        if let RData::SRV(srv) = &record.data {
            let target = srv.target.to_string().to_lowercase();
            let label = target.split('.').next().unwrap_or_default().to_owned();
            assert!(label.starts_with("edge"), "no edge: {record}");
            assert_eq!(srv.port, 5269, "{record}");
            order.0.entry(srv.priority).or_default().insert(label);
            targets.insert(target);
        }
    }
    assert!(!targets.is_empty(), "an answer without a target: {message}");
    for record in &message.additionals {
        if matches!(record.data, RData::A(_) | RData::AAAA(_)) {
            let name = record.name.to_string().to_lowercase();
            assert!(
                targets.contains(&name),
                "{record} belongs to no target of {order}"
            );
        }
    }
    Some(order)
}

/// The addresses of `name`.
pub(crate) fn addresses(server: SocketAddr, name: &str) -> BTreeSet<IpAddr> {
    let answers = ask(server, name, RecordType::A).map(|message| message.answers);
    let mut found = BTreeSet::new();
    for record in answers.iter().flatten() {
        if let RData::A(a) = &record.data {
            found.insert(IpAddr::V4(a.0));
        }
    }
    found
}

/// Each change of an answer, with when it was seen.
type Seen = Arc<Mutex<Vec<(Instant, Order)>>>;

/// Asks without pause, and keeps each answer that differs from the one before.
pub(crate) struct Watch {
    seen: Seen,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch the SRV set `owner` at `server`.
    pub(crate) fn begin(server: SocketAddr, owner: &'static str) -> Watch {
        let (seen, stop) = (Seen::default(), Arc::new(AtomicBool::new(false)));
        let (writer, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(order) = order(server, owner) else {
                    continue;
                };
                let mut seen = writer.lock().expect("no panic while locked");
                if seen.last().is_none_or(|(_, last)| *last != order) {
                    seen.push((now(), order));
                }
                drop(seen);
                let_pass(Duration::from_millis(2));
            }
        });
        Watch {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// All that was served so far.
    pub(crate) fn seen(&self) -> Vec<(Instant, Order)> {
        assert!(
            self.thread
                .as_ref()
                .is_some_and(|thread| !thread.is_finished()),
            "an answer was wrong: see the panic above"
        );
        self.seen.lock().expect("no panic while locked").clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
