//! **IO.** Delivers alerts: calls over HTTP and programs.
//!
//! One task for each receiver, driven by its [`Ledger`]. Whoever has news puts it into the ledgers
//! and goes on: nothing here is ever waited for, so that a receiver that hangs or trickles delays
//! its own alerts and nothing else.
//!
//! Programs are begun by the starter ([`crate::programs`]) and not by the hook runner: its places
//! are for the hooks of a failover, and its journal for what must not be lost.

mod program;
mod receiver;

pub use receiver::{Destination, Receiver};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::alert::{Alert, Change, Ledger, Next, State};
use crate::clock;
use crate::programs::Hands;

/// What is called when the deliveries to a receiver begin to fail, with the reason, or work again.
pub type Tell = fn(&str, Option<&str>);

/// All receivers. They end with the value.
#[derive(Debug)]
pub struct Courier {
    tell: Tell,
    hands: Hands,
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    receiver: Arc<Receiver>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    news: Notify,
}

impl Drop for Route {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Courier {
    /// Delivers to these receivers. Needs a runtime with time and IO.
    #[must_use]
    pub fn start(receivers: &[Receiver], tell: Tell, hands: Hands) -> Courier {
        let mut courier = Courier {
            tell,
            hands,
            routes: Vec::new(),
        };
        courier.adopt(receivers);
        courier
    }

    /// Delivers to these receivers from now on. What waits for one that keeps its name is kept.
    pub fn adopt(&mut self, receivers: &[Receiver]) {
        let mut before = std::mem::take(&mut self.routes);
        for receiver in receivers {
            let known = before
                .iter()
                .position(|route| route.receiver.name == receiver.name);
            let known = known.map(|place| before.swap_remove(place));
            let route = match known {
                Some(route) if *route.receiver == *receiver => route,
                Some(route) => {
                    // The delivery under way ends here, and is made anew.
                    route.task.abort();
                    lock(&route.shared).renew(receiver.per_hour);
                    self.route(receiver, Arc::clone(&route.shared))
                }
                None => {
                    let shared = Shared {
                        ledger: Mutex::new(Ledger::new(receiver.per_hour)),
                        news: Notify::new(),
                    };
                    self.route(receiver, Arc::new(shared))
                }
            };
            self.routes.push(route);
        }
    }

    /// Takes an alert for everybody who wants it. It waits for nobody.
    pub fn take(&self, alert: &Alert) {
        let now = clock::now();
        for route in self
            .routes
            .iter()
            .filter(|route| route.receiver.wants(alert))
        {
            lock(&route.shared).take(now, alert.clone());
            route.shared.news.notify_one();
        }
    }

    /// How each receiver stands, in the order of the configuration.
    pub fn states(&self) -> impl Iterator<Item = (&Receiver, State)> {
        let routes = self.routes.iter();
        routes.map(|route| (&*route.receiver, lock(&route.shared).state()))
    }

    /// How long before its end a certificate is worth an alert to anybody, in days.
    #[must_use]
    pub fn certificate_days(&self) -> Option<u64> {
        let wanting = self
            .routes
            .iter()
            .filter_map(|route| route.receiver.notice_days());
        wanting.max()
    }

    fn route(&self, receiver: &Receiver, shared: Arc<Shared>) -> Route {
        let receiver = Arc::new(receiver.clone());
        let hands = self.hands.clone();
        let work = deliver_all(Arc::clone(&receiver), Arc::clone(&shared), self.tell, hands);
        Route {
            receiver,
            shared,
            task: tokio::spawn(work),
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Ledger> {
    shared.ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn deliver_all(receiver: Arc<Receiver>, shared: Arc<Shared>, tell: Tell, hands: Hands) {
    loop {
        let next = lock(&shared).poll(clock::now());
        match next {
            Next::Deliver(message) => {
                let result = receiver.deliver(&hands, &message).await;
                let change = lock(&shared).ended(clock::now(), result);
                match change {
                    Some(Change::Fails(why)) => tell(&receiver.name, Some(&why)),
                    Some(Change::Works) => tell(&receiver.name, None),
                    None => {}
                }
            }
            Next::Wait(Some(due)) => {
                let due = tokio::time::sleep_until(clock::instant(due));
                tokio::select! {
                    () = due => {}
                    () = shared.news.notified() => {}
                }
            }
            Next::Wait(None) => shared.news.notified().await,
        }
    }
}
