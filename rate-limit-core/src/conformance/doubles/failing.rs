//! A store that fails.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::adjustment::Adjustments;
use crate::charge::Charges;
use crate::repository::{
    Acquire, Answer, RateLimitRepository, RepositoryError, RepositoryErrorKind, Settle,
};

/// A store that answers with errors, always or from some call on.
///
/// # Example: what happens when the store goes away?
///
/// ```
/// use rate_limit_core::conformance::{SimpleRepository, block_on, doubles::FailingRepository};
/// use rate_limit_core::{Charges, ManualClock, RateLimitRepository, RepositoryErrorKind};
///
/// let works = SimpleRepository::new(ManualClock::new());
/// let store = FailingRepository::after(1, RepositoryErrorKind::Timeout, works);
/// assert!(block_on(store.acquire(&Charges::new())).is_ok());
/// let error = block_on(store.acquire(&Charges::new())).unwrap_err();
/// assert_eq!(error.kind(), RepositoryErrorKind::Timeout);
/// store.recover();
/// assert!(block_on(store.acquire(&Charges::new())).is_ok());
/// ```
#[derive(Debug)]
pub struct FailingRepository<R> {
    works: R,
    kind: RepositoryErrorKind,
    /// Calls that are still answered.
    left: AtomicU64,
}

/// A store that was never there. Only [`FailingRepository::always`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Absent;

impl FailingRepository<Absent> {
    /// Every call fails.
    pub const fn always(kind: RepositoryErrorKind) -> Self {
        Self { works: Absent, kind, left: AtomicU64::new(0) }
    }
}

impl<R> FailingRepository<R> {
    /// The first `calls` calls are answered by `works`, all further ones fail.
    pub const fn after(calls: u64, kind: RepositoryErrorKind, works: R) -> Self {
        Self { works, kind, left: AtomicU64::new(calls) }
    }

    /// From now on every call fails.
    pub fn fail(&self) {
        self.left.store(0, Ordering::SeqCst);
    }

    /// From now on every call is answered.
    pub fn recover(&self) {
        self.left.store(u64::MAX, Ordering::SeqCst);
    }

    /// The store that answers as long as this one does not fail.
    pub const fn works(&self) -> &R {
        &self.works
    }

    fn answer<T>(&self, call: impl FnOnce(&R) -> Answer<T>) -> Answer<T> {
        let count_down = |left: u64| match left {
            u64::MAX => Some(left),
            _ => left.checked_sub(1),
        };
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down) {
            Ok(_) => call(&self.works),
            Err(_) => Answer::Ready(Err(RepositoryError::new(self.kind))),
        }
    }
}

impl<R: RateLimitRepository> RateLimitRepository for FailingRepository<R> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        self.answer(|works| works.acquire(charges))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.answer(|works| works.settle(adjustments))
    }
}

impl RateLimitRepository for Absent {
    fn acquire(&self, _charges: &Charges) -> Acquire {
        Answer::Ready(Err(RepositoryError::new(RepositoryErrorKind::Unavailable)))
    }

    fn settle(&self, _adjustments: &Adjustments) -> Settle {
        Answer::Ready(Err(RepositoryError::new(RepositoryErrorKind::Unavailable)))
    }
}
