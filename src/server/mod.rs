//! **IO.** Listeners: UDP, TCP, TLS, HTTPS and QUIC. All call [`crate::answer::respond`].
//!
//! [`Bound::open`] does all that takes rights, [`Bound::start`] starts threads, which have none
//! any more, and [`Listeners::serve`] starts to answer. The last two are apart because the first
//! start ever binds, waits for a first round of probes, and only then answers. What arrives in
//! between waits in the system's buffers.
//!
//! Invariants:
//! - A batch of UDP queries, and the queries that a TCP connection has sent at a time, see one
//!   snapshot, loaded after they were received: a client that has seen a generation never sees
//!   an older one.
//! - Whoever waits holds no snapshot.
//! - Nothing is logged for what a stranger sends: it is counted ([`Counters`]).

mod accept;
mod batch;
mod bind;
mod certificate;
mod connections;
mod counters;
mod encrypted;
mod error;
mod http;
mod https;
mod limiter;
mod measure;
mod notices;
mod quic;
mod reply;
mod seen;
mod spec;
mod stream;
mod tap;
mod tcp;
mod threads;
mod tls;
mod transfers;
mod udp;
mod xdp;

pub use certificate::{Certificate, CertificateState, Renewal};
pub use counters::{ByTransport, Count, Counters, LimitCount};
pub use error::{BindError, BindProblem};
pub use limiter::{Limited, Limiter};
pub use measure::{LATENCY_BOUNDS, Measured, RCODES, TYPES};
pub use notices::Notices;
pub use seen::{Asked, Sighting};
pub use spec::{EncryptedSpec, ListenSpec, LocalAddrs};
pub use stream::Patience;
pub use tap::{Carrier, Exchange, Taps};
pub use xdp::{XdpAttached, XdpState};

use std::collections::BTreeMap;
use std::io::{self, PipeWriter, pipe};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::answer::{Asker, Standing};
use crate::snapshot::Snapshot;
use crate::supervisor::{Handed, Kind};
use crate::zone::Name;
use accept::{Stop, listen};
use counters::{Tallies, Tally, bump};
use encrypted::{Encrypted, StartedEncrypted};
use limiter::Guard;
use reply::reply;
use stream::Shared;
use tcp::Tcp;
use threads::Threads;
use transfers::Transfers;
use udp::Worker;
use xdp::Attached;

/// The longest query taken, octets. No question with EDNS options and a signature comes near
/// it, and it bounds what a connection can make us keep.
const QUERY_LIMIT: usize = 4096;
/// UDP threads of one address at most, on a machine with as many cores: the second is there so
/// that one long pause of a core does not silence the server.
const MOST_WORKERS: usize = 2;
/// How long a stop waits for queries that were accepted.
const GRACE: Duration = Duration::from_secs(3);

type Snapshots = Arc<ArcSwap<Snapshot>>;

/// Bound sockets, and nothing else yet: no thread, no runtime. Dropping them closes everything.
pub struct Bound {
    addrs: LocalAddrs,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    encrypted: Option<Encrypted>,
    xdp: Vec<XdpState>,
    short_cuts: Vec<Attached>,
    handed: Handed,
}

/// Bound sockets and idle threads: all that serving needs. Dropping them closes everything.
pub struct Listeners {
    addrs: LocalAddrs,
    tcp: Vec<tokio::net::TcpListener>,
    encrypted: Option<StartedEncrypted>,
    workers: Workers,
    xdp: Vec<XdpState>,
    tallies: Arc<Tallies>,
    patience: Patience,
    // Last: what belongs to it is dropped before.
    threads: Threads,
}

/// The UDP threads.
struct Workers {
    /// Where each waits for what it is to serve.
    starts: Vec<SyncSender<Snapshots>>,
    threads: Vec<JoinHandle<()>>,
    /// Dropped to stop them.
    stop: PipeWriter,
}

/// Listeners at work. Dropping it stops them at once, without grace.
pub struct Serving {
    addrs: LocalAddrs,
    listeners: JoinSet<()>,
    stop: watch::Sender<bool>,
    workers: Workers,
    shared: Arc<Shared>,
    _threads: Threads,
}

