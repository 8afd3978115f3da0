//! Copies of queries and answers, for those who want to see them: dnstap and the query log.
//!
//! While nobody wants any, a query costs one look at a flag. Else each UDP thread, and each
//! transport with connections, copies into a buffer of its own. Whoever reads it takes the whole
//! buffer and leaves an empty one; meanwhile, or when it is full, a copy is lost and counted.
//! Nobody who answers ever waits.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::counters::Tallies;
use crate::answer::Asker;
use crate::time::Wall;

/// What one buffer holds, octets.
const ROOM: usize = 1 << 20;
/// The octets of a copy beside its messages.
const HEAD: usize = 8 + 1 + 16 + 4 + 4;
const NO_RESPONSE: u32 = u32::MAX;

/// How a query came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// UDP, or past the kernel's network stack.
    #[default]
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// HTTPS.
    Https,
    /// QUIC.
    Quic,
}

/// Where one thread or transport copies to.
#[derive(Debug, Default)]
pub(super) struct Tap {
    carrier: Carrier,
    is_on: Arc<AtomicBool>,
    /// Has its room while it is on.
    buffer: Mutex<Vec<u8>>,
    lost: AtomicU64,
}

/// One query with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// How it came.
    pub carrier: Carrier,
    /// When it was answered.
    pub at: Wall,
    /// Who asked.
    pub client: IpAddr,
    /// The message that came.
    pub query: &'a [u8],
    /// The one that went back, if one did.
    pub response: Option<&'a [u8]>,
}

impl Tap {
    /// Copies while `is_on` says so.
    pub(super) fn new(is_on: &Arc<AtomicBool>, carrier: Carrier) -> Tap {
        Tap {
            carrier,
            is_on: Arc::clone(is_on),
            ..Tap::default()
        }
    }

    pub(super) fn put(&self, asker: &Asker, query: &[u8], response: Option<&[u8]>) {
        if !self.is_on.load(Relaxed) {
            return;
        }
        let Ok(mut buffer) = self.buffer.try_lock() else {
            self.lost.fetch_add(1, Relaxed);
            return;
        };
        let length = HEAD + query.len() + response.map_or(0, <[u8]>::len);
        // It never grows: what has no room is lost.
        if buffer.capacity() - buffer.len() < length {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        let (family, address) = match asker.client {
            IpAddr::V4(v4) => (4, v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => (6, v6),
        };
        let length = |octets: &[u8]| u32::try_from(octets.len()).unwrap_or(0);
        buffer.extend_from_slice(&asker.now.0.to_be_bytes());
        buffer.push(family);
        buffer.extend_from_slice(&address.octets());
        buffer.extend_from_slice(&length(query).to_be_bytes());
        let answered = response.map_or(NO_RESPONSE, length);
        buffer.extend_from_slice(&answered.to_be_bytes());
        buffer.extend_from_slice(query);
        buffer.extend_from_slice(response.unwrap_or_default());
    }

    /// Takes what was copied, and leaves `empty` in its place.
    fn take(&self, empty: &mut Vec<u8>) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *buffer, empty);
    }
}

/// All that is copied, for whoever reads it.
#[derive(Clone)]
pub struct Taps(pub(super) Arc<Tallies>);

impl Taps {
    /// From here on, exchanges are copied or are not. What was copied and not taken is lost.
    pub fn switch(&self, on: bool) {
        self.0.tap_is_on.store(on, Relaxed);
        self.0.each_tap(|tap| {
            let room = if on { ROOM } else { 0 };
            tap.take(&mut Vec::with_capacity(room));
        });
    }

    /// Hands over what was copied since the last time. `spare` is kept for the next.
    pub fn take(&self, spare: &mut Vec<u8>, each: &mut dyn FnMut(Exchange<'_>)) {
        self.0.each_tap(|tap| {
            spare.clear();
            spare.reserve(ROOM);
            tap.take(spare);
            let mut rest = &spare[..];
            while let Some((exchange, after)) = read(rest, tap.carrier) {
                each(exchange);
                rest = after;
            }
        });
    }

    /// How many copies found no room since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let mut lost = 0;
        self.0.each_tap(|tap| lost += tap.lost.load(Relaxed));
        lost
    }
}

fn read(octets: &[u8], carrier: Carrier) -> Option<(Exchange<'_>, &[u8])> {
    let (at, rest) = octets.split_first_chunk::<8>()?;
    let (family, rest) = rest.split_first()?;
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let (query, rest) = rest.split_first_chunk::<4>()?;
    let (response, rest) = rest.split_first_chunk::<4>()?;
    let length = |length| usize::try_from(length).unwrap_or(usize::MAX);
    let answered = u32::from_be_bytes(*response);
    let answered = (answered != NO_RESPONSE).then_some(answered);
    let (query, rest) = rest.split_at_checked(length(u32::from_be_bytes(*query)))?;
    let (response, rest) = rest.split_at_checked(length(answered.unwrap_or(0)))?;
    let v6 = Ipv6Addr::from(*address);
    let v4 = v6.to_ipv4_mapped().filter(|_| *family == 4);
    let exchange = Exchange {
        carrier,
        at: Wall(u64::from_be_bytes(*at)),
        client: v4.map_or(IpAddr::V6(v6), IpAddr::V4),
        query,
        response: answered.map(|_| response),
    };
    Some((exchange, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Transport;

    fn asker(client: IpAddr) -> Asker {
        Asker {
            transport: Transport::Udp,
            client,
            now: Wall(7),
            idle: None,
        }
    }

    #[test]
    fn what_is_copied_comes_out_whole_and_what_has_no_room_is_counted() {
        let tallies = Arc::new(Tallies::default());
        let tally = tallies.for_udp_thread();
        let taps = Taps(Arc::clone(&tallies));
        let clients: [IpAddr; 3] = [
            [192, 0, 2, 1].into(),
            "2001:db8::1".parse().unwrap(),
            "::ffff:192.0.2.1".parse().unwrap(),
        ];
        let put = |client: IpAddr, response| tally.tap.put(&asker(client), b"query", response);
        put(clients[0], None);
        taps.switch(true);
        put(clients[0], Some(&b"response"[..]));
        put(clients[1], None);
        put(clients[2], Some(&b""[..]));
        let mut seen = Vec::new();
        let mut spare = Vec::new();
        taps.take(&mut spare, &mut |it| {
            assert_eq!((it.at, it.query), (Wall(7), &b"query"[..]));
            seen.push((it.client, it.response.map(<[u8]>::to_vec)));
        });
        let expected = [
            (clients[0], Some(b"response".to_vec())),
            (clients[1], None),
            (clients[2], Some(Vec::new())),
        ];
        assert_eq!(seen, expected);
        for _ in 0..ROOM / 1000 + 1 {
            put(clients[0], Some(&[0; 1000]));
        }
        assert!(taps.lost() > 0);
        taps.switch(false);
        put(clients[0], None);
        taps.take(&mut spare, &mut |it| panic!("{it:?}"));
    }
}
