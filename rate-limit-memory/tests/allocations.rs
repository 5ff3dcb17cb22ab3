//! No decision allocates, whatever it is about: counted, in a process of its own.

#![cfg(not(any(loom, shuttle)))]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;

use rate_limit_core::{
    Charge, Charges, ClientIdentity, ManualClock, RateLimitPolicy, RateLimitRepository,
};
use rate_limit_memory::MemoryRepository;

/// Counts the allocations of each thread, because the one that runs the tests has its own.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn no_decision_allocates() {
    let clock = ManualClock::new();
    let store = MemoryRepository::builder().clock(clock).max_keys(1_000).build().unwrap();
    let policies: Vec<Arc<RateLimitPolicy>> = [
        RateLimitPolicy::per_hour(3).named("tokens"),
        RateLimitPolicy::per_hour(3).fixed_window().named("fixed"),
        RateLimitPolicy::per_hour(3).aligned_window().named("aligned"),
        RateLimitPolicy::per_hour(3).sliding_window().named("sliding"),
    ]
    .map(|builder| Arc::new(builder.build().unwrap()))
    .to_vec();
    // Each policy alone and up to all four together; thrice what the store holds, so that buckets
    // come, go and move, and each client until it is denied.
    let requests: Vec<Charges> = (0..3_000)
        .map(|number: usize| {
            let client = ClientIdentity::user(number.to_string()).unwrap();
            let charged = match number % 8 {
                alone @ 0..4 => &policies[alone..=alone],
                several => &policies[..several - 3],
            };
            charged.iter().map(|policy| Charge::new(client.clone(), policy.clone(), 2)).collect()
        })
        .collect();
    let before = ALLOCATIONS.with(Cell::get);
    for charges in &requests {
        for _ in 0..3 {
            drop(black_box(store.acquire(charges)));
        }
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    assert!(store.stats().evicted_in_debt > 1_000, "{:?}", store.stats());
}
