//! What several tests need.

use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::conformance::{SimpleRepository, block_on};
use rate_limit_core::{
    Charge, Charges, ClientIdentity, Decide, EnforceRateLimit, Enforced, ManualClock,
    RateLimitPolicy, RateLimitPolicyBuilder, RateLimitRepository, Verdict,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The yardstick.
pub(crate) type Simple = SimpleRepository<ManualClock>;

pub(crate) fn simple(clock: &ManualClock) -> Simple {
    SimpleRepository::new(clock.clone())
}

pub(crate) fn policy(builder: RateLimitPolicyBuilder) -> Arc<RateLimitPolicy> {
    Arc::new(builder.build().expect("a valid policy"))
}

pub(crate) fn user(name: &str) -> ClientIdentity {
    ClientIdentity::user(name).expect("a valid name")
}

/// One charge of everybody's bucket.
pub(crate) fn one(policy: &Arc<RateLimitPolicy>, units: u64) -> Charges {
    [Charge::new(ClientIdentity::GLOBAL, policy.clone(), units)].into_iter().collect()
}

/// One charge of everybody's bucket under each policy.
pub(crate) fn each<'a>(
    policies: impl IntoIterator<Item = &'a Arc<RateLimitPolicy>>,
    units: u64,
) -> Charges {
    let charge =
        |policy: &Arc<RateLimitPolicy>| Charge::new(ClientIdentity::GLOBAL, policy.clone(), units);
    policies.into_iter().map(charge).collect()
}

/// Decides, waiting for the store if need be.
pub(crate) fn decide<R: RateLimitRepository + 'static>(
    limit: &EnforceRateLimit<R>,
    charges: Charges,
) -> Enforced {
    match limit.decide(None, charges) {
        Decide::Ready(enforced) => enforced,
        Decide::Pending(pending) => block_on(pending),
    }
}

pub(crate) fn verdict<R: RateLimitRepository + 'static>(
    limit: &EnforceRateLimit<R>,
    charges: Charges,
) -> Verdict {
    decide(limit, charges).decision.verdict()
}

/// Asks for single units until one is not allowed; returns how many were.
pub(crate) fn exhaust<R: RateLimitRepository + 'static>(
    limit: &EnforceRateLimit<R>,
    policy: &Arc<RateLimitPolicy>,
) -> u64 {
    (0..100_000).take_while(|_| verdict(limit, one(policy, 1)) == Verdict::Allow).count() as u64
}
