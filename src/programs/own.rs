//! What is done by the process itself: the starter's own work, and that of a process which has
//! none.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::io::AsyncWriteExt as _;
use tokio::net::lookup_host;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::begun::{Begun, Reach, Whom};
use super::protocol::{Charge, What};

/// A runner that does not read its greeting in this time never will.
const GREETING_MAX: Duration = Duration::from_secs(10);

/// A child, with our ends of its pipes.
pub(super) struct Spawned {
    pub(super) child: Child,
    pub(super) stdin: Option<OwnedFd>,
    pub(super) output: Option<OwnedFd>,
    pub(super) is_runner: bool,
}

/// Begins `what`, if the charge allows it.
pub(super) async fn begin(charge: &Charge, what: &What) -> io::Result<Spawned> {
    match what {
        What::Runner => runner(charge).await,
        What::Look { words, environment } => {
            let (reader, writer) = io::pipe()?;
            let mut command = permitted(charge, words, environment)?;
            command
                .stdin(Stdio::null())
                .stdout(writer.try_clone()?)
                .stderr(writer);
            let child = command.spawn()?;
            // `command` holds the writing ends; without it the pipe ends with the program.
            drop(command);
            Ok(Spawned {
                child,
                stdin: None,
                output: Some(reader.into()),
                is_runner: false,
            })
        }
        What::Alert { words, environment } => {
            let (reader, writer) = io::pipe()?;
            let mut command = permitted(charge, words, environment)?;
            command
                .stdin(reader)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let child = command.spawn()?;
            drop(command);
            Ok(Spawned {
                child,
                stdin: Some(writer.into()),
                output: None,
                is_runner: false,
            })
        }
    }
}

/// Without a shell, in a process group of its own, with nothing of our environment but `PATH`.
fn permitted(
    charge: &Charge,
    words: &[String],
    environment: &BTreeMap<String, String>,
) -> io::Result<Command> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::other("no program is configured"))?;
    if charge
        .programs
        .as_ref()
        .is_some_and(|known| !known.contains(words))
    {
        return Err(io::Error::other(NOT_NAMED));
    }
    // Those of ours say what it is about; any other may change what a program does.
    if let Some(name) = environment
        .keys()
        .find(|name| !name.starts_with("SWITCHBACK_"))
    {
        return Err(io::Error::other(format!("'{name}' is no word of ours")));
    }
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(environment)
        .current_dir("/")
        .process_group(0);
    Ok(command)
}

/// Why a program is not begun.
const NOT_NAMED: &str = "the configuration did not name it, with these arguments, when the daemon \
                         started, and nothing else is begun since: restart the daemon";

async fn runner(charge: &Charge) -> io::Result<Spawned> {
    let (program, arguments) = charge
        .runner
        .split_first()
        .ok_or_else(|| io::Error::other("no hook runner is configured"))?;
    let (input, feed) = io::pipe()?;
    let (printed, output) = io::pipe()?;
    // A group of its own: a ctrl-C at the terminal is for the daemon, which then ends the runner
    // in order.
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir("/")
        .process_group(0)
        .envs(charge.identity.iter().map(|user| ("HOME", &user.home)))
        .stdin(input)
        .stdout(output);
    let mut child = command.spawn()?;
    drop(command);
    let mut feed = pipe::Sender::from_owned_fd(feed.into())?;
    let greeted = timeout(GREETING_MAX, feed.write_all(charge.greeting.as_bytes())).await;
    if greeted.is_err() {
        // It has begun nothing yet, for it knows of nothing.
        let _ = child.start_kill();
        return Err(io::Error::other("the hook runner does not read"));
    }
    // What does not want to be greeted has ended, and says so by that.
    Ok(Spawned {
        child,
        stdin: Some(feed.into_nonblocking_fd()?),
        output: Some(printed.into()),
        is_runner: true,
    })
}

impl Spawned {
    /// The group that it leads.
    pub(super) fn group(&self) -> Option<i32> {
        self.child.id().and_then(|id| i32::try_from(id).ok())
    }

    /// The same, with a task that waits for its end.
    pub(super) fn watched(mut self) -> io::Result<Begun> {
        let group = self
            .group()
            .ok_or_else(|| io::Error::other("it ended before it was known"))?;
        let (told, end) = oneshot::channel();
        let reach = Reach {
            whom: Whom::Group(group),
            on_drop: !self.is_runner,
        };
        tokio::spawn(async move {
            // Whoever began it may no longer care.
            let _ = told.send(self.child.wait().await);
        });
        Begun::new(self.stdin, self.output, end, reach)
    }
}

/// The addresses of a host.
pub(super) async fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = lookup_host((host, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// The name of an account.
pub(super) async fn account(uid: u32) -> Option<String> {
    let lookup = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(uid)));
    lookup.await.ok()?.ok()?.map(|user| user.name)
}
