//! A program that runs.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::client::Client;

/// A program that runs. Dropping it kills its process group, unless it is the hook runner, which
/// ends with its standard input.
#[derive(Debug)]
pub struct Begun {
    /// Its standard input, if that is a pipe.
    pub stdin: Option<pipe::Sender>,
    /// What it prints, if that goes into a pipe.
    pub output: Option<pipe::Receiver>,
    end: End,
    reach: Reach,
}

/// How it ends.
#[derive(Debug)]
enum End {
    Awaited(oneshot::Receiver<io::Result<ExitStatus>>),
    Known(ExitStatus),
    Unknown(String),
}

/// How it is killed.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) whom: Whom,
    pub(super) on_drop: bool,
}

#[derive(Debug)]
pub(super) enum Whom {
    /// The group that it leads.
    Group(i32),
    /// What the starter knows by this number.
    Started(Client, u64),
}

impl Reach {
    fn kill(&self) {
        match &self.whom {
            // It may be empty: all the better.
            Whom::Group(group) => drop(killpg(Pid::from_raw(*group), Signal::SIGKILL)),
            Whom::Started(client, id) => client.kill(*id),
        }
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        if self.on_drop {
            self.kill();
        }
    }
}

impl Begun {
    pub(super) fn new(
        stdin: Option<OwnedFd>,
        output: Option<OwnedFd>,
        end: oneshot::Receiver<io::Result<ExitStatus>>,
        reach: Reach,
    ) -> io::Result<Begun> {
        Ok(Begun {
            stdin: stdin.map(pipe::Sender::from_owned_fd).transpose()?,
            output: output.map(pipe::Receiver::from_owned_fd).transpose()?,
            end: End::Awaited(end),
            reach,
        })
    }

    /// Its end. It may be dropped and called again.
    ///
    /// # Errors
    /// It cannot be known: the starter has ended.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let End::Awaited(end) = &mut self.end {
            self.end = match end.await {
                Ok(Ok(status)) => {
                    // The starter has killed what it left running.
                    self.reach.on_drop &= matches!(self.reach.whom, Whom::Group(_));
                    End::Known(status)
                }
                Ok(Err(error)) => End::Unknown(error.to_string()),
                Err(_) => End::Unknown("the process that begins programs has ended".to_owned()),
            };
        }
        match &self.end {
            End::Known(status) => Ok(*status),
            End::Unknown(why) => Err(io::Error::other(why.clone())),
            End::Awaited(_) => Err(io::Error::other("its end was not awaited")),
        }
    }

    /// Kills its process group.
    pub fn kill(&self) {
        self.reach.kill();
    }
}
