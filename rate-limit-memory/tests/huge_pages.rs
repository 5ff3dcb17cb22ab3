//! Large pages are asked for if the user asks for them, and for nothing else. In a process of its own,
//! because this is read off the whole process.

#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::Path;

use rate_limit_core::{
    Answer, Charge, Charges, ClientIdentity, RateLimitPolicy, RateLimitRepository,
};
use rate_limit_memory::MemoryRepository;

/// Bytes of all mappings for which large pages were asked for.
fn advised_bytes() -> u64 {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let kilobytes = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
    let (mut size, mut advised) = (0, 0);
    for line in maps.lines() {
        if line.starts_with("Size:") {
            size = kilobytes(line).unwrap();
        } else if line.starts_with("VmFlags:") && line.split_whitespace().any(|flag| flag == "hg") {
            advised += size << 10;
        }
    }
    advised
}

fn passes(store: &MemoryRepository) -> Vec<bool> {
    let policy = std::sync::Arc::new(RateLimitPolicy::per_day(2).build().unwrap());
    let ask = |_| {
        let charges = Charges::one(Charge::new(ClientIdentity::GLOBAL, policy.clone(), 1));
        let Answer::Ready(outcomes) = store.acquire(&charges) else { unreachable!() };
        outcomes.unwrap().iter().all(|outcome| !outcome.is_violated())
    };
    (0..3).map(ask).collect()
}

#[test]
fn large_pages_are_asked_for_where_the_user_asks_for_them() {
    let usual = MemoryRepository::builder().max_keys(1_000_000).build().unwrap();
    assert_eq!(advised_bytes(), 0);
    let store = MemoryRepository::builder().max_keys(1_000_000).huge_pages().build().unwrap();
    // A kernel that has none refuses the advice, and the store is as good as the other one.
    if Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        let advised = advised_bytes();
        assert!((22_000_000..28_000_000).contains(&advised), "{advised} of 25,600,000 bytes");
    }
    for store in [usual, store] {
        assert_eq!(passes(&store), [true, true, false]);
    }
    // One that is smaller than a page has nothing to ask for.
    let small = MemoryRepository::builder().max_keys(64).huge_pages().build().unwrap();
    assert_eq!(passes(&small), [true, true, false]);
}
