//! What clients are told.

use rate_limit_core::RateLimitRepository;
use rate_limit_tower::{Exposure, HeaderFields, RateLimitLayerBuilder, RetryJitter};

/// The section `responses`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResponseSettings {
    /// Which fields responses carry.
    pub header_fields: HeaderFields,
    /// How much clients are told, where a rule says nothing else.
    pub expose: Exposure,
    /// What the types of problem documents begin with.
    pub problem_type_base: Option<String>,
    /// Where clients can read about their limits, where a rule says nothing else.
    pub documentation_url: Option<String>,
    /// By how many percent at most waits are told longer than they are, 0 to 10.
    pub retry_jitter_percent: u8,
}

impl ResponseSettings {
    /// Makes a layer tell clients what these settings say. A [`ConfiguredLayer`] does so by itself;
    /// this is for programs that have a layer of their own beside it.
    ///
    /// # Example: a limit of the program, told as those of the file are
    ///
    /// ```
    /// use rate_limit_config::{Configuration, Environment};
    /// use rate_limit_memory::MemoryRepository;
    /// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
    ///
    /// let text = "[responses]\nexpose = \"none\"\n\
    ///             [[rule]]\nname = \"api\"\nkey = \"ip\"\nlimit = \"100/min\"\n";
    /// let configuration =
    ///     Configuration::from_toml("limits.toml", text, &Environment::empty())?;
    /// let builder = RateLimitLayer::builder(MemoryRepository::new())
    ///     .global(RateLimitPolicy::per_second(1_000))
    ///     .without_fallback();
    /// let layer = configuration.responses.apply_to(builder).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`ConfiguredLayer`]: crate::ConfiguredLayer
    pub fn apply_to<R: RateLimitRepository + 'static>(
        &self,
        builder: RateLimitLayerBuilder<R>,
    ) -> RateLimitLayerBuilder<R> {
        let mut builder = builder.header_fields(self.header_fields).exposure(self.expose);
        if self.retry_jitter_percent > 0 {
            builder = builder.retry_jitter(RetryJitter::up_to_percent(self.retry_jitter_percent));
        }
        if let Some(base) = &self.problem_type_base {
            builder = builder.problem_type_base(base.as_str());
        }
        if let Some(url) = &self.documentation_url {
            builder = builder.documentation_url(url.as_str());
        }
        builder
    }
}
