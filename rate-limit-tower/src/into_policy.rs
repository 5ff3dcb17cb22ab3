//! What a layer accepts as a policy.

use std::sync::Arc;

use rate_limit_core::{PolicyError, RateLimitPolicy, RateLimitPolicyBuilder};

/// Anything that is a policy or can become one.
///
/// # Example: a policy, its builder, or a policy that is already shared
///
/// ```
/// use std::sync::Arc;
/// use rate_limit_tower::{IntoPolicy, RateLimitPolicy};
///
/// let shared: Arc<RateLimitPolicy> = RateLimitPolicy::per_minute(100).into_policy()?;
/// assert!(Arc::ptr_eq(&shared, &shared.clone().into_policy()?));
/// # Ok::<(), rate_limit_tower::PolicyError>(())
/// ```
pub trait IntoPolicy {
    /// Checks everything and yields the policy.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] that carries the first value that cannot work.
    fn into_policy(self) -> Result<Arc<RateLimitPolicy>, PolicyError>;

    /// Checks everything and yields the policy, which gets `name` if it is still to be built and
    /// was not given one.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] that carries the first value that cannot work.
    fn into_policy_named(self, name: &str) -> Result<Arc<RateLimitPolicy>, PolicyError>
    where
        Self: Sized,
    {
        let _ = name;
        self.into_policy()
    }
}

impl IntoPolicy for RateLimitPolicyBuilder {
    fn into_policy(self) -> Result<Arc<RateLimitPolicy>, PolicyError> {
        self.build().map(Arc::new)
    }

    fn into_policy_named(self, name: &str) -> Result<Arc<RateLimitPolicy>, PolicyError> {
        let policy = self.clone().build()?;
        if policy.name().as_str() != Self::DEFAULT_NAME {
            return Ok(Arc::new(policy));
        }
        self.named(name).build().map(Arc::new)
    }
}

impl IntoPolicy for RateLimitPolicy {
    fn into_policy(self) -> Result<Arc<RateLimitPolicy>, PolicyError> {
        Ok(Arc::new(self))
    }
}

impl IntoPolicy for Arc<RateLimitPolicy> {
    fn into_policy(self) -> Result<Arc<RateLimitPolicy>, PolicyError> {
        Ok(self)
    }
}
