//! How much memory the store takes (cases M01 and M05, promise G12), in a process of its own.
//!
//! The figures are of resident memory as Linux reports it, so the test is for Linux only.

#![cfg(all(target_os = "linux", not(loom)))]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::net::Ipv6Addr;
use std::sync::Arc;

use rate_limit_core::{Charge, Charges, ClientIdentity, RateLimitPolicy, RateLimitRepository};
use rate_limit_memory::MemoryRepository;

const CAP: usize = 1_000_000;
/// Promise G12.
const BYTES_PER_KEY: usize = 96;

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
    let address = |number: u64| ClientIdentity::from(Ipv6Addr::from(u128::from(number) << 64));
    fill(&store, (0..CAP as u64).map(address));
    let full = resident_bytes() - empty;
    assert_eq!(store.stats().taken, CAP);
    assert!(full <= CAP * BYTES_PER_KEY, "{} bytes per key", full / CAP);

    // Case M01: ten million keys, each from a /64 of its own.
    fill(&store, (CAP as u64..10 * CAP as u64).map(address));
    let flooded = resident_bytes() - empty;
    assert_eq!(store.stats().taken, CAP);
    assert!(flooded <= full + full / 20, "{full} bytes grew to {flooded}");
    drop(store);

    // Case M05: a hundred thousand keys of 8 KB take what as many short ones take.
    let per_key = |length: usize| {
        let before = resident_bytes();
        let store = MemoryRepository::new();
        let padding = "x".repeat(length);
        let keys = (0..100_000).map(|n| ClientIdentity::user(format!("{padding}{n:06}")).unwrap());
        fill(&store, keys);
        (resident_bytes().saturating_sub(before)) / 100_000
    };
    let (short, long) = (per_key(1), per_key(8_192));
    assert!(long <= short + 16, "{short} bytes for a short key, {long} for one of 8 KB");
    println!("{} bytes per key at {CAP} keys, {short} and {long} in small", full / CAP);
}
