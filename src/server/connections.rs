//! Who is connected: a bound on all connections and on those of one network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::counters::bump;
use crate::clock;

/// Connections in all.
pub(super) const IN_TOTAL: usize = 1024;
/// Connections of one network: an IPv4 address, or an IPv6 /64, which is what one customer has.
pub(super) const PER_NETWORK: usize = 64;

/// The table of all connections of one transport.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Locked when a connection comes or goes, never for a query.
    table: Mutex<Table>,
    pub(super) evicted: AtomicU64,
    pub(super) refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    /// The number that the next connection gets.
    next: u64,
    seats: HashMap<u64, Arc<Occupant>>,
    per_network: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Occupant {
    network: IpAddr,
    /// When it last had a query answered, or came: milliseconds of [`clock::mono`].
    active_ms: AtomicU64,
    evict: Notify,
}

/// A connection's place in the table, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    occupant: Arc<Occupant>,
    connections: Arc<Connections>,
}

/// Tells of one connection that it is used.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Occupant>);

impl Connections {
    /// A place for a connection from `peer`. `None` if its network has its share. When all
    /// places are taken, the connection that has been without a query for the longest has to
    /// go: refusing newcomers would let a few idle strangers keep everybody out.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let network = network_of(peer);
        let mut table = self.table();
        if table.per_network.get(&network).copied().unwrap_or(0) >= PER_NETWORK {
            bump(&self.refused, 1);
            return None;
        }
        if table.seats.len() >= IN_TOTAL {
            table.evict_the_longest_idle();
            bump(&self.evicted, 1);
        }
        let number = table.next;
        table.next += 1;
        let occupant = Arc::new(Occupant {
            network,
            active_ms: AtomicU64::new(now_ms()),
            evict: Notify::new(),
        });
        table.seats.insert(number, Arc::clone(&occupant));
        *table.per_network.entry(network).or_default() += 1;
        Some(Seat {
            number,
            occupant,
            connections: Arc::clone(self),
        })
    }

    /// Whether half of the places, or of those of `peer`'s network, are taken.
    pub(super) fn is_busy(&self, peer: IpAddr) -> bool {
        let table = self.table();
        let of_network = table.per_network.get(&network_of(peer)).copied();
        table.seats.len() >= IN_TOTAL / 2 || of_network.unwrap_or(0) >= PER_NETWORK / 2
    }

    /// Closes the connection that has been idle for the longest: the way out when the process
    /// has no descriptor left.
    pub(super) fn make_room(&self) {
        if self.table().evict_the_longest_idle() {
            bump(&self.evicted, 1);
        }
    }

    /// Connections open now.
    pub(super) fn open(&self) -> usize {
        self.table().seats.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn evict_the_longest_idle(&mut self) -> bool {
        let idle = self
            .seats
            .iter()
            .min_by_key(|(number, occupant)| (occupant.active_ms.load(Relaxed), **number));
        let Some((&number, occupant)) = idle else {
            return false;
        };
        occupant.evict.notify_one();
        self.leave(number);
        true
    }

    fn leave(&mut self, number: u64) {
        let Some(occupant) = self.seats.remove(&number) else {
            return;
        };
        if let Some(count) = self.per_network.get_mut(&occupant.network) {
            *count -= 1;
            if *count == 0 {
                self.per_network.remove(&occupant.network);
            }
        }
    }
}

impl Seat {
    /// A query was answered.
    pub(super) fn is_active(&self) {
        self.occupant.is_active();
    }

    /// The same for whoever answers elsewhere.
    pub(super) fn activity(&self) -> Activity {
        Activity(Arc::clone(&self.occupant))
    }

    /// How long it has been without a query.
    pub(super) fn idle(&self) -> Duration {
        let active_ms = self.occupant.active_ms.load(Relaxed);
        Duration::from_millis(now_ms().saturating_sub(active_ms))
    }

    /// Returns when the connection has to go.
    pub(super) async fn evicted(&self) {
        self.occupant.evict.notified().await;
    }
}

impl Activity {
    /// A query came, or was answered.
    pub(super) fn note(&self) {
        self.0.is_active();
    }
}

impl Occupant {
    fn is_active(&self) {
        self.active_ms.store(now_ms(), Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.table().leave(self.number);
    }
}

fn now_ms() -> u64 {
    u64::try_from(clock::mono().0.as_millis()).unwrap_or(u64::MAX)
}

fn network_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_gets_its_share_and_no_more() {
        let connections = Arc::new(Connections::default());
        let peer = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let mut seats: Vec<Seat> = (0..64).filter_map(|n| connections.admit(peer(n))).collect();
        assert_eq!(seats.len(), PER_NETWORK);
        assert!(connections.admit(peer(99)).is_none(), "same /64");
        assert!(connections.admit([192, 0, 2, 1].into()).is_some());
        seats.pop();
        assert!(
            connections.admit(peer(99)).is_some(),
            "a place was given back"
        );
        drop(seats);
        assert_eq!(connections.open(), 0);
    }

    #[test]
    fn when_all_places_are_taken_the_longest_idle_goes() {
        let connections = Arc::new(Connections::default());
        let peer = |n: usize| IpAddr::from([10, 0, u8::try_from(n / 32).unwrap(), 1]);
        let seats: Vec<Seat> = (0..IN_TOTAL)
            .filter_map(|n| connections.admit(peer(n)))
            .collect();
        assert_eq!(connections.open(), IN_TOTAL);
        for (n, seat) in seats.iter().enumerate() {
            let active_ms = if n == 7 { 1 } else { 2 };
            seat.occupant.active_ms.store(active_ms, Relaxed);
        }
        let newcomer = connections.admit([192, 0, 2, 1].into());
        assert!(newcomer.is_some());
        assert_eq!(connections.open(), IN_TOTAL);
        assert!(!connections.table().seats.contains_key(&7));
        drop(seats);
        assert_eq!(connections.open(), 1);
    }
}