impl Bound {
    /// Takes what was handed over for the addresses of `spec` and binds the others, reads the
    /// certificate, and attaches the interfaces: all that takes rights.
    ///
    /// # Errors
    /// All problems at once, each with its address or file and a remedy.
    pub fn open(spec: &ListenSpec, mut handed: Handed) -> Result<Bound, BindError> {
        let mut problems = Vec::new();
        let mut addrs = LocalAddrs::default();
        let (mut tcp, mut udp) = (Vec::new(), Vec::new());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for &address in &spec.dns {
            match bind::pair(address, cores.min(MOST_WORKERS), &mut handed) {
                Ok(pair) => {
                    addrs.dns.push(pair.local);
                    tcp.push(pair.tcp);
                    udp.extend(pair.udp);
                }
                Err(found) => problems.extend(found),
            }
        }
        if spec.dns.is_empty() && spec.encrypted.is_none() {
            problems.push(BindProblem::NoAddress);
        }
        let encrypted = spec
            .encrypted
            .as_ref()
            .and_then(|spec| Encrypted::bind(spec, &mut handed, &mut addrs, &mut problems));
        problems.extend(handed.left().into_iter().map(BindProblem::from));
        if !problems.is_empty() {
            return Err(BindError { problems });
        }
        // Last, for it takes what the sockets have had until now.
        let (xdp, short_cuts) = take_short_cuts(&spec.xdp, &addrs.dns);
        Ok(Bound {
            addrs,
            tcp,
            udp,
            encrypted,
            xdp,
            short_cuts,
            handed,
        })
    }

    /// The sockets that close when this process ends: no socket unit has them too.
    pub fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        let encrypted = self.encrypted.as_ref().map(Encrypted::sockets);
        let (streams, quic) = encrypted.unzip();
        let streams = self.tcp.iter().chain(streams.into_iter().flatten());
        let streams = streams.map(|it| (it.as_fd(), it.local_addr(), Kind::Stream));
        let datagrams = self.udp.iter().chain(quic.into_iter().flatten());
        let datagrams = datagrams.map(|it| (it.as_fd(), it.local_addr(), Kind::Datagram));
        let own = |local: io::Result<SocketAddr>, kind| {
            local.is_ok_and(|address| !self.handed.is_held(kind, address))
        };
        let all = streams.chain(datagrams);
        all.filter_map(|(socket, local, kind)| own(local, kind).then_some(socket))
            .collect()
    }

    /// The addresses bound.
    #[must_use]
    pub fn local_addrs(&self) -> &LocalAddrs {
        &self.addrs
    }

    /// Starts the threads, which wait for [`Listeners::serve`].
    ///
    /// # Errors
    /// What the system lacks.
    pub fn start(self) -> Result<Listeners, BindError> {
        let lacking = |error| BindError {
            problems: vec![BindProblem::Resources(error)],
        };
        let threads = Threads::start().map_err(lacking)?;
        let within = threads.enter();
        let tallies = Arc::new(Tallies::default());
        let encrypted = self.encrypted.map(Encrypted::start).transpose();
        let encrypted = encrypted.map_err(lacking)?;
        let tcp = tcp::listeners(self.tcp).map_err(lacking)?;
        let workers = start_workers(self.udp, self.short_cuts, &tallies).map_err(lacking)?;
        drop(within);
        Ok(Listeners {
            addrs: self.addrs,
            tcp,
            encrypted,
            workers,
            xdp: self.xdp,
            tallies,
            patience: Patience::default(),
            threads,
        })
    }
}

impl Listeners {
    /// Binds every address of `spec`, and starts the threads.
    ///
    /// # Errors
    /// Those of [`Bound::open`] and [`Bound::start`].
    pub fn bind(spec: &ListenSpec) -> Result<Listeners, BindError> {
        Bound::open(spec, Handed::default())?.start()
    }

    /// What primaries will have said by NOTIFY.
    #[must_use]
    pub fn notices(&self) -> Arc<Notices> {
        Arc::clone(&self.tallies.notices)
    }

    /// The addresses bound.
    #[must_use]
    pub fn local_addrs(&self) -> &LocalAddrs {
        &self.addrs
    }

    /// What became of the interfaces that [`ListenSpec::xdp`] names.
    #[must_use]
    pub fn xdp(&self) -> &[XdpState] {
        &self.xdp
    }

