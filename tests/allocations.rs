//! Answering takes nothing from the heap: counted, with an allocator that counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to write; this one hands everything to the system's"
)]

#[path = "server/fixture.rs"]
#[allow(dead_code, reason = "not all that other tests ask of it")]
mod fixture;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use hickory_proto::rr::RecordType;
use switchback::answer::{Asker, Transport, respond, slip};
use switchback::snapshot::Snapshot;
use switchback::time::Wall;

use fixture::{SRV, query, snapshot, uncompiled};

struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

fn note() {
    // While a thread ends there is nothing to count with, and nothing is counted.
    let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
}

// SAFETY: every call goes to `System` as it came; counting touches no memory of the caller and
// takes none, for the counter is a plain number that needs no initialisation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What answering takes, and the way to TCP in the answer's place, into a buffer that a worker has
/// from its start.
fn taken(snapshot: &Snapshot, packet: &[u8]) -> usize {
    let asker = Asker {
        transport: Transport::Udp,
        client: [192, 0, 2, 1].into(),
        now: Wall(1_800_000_000_000),
        idle: None,
    };
    let mut out = Vec::with_capacity(1232);
    let before = TAKEN.get();
    assert!(respond(snapshot, packet, &asker, &mut out));
    assert!(slip(snapshot, packet, &asker, &mut out));
    TAKEN.get() - before
}

#[test]
fn no_answer_takes_anything_from_the_heap_compiled_or_not() {
    for snapshot in [snapshot(1), uncompiled(1)] {
        for (name, rtype) in [
            (SRV, RecordType::SRV),
            (SRV, RecordType::TLSA),
            ("contoso.test.", RecordType::SOA),
            ("contoso.test.", RecordType::NS),
            ("contoso.test.", RecordType::ANY),
            ("edge1.contoso.test.", RecordType::A),
            ("www.contoso.test.", RecordType::A),
            ("www.contoso.test.", RecordType::AAAA),
            ("alias.contoso.test.", RecordType::A),
            ("nowhere.contoso.test.", RecordType::A),
            ("a.b.c.d.e.f.contoso.test.", RecordType::A),
            ("x.wild.contoso.test.", RecordType::A),
            ("elsewhere.test.", RecordType::A),
        ] {
            let mut cookie = query(7, name, rtype, Some(0));
            let plain = query(7, name, rtype, None);
            // The OPT record is the last: its length, then the COOKIE option.
            let length = cookie.len() - 1;
            cookie[length] = 12;
            cookie.extend_from_slice(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
            for packet in [plain, cookie] {
                assert_eq!(taken(&snapshot, &packet), 0, "{name} {rtype}");
            }
        }
    }
    assert_ne!(TAKEN.get(), 0, "it counts");
}
