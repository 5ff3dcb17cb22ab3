//! The store in Redis or Valkey.

use std::sync::Arc;

use rate_limit_config::{SharedStore, StoreSettings};
use rate_limit_redis::{BreakerState, RedisRepository};

use super::{OpenStore, StoreHealth, memory, refused};
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

pub(super) fn open(settings: &StoreSettings) -> Result<OpenStore, ServerError> {
    let breaker = settings.breaker;
    let mut builder = RedisRepository::builder(settings.url.expose())
        .timeout(settings.timeout)
        .breaker_failures(breaker.failures)
        .breaker_open_time(breaker.open, breaker.max_open)
        .key_prefix(settings.key_prefix.as_str());
    if let Some(secret) = &settings.key_secret {
        builder = builder.key_secret(secret.expose());
    }
    let store = builder.build().map_err(|error| refused(settings, error))?;
    let fallback: SharedStore = memory::build(settings)?;
    Ok(OpenStore::new(Arc::new(store), Some(fallback)))
}
