//! A program that tells somebody: a mail, a page, a line on a wall.
//!
//! It runs without a shell in a process group of its own, with nothing of our environment but
//! `PATH`. It may end without having read its input. Whatever it left running when it ends, or when
//! its time is over, is killed.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;

use crate::alert::Message;
use crate::runbook::Command;

pub(super) async fn run(
    command: &Command,
    message: &Message,
    body: &[u8],
    timeout: Duration,
) -> Result<(), String> {
    let program = command.0.first().map_or("", String::as_str);
    let mut child = start(command, message).map_err(|error| format!("{program}: {error}"))?;
    let _group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    let through = async {
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not want to read it has said so by closing it.
            let _ = stdin.write_all(body).await;
            drop(stdin);
        }
        child.wait().await
    };
    match tokio::time::timeout(timeout, through).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{program}: {}", ending(status))),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Err(_) => Err(format!(
            "{program}: no end within {timeout:?}; its process group was killed"
        )),
    }
}

fn start(command: &Command, message: &Message) -> io::Result<Child> {
    let words = &command.0;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::other("no program is configured"))?;
    let alert = &message.alert;
    let service = alert.service.as_ref().map(ToString::to_string);
    tokio::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("SWITCHBACK_ALERT_ID", &message.id)
        .env("SWITCHBACK_TOPIC", alert.topic.word())
        .env("SWITCHBACK_SEVERITY", alert.severity.to_string())
        .env("SWITCHBACK_SERVICE", service.unwrap_or_default())
        .env("SWITCHBACK_TEXT", &alert.text)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

/// A process group that is killed when its run is over, however that came.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be empty: all the better.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}
