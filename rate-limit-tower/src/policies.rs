//! The policies of one client, where clients have different ones.

use std::sync::Arc;

use rate_limit_core::{PolicyError, RateLimitPolicy};

use crate::into_policy::IntoPolicy;

/// Some policies that apply together, made once and chosen per request. Cloning is cheap.
///
/// Tiers whose policies have the same names share their buckets, so a client that is upgraded
/// keeps what it has used.
///
/// # Example: two tiers
///
/// ```
/// use rate_limit_tower::{Policies, RateLimitPolicy, Rule};
///
/// #[derive(Clone, Copy)]
/// enum Plan { Free, Gold }
///
/// let free = Policies::new([RateLimitPolicy::per_minute(10).named("api")])?;
/// let gold = Policies::new([RateLimitPolicy::per_minute(1_000).named("api")])?;
/// let rule = Rule::new("api").policies_from(move |request| {
///     match request.extensions().get::<Plan>()? {
///         Plan::Free => Some(free.clone()),
///         Plan::Gold => Some(gold.clone()),
///     }
/// });
/// # Ok::<(), rate_limit_tower::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policies(Arc<[Arc<RateLimitPolicy>]>);

impl Policies {
    /// Checks the policies.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] that carries the first value that cannot work.
    pub fn new<P: IntoPolicy>(policies: impl IntoIterator<Item = P>) -> Result<Self, PolicyError> {
        policies.into_iter().map(IntoPolicy::into_policy).collect()
    }

    /// The policies.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RateLimitPolicy>> {
        self.0.iter()
    }

    pub(crate) fn as_slice(&self) -> &[Arc<RateLimitPolicy>] {
        &self.0
    }

    /// Whether there are none, so that nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Arc<RateLimitPolicy>> for Policies {
    fn from_iter<I: IntoIterator<Item = Arc<RateLimitPolicy>>>(policies: I) -> Self {
        Self(policies.into_iter().collect())
    }
}
