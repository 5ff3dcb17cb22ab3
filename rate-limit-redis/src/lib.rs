#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[allow(dead_code, reason = "the repository that uses it follows")]
mod backoff;
mod clock;
#[allow(dead_code, reason = "the repository that uses it follows")]
mod guard;
#[allow(dead_code, reason = "the repository that uses it follows")]
mod health;
#[allow(dead_code, reason = "the repository that uses it follows")]
mod key;
#[allow(dead_code, reason = "the repository that uses it follows")]
mod link;
#[allow(dead_code, reason = "the repository that uses it follows")]
mod script;
#[allow(dead_code, reason = "the repository that uses it follows")]
mod secret;
#[allow(dead_code, reason = "the repository that uses it follows")]
mod url;

pub use health::{
    AwayReason, BreakerState, Health, HealthChange, HealthChanges, HealthEvent, ServerHealth,
};
pub use key::{IdentityForm, KeyError};
#[cfg(feature = "tls")]
pub use link::TlsOptions;
pub use url::RedisUrlError;
