//! A deadline around a store that keeps none itself.

use std::time::Duration;

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, RateLimitRepository, RepositoryError,
    RepositoryErrorKind, Settle,
};

/// A store whose answers are awaited for so long and no longer. What was asked may still be carried
/// out later.
#[derive(Debug)]
pub(super) struct Deadline<R> {
    store: R,
    timeout: Duration,
}

impl<R> Deadline<R> {
    pub(super) const fn new(store: R, timeout: Duration) -> Self {
        Self { store, timeout }
    }

    fn bounded<T: Unpin + Send + 'static>(&self, answer: Answer<T>) -> Answer<T> {
        let Answer::Pending(answer) = answer else {
            return answer;
        };
        let timeout = self.timeout;
        Answer::pending(async move {
            let late = || RepositoryError::new(RepositoryErrorKind::Timeout);
            tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| Err(late()))
        })
    }
}

impl<R: RateLimitRepository> RateLimitRepository for Deadline<R> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        self.bounded(self.store.acquire(charges))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.bounded(self.store.settle(adjustments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never answers.
    struct Hung;

    impl RateLimitRepository for Hung {
        fn acquire(&self, _: &Charges) -> Acquire {
            Answer::pending(std::future::pending())
        }

        fn settle(&self, _: &Adjustments) -> Settle {
            Answer::pending(std::future::pending())
        }
    }

    #[test]
    fn nobody_waits_for_longer_than_the_deadline() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let store = Deadline::new(Hung, Duration::from_millis(1));
        runtime.block_on(async {
            let error = store.acquire(&Charges::new()).await.unwrap_err();
            assert_eq!(error.kind(), RepositoryErrorKind::Timeout);
            let error = store.settle(&Adjustments::from_iter([])).await.unwrap_err();
            assert_eq!(error.kind(), RepositoryErrorKind::Timeout);
        });
    }
}
