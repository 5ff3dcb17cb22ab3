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
}

impl IntoPolicy for RateLimitPolicyBuilder {
    fn into_policy(self) -> Result<Arc<RateLimitPolicy>, PolicyError> {
        self.build().map(Arc::new)
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
