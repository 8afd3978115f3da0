//! The starter's process.
//!
//! It has one thread for its work, and others only while the system looks for a name. It ends when
//! the daemon does, and not by the signals with which a terminal or a service manager ends that.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::own;
use super::packets::{Packet, Packets};
use super::protocol::{Answer, Charge, Hello, Identity, PROTOCOL, Request, What};

/// A charge is as long as a configuration at the most.
const HELLO_MAX: u64 = 64 << 20;
/// So many programs look at once, so many tell somebody, and so many names are looked for.
const LOOKS: usize = 1024;
const ALERTS: usize = 64;
const NAMES: usize = 64;

/// What `switchback starter` does: it is begun by the daemon, with the charge on its standard
/// input and a socket as its standard output.
#[must_use]
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "starter: it is begun by the daemon, not by hand: {error}"
            );
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let mut line = String::new();
    let mut limited = io::stdin().lock().take(HELLO_MAX);
    limited.read_line(&mut line)?;
    let hello: Hello = serde_json::from_str(&line)?;
    // Whatever is begun has an output of its own: nothing inherits the way to the daemon.
    let socket = io::stdout().as_fd().try_clone_to_owned()?;
    let became = match hello.protocol {
        PROTOCOL => become_user(hello.charge.identity.as_ref()),
        other => Err(format!(
            "the daemon speaks protocol {other}, the starter {PROTOCOL}: the program was replaced \
             while it started, start it again"
        )),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let _deaf = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ];
        let packets = Packets::new(socket)?;
        if let Err(why) = became {
            return packets
                .send(&Packet::new(&Answer::Unfit(why), Vec::new())?)
                .await;
        }
        packets
            .send(&Packet::new(&Answer::Ready, Vec::new())?)
            .await?;
        Desk::new(hello.charge).work(&packets).await
    });
    // The resolver may still be looking for a name.
    runtime.shutdown_background();
    served
}

/// All threads become this user, for good.
fn become_user(identity: Option<&Identity>) -> Result<(), String> {
    // What a service manager gave the daemon for its ports is not for programs.
    let _ = rustix::thread::clear_ambient_capability_set();
    let Some(identity) = identity else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    let became = setgroups(&groups)
        .and_then(|()| setresgid(gid, gid, gid))
        .and_then(|()| setresuid(uid, uid, uid));
    became.map_err(|error| {
        format!(
            "hooks cannot run as '{}' ({error}): start the daemon as root, or with CAP_SETUID and \
             CAP_SETGID, or leave 'hooks_user' out",
            identity.name
        )
    })
}

/// The owner of all that the starter knows.
struct Desk {
    charge: Arc<Charge>,
    /// The groups of what runs, by the daemon's numbers.
    looks: BTreeMap<u64, i32>,
    alerts: BTreeMap<u64, i32>,
    runners: BTreeMap<u64, i32>,
    names: usize,
    tell: mpsc::Sender<Answer>,
    told: mpsc::Receiver<Answer>,
}

impl Desk {
    fn new(charge: Charge) -> Desk {
        // Each program has one end to be told of, and each name one answer.
        let (tell, told) = mpsc::channel(64);
        Desk {
            charge: Arc::new(charge),
            looks: BTreeMap::new(),
            alerts: BTreeMap::new(),
            runners: BTreeMap::new(),
            names: 0,
            tell,
            told,
        }
    }

    /// Serves until the daemon is gone, then ends what looks and what tells. The runner sees the
    /// end of its input, and ends what it runs in order.
    async fn work(mut self, packets: &Packets) -> io::Result<()> {
        let served = loop {
            let answer = tokio::select! {
                request = packets.next::<Request>() => match request {
                    Ok(Some((request, _))) => self.take(request).await,
                    Ok(None) => break Ok(()),
                    // It died with something of ours unread.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break Ok(()),
                    Err(error) => break Err(error),
                },
                Some(answer) = self.told.recv() => {
                    self.strike(&answer);
                    Some(Packet::new(&answer, Vec::new())?)
                }
            };
            if let Some(packet) = answer
                && packets.send(&packet).await.is_err()
            {
                break Ok(());
            }
        };
        for group in self.looks.values().chain(self.alerts.values()) {
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
        served
    }

    /// Does what is asked; what there is to be said at once comes back.
    async fn take(&mut self, request: Request) -> Option<Packet> {
        match request {
            Request::Begin { id, what } => match self.begin(id, &what).await {
                Ok(packet) => Some(packet),
                Err(error) => refusal(id, &error.to_string()),
            },
            Request::Kill { id } => {
                let all = [&self.looks, &self.alerts, &self.runners];
                if let Some(group) = all.iter().find_map(|some| some.get(&id)) {
                    let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
                }
                None
            }
            Request::Addresses { id, .. } | Request::Account { id, .. } if self.names >= NAMES => {
                refusal(id, "too many names are looked for already")
            }
            Request::Addresses { id, host } => {
                self.names += 1;
                let tell = self.tell.clone();
                tokio::spawn(async move {
                    let found = own::addresses(&host).await;
                    let found = found.map_err(|error| error.to_string());
                    let _ = tell.send(Answer::Addresses { id, found }).await;
                });
                None
            }
            Request::Account { id, uid } => {
                self.names += 1;
                let tell = self.tell.clone();
                tokio::spawn(async move {
                    let name = own::account(uid).await;
                    let _ = tell.send(Answer::Account { id, name }).await;
                });
                None
            }
        }
    }

    async fn begin(&mut self, id: u64, what: &What) -> io::Result<Packet> {
        let (running, most) = match what {
            What::Runner => (&mut self.runners, 1),
            What::Look { .. } => (&mut self.looks, LOOKS),
            What::Alert { .. } => (&mut self.alerts, ALERTS),
        };
        if running.len() >= most {
            return Err(io::Error::other(format!("{most} of its kind run already")));
        }
        let mut spawned = own::begin(&self.charge, what).await?;
        let group = spawned.group();
        running.extend(group.map(|group| (id, group)));
        let (stdin, output) = (spawned.stdin.take(), spawned.output.take());
        let begun = Answer::Begun {
            id,
            writes: stdin.is_some(),
            reads: output.is_some(),
        };
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let status = spawned.child.wait().await.map_or(-1, ExitStatus::into_raw);
            let _ = tell.send(Answer::Ended { id, status }).await;
        });
        Packet::new(&begun, stdin.into_iter().chain(output).collect())
    }

    /// A program has ended, or a name is found. Whatever it left running is killed with it; a
    /// runner has seen to its own.
    fn strike(&mut self, answer: &Answer) {
        match answer {
            Answer::Ended { id, .. } => {
                let ended = self.looks.remove(id).or_else(|| self.alerts.remove(id));
                if let Some(group) = ended {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                self.runners.remove(id);
            }
            Answer::Addresses { .. } | Answer::Account { .. } => self.names -= 1,
            Answer::Ready | Answer::Unfit(_) | Answer::Begun { .. } | Answer::Refused { .. } => {}
        }
    }
}

fn refusal(id: u64, why: &str) -> Option<Packet> {
    let why = why.to_owned();
    Packet::new(&Answer::Refused { id, why }, Vec::new()).ok()
}
