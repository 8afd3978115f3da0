//! The task that sends and listens.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::ledger::{Due, Entry, Ledger, TargetState};
use super::message::{compose, is_about, rcode_word, read_response};
use crate::clock;
use crate::ids::Serial;
use crate::snapshot::Snapshot;
use crate::tsig::{Verifier, sign_request};

/// So many messages leave at a time, then there is a short pause.
const BURST: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
/// A response is no longer than this.
const LONGEST: usize = 4096;

/// Tells the secondaries of a server. Dropping it stops it.
#[derive(Debug)]
pub struct Notifier {
    changed: Arc<Notify>,
    ledger: Arc<Mutex<Ledger>>,
    task: JoinHandle<()>,
}

impl Notifier {
    /// Begins to tell the targets of `snapshots`, from the addresses that we listen on where
    /// that can be: many secondaries take a NOTIFY only from the address of their primary. Call
    /// it within a tokio runtime.
    #[must_use]
    pub fn start(snapshots: Arc<ArcSwap<Snapshot>>, listening: &[SocketAddr]) -> Notifier {
        let (changed, ledger) = (Arc::new(Notify::new()), Arc::default());
        let sender = Sender {
            snapshots,
            ledger: Arc::clone(&ledger),
            sources: [source(listening, true), source(listening, false)],
            sockets: [None, None],
            pending: HashMap::new(),
            ids: HashMap::new(),
            random: SystemRandom::new(),
        };
        changed.notify_one();
        let task = tokio::spawn(sender.run(Arc::clone(&changed)));
        Notifier {
            changed,
            ledger,
            task,
        }
    }

    /// The snapshot was swapped. It never waits.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// What is known of each secondary.
    #[must_use]
    pub fn states(&self) -> Vec<TargetState> {
        lock(&self.ledger).states()
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address that we listen on, if it is one that others can reach; else the system chooses.
fn source(listening: &[SocketAddr], v4: bool) -> IpAddr {
    let own = listening.iter().map(SocketAddr::ip).find(|address| {
        address.is_ipv4() == v4 && !address.is_unspecified() && !address.is_loopback()
    });
    own.unwrap_or(if v4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    })
}

/// A message that waits for its response.
struct Pending {
    entry: Entry,
    serial: Serial,
    verifier: Option<Verifier>,
}

struct Sender {
    snapshots: Arc<ArcSwap<Snapshot>>,
    ledger: Arc<Mutex<Ledger>>,
    /// For IPv4 and IPv6.
    sources: [IpAddr; 2],
    /// Bound when first needed.
    sockets: [Option<UdpSocket>; 2],
    /// By address and id. An entry has one at most, with this id.
    pending: HashMap<(SocketAddr, [u8; 2]), Pending>,
    ids: HashMap<Entry, [u8; 2]>,
    random: SystemRandom,
}

enum Woken {
    Changed,
    Time,
    Received(SocketAddr, Vec<u8>),
}

impl Sender {
    async fn run(mut self, changed: Arc<Notify>) {
        let mut pause = false;
        loop {
            match self.wait(&changed, pause).await {
                Woken::Changed => {
                    let snapshot = self.snapshots.load_full();
                    lock(&self.ledger).follow(clock::mono(), &snapshot);
                }
                Woken::Time => {}
                Woken::Received(from, message) => self.take(from, message),
            }
            let due = lock(&self.ledger).take_due(clock::now(), BURST);
            pause = due.len() == BURST;
            for one in due {
                self.tell(one).await;
            }
        }
    }

    async fn wait(&self, changed: &Notify, pause: bool) -> Woken {
        let next = lock(&self.ledger).next_due();
        let time = async {
            match next {
                _ if pause => tokio::time::sleep(PAUSE).await,
                Some(at) => tokio::time::sleep_until(clock::instant(at)).await,
                None => std::future::pending().await,
            }
        };
        let (mut first, mut second) = (vec![0; LONGEST], vec![0; LONGEST]);
        let [v4, v6] = &self.sockets;
        tokio::select! {
            biased;
            () = changed.notified() => Woken::Changed,
            (from, length) = receive(v4.as_ref(), &mut first) => received(from, first, length),
            (from, length) = receive(v6.as_ref(), &mut second) => received(from, second, length),
            () = time => Woken::Time,
        }
    }

    /// Sends one message.
    async fn tell(&mut self, due: Due) {
        let Due { entry, serial, key } = due;
        let snapshot = self.snapshots.load_full();
        let Some(zone) = snapshot.zone(&entry.0) else {
            return;
        };
        let mut id = [0; 2];
        if self.random.fill(&mut id).is_err() {
            return self.fail(&entry, "the system gives no random numbers");
        }
        let mut message = compose(id, zone);
        let verifier = match key {
            Some(name) => match snapshot.keys().get(&name) {
                Some(key) => Some(sign_request(key, &mut message, clock::wall())),
                None => return self.fail(&entry, "its key is gone"),
            },
            None => None,
        };
        let to = entry.1;
        // An answer to an attempt before counts no more.
        if let Some(before) = self.ids.insert(entry.clone(), id) {
            self.pending.remove(&(to, before));
        }
        if let Err(error) = self.send(to, &message).await {
            return self.fail(&entry, &error.to_string());
        }
        let pending = Pending {
            entry,
            // A swap may have come in between: what was said counts.
            serial: if zone.serial() == serial {
                serial
            } else {
                zone.serial()
            },
            verifier,
        };
        self.pending.insert((to, id), pending);
    }

    async fn send(&mut self, to: SocketAddr, message: &[u8]) -> io::Result<()> {
        let family = usize::from(to.is_ipv6());
        let ([v4, v6], [source4, source6]) = (&mut self.sockets, self.sources);
        let (slot, source) = if family == 0 {
            (v4, source4)
        } else {
            (v6, source6)
        };
        let socket = match slot {
            Some(socket) => socket,
            None => slot.insert(UdpSocket::bind(SocketAddr::new(source, 0)).await?),
        };
        socket.send_to(message, to).await.map(|_| ())
    }

    fn fail(&self, entry: &Entry, problem: &str) {
        lock(&self.ledger).failed(entry, problem.to_owned());
    }

    /// Takes a response. What nobody waits for, and what is not signed as it should be, is as if
    /// it had not come.
    fn take(&mut self, from: SocketAddr, mut message: Vec<u8>) {
        let Some((id, rcode)) = read_response(&message) else {
            return;
        };
        let from = SocketAddr::new(from.ip(), from.port());
        let Some(pending) = self.pending.get_mut(&(from, id)) else {
            return;
        };
        if !is_about(&message, pending.entry.0.wire()) {
            return;
        }
        if let Some(verifier) = &mut pending.verifier
            && let Err(error) = verifier.verify(&mut message, clock::wall())
        {
            let entry = pending.entry.clone();
            return self.fail(&entry, &error.to_string());
        }
        let Some(Pending { entry, serial, .. }) = self.pending.remove(&(from, id)) else {
            return;
        };
        if rcode == 0 {
            lock(&self.ledger).acknowledged(clock::wall(), &entry, serial);
        } else {
            self.fail(&entry, &format!("it answers {}", rcode_word(rcode)));
        }
    }
}

/// One datagram. Errors are those of earlier messages, which are sent again anyway.
async fn receive(socket: Option<&UdpSocket>, into: &mut [u8]) -> (SocketAddr, usize) {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        match socket.recv_from(into).await {
            Ok((length, from)) => return (from, length),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn received(from: SocketAddr, mut message: Vec<u8>, length: usize) -> Woken {
    message.truncate(length);
    Woken::Received(from, message)
}
