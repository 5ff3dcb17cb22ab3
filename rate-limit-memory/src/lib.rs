#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod administration;
mod builder;
mod clock;
mod documents;
mod key;
mod records;
mod repository;
mod room;
mod shard;
mod slot;
mod stats;
mod store;
mod sync;

pub use builder::{MemoryError, MemoryRepositoryBuilder};
pub use clock::SystemClock;
pub use repository::MemoryRepository;
pub use stats::MemoryStats;
