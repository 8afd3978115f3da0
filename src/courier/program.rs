//! A program that tells somebody: a mail, a page, a line on a wall.
//!
//! It runs without a shell in a process group of its own, with nothing of our environment but
//! `PATH`. It may end without having read its input. Whatever it left running when it ends, or when
//! its time is over, is killed.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::alert::Message;
use crate::programs::{Begun, Hands, What};
use crate::runbook::Command;

pub(super) async fn run(
    hands: &Hands,
    command: &Command,
    message: &Message,
    body: &[u8],
    timeout: Duration,
) -> Result<(), String> {
    let program = command.0.first().map_or("", String::as_str);
    let through = async {
        let mut child = start(hands, command, message).await?;
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

async fn start(hands: &Hands, command: &Command, message: &Message) -> io::Result<Begun> {
    let alert = &message.alert;
    let service = alert.service.as_ref().map(ToString::to_string);
    let told = [
        ("ALERT_ID", message.id.clone()),
        ("TOPIC", alert.topic.word().to_owned()),
        ("SEVERITY", alert.severity.to_string()),
        ("SERVICE", service.unwrap_or_default()),
        ("TEXT", alert.text.clone()),
    ];
    let environment = told.map(|(name, value)| (format!("SWITCHBACK_{name}"), value));
    let alert = What::Alert {
        words: command.0.clone(),
        environment: environment.into(),
    };
    hands.begin(alert).await
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}
