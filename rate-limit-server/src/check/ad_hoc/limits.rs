//! The layer that decides questions which bring their limits along, as the configuration in force wants
//! it.
//!
//! The limits do not stand in the configuration, but what clients are told does, and that changes while
//! the service runs. So the layer is made anew for the first question after a change. Counters are
//! found again by their names; what was said aloud is handed on.

use std::sync::{Arc, Mutex, PoisonError};

use rate_limit_config::{ApplyError, Configuration, ConfiguredLayer, SharedStore};
use rate_limit_tower::{Key, LayerError, MissingIdentity, RateLimitLayer, Rule};
use tracing::error;

use super::{AdHoc, RULE};
use crate::stores::OpenStore;

/// The limits of questions that bring them along.
#[derive(Debug)]
pub(crate) struct AdHocLimits {
    rules: ConfiguredLayer,
    parts: Parts,
    /// Held for a moment by every question, and while a layer is made, which asks nobody.
    current: Mutex<Current>,
}

/// What stays when the configuration changes.
struct Parts {
    store: SharedStore,
    fallback: Option<SharedStore>,
    nodes: u32,
}

/// The layer that was made last, and of what.
#[derive(Debug)]
struct Current {
    configuration: Arc<Configuration>,
    layer: RateLimitLayer<SharedStore>,
}

impl AdHocLimits {
    /// Limits that follow what is applied to `rules`.
    pub(crate) fn new(store: &OpenStore, rules: &ConfiguredLayer) -> Result<Self, ApplyError> {
        let configuration = rules.configuration();
        let parts = Parts {
            store: SharedStore::clone(&store.deciding),
            fallback: store.fallback.clone(),
            nodes: configuration.store.nodes,
        };
        let layer = parts.layer(&configuration, None)?;
        let current = Mutex::new(Current { configuration, layer });
        Ok(Self { rules: rules.clone(), parts, current })
    }

    /// The layer that does what the configuration in force says.
    pub(crate) fn layer(&self) -> RateLimitLayer<SharedStore> {
        // Nothing is left half done by a panic: both are exchanged together.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked while nobody else is here, so that none goes back to the one before.
        let configuration = self.rules.configuration();
        if !Arc::ptr_eq(&configuration, &current.configuration) {
            match self.parts.layer(&configuration, Some(&current.layer)) {
                Ok(layer) => *current = Current { configuration, layer },
                Err(why) => {
                    // The rules were made of the same settings, so this should not be. It is said
                    // once, and what was told before is told further on.
                    error!("answers to questions with limits stay as they were: {why}");
                    current.configuration = configuration;
                }
            }
        }
        current.layer.clone()
    }
}

impl Parts {
    fn layer(
        &self,
        configuration: &Configuration,
        previous: Option<&RateLimitLayer<SharedStore>>,
    ) -> Result<RateLimitLayer<SharedStore>, ApplyError> {
        let rule = Rule::new(RULE)
            .key(Key::extension(|asked: &AdHoc| Some(asked.identity.clone())))
            .on_missing_identity(MissingIdentity::Reject)
            .policies_for(|_, request| {
                request.extensions().get::<AdHoc>().map(|asked| asked.policies.clone())
            });
        let builder =
            RateLimitLayer::builder(SharedStore::clone(&self.store)).nodes(self.nodes).rule(rule);
        let mut builder = configuration.responses.apply_to(builder);
        builder = match &self.fallback {
            Some(fallback) => builder.fallback(SharedStore::clone(fallback)),
            None => builder.without_fallback(),
        };
        if let Some(previous) = previous {
            builder = builder.succeeding(previous);
        }
        Ok::<_, LayerError>(builder.build()?).map_err(ApplyError::from)
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}