    /// Copies of what will be asked and answered.
    #[must_use]
    pub fn taps(&self) -> Taps {
        Taps(Arc::clone(&self.tallies))
    }

    /// The certificate that clients of the encrypted transports are shown.
    #[must_use]
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        let encrypted = self.encrypted.as_ref();
        encrypted.map(|encrypted| Arc::clone(&encrypted.certificate))
    }

    /// Waits for clients with connections as long as `patience` says.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Listeners {
        self.patience = patience;
        self
    }

    /// Starts to answer from whatever `snapshots` holds at the time.
    #[must_use]
    pub fn serve(self, snapshots: Arc<ArcSwap<Snapshot>>) -> Serving {
        let Listeners {
            addrs,
            tcp,
            encrypted,
            workers,
            xdp: _,
            tallies,
            patience,
            threads,
        } = self;
        let within = threads.enter();
        let (stop, stopped) = watch::channel(false);
        let stopped = Stop(stopped);
        let shared = Arc::new(Shared {
            snapshots: Arc::clone(&snapshots),
            tallies,
            patience,
            transfers: Transfers::default(),
        });
        let mut listeners = JoinSet::new();
        let speaker = Arc::new(Tcp(Arc::clone(&shared)));
        for listener in tcp {
            listeners.spawn(listen(listener, Arc::clone(&speaker), stopped.clone()));
        }
        if let Some(encrypted) = encrypted {
            encrypted.serve(&shared, &stopped, &mut listeners);
        }
        for start in &workers.starts {
            // The channel has room for this one, and its thread waits for it.
            let _ = start.send(Arc::clone(&snapshots));
        }
        drop(within);
        Serving {
            addrs,
            listeners,
            stop,
            workers,
            shared,
            _threads: threads,
        }
    }
}

impl Serving {
    /// The addresses served.
    #[must_use]
    pub fn local_addrs(&self) -> &LocalAddrs {
        &self.addrs
    }

    /// The latest question of each secondary that a zone names, by zone and address.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<(Name, IpAddr), Sighting> {
        self.shared.tallies.seen()
    }

    /// Who gets too many responses.
    #[must_use]
    pub fn limiter(&self) -> Arc<Limiter> {
        Arc::clone(&self.shared.tallies.limiter)
    }

    /// What was received and sent since the bind.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.tallies.counters()
    }

    /// What was asked and answered since the bind: types, RCODEs, times.
    #[must_use]
    pub fn measured(&self) -> ByTransport<Measured> {
        self.shared.tallies.measured()
    }

    /// Stops: no new connection, then answers to all that was accepted, for three seconds at
    /// most. Returns the last counts.
    pub async fn shut_down(mut self) -> Counters {
        self.stop.send_replace(true);
        let Workers {
            starts,
            threads,
            stop,
        } = self.workers;
        drop((starts, stop));
        let udp = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A thread's panic has been reported by the panic hook.
                let _ = thread.join();
            }
        });
        let all = async {
            while self.listeners.join_next().await.is_some() {}
            let _ = udp.await;
        };
        // Whoever is not done by then is dropped with `self`.
        let _ = timeout(GRACE, all).await;
        self.shared.tallies.counters()
    }
}

/// Attaches the interfaces that are wanted; those that cannot be are answered through sockets.
fn take_short_cuts(wanted: &[String], listen: &[SocketAddr]) -> (Vec<XdpState>, Vec<Attached>) {
    let (mut states, mut short_cuts) = (Vec::new(), Vec::new());
    for interface in wanted {
        let outcome = xdp::attach(interface, listen).map(|attached| {
            let state = attached.state.clone();
            short_cuts.push(attached);
            state
        });
        states.push(XdpState {
            interface: interface.clone(),
            outcome,
        });
    }
    (states, short_cuts)
}

