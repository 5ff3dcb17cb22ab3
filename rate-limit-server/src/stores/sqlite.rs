//! The store in one file.

use std::sync::Arc;

use rate_limit_config::{SharedStore, StoreSettings};
use rate_limit_sqlite::SqliteRepository;

use super::deadline::Deadline;
use super::{OpenStore, StoreHealth, memory, refused};
use crate::error::ServerError;

const SCHEME: &str = "sqlite://";

/// Whether the disk answers is seen when it is asked.
impl StoreHealth for SqliteRepository {}

pub(super) fn open(settings: &StoreSettings) -> Result<OpenStore, ServerError> {
    let url = settings.url.expose();
    let path = url.strip_prefix(SCHEME).unwrap_or(url);
    let store = SqliteRepository::builder(path).max_keys(settings.max_keys).build();
    let store = Arc::new(store.map_err(|error| refused(settings, error))?);
    let fallback: SharedStore = memory::build(settings)?;
    let deciding = Arc::new(Deadline::new(store.clone(), settings.timeout));
    Ok(OpenStore { deciding, ..OpenStore::new(store, Some(fallback)) })
}
