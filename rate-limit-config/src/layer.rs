//! The layer that a configuration describes, and that another one can be applied to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rate_limit_core::{Charges, RateLimitRepository};
use rate_limit_tower::{NamedAnswer, Question, RateLimitLayer, UnknownRule};
use tower_layer::Layer;

use crate::configuration::Configuration;

mod access;
mod applied;
mod builder;
mod cost;
mod keys;
mod limits;
mod rules;
mod service;
mod version;

pub use applied::{Applied, ApplyError};
pub use builder::ConfiguredLayerBuilder;
use builder::Parts;
pub use service::Configured;
use version::Version;

/// The store of a configured layer: which one it is, the program decides when it starts.
pub type SharedStore = Arc<dyn RateLimitRepository>;

/// A layer that does what a [`Configuration`] says, and then what the next one says.
///
/// Clones share everything. [`apply`](Self::apply) exchanges the configuration while requests are
/// under way: each of them is decided by one version from beginning to end, and asking which one
/// takes no lock. What clients have used stays used, because the buckets of a limit are found by its
/// name and algorithm, which stay, and not by its numbers, which change.
///
/// # Example: limits from a text, exchanged for others
///
/// ```
/// use rate_limit_config::{Configuration, ConfiguredLayer, Environment};
/// use rate_limit_memory::MemoryRepository;
///
/// let read = |limit: &str| {
///     let text = format!("[[rule]]\nname = \"api\"\nkey = \"ip\"\nlimit = \"{limit}\"\n");
///     Configuration::from_toml("limits.toml", &text, &Environment::empty())
/// };
/// let store = MemoryRepository::builder().build()?;
/// let layer = ConfiguredLayer::builder(store).without_fallback().build(read("100/min")?)?;
///
/// let applied = layer.apply(read("200/min")?)?;
/// assert_eq!((applied.version, layer.version()), (2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ConfiguredLayer {
    live: Arc<Live>,
}

/// What all services made by one layer share.
pub(crate) struct Live {
    /// Read by every request, without a lock.
    current: ArcSwap<Version>,
    /// What stays when the configuration changes.
    parts: Parts,
    /// Held while a version is made of the one before, so that none is lost. No request waits for
    /// it.
    turn: Mutex<()>,
}

impl ConfiguredLayer {
    /// Begins to build a layer on any store.
    pub fn builder(store: impl RateLimitRepository + 'static) -> ConfiguredLayerBuilder {
        ConfiguredLayerBuilder::new(Arc::new(store))
    }

    fn new(parts: Parts, first: Version) -> Self {
        let current = ArcSwap::from_pointee(first);
        Self { live: Arc::new(Live { current, parts, turn: Mutex::new(()) }) }
    }

    /// Exchanges the configuration. Requests that are under way end as they began; the next ones
    /// are decided by the new version.
    ///
    /// Section `store` stays as it was when the layer was built, because a store cannot be exchanged
    /// under load; what would change there is [reported](Applied::needs_restart).
    ///
    /// # Errors
    ///
    /// If no layer can be made of the configuration. The one before then stays in force.
    pub fn apply(&self, configuration: Configuration) -> Result<Applied, ApplyError> {
        // Nothing is left half done by a panic: the version is exchanged as a whole.
        let _turn = self.live.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = self.live.current.load_full();
        let next = Version::new(&self.live.parts, configuration, Some(&previous))?;
        let applied = next.applied(&self.live.parts);
        self.live.current.store(Arc::new(next));
        Ok(applied)
    }

    /// Tells whether a configuration could be applied, without applying it.
    ///
    /// # Errors
    ///
    /// If no layer can be made of the configuration.
    pub fn check(&self, configuration: Configuration) -> Result<(), ApplyError> {
        let current = self.live.current.load_full();
        Version::new(&self.live.parts, configuration, Some(&current)).map(|_| ())
    }

    /// Decides about questions that name their rules, by the version in force; see
    /// [`RateLimitLayer::ask`].
    ///
    /// # Errors
    ///
    /// If there is no rule of that name.
    pub async fn ask(&self, questions: &[Question]) -> Result<NamedAnswer, UnknownRule> {
        self.limits().ask(questions).await
    }

    /// What such questions would be charged; see [`RateLimitLayer::charges`].
    ///
    /// # Errors
    ///
    /// If there is no rule of that name.
    pub async fn charges(&self, questions: &[Question]) -> Result<Charges, UnknownRule> {
        self.limits().charges(questions).await
    }

    /// The limits of the version in force, which decide to the end what they have begun.
    fn limits(&self) -> RateLimitLayer<SharedStore> {
        self.live.current.load().limits.clone()
    }

    /// The number of the version in force. The first one is 1.
    pub fn version(&self) -> u64 {
        self.live.current.load().number
    }

    /// What is in force.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.live.current.load().configuration.clone()
    }
}

impl<S> Layer<S> for ConfiguredLayer {
    type Service = Configured<S>;

    fn layer(&self, inner: S) -> Configured<S> {
        Configured::new(inner, self.live.clone())
    }
}

impl fmt::Debug for ConfiguredLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredLayer").field("version", &self.version()).finish_non_exhaustive()
    }
}