fn start_workers(
    sockets: Vec<UdpSocket>,
    short_cuts: Vec<Attached>,
    tallies: &Tallies,
) -> io::Result<Workers> {
    let (stopped, stop) = pipe()?;
    let stopped = Arc::new(stopped);
    let mut workers = Workers {
        starts: Vec::new(),
        threads: Vec::new(),
        stop,
    };
    for socket in sockets {
        let tally = tallies.for_udp_thread();
        let worker = Worker {
            wildcard: socket.local_addr()?.ip().is_unspecified(),
            socket,
            guard: Guard::new(Arc::clone(&tallies.limiter), Arc::clone(&tally)),
            tally,
            stop: Arc::clone(&stopped),
        };
        workers.start("udp", move |snapshots| worker.run(snapshots))?;
    }
    for attached in short_cuts {
        let Attached {
            sockets,
            room,
            link,
            ..
        } = attached;
        let link = Arc::new(link);
        for socket in sockets {
            let tally = tallies.for_udp_thread();
            let worker = xdp::Worker {
                socket,
                room,
                guard: Guard::new(Arc::clone(&tallies.limiter), Arc::clone(&tally)),
                tally,
                stop: Arc::clone(&stopped),
                _link: Arc::clone(&link),
            };
            workers.start("xdp", move |snapshots| worker.run(snapshots))?;
        }
    }
    Ok(workers)
}

impl Workers {
    /// Starts a thread, which waits for what it is to serve.
    fn start(
        &mut self,
        name: &str,
        run: impl FnOnce(&ArcSwap<Snapshot>) + Send + 'static,
    ) -> io::Result<()> {
        let (start, started) = sync_channel::<Snapshots>(1);
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || {
            // An error means that the listeners were dropped before they served.
            if let Ok(snapshots) = started.recv() {
                run(&snapshots);
            }
        })?);
        self.starts.push(start);
        Ok(())
    }
}

/// Asks the engine for the answer to one message, and counts both. `false` if nothing is to be sent.
fn answer(
    snapshot: &Snapshot,
    query: &[u8],
    asker: &Asker,
    out: &mut Vec<u8>,
    tally: &Tally,
) -> bool {
    let answered = answer_shorter(snapshot, query, asker, 0, out, tally);
    note(query, asker, answered.map(|_| out), tally)
}

/// Counts what became of a message.
fn note(query: &[u8], asker: &Asker, response: Option<&mut Vec<u8>>, tally: &Tally) -> bool {
    let response = response.map(|response| &response[..]);
    // The TC bit (RFC 1035 section 4.1.1).
    let truncated = |response: &[u8]| response.get(2).is_some_and(|flags| flags & 0x02 != 0);
    if response.is_some_and(truncated) {
        bump(&tally.truncated, 1);
    }
    tally.measures.exchange(query, response);
    tally.tap.put(asker, query, response);
    response.is_some()
}

/// The same for a datagram, of which there may be more than a network gets answers to; no more
/// than `room` octets can be sent at a time.
fn answer_datagram(
    snapshot: &Snapshot,
    query: &[u8],
    asker: &Asker,
    room: usize,
    out: &mut Vec<u8>,
    (tally, guard): (&Tally, &mut Guard),
) -> bool {
    let mut answered = answer_shorter(snapshot, query, asker, 0, out, tally);
    // The client takes more than `room`, and we never send more than `most`: with the difference
    // between the two left out, the answer fits.
    if out.len() > room {
        let most = usize::from(snapshot.settings().udp_payload);
        let less = most.saturating_sub(room);
        answered =
            answer_shorter(snapshot, query, asker, less, out, tally).filter(|_| out.len() <= room);
    }
    let is_sent =
        answered.is_some_and(|standing| guard.admits(snapshot, query, asker, standing, out));
    note(query, asker, is_sent.then_some(out), tally)
}

/// Asks with `less` octets less than the client takes.
fn answer_shorter(
    snapshot: &Snapshot,
    query: &[u8],
    asker: &Asker,
    less: usize,
    out: &mut Vec<u8>,
    tally: &Tally,
) -> Option<Standing> {
    out.clear();
    // A defect in the engine costs the one query that meets it, never the thread.
    let answered = catch_unwind(AssertUnwindSafe(|| {
        reply(snapshot, query, asker, less, tally, out)
    }));
    if answered.is_err() {
        bump(&tally.panics, 1);
    }
    answered.unwrap_or(None)
}

/// Ports of services that answer whatever comes, so that a query in the name of one would begin an
/// exchange that never ends: echo, daytime, chargen, time (as BIND has it) and kpasswd (whose
/// errors answer errors); and 0, which cannot be sent to. No resolver asks from one of them.
fn is_answered_in_vain(port: u16) -> bool {
    matches!(port, 0 | 7 | 13 | 19 | 37 | 464)
}
