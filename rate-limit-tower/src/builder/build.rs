//! From what was asked of a layer to the layer.

use rate_limit_core::{EnforceRateLimitBuilder, FailureMode, RateLimitPolicy, RateLimitRepository};

use super::RateLimitLayerBuilder;
use crate::decided::Beside;
use crate::double_counting::Marking;
use crate::error::LayerError;
use crate::headers::FieldWriter;
use crate::layer::{RateLimitLayer, Shared};
use crate::rejection::ProblemTypes;
use crate::rules;
use crate::telemetry::Telemetry;

impl<R: RateLimitRepository + 'static> RateLimitLayerBuilder<R> {
    /// Checks everything and builds the layer.
    ///
    /// # Errors
    ///
    /// A [`LayerError`] that names what cannot work and what was expected.
    ///
    /// # Example: the first mistake is reported, with its value
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
    ///
    /// let mistake = RateLimitLayer::in_memory().per_ip(RateLimitPolicy::per_minute(0)).build();
    /// assert_eq!(
    ///     mistake.unwrap_err().to_string(),
    ///     "policy `default`: limit 0 is out of range; expected 1 to 4294967295",
    /// );
    /// # }
    /// ```
    pub fn build(self) -> Result<RateLimitLayer<R>, LayerError> {
        if let Some(jitter) = &self.responses.jitter {
            jitter.check()?;
        }
        let rules = rules::build(
            self.rules,
            self.ip_prefixes,
            self.exempts,
            self.blocks,
            self.exempt_identities,
        )?;
        let enforce = rules.policies().fold(self.enforce, EnforceRateLimitBuilder::policy);
        let responses = self.responses;
        let shared = Shared {
            enforce: enforce.build()?,
            needs_address: rules.need_addresses() || self.has_access_lists,
            client_address: self.client_address,
            reported: self.said.reported,
            marking: Marking::default(),
            store_health: self.said.store_health,
            telemetry: Telemetry::new(&rules),
            time_of_day: self.time_of_day,
            field_writer: FieldWriter::new(responses.header_fields),
            exposure: responses.exposure,
            jitter: responses.jitter,
            problem_types: responses
                .problem_type_base
                .as_deref()
                .map_or_else(ProblemTypes::default, ProblemTypes::below),
            documentation_url: responses.documentation_url,
            reject_with: responses.reject_with,
            gives_handles: self.gives_handles,
            beside: Beside::new(),
            tells_outer_layers: self.tells_outer_layers,
            rules,
        };
        if shared.needs_address {
            shared.reported.noticed(shared.client_address.noticed_when_built());
        }
        let is_local = |policy: &RateLimitPolicy| {
            policy.is_enforced() && policy.failure_mode() == FailureMode::Local
        };
        if self.has_fallback && self.nodes == 1 && shared.rules.policies().any(is_local) {
            shared.reported.one_node();
        }
        Ok(RateLimitLayer::new(shared))
    }
}
