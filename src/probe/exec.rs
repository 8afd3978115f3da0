//! A program of the operator's that looks.
//!
//! It runs without a shell in a process group of its own, with nothing of our environment but
//! `PATH`. Its exit code 0 is good; whatever it left running is killed with it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use super::look::Target;
use super::scan::printable;
use crate::health::Verdict;

/// So much of the first line of output is kept.
const LONGEST_LINE: usize = 160;

/// Runs the program to its end. Dropping the future kills its process group.
pub(super) async fn run(target: &Target) -> Verdict {
    let (mut child, mut output) = match start(target) {
        Ok(started) => started,
        Err(why) => return Verdict::NotMade(why),
    };
    let _group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    let mut line = Vec::new();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            heard = take(&output, &mut line) => if heard.is_err() {
                break child.wait().await;
            },
        }
    };
    // What it wrote just before its end.
    while let Ok(1..) = read(&mut output, &mut line) {}
    match status {
        Ok(status) if status.success() => Verdict::Good,
        Ok(status) => Verdict::ExecFailed(ending(status, &line)),
        Err(error) => Verdict::NotMade(error.to_string()),
    }
}

fn start(target: &Target) -> Result<(Child, Receiver), String> {
    let words = target
        .spec
        .command
        .as_ref()
        .map_or(&[][..], |command| &command.0);
    let (program, arguments) = words.split_first().ok_or("no command is configured")?;
    let failed = |error: io::Error| format!("{program}: {error}");
    let (reader, writer) = io::pipe().map_err(failed)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("SWITCHBACK_SERVER", &target.server)
        .env("SWITCHBACK_ADDRESS", target.to.ip().to_string())
        .env("SWITCHBACK_PORT", target.to.port().to_string())
        .env(
            "SWITCHBACK_DOMAIN",
            target.spec.domain.as_deref().unwrap_or_default(),
        )
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer)
        .process_group(0);
    let child = command.spawn().map_err(failed)?;
    // `command` holds the writing ends; without it the pipe ends with the program.
    drop(command);
    let output = Receiver::from_owned_fd(reader.into()).map_err(failed)?;
    Ok((child, output))
}

async fn take(output: &Receiver, line: &mut Vec<u8>) -> io::Result<()> {
    loop {
        output.readable().await?;
        let mut buffer = [0u8; 1024];
        match output.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => keep(line, &buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn read(output: &mut Receiver, line: &mut Vec<u8>) -> io::Result<usize> {
    if line.len() >= LONGEST_LINE {
        return Ok(0);
    }
    let mut buffer = [0u8; 1024];
    let count = output.try_read(&mut buffer)?;
    keep(line, &buffer[..count]);
    Ok(count)
}

fn keep(line: &mut Vec<u8>, output: &[u8]) {
    let room = LONGEST_LINE.saturating_sub(line.len());
    line.extend_from_slice(&output[..output.len().min(room)]);
}

fn ending(status: ExitStatus, line: &[u8]) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    };
    match printable(line, LONGEST_LINE) {
        said if said.is_empty() => how,
        said => format!("{how}: {said}"),
    }
}

/// A process group that is killed when its look is over, however that came.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be empty: all the better.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}
