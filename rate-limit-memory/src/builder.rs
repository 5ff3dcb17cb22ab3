//! Building the store, and what can be wrong with it.

use rate_limit_core::Clock;
use thiserror::Error;

use crate::clock::SystemClock;
use crate::repository::MemoryRepository;
use crate::table::{Pages, Table};

/// Builds a [`MemoryRepository`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct MemoryRepositoryBuilder<C> {
    clock: C,
    max_keys: usize,
    pages: Pages,
}

/// Why a store cannot be built.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum MemoryError {
    /// The cap is out of range.
    #[error("max_keys = {max_keys} is out of range; expected {min} to {max}")]
    MaxKeys {
        /// The refused cap.
        max_keys: usize,
        /// The smallest accepted one.
        min: usize,
        /// The largest accepted one.
        max: usize,
    },
    /// The machine has not that much memory.
    #[error("max_keys = {max_keys} needs {bytes} bytes, which the machine does not provide")]
    Memory {
        /// The refused cap.
        max_keys: usize,
        /// What a table for it takes.
        bytes: usize,
    },
}

impl MemoryRepositoryBuilder<SystemClock> {
    pub(crate) fn new() -> Self {
        Self { clock: SystemClock::new(), max_keys: Self::DEFAULT_MAX_KEYS, pages: Pages::Usual }
    }
}

impl<C: Clock> MemoryRepositoryBuilder<C> {
    /// The cap of a store that was not given one: 1,000,000 keys.
    pub const DEFAULT_MAX_KEYS: usize = 1_000_000;

    /// The smallest cap: 64 keys. A request may be charged against several policies at once, and
    /// their buckets must fit beside each other.
    pub const MIN_MAX_KEYS: usize = if cfg!(loom) {
        4
    } else if cfg!(shuttle) {
        10
    } else {
        64
    };

    /// The largest cap: 1,000,000,000 keys.
    pub const MAX_MAX_KEYS: usize = 1_000_000_000;

    /// How many buckets are kept at most, 64 to 1,000,000,000; rounded down to a multiple of five.
    ///
    /// What lies aside of the buckets, entries of sliding logs and places on penalty ladders, has a
    /// cap of its own of the same size. The table takes 25.6 bytes for each key; the operating
    /// system provides them as they are touched.
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// Asks the operating system for pages of two megabytes, for stores of a million clients and
    /// more that are as busy as they are large.
    ///
    /// Decisions about clients that have not been seen for a while then find their buckets sooner.
    /// But each page is provided whole, and cleared, with the first bucket in it: a new store is soon
    /// as large as its cap, and the request that meets a page first waits for that, longer if the
    /// system has to look for one. So it is not the default. Only Linux is asked; where
    /// `/sys/kernel/mm/transparent_hugepage/enabled` says `never`, nothing changes.
    ///
    /// # Example: ten million clients
    ///
    /// ```
    /// use rate_limit_memory::MemoryRepository;
    ///
    /// let store = MemoryRepository::builder().max_keys(10_000_000).huge_pages().build()?;
    /// # Ok::<(), rate_limit_memory::MemoryError>(())
    /// ```
    pub fn huge_pages(mut self) -> Self {
        self.pages = Pages::Huge;
        self
    }

    /// Where the store gets its time from.
    ///
    /// # Example: a test that does not sleep
    ///
    /// ```
    /// use rate_limit_core::ManualClock;
    /// use rate_limit_memory::MemoryRepository;
    ///
    /// let clock = ManualClock::new();
    /// let store = MemoryRepository::builder().clock(clock.clone()).build()?;
    /// clock.advance(std::time::Duration::from_secs(3_600));
    /// # Ok::<(), rate_limit_memory::MemoryError>(())
    /// ```
    pub fn clock<D: Clock>(self, clock: D) -> MemoryRepositoryBuilder<D> {
        MemoryRepositoryBuilder { clock, max_keys: self.max_keys, pages: self.pages }
    }

    /// Checks everything and builds the store.
    ///
    /// # Errors
    ///
    /// [`MemoryError::MaxKeys`] if the cap is out of range, [`MemoryError::Memory`] if the machine
    /// cannot hold the table.
    pub fn build(self) -> Result<MemoryRepository<C>, MemoryError> {
        let (min, max) = (Self::MIN_MAX_KEYS, Self::MAX_MAX_KEYS);
        if !(min..=max).contains(&self.max_keys) {
            return Err(MemoryError::MaxKeys { max_keys: self.max_keys, min, max });
        }
        let max_keys = self.max_keys;
        MemoryRepository::with_room(self.clock, max_keys, self.pages)
            .ok_or(MemoryError::Memory { max_keys, bytes: Table::bytes(max_keys) })
    }
}
