//! Building a layer: what stays when the configuration changes.

use std::fmt;
use std::sync::Arc;

use rate_limit_core::{Clock, RateLimitRepository};

use super::version::Version;
use super::{ApplyError, ConfiguredLayer, SharedStore};
use crate::clock::SystemClock;
use crate::configuration::{Configuration, StoreSettings};

/// Builds a [`ConfiguredLayer`]. Nothing is checked before [`build`](Self::build).
#[must_use = "a builder does nothing until it is built"]
pub struct ConfiguredLayerBuilder {
    store: SharedStore,
    fallback: Fallback,
    clock: Option<Arc<dyn Clock>>,
}

/// What decides while the store does not answer.
#[derive(Clone)]
pub(super) enum Fallback {
    Declined,
    Given(SharedStore),
    NotMentioned,
    /// Beside a store that no other process can share.
    OfOneProcess(SharedStore),
}

/// What stays when the configuration changes.
pub(super) struct Parts {
    pub(super) store: SharedStore,
    pub(super) fallback: Fallback,
    /// The time of day in header fields, and by which tokens and list entries expire.
    pub(super) clock: Arc<dyn Clock>,
    /// Whether that is not the system's.
    pub(super) has_clock: HasClock,
    /// With what the store was opened.
    pub(super) opened_with: StoreSettings,
}

/// Whether somebody has chosen a clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HasClock {
    Chosen,
    System,
}

impl ConfiguredLayerBuilder {
    pub(super) fn new(store: SharedStore) -> Self {
        Self { store, fallback: Fallback::NotMentioned, clock: None }
    }

    /// The store that decides while the other one does not answer. It lives in this process and
    /// must not be the same store.
    pub fn fallback(mut self, store: impl RateLimitRepository + 'static) -> Self {
        self.fallback = Fallback::Given(Arc::new(store));
        self
    }

    /// A [`fallback`](Self::fallback) beside a store that no other process can share, such as a file
    /// that one process owns, so that there is nothing to say about the number of nodes (`RL007`).
    pub fn fallback_of_one_process(mut self, store: impl RateLimitRepository + 'static) -> Self {
        self.fallback = Fallback::OfOneProcess(Arc::new(store));
        self
    }

    /// Declares that the store always answers because it lives in this process.
    pub fn without_fallback(mut self) -> Self {
        self.fallback = Fallback::Declined;
        self
    }

    /// Where the layer takes the time from by which tokens and list entries expire, and which header
    /// fields name; the system's by default. Limits are decided by the clock of the store.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// If no layer can be made of the configuration, such as one whose policies need a
    /// [fallback](Self::fallback) that nobody has mentioned.
    pub fn build(self, configuration: Configuration) -> Result<ConfiguredLayer, ApplyError> {
        let has_clock = if self.clock.is_some() { HasClock::Chosen } else { HasClock::System };
        let parts = Parts {
            store: self.store,
            fallback: self.fallback,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            has_clock,
            opened_with: configuration.store.clone(),
        };
        let first = Version::new(&parts, configuration, None)?;
        Ok(ConfiguredLayer::new(parts, first))
    }
}

impl fmt::Debug for ConfiguredLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredLayerBuilder").finish_non_exhaustive()
    }
}
