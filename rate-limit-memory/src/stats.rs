//! What the store says of itself.

use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// Figures of a [`MemoryRepository`](crate::MemoryRepository).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryStats {
    /// How much of the cap is taken: one for each bucket, and for each entry of a log.
    pub taken: usize,
    /// The cap.
    pub max_keys: usize,
    /// Buckets that were forgotten although they were in debt, because there was no room.
    pub evicted_in_debt: u64,
    /// The debt that was lost with them, as the time until they would have been full.
    pub forgiven: Duration,
}

/// Exact counters. Relaxed, because they guard nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    evicted_in_debt: AtomicU64,
    forgiven_nanos: AtomicU64,
}

impl Counters {
    pub(crate) fn forgot(&self, debt_nanos: u64) {
        if debt_nanos > 0 {
            self.evicted_in_debt.fetch_add(1, Ordering::Relaxed);
            self.forgiven_nanos.fetch_add(debt_nanos, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, taken: usize, max_keys: usize) -> MemoryStats {
        MemoryStats {
            taken,
            max_keys,
            evicted_in_debt: self.evicted_in_debt.load(Ordering::Relaxed),
            forgiven: Duration::from_nanos(self.forgiven_nanos.load(Ordering::Relaxed)),
        }
    }
}
