//! What the store says of itself.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Ordering};

/// Figures of a [`MemoryRepository`](crate::MemoryRepository).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryStats {
    /// Buckets in debt at this moment, those with a log not among them. All other places are free.
    pub taken: usize,
    /// What is kept aside at this moment: entries of logs, and places on penalty ladders.
    pub aside: usize,
    /// The cap: neither of the two above exceeds it.
    pub max_keys: usize,
    /// Buckets that were forgotten although they were in debt, because there was no room.
    pub evicted_in_debt: u64,
    /// The debt that was lost with them, as the time until they would have been full.
    pub forgiven: Duration,
}

/// Exact counters. Relaxed, because they guard nothing; apart from what decisions read.
#[derive(Debug, Default)]
pub(crate) struct Counters(CachePadded<Lost>);

#[derive(Debug, Default)]
struct Lost {
    evicted_in_debt: AtomicU64,
    forgiven_nanos: AtomicU64,
}

impl Counters {
    pub(crate) fn forgot(&self, debt_nanos: u64) {
        if debt_nanos > 0 {
            self.0.evicted_in_debt.fetch_add(1, Ordering::Relaxed);
            self.0.forgiven_nanos.fetch_add(debt_nanos, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, taken: usize, aside: usize, max_keys: usize) -> MemoryStats {
        MemoryStats {
            taken,
            aside,
            max_keys,
            evicted_in_debt: self.0.evicted_in_debt.load(Ordering::Relaxed),
            forgiven: Duration::from_nanos(self.0.forgiven_nanos.load(Ordering::Relaxed)),
        }
    }
}
