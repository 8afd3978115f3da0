//! The daemon's side of the starter.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::sync::{mpsc, oneshot, watch};

use super::begun::{Begun, Reach, Whom};
use super::packets::{Packet, Packets, receive_now};
use super::protocol::{Answer, Charge, Hello, PROTOCOL, Request, What};

/// A starter has so long to take its charge.
const READY_MAX: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// So many requests wait to be sent.
const REQUESTS: usize = 256;
/// A starter that has seen the end of its socket ends at once.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why nothing is begun any more.
const GONE: &str = "the process that begins programs has ended: restart the daemon";

/// A starter that has taken its charge.
#[derive(Debug)]
pub struct Starter {
    child: Child,
    socket: OwnedFd,
}

impl Starter {
    /// Begins `exe starter`. Starts no thread and needs no runtime.
    ///
    /// # Errors
    /// It cannot be begun, or does not take its charge.
    pub fn begin(exe: &Path, charge: Charge) -> io::Result<Starter> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        let mut child = Command::new(exe)
            .arg("starter")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(theirs))
            .spawn()?;
        let hello = Hello {
            protocol: PROTOCOL,
            charge,
        };
        let ready = greet(&mut child, &hello).and_then(|()| answer(&ours));
        if let Err(error) = ready {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        Ok(Starter {
            child,
            socket: ours,
        })
    }

    /// Lets the process be asked. Call within a runtime.
    ///
    /// # Errors
    /// The runtime takes no further descriptor.
    pub fn attend(self) -> io::Result<Client> {
        let packets = Packets::new(self.socket)?;
        let (requests, taken) = mpsc::channel(REQUESTS);
        let (alive, ends) = watch::channel(());
        let pending = Pending {
            requests: taken,
            waiting: BTreeMap::new(),
            ends: BTreeMap::new(),
            unsent: VecDeque::new(),
        };
        tokio::spawn(pending.attend(packets, self.child, alive));
        Ok(Client {
            requests,
            ends,
            numbers: Arc::new(AtomicU64::new(1)),
        })
    }
}

fn greet(child: &mut Child, hello: &Hello) -> io::Result<()> {
    let mut line = serde_json::to_vec(hello)?;
    line.push(b'\n');
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    match stdin.write_all(&line) {
        // What it has to say about that is heard next.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn answer(socket: &OwnedFd) -> io::Result<()> {
    if poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&READY_MAX))? == 0 {
        let waited = READY_MAX.tv_sec;
        return Err(io::Error::other(format!(
            "no word from it within {waited} s"
        )));
    }
    match receive_now::<Answer>(socket.as_fd()) {
        Ok(Some((Answer::Ready, _))) => Ok(()),
        Ok(Some((Answer::Unfit(why), _))) => Err(io::Error::other(why)),
        Ok(Some((other, _))) => Err(io::Error::other(format!("it answered {other:?}"))),
        Ok(None) => Err(io::Error::other(
            "it ended at once: see whether this program can be started by hand",
        )),
        Err(error) => Err(error),
    }
}

/// What the daemon asks the starter through.
#[derive(Clone, Debug)]
pub struct Client {
    requests: mpsc::Sender<(Request, Option<Reply>)>,
    ends: watch::Receiver<()>,
    numbers: Arc<AtomicU64>,
}

/// What a request comes to.
type Reply = oneshot::Sender<io::Result<Heard>>;

#[derive(Debug)]
enum Heard {
    Begun {
        stdin: Option<OwnedFd>,
        output: Option<OwnedFd>,
        end: oneshot::Receiver<io::Result<ExitStatus>>,
    },
    Addresses(Vec<IpAddr>),
    Account(Option<String>),
}

impl Client {
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    async fn ask(&self, request: Request) -> io::Result<Heard> {
        let (reply, heard) = oneshot::channel();
        let gone = || io::Error::other(GONE);
        let sent = self.requests.send((request, Some(reply))).await;
        sent.map_err(|_| gone())?;
        heard.await.map_err(|_| gone())?
    }

    pub(super) async fn begin(&self, what: What) -> io::Result<Begun> {
        let id = self.number();
        let on_drop = what != What::Runner;
        match self.ask(Request::Begin { id, what }).await? {
            Heard::Begun { stdin, output, end } => {
                let reach = Reach {
                    whom: Whom::Started(self.clone(), id),
                    on_drop,
                };
                Begun::new(stdin, output, end, reach)
            }
            Heard::Addresses(_) | Heard::Account(_) => Err(io::Error::other(GONE)),
        }
    }

