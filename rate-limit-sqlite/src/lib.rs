#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod administration;
mod batch;
mod buckets;
mod builder;
mod clock;
mod deciding;
mod documents;
mod failure;
mod file;
mod key;
mod repository;
mod room;
mod stats;
mod stored;
mod timeline;
mod worker;

pub use builder::{Durability, SqliteError, SqliteRepositoryBuilder};
pub use clock::WallClock;
pub use repository::SqliteRepository;
pub use stats::SqliteStats;
