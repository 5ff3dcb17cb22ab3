//! The constructor for the store in a file. Beside `memory.rs` and `redis.rs`, the only file that
//! names a store.

use std::path::Path;

use rate_limit_memory::MemoryRepository;
use rate_limit_sqlite::{SqliteError, SqliteRepository};

use crate::builder::RateLimitLayerBuilder;
use crate::layer::RateLimitLayer;

impl RateLimitLayer<SqliteRepository> {
    /// Begins to build a layer that keeps its state in the file at `path`, where it survives a
    /// restart.
    ///
    /// Opens the file, which blocks for a moment, and makes it if there is none. One process owns
    /// it. While it cannot be written, because the disk is full for example, each policy does what
    /// its failure mode says, by default in the memory of this process. For a store with other
    /// settings, pass one to [`builder`](RateLimitLayer::builder).
    ///
    /// # Errors
    ///
    /// [`SqliteError`] if the file is not usable, for example because another process has it open.
    ///
    /// # Example: a daily quota that no restart forgives
    ///
    /// ```no_run
    /// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
    ///
    /// let limit = RateLimitLayer::in_sqlite("limits.db")?
    ///     .per_ip(RateLimitPolicy::per_day(1_000).aligned_window())
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    pub fn in_sqlite(
        path: impl AsRef<Path>,
    ) -> Result<RateLimitLayerBuilder<SqliteRepository>, SqliteError> {
        let builder = Self::builder(SqliteRepository::open(path)?);
        Ok(builder.fallback_of_one_process(MemoryRepository::new()))
    }
}
