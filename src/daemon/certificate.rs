//! Our certificate: taken when its files change, and said aloud when it will not do for long.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::status::CertificateStatus;
use crate::clock;
use crate::server::{Certificate, CertificateState, Renewal};
use crate::telemetry;
use crate::time::Wall;

/// The files are looked at so often; a change is taken at the second look.
const LOOK: Duration = Duration::from_secs(5);
/// An alarm stands from so long before the end on. Certificates for 90 days are renewed with 30
/// left: at 14, somebody has to find out why this one was not.
const NOTICE: Duration = Duration::from_secs(14 * DAY_S);
const DAY_S: u64 = 24 * 3600;

/// Looks for new files until it is dropped. It waits for the disk apart from everything else.
pub(super) async fn watch(certificate: Arc<Certificate>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let looked = Arc::clone(&certificate);
        let look = tokio::task::spawn_blocking(move || looked.look(clock::wall()));
        if let Ok(Some(renewal)) = look.await {
            tell(&renewal);
        }
    }
}

/// One log line for what changed.
pub(super) fn tell(renewal: &Renewal) {
    match renewal {
        Renewal::Same => {}
        Renewal::Taken { not_after } => telemetry::certificate(*not_after, clock::wall()),
        Renewal::Refused(why) => telemetry::alarm(&refused(why)),
    }
}

/// The same, and what whoever asked for the renewal should know.
pub(super) fn told(renewal: &Renewal) -> Option<String> {
    tell(renewal);
    match renewal {
        Renewal::Same | Renewal::Taken { .. } => None,
        Renewal::Refused(why) => Some(refused(why)),
    }
}

fn refused(why: &str) -> String {
    format!("the old certificate is shown on: {why}")
}

/// As `status` shows it.
pub(super) fn status(certificate: &Certificate) -> CertificateStatus {
    let CertificateState {
        path,
        not_after,
        refused,
    } = certificate.state();
    CertificateStatus {
        path: path.display().to_string(),
        not_after,
        refused,
    }
}

/// What somebody should know about it.
pub(super) fn alarms(certificate: &Certificate, now: Wall) -> Vec<String> {
    let state = certificate.state();
    let end = state.not_after.and_then(|end| {
        let path = state.path.display();
        if end < now {
            return Some(format!("the certificate {path} has expired: renew it"));
        }
        let days = end.since(now).as_secs() / DAY_S;
        (end.since(now) < NOTICE)
            .then(|| format!("the certificate {path} ends in {days} days: renew it"))
    });
    end.into_iter()
        .chain(state.refused.as_deref().map(refused))
        .collect()
}
