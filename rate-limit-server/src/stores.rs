//! Opening the store that the configuration names.

use std::sync::Arc;

use rate_limit_config::{SharedStore, StoreKind, StoreSettings};
use rate_limit_core::{DocumentRepository, RateLimitAdministration, RateLimitRepository};

use crate::error::ServerError;

#[cfg(feature = "sqlite")]
mod deadline;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

/// A store, from all sides that the service needs.
#[derive(Clone)]
pub(crate) struct OpenStore {
    /// Decides.
    pub(crate) deciding: SharedStore,
    /// Decides while the other one does not answer. `None` if that cannot happen.
    pub(crate) fallback: Option<SharedStore>,
    /// Looks at buckets and resets them.
    pub(crate) administration: Arc<dyn RateLimitAdministration>,
    /// Keeps what operators post.
    pub(crate) documents: Arc<dyn DocumentRepository>,
    pub(crate) health: Arc<dyn StoreHealth>,
}

/// Whether a store answers, as far as it knows without being asked.
pub(crate) trait StoreHealth: Send + Sync {
    /// What keeps it from answering; nothing if it answers.
    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
}

impl OpenStore {
    /// All sides of one store.
    fn new<S>(store: Arc<S>, fallback: Option<SharedStore>) -> Self
    where
        S: RateLimitRepository
            + RateLimitAdministration
            + DocumentRepository
            + StoreHealth
            + 'static,
    {
        Self {
            deciding: store.clone(),
            fallback,
            administration: store.clone(),
            documents: store.clone(),
            health: store,
        }
    }
}

/// Opens the store. One that lies elsewhere need not be there yet.
pub(crate) fn open(settings: &StoreSettings) -> Result<OpenStore, ServerError> {
    match settings.url.kind() {
        StoreKind::Memory => Ok(OpenStore::new(memory::build(settings)?, None)),
        #[cfg(feature = "redis")]
        StoreKind::Redis => redis::open(settings),
        #[cfg(feature = "sqlite")]
        StoreKind::Sqlite => sqlite::open(settings),
        #[allow(unreachable_patterns, reason = "kinds that this program was built without")]
        _ => Err(refused(settings, "this program was built without it")),
    }
}

/// Whether these settings are such that a store can be opened. Nothing is opened or connected to.
pub(crate) fn check(settings: &StoreSettings) -> Result<(), ServerError> {
    memory::build(settings)?;
    match settings.url.kind() {
        #[cfg(feature = "redis")]
        StoreKind::Redis => redis::check(settings),
        _ => Ok(()),
    }
}

/// What is to be corrected in the settings.
fn unusable(settings: &StoreSettings, reason: impl ToString) -> ServerError {
    ServerError::StoreSettings { url: settings.url.to_string(), reason: reason.to_string() }
}

/// What the machine refuses.
fn refused(settings: &StoreSettings, reason: impl ToString) -> ServerError {
    ServerError::Store { url: settings.url.to_string(), reason: reason.to_string() }
}
