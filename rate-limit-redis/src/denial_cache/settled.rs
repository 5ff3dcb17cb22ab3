//! Which policies are settled.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use rate_limit_core::RateLimitPolicy;

/// The policies of which a charge was ever corrected. They come from the configuration, so there
/// are few of them, and clients cannot add any.
#[derive(Default)]
pub(super) struct SettledPolicies(RwLock<HashSet<u128>>);

impl SettledPolicies {
    /// Notes a policy; tells whether that is news.
    pub(super) fn is_new(&self, policy: &RateLimitPolicy) -> bool {
        // A lock for reading first: after the first time there is nothing to write.
        if self.contains(policy) {
            return false;
        }
        let mut settled = self.0.write().unwrap_or_else(PoisonError::into_inner);
        settled.insert(policy.bucket_digest())
    }

    pub(super) fn contains(&self, policy: &RateLimitPolicy) -> bool {
        let settled = self.0.read().unwrap_or_else(PoisonError::into_inner);
        settled.contains(&policy.bucket_digest())
    }
}
