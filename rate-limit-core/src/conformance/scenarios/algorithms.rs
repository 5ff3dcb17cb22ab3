//! One policy of each algorithm, for scenarios that hold for all of them.

use super::SECOND;
use crate::conformance::trial::{Checked, Policy, Store, ensure, policy};
use crate::identity::ClientIdentity;
use crate::policy::RateLimitPolicy;

/// Ten per minute under each algorithm; names differ, so none shares a bucket with another.
pub(super) fn ten_per_minute() -> Checked<Vec<Policy>> {
    let named = |name: &str| RateLimitPolicy::per_minute(10).named(name);
    [
        named("token-bucket"),
        named("fixed-window").fixed_window(),
        named("aligned-window").aligned_window(),
        named("sliding-window").sliding_window(),
        named("sliding-log").sliding_log(),
    ]
    .into_iter()
    .map(policy)
    .collect()
}

/// Takes single units until one is denied; returns how many were admitted.
pub(super) fn fill(store: &Store, who: &ClientIdentity, policy: &Policy) -> Checked<u64> {
    let mut admitted = 0;
    while !store.take(who, policy, 1)?.is_violated() {
        admitted += 1;
        ensure!(admitted <= 100_000, "{policy} does not stop admitting");
    }
    Ok(admitted)
}

/// Long enough for every bucket of [`ten_per_minute`] to be as good as new.
pub(super) const TWO_MINUTES: u64 = 120 * SECOND;
