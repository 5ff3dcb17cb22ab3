//! What the tests share.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rate_limit_core::{
    Acquire, Adjustments, Answer, BucketId, Charges, ClientIdentity, Document, DocumentName,
    DocumentRepository, Expected, ManualClock, Page, RateLimitAdministration, RateLimitPolicy,
    RateLimitRepository, RepositoryError, RepositoryErrorKind, Reset, Settle, Standing, Written,
};
use rate_limit_redis::{Placement, RedisRepository, RedisRepositoryBuilder};
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

    /// A store that shares nothing with the others, on the clock of a test.
    pub(crate) fn fresh(&self, clock: &ManualClock) -> OnRuntime {
        self.placed(clock, Placement::ByOwner)
    }

    /// The same, with keys placed as asked.
    pub(crate) fn placed(&self, clock: &ManualClock, placement: Placement) -> OnRuntime {
        let prefix = format!("fresh-{}", self.number.fetch_add(1, Ordering::Relaxed));
        self.built(|builder| builder.key_prefix(prefix).placement(placement).clock(clock.clone()))
    }

    /// A store with options, once it is connected.
    pub(crate) fn built(
        &self,
        options: impl FnOnce(RedisRepositoryBuilder) -> RedisRepositoryBuilder,
    ) -> OnRuntime {
        let _inside = self.runtime.enter();
        // A busy machine must not make a test fail; deadlines have tests of their own.
        let patient = RedisRepository::builder(&self.url).timeout(Duration::from_secs(10));
        let store = options(patient.without_denial_cache()).build().unwrap();
        redis_testbed::until("connected", Duration::from_secs(30), || store.health().is_well())
            .unwrap();
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
    /// Does `work` inside of the runtime.
    pub(crate) fn on_runtime<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn awaited<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, RepositoryError>> + Send + 'static,
    ) -> Answer<T> {
        let task = self.runtime.spawn(work);
        let lost = || RepositoryError::new(RepositoryErrorKind::Unavailable);
        Answer::pending(async move { task.await.unwrap_or_else(|_| Err(lost())) })
    }
}

#[async_trait]
impl RateLimitAdministration for OnRuntime {
    async fn peek(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Standing, RepositoryError> {
        let (store, identity, policy) = (self.store.clone(), identity.clone(), policy.clone());
        self.awaited(async move { store.peek(&identity, &policy).await }).await
    }

    async fn reset(
        &self,
        identity: &ClientIdentity,
        policy: &RateLimitPolicy,
    ) -> Result<Reset, RepositoryError> {
        let (store, identity, policy) = (self.store.clone(), identity.clone(), policy.clone());
        self.awaited(async move { store.reset(&identity, &policy).await }).await
    }

    async fn list(
        &self,
        after: Option<BucketId>,
        limit: NonZeroUsize,
    ) -> Result<Page, RepositoryError> {
        let store = self.store.clone();
        self.awaited(async move { store.list(after, limit).await }).await
    }
}

#[async_trait]
impl DocumentRepository for OnRuntime {
    async fn read(&self, name: &DocumentName) -> Result<Option<Document>, RepositoryError> {
        let (store, name) = (self.store.clone(), name.clone());
        self.awaited(async move { store.read(&name).await }).await
    }

    async fn write(
        &self,
        name: &DocumentName,
        expected: Expected,
        content: &[u8],
    ) -> Result<Written, RepositoryError> {
        let (store, name, content) = (self.store.clone(), name.clone(), content.to_vec());
        self.awaited(async move { store.write(&name, expected, &content).await }).await
    }

    async fn delete(
        &self,
        name: &DocumentName,
        expected: Expected,
    ) -> Result<Written, RepositoryError> {
        let (store, name) = (self.store.clone(), name.clone());
        self.awaited(async move { store.delete(&name, expected).await }).await
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
