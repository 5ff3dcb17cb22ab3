#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod administration;
mod asked;
mod backoff;
mod builder;
mod clock;
mod coalescing;
mod compensation;
mod deciding;
mod denial_cache;
mod documents;
mod guard;
mod health;
mod key;
mod keyed;
mod link;
mod repository;
mod script;
mod secret;
mod settling;
mod stored;
mod url;

pub use builder::{RedisBuildError, RedisRepositoryBuilder};
pub use denial_cache::DenialCache;
pub use health::{
    AwayReason, BreakerState, Health, HealthChange, HealthChanges, HealthEvent, ServerHealth,
};
pub use key::{IdentityForm, KeyError, Placement};
#[cfg(feature = "tls")]
pub use link::TlsOptions;
pub use repository::RedisRepository;
pub use url::RedisUrlError;
