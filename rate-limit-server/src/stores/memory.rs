//! The store in this process.

use std::sync::Arc;

use rate_limit_config::{MemoryPages, StoreSettings};
use rate_limit_memory::{MemoryError, MemoryRepository};

use super::{StoreHealth, refused, unusable};
use crate::error::ServerError;

/// It always answers.
impl StoreHealth for MemoryRepository {}

/// A store in this process, as the store or as the fallback of one.
pub(super) fn build(settings: &StoreSettings) -> Result<Arc<MemoryRepository>, ServerError> {
    let max_keys = usize::try_from(settings.max_keys).unwrap_or(usize::MAX);
    let builder = MemoryRepository::builder().max_keys(max_keys);
    let builder = match settings.memory_pages {
        MemoryPages::Huge => builder.huge_pages(),
        _ => builder,
    };
    let store = builder.build();
    store.map(Arc::new).map_err(|error| match error {
        MemoryError::Memory { .. } => refused(settings, error),
        _ => unusable(settings, error),
    })
}
