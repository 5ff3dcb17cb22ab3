//! A store that writes down what it is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::adjustment::{Adjustment, Adjustments};
use crate::charge::Charges;
use crate::repository::{Acquire, RateLimitRepository, Settle};

/// A store that writes down what it is asked and lets another one answer.
///
/// # Example: was the store asked at all?
///
/// ```
/// use rate_limit_core::conformance::{SimpleRepository, doubles::RecordingRepository};
/// use rate_limit_core::{Charges, ManualClock, RateLimitRepository};
///
/// let store = RecordingRepository::around(SimpleRepository::new(ManualClock::new()));
/// assert!(store.acquired().is_empty());
/// let _ = store.acquire(&Charges::new());
/// assert_eq!(store.acquired().len(), 1);
/// ```
#[derive(Debug)]
pub struct RecordingRepository<R> {
    inner: R,
    acquired: Mutex<Vec<Charges>>,
    settled: Mutex<Vec<Vec<Adjustment>>>,
}

impl<R> RecordingRepository<R> {
    /// Writes down what `inner` is asked.
    pub const fn around(inner: R) -> Self {
        Self { inner, acquired: Mutex::new(Vec::new()), settled: Mutex::new(Vec::new()) }
    }

    /// The store that answers.
    pub const fn inner(&self) -> &R {
        &self.inner
    }

    /// The charges of every call so far, oldest first.
    pub fn acquired(&self) -> Vec<Charges> {
        lock(&self.acquired).clone()
    }

    /// The adjustments of every call so far, oldest first.
    pub fn settled(&self) -> Vec<Vec<Adjustment>> {
        lock(&self.settled).clone()
    }

    /// Forgets what was written down.
    pub fn clear(&self) {
        lock(&self.acquired).clear();
        lock(&self.settled).clear();
    }
}

impl<R: RateLimitRepository> RateLimitRepository for RecordingRepository<R> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        lock(&self.acquired).push(charges.clone());
        self.inner.acquire(charges)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        lock(&self.settled).push(adjustments.iter().cloned().collect());
        self.inner.settle(adjustments)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
