//! The constructor for the store in this process. Beside `redis.rs` and `sqlite.rs`, the only file
//! that names a store.

use rate_limit_memory::MemoryRepository;

use crate::builder::RateLimitLayerBuilder;
use crate::layer::RateLimitLayer;

impl RateLimitLayer<MemoryRepository> {
    /// Begins to build a layer that keeps its state in this process.
    ///
    /// For a store with other settings, pass one to [`builder`](RateLimitLayer::builder).
    #[cfg_attr(docsrs, doc(cfg(feature = "memory")))]
    pub fn in_memory() -> RateLimitLayerBuilder<MemoryRepository> {
        Self::builder(MemoryRepository::new()).without_fallback()
    }
}
