//! What the tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rate_limit_core::{
    Acquire, Adjustments, Answer, Charges, Clock, RateLimitRepository, RepositoryError,
    RepositoryErrorKind, Settle,
};
use rate_limit_redis::RedisRepository;
use tokio::runtime::Runtime;

/// Makes stores that can be asked from plain threads: each call runs in a runtime.
pub(crate) struct Stores {
    url: String,
    runtime: Arc<Runtime>,
    number: AtomicU64,
}

impl Stores {
    /// Stores at `url`.
    pub(crate) fn at(url: impl Into<String>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self { url: url.into(), runtime: Arc::new(runtime), number: AtomicU64::new(0) }
    }

    /// A store that shares nothing with the others.
    pub(crate) fn fresh(&self, clock: Option<Arc<dyn Clock>>) -> OnRuntime {
        let prefix = format!("fresh-{}", self.number.fetch_add(1, Ordering::Relaxed));
        let store = RedisRepository::connect_for_test(&self.url, &prefix, clock);
        let store = self.runtime.block_on(store).unwrap();
        OnRuntime { store, runtime: self.runtime.clone() }
    }
}

/// A store whose answers can be awaited outside of its runtime.
#[derive(Clone)]
pub(crate) struct OnRuntime {
    pub(crate) store: RedisRepository,
    runtime: Arc<Runtime>,
}

impl OnRuntime {
    fn awaited<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, RepositoryError>> + Send + 'static,
    ) -> Answer<T> {
        let task = self.runtime.spawn(work);
        let lost = || RepositoryError::new(RepositoryErrorKind::Unavailable);
        Answer::pending(async move { task.await.unwrap_or_else(|_| Err(lost())) })
    }
}

impl RateLimitRepository for OnRuntime {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let (store, charges) = (self.store.clone(), charges.clone());
        self.awaited(async move { store.acquire(&charges).await })
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let (store, adjustments) = (self.store.clone(), adjustments.clone());
        self.awaited(async move { store.settle(&adjustments).await })
    }
}
