//! The constructor for the store in Redis. Beside `memory.rs` and `sqlite.rs`, the only file that
//! names a store.

use rate_limit_memory::MemoryRepository;
use rate_limit_redis::{RedisBuildError, RedisRepository};

use crate::builder::RateLimitLayerBuilder;
use crate::layer::RateLimitLayer;

impl RateLimitLayer<RedisRepository> {
    /// Begins to build a layer that shares its state with all processes that use the Redis at `url`.
    ///
    /// Returns at once, whether or not Redis is there. While it is away, each policy does what its
    /// failure mode says, by default in this process with its share of the limit; say how many
    /// processes there are with [`nodes`](RateLimitLayerBuilder::nodes). For a store with other
    /// settings, pass one to [`builder`](RateLimitLayer::builder).
    ///
    /// # Errors
    ///
    /// [`RedisBuildError`] if the URL is not usable, or outside of a tokio runtime.
    ///
    /// # Example: four processes, one limit
    ///
    /// ```no_run
    /// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
    ///
    /// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = RateLimitLayer::in_redis("redis://127.0.0.1:6379")?
    ///     .per_ip(RateLimitPolicy::per_minute(100))
    ///     .nodes(4)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn in_redis(url: &str) -> Result<RateLimitLayerBuilder<RedisRepository>, RedisBuildError> {
        Ok(Self::builder(RedisRepository::connect(url)?).fallback(MemoryRepository::new()))
    }
}
