//! How much memory the store takes (cases M01 and M05, promise G12), in a process of its own.
//!
//! The figures are of resident memory as Linux reports it, so the test is for Linux only.

#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rate_limit_core::{Charge, Charges, ClientIdentity, RateLimitPolicy, RateLimitRepository};
use rate_limit_memory::MemoryRepository;

/// Counts the bytes that are allocated and not yet freed.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const CAP: usize = 1_000_000;
/// Promise G12 allows 96.
const BYTES_PER_KEY: usize = 28;

fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1_024
}

fn fill(store: &MemoryRepository, keys: impl Iterator<Item = ClientIdentity>) {
    let policy = Arc::new(RateLimitPolicy::per_day(100).build().unwrap());
    for key in keys {
        drop(store.acquire(&Charges::one(Charge::new(key, policy.clone(), 1))));
    }
}

/// One test, so that nothing else in this process takes memory meanwhile.
#[test]
fn m01_m05_memory_stays_within_its_ceiling() {
    let empty = resident_bytes();
    let store = MemoryRepository::builder().max_keys(CAP).build().unwrap();
    let unused = resident_bytes() - empty;
    assert!(unused < 1 << 20, "an unused store takes {unused} bytes");
    let address = |number: u64| ClientIdentity::from(Ipv6Addr::from(u128::from(number) << 64));
    fill(&store, (0..CAP as u64).map(address));
    let full = resident_bytes() - empty;
    assert!(full <= CAP * BYTES_PER_KEY, "{} bytes per key", full / CAP);

    // Case M01: ten million keys, each from a /64 of its own.
    let allocated = LIVE.load(Ordering::SeqCst);
    fill(&store, (CAP as u64..10 * CAP as u64).map(address));
    let flooded = resident_bytes() - empty;
    let taken = store.stats().taken;
    assert!((CAP * 99 / 100..=CAP).contains(&taken), "{taken} of {CAP}");
    assert!(flooded <= CAP * BYTES_PER_KEY, "{full} bytes grew to {flooded}");
    assert!(flooded <= full + full / 20, "{full} bytes grew to {flooded}");
    assert_eq!(LIVE.load(Ordering::SeqCst), allocated, "a flood allocates nothing");

    // Case M05: a hundred thousand keys of 8 KB take what as many short ones take.
    let padding = "x".repeat(8_192);
    let before = LIVE.load(Ordering::SeqCst);
    let keys = (0..100_000).map(|n| ClientIdentity::user(format!("{padding}{n:06}")).unwrap());
    fill(&store, keys);
    assert_eq!(LIVE.load(Ordering::SeqCst), before, "bytes for keys of 8 KB");
    println!("{:.1} bytes per key at {CAP} keys", flooded as f64 / CAP as f64);
}
