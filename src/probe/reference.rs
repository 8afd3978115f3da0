//! Looks at reference targets: is it our own uplink that is down?

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::tcp;
use crate::clock;
use crate::health::Verdict;
use crate::time::Mono;

/// What one reference target said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The target.
    pub target: SocketAddr,
    /// When the look began.
    pub begun: Mono,
    /// When it ended.
    pub ended: Mono,
    /// Open or refused: packets come back. No route here counts as not reachable.
    pub reachable: bool,
}

/// Connects to all targets at once and sends an answer for each, within `timeout`. A look that
/// could not be made here (no descriptor left) gives no answer: it is no evidence. So does an
/// answer for which the channel has no room; give it room for all targets.
pub async fn look_at(targets: &[SocketAddr], timeout: Duration, answers: &mpsc::Sender<Answer>) {
    let mut looks = JoinSet::new();
    for &target in targets {
        looks.spawn(one(target, timeout));
    }
    while let Some(look) = looks.join_next().await {
        if let Ok(Some(answer)) = look {
            let _ = answers.try_send(answer);
        }
    }
}

async fn one(target: SocketAddr, timeout: Duration) -> Option<Answer> {
    let begun = clock::mono();
    let deadline = clock::instant(begun + timeout);
    let reachable = match tokio::time::timeout_at(deadline, tcp::connect(target)).await {
        Ok(Ok(_)) | Ok(Err(Verdict::Refused)) => true,
        Ok(Err(Verdict::NotMade(_))) => return None,
        Ok(Err(_)) | Err(_) => false,
    };
    Some(Answer {
        target,
        begun,
        ended: clock::mono(),
        reachable,
    })
}
