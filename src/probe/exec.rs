//! A program of the operator's that looks.
//!
//! It runs without a shell in a process group of its own, with nothing of our environment but
//! `PATH`. Its exit code 0 is good; whatever it left running is killed with it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use tokio::net::unix::pipe::Receiver;

use super::look::Target;
use super::scan::printable;
use crate::health::Verdict;
use crate::programs::{Begun, What};

/// So much of the first line of output is kept.
const LONGEST_LINE: usize = 160;

/// Runs the program to its end. Dropping the future kills its process group.
pub(super) async fn run(target: &Target) -> Verdict {
    let (mut child, mut output) = match start(target).await {
        Ok(started) => started,
        Err(why) => return Verdict::NotMade(why),
    };
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

async fn start(target: &Target) -> Result<(Begun, Receiver), String> {
    let words = target.spec.command.as_ref();
    let words = words.map_or_else(Vec::new, |command| command.0.clone());
    let program = words.first().ok_or("no command is configured")?.clone();
    let failed = |error: io::Error| format!("{program}: {error}");
    let domain = target.spec.domain.as_deref().unwrap_or_default();
    let told = [
        ("SERVER", target.server.clone()),
        ("ADDRESS", target.to.ip().to_string()),
        ("PORT", target.to.port().to_string()),
        ("DOMAIN", domain.to_owned()),
    ];
    let environment = told.map(|(name, value)| (format!("SWITCHBACK_{name}"), value));
    let look = What::Look {
        words,
        environment: environment.into(),
    };
    let mut begun = target.hands.begin(look).await.map_err(failed)?;
    let output = begun.output.take();
    let output = output.ok_or_else(|| format!("{program}: it has no output"))?;
    Ok((begun, output))
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
