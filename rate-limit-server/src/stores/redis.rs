//! The store in Redis or Valkey.

use std::sync::Arc;

use rate_limit_config::{SharedStore, StoreSettings};
use rate_limit_redis::{BreakerState, RedisRepository, RedisRepositoryBuilder};

use super::{OpenStore, StoreHealth, memory, unusable};
use crate::error::ServerError;

impl StoreHealth for RedisRepository {
    fn troubles(&self) -> Vec<String> {
        let health = self.health();
        let of_server =
            |server: &rate_limit_redis::ServerHealth| match (&server.away, server.breaker) {
                (Some(reason), _) => Some(format!("{} {reason}", server.server)),
                (None, BreakerState::Open) => {
                    Some(format!("the breaker of {} is open", server.server))
                }
                (None, _) => None,
            };
        health.servers.iter().filter_map(of_server).collect()
    }
}

/// Whether it can be opened.
pub(super) fn check(settings: &StoreSettings) -> Result<(), ServerError> {
    builder(settings).check().map_err(|error| unusable(settings, error))
}

pub(super) fn open(settings: &StoreSettings) -> Result<OpenStore, ServerError> {
    let store = builder(settings).build().map_err(|error| unusable(settings, error))?;
    let fallback: SharedStore = memory::build(settings)?;
    Ok(OpenStore::new(Arc::new(store), Some(fallback)))
}

fn builder(settings: &StoreSettings) -> RedisRepositoryBuilder {
    let breaker = settings.breaker;
    let mut builder = RedisRepository::builder(settings.url.expose())
        .timeout(settings.timeout)
        .breaker_failures(breaker.failures)
        .breaker_open_time(breaker.open, breaker.max_open)
        .key_prefix(settings.key_prefix.as_str());
    if let Some(secret) = &settings.key_secret {
        builder = builder.key_secret(secret.expose());
    }
    builder
}
