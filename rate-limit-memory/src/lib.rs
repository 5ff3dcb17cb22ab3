#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod administration;
mod aside;
mod builder;
mod clock;
mod documents;
mod group;
mod held;
mod hints;
mod key;
mod known;
mod repository;
mod room;
mod side;
mod sip_hash;
mod stats;
mod store;
mod sync;
mod table;

pub use builder::{MemoryError, MemoryRepositoryBuilder};
pub use clock::SystemClock;
#[cfg(feature = "quanta")]
pub use clock::TimeStampCounterClock;
pub use repository::MemoryRepository;
pub use stats::MemoryStats;