    /// Has it killed; if the starter is gone, there is nobody to do it.
    pub(super) fn kill(&self, id: u64) {
        let request = (Request::Kill { id }, None);
        if let Err(mpsc::error::TrySendError::Full(request)) = self.requests.try_send(request) {
            let requests = self.requests.clone();
            // The queue is full: it is sent as soon as there is room.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { requests.send(request).await.is_ok() });
            }
        }
    }

    pub(super) async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let (id, host) = (self.number(), host.to_owned());
        match self.ask(Request::Addresses { id, host }).await? {
            Heard::Addresses(found) => Ok(found),
            Heard::Begun { .. } | Heard::Account(_) => Err(io::Error::other(GONE)),
        }
    }

    pub(super) async fn account(&self, uid: u32) -> Option<String> {
        let id = self.number();
        match self.ask(Request::Account { id, uid }).await.ok()? {
            Heard::Account(name) => name,
            Heard::Begun { .. } | Heard::Addresses(_) => None,
        }
    }

    pub(super) async fn lost(&self) -> String {
        let mut ends = self.ends.clone();
        while ends.changed().await.is_ok() {}
        GONE.to_owned()
    }
}

/// The task that speaks to the starter.
struct Pending {
    requests: mpsc::Receiver<(Request, Option<Reply>)>,
    waiting: BTreeMap<u64, Reply>,
    ends: BTreeMap<u64, oneshot::Sender<io::Result<ExitStatus>>>,
    unsent: VecDeque<Packet>,
}

impl Pending {
    /// Passes packets on until the starter is gone, or nobody asks any more.
    async fn attend(mut self, packets: Packets, mut child: Child, _alive: watch::Sender<()>) {
        loop {
            tokio::select! {
                request = self.requests.recv(), if self.unsent.len() < REQUESTS => match request {
                    Some((request, reply)) => self.take(&request, reply),
                    None => break,
                },
                sent = send_first(&packets, &self.unsent), if !self.unsent.is_empty() => {
                    if sent.is_err() {
                        break;
                    }
                    self.unsent.pop_front();
                }
                heard = packets.next::<Answer>() => match heard {
                    Ok(Some((answer, descriptors))) => self.hear(answer, descriptors),
                    Ok(None) | Err(_) => break,
                },
            }
        }
        drop(packets);
        // It is our child: nothing of it is left behind.
        let reaped = tokio::task::spawn_blocking(move || child.wait());
        let _ = tokio::time::timeout(FAREWELL, reaped).await;
    }

    fn take(&mut self, request: &Request, reply: Option<Reply>) {
        let packet = match Packet::new(request, Vec::new()) {
            Ok(packet) => packet,
            Err(error) => {
                if let Some(reply) = reply {
                    let _ = reply.send(Err(error));
                }
                return;
            }
        };
        if let Some(reply) = reply {
            let (Request::Begin { id, .. }
            | Request::Kill { id }
            | Request::Addresses { id, .. }
            | Request::Account { id, .. }) = request;
            self.waiting.insert(*id, reply);
        }
        self.unsent.push_back(packet);
    }

    fn hear(&mut self, answer: Answer, descriptors: Vec<OwnedFd>) {
        let (id, heard) = match answer {
            Answer::Begun { id, writes, reads }
                if descriptors.len() < usize::from(writes) + usize::from(reads) =>
            {
                self.take(&Request::Kill { id }, None);
                let why = "no descriptor is free for its pipes: raise LimitNOFILE";
                (id, Err(io::Error::other(why)))
            }
            Answer::Begun { id, writes, reads } => {
                let mut descriptors = descriptors.into_iter();
                let stdin = writes.then(|| descriptors.next()).flatten();
                let output = reads.then(|| descriptors.next()).flatten();
                let (told, end) = oneshot::channel();
                self.ends.insert(id, told);
                let heard = Heard::Begun { stdin, output, end };
                (id, Ok(heard))
            }
            Answer::Refused { id, why } => (id, Err(io::Error::other(why))),
            Answer::Addresses { id, found } => {
                let found = found.map(Heard::Addresses);
                (id, found.map_err(io::Error::other))
            }
            Answer::Account { id, name } => (id, Ok(Heard::Account(name))),
            Answer::Ended { id, status } => {
                if let Some(end) = self.ends.remove(&id) {
                    let _ = end.send(Ok(ExitStatus::from_raw(status)));
                }
                return;
            }
            Answer::Ready | Answer::Unfit(_) => return,
        };
        let unwanted = match self.waiting.remove(&id) {
            Some(reply) => reply.send(heard).err(),
            None => Some(heard),
        };
        // Whoever wanted it has gone meanwhile.
        if matches!(unwanted, Some(Ok(Heard::Begun { .. }))) {
            self.take(&Request::Kill { id }, None);
        }
    }
}

async fn send_first(packets: &Packets, unsent: &VecDeque<Packet>) -> io::Result<()> {
    match unsent.front() {
        Some(packet) => packets.send(packet).await,
        None => Ok(()),
    }
}
