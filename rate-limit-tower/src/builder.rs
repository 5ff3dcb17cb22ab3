//! Building a layer, and what can be wrong with it.

use std::fmt;

use rate_limit_core::{
    AccessLists, Clock, EnforceError, EnforceRateLimit, EnforceRateLimitBuilder, IpPrefixes,
    PolicyError, RateLimitRepository,
};
use thiserror::Error;

use crate::diagnosis::MissingPeer;
use crate::headers;
use crate::into_policy::IntoPolicy;
use crate::layer::{RateLimitLayer, Shared};
use crate::rules::{Key, Rule, Rules};
use crate::time_of_day::TimeOfDay;

/// Builds a [`RateLimitLayer`]. Nothing is checked before [`build`](Self::build).
#[must_use = "a builder does nothing until it is built"]
pub struct RateLimitLayerBuilder<R> {
    enforce: EnforceRateLimitBuilder<R>,
    rules: Vec<Rule>,
    /// The first policy that cannot work.
    refused: Option<PolicyError>,
    ip_prefixes: IpPrefixes,
    has_access_lists: bool,
    time_of_day: TimeOfDay,
}

/// Why a layer cannot be built.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LayerError {
    /// Two policies would charge the same key under the same name.
    #[error(
        "two {key} policies are named `{policy}`; expected different names, such as \
         `.named(\"{policy}-2\")`"
    )]
    DuplicatePolicy {
        /// The name.
        policy: String,
        /// Whose buckets both charge: `per IP` or `global`.
        key: String,
    },
    /// The use case refuses how it was put together.
    #[error(transparent)]
    Enforce(#[from] EnforceError),
    /// There is nothing to enforce.
    #[error("the layer has no policy; expected at least one, such as `.per_ip(..)`")]
    NoPolicy,
    /// A policy cannot work.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl<R: RateLimitRepository + 'static> RateLimitLayerBuilder<R> {
    pub(crate) fn new(repository: R) -> Self {
        Self {
            enforce: EnforceRateLimit::builder(repository),
            rules: Vec::new(),
            refused: None,
            ip_prefixes: IpPrefixes::DEFAULT,
            has_access_lists: false,
            time_of_day: TimeOfDay::default(),
        }
    }

    /// Adds a policy that counts each client address separately.
    ///
    /// The address is that of the connection, never one from a header. Addresses of one
    /// [prefix](Self::ip_prefixes) count as one client. Requests without an address share a single
    /// bucket, and the first of them is reported with the code `RL001`.
    pub fn per_ip(self, policy: impl IntoPolicy) -> Self {
        self.rule(Key::Ip, policy)
    }

    /// Adds a policy that counts everybody together.
    pub fn global(self, policy: impl IntoPolicy) -> Self {
        self.rule(Key::Global, policy)
    }

    /// How many leading bits of an address make up a client: all of IPv4 and 64 of IPv6 by default.
    pub fn ip_prefixes(mut self, prefixes: IpPrefixes) -> Self {
        self.ip_prefixes = prefixes;
        self
    }

    /// Who passes without being counted, and who does not pass.
    pub fn access(mut self, lists: AccessLists) -> Self {
        self.enforce = self.enforce.access(lists);
        self.has_access_lists = true;
        self
    }

    /// The store that decides while the other one does not answer. It lives in this process and
    /// must not be the same store.
    pub fn fallback(mut self, repository: impl RateLimitRepository + 'static) -> Self {
        self.enforce = self.enforce.fallback(repository);
        self
    }

    /// Declares that the store always answers because it lives in this process.
    pub fn without_fallback(mut self) -> Self {
        self.enforce = self.enforce.without_fallback();
        self
    }

    /// How many processes share the store, 1 to 65,535; 1 by default. While the store is away, each
    /// enforces its share of the policies with [`FailureMode::Local`](crate::FailureMode::Local).
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.enforce = self.enforce.nodes(nodes);
        self
    }

    /// Where `X-RateLimit-Reset` takes the time of day from; the system's by default. Only
    /// [`Clock::utc_now`] is asked. Decisions use the clock of the store.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.time_of_day = TimeOfDay::Clock(Box::new(clock));
        self
    }

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
        if let Some(refused) = self.refused {
            return Err(refused.into());
        }
        if self.rules.is_empty() {
            return Err(LayerError::NoPolicy);
        }
        if let Some(duplicate) = duplicate(&self.rules) {
            let policy = duplicate.policy.name().to_string();
            return Err(LayerError::DuplicatePolicy { policy, key: duplicate.key.to_string() });
        }
        let mut enforce = self.enforce;
        for rule in &self.rules {
            enforce = enforce.policy(&rule.policy);
        }
        let rules = Rules { rules: self.rules.into(), ip_prefixes: self.ip_prefixes };
        Ok(RateLimitLayer::new(Shared {
            enforce: enforce.build()?,
            needs_peer: rules.charge_addresses() || self.has_access_lists,
            missing_peer: MissingPeer::default(),
            time_of_day: self.time_of_day,
            policy_list: headers::policy_list(rules.policies()),
            rules,
        }))
    }

    fn rule(mut self, key: Key, policy: impl IntoPolicy) -> Self {
        match policy.into_policy() {
            Ok(policy) => self.rules.push(Rule { key, policy }),
            Err(error) => {
                self.refused.get_or_insert(error);
            }
        }
        self
    }
}

/// A rule whose name an earlier rule has taken on the same key.
fn duplicate(rules: &[Rule]) -> Option<&Rule> {
    rules.iter().enumerate().find_map(|(index, rule)| {
        let taken =
            |earlier: &Rule| earlier.key == rule.key && earlier.policy.name() == rule.policy.name();
        rules.iter().take(index).any(taken).then_some(rule)
    })
}

impl<R> fmt::Debug for RateLimitLayerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayerBuilder").field("rules", &self.rules).finish_non_exhaustive()
    }
}
