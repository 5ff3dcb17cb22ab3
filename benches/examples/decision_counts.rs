//! What one decision in memory costs in instructions, under `callgrind`. Type next:
//!
//! ```sh
//! cargo build --profile bench -p rate-limit-benches --example decision_counts
//! valgrind --tool=callgrind --toggle-collect='*counted*' \
//!     target/release/examples/decision_counts ours denied
//! ```
//!
//! and divide by the 1,000 decisions that it takes. Contenders are `ours`, `governor` and `floor`, all
//! on the processor's counter, with one known key; after `admitted` or `denied` ours takes a number
//! of policies.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a program that measures")]

use std::hint::black_box;

use governor::clock::QuantaClock;
use rate_limit_benches::baseline::Floor;
use rate_limit_benches::{Path, addresses, charges, decide, governor, policies};
use rate_limit_memory::{MemoryRepository, TimeStampCounterClock};

const DECISIONS: u64 = 1_000;

/// So many decisions. Never inlined, so that callgrind can tell them from what comes before.
#[inline(never)]
fn counted(mut ask: impl FnMut() -> bool) {
    for _ in 0..DECISIONS {
        black_box(ask());
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = match arguments.get(1).map(String::as_str) {
        Some("denied") => Path::Denied,
        Some("admitted") => Path::Admitted,
        other => panic!("expected `admitted` or `denied` after the contender, not {other:?}"),
    };
    let address = addresses(2).pop().unwrap();
    let clock = TimeStampCounterClock::new();
    match arguments.first().map(String::as_str) {
        Some("ours") => {
            let store = MemoryRepository::builder().clock(clock).max_keys(1_000).build().unwrap();
            let count = arguments.get(2).map_or(1, |count| count.parse().unwrap());
            let charges = charges(address, &policies(path, count).unwrap());
            decide(&store, &charges);
            counted(|| decide(&store, black_box(&charges)));
        }
        Some("governor") => {
            let limiter = governor(path, QuantaClock::default());
            let ask = || limiter.check_key(black_box(&address)).is_ok();
            black_box(ask());
            counted(ask);
        }
        Some("floor") => {
            let (burst, interval_nanos) = path.floor_limit();
            let floor = Floor::new(clock, 1_000, burst, interval_nanos);
            floor.decide(&address);
            counted(|| floor.decide(black_box(&address)));
        }
        other => panic!("expected `ours`, `governor` or `floor`, not {other:?}"),
    }
}
