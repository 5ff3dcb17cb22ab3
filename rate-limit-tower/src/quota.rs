//! From a policy and what it says to the whole numbers a client is told.
//!
//! Everything is rounded so that a client that believes the numbers is never turned away for it:
//! times up, units down.

use rate_limit_core::{Algorithm, PolicyOutcome, PolicyVerdict, RateLimitPolicy, Timestamp, Wait};

const SECOND_NANOS: u64 = 1_000_000_000;

/// The quota of a policy, as units per whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Quota {
    pub(crate) units: u64,
    pub(crate) seconds: u64,
}

impl Quota {
    /// The capacity and the time in which it is refilled, so that `units / seconds` is the rate.
    pub(crate) fn of(policy: &RateLimitPolicy) -> Self {
        let refill = policy.capacity_window();
        if refill.as_secs() > 0 {
            let seconds = refill.as_secs().saturating_add((refill.subsec_nanos() > 0).into());
            return Self { units: policy.capacity(), seconds };
        }
        // The fields know no fraction of a second. Scaled up to one second, the quota keeps the
        // rate; it is at least the capacity, since less than a second is enough to refill that.
        let window_nanos = policy.window().as_nanos().max(1);
        let units = u128::from(policy.limit()) * u128::from(SECOND_NANOS) / window_nanos;
        Self { units: u64::try_from(units).unwrap_or(u64::MAX), seconds: 1 }
    }
}

/// What the times that a client is told are measured from, and stretched by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// The time of day of the decision.
    pub(crate) at: Timestamp,
    /// By how many thousandths waits are made longer, so that not everybody comes back at once.
    pub(crate) stretch_permille: u64,
}

impl Told {
    /// Whole seconds after which a request that was turned away fits, at least 1. `None` if it
    /// never does.
    pub(crate) fn retry_after_seconds(self, wait: Wait) -> Option<u64> {
        let nanos = match wait {
            Wait::Now => 0,
            Wait::After(nanos) => nanos,
            Wait::Never => return None,
        };
        Some(ceil_seconds(self.stretched(nanos)).max(1))
    }

    /// A wait as long as it is to be told. A layer without jitter, which is the common one, does not
    /// divide.
    fn stretched(self, nanos: u64) -> u64 {
        if self.stretch_permille == 0 {
            return nanos;
        }
        let extra = u128::from(nanos) * u128::from(self.stretch_permille) / 1_000;
        nanos.saturating_add(u64::try_from(extra).unwrap_or(u64::MAX))
    }

    /// Whole seconds until more can be taken: the parameter `t` of the field `RateLimit`. `None`
    /// if that never helps because the request asks for more than the capacity.
    #[inline]
    pub(crate) fn seconds_until_more(
        self,
        one: &PolicyOutcome,
        quota: impl FnOnce() -> Quota,
    ) -> Option<u64> {
        if one.outcome().is_violated() {
            return self.retry_after_seconds(one.outcome().wait);
        }
        Some(seconds_until_more(one, quota))
    }

    /// Whole seconds until the reset is over.
    ///
    /// Whoever was turned away and waits for it has waited at least `Retry-After`.
    pub(crate) fn reset_in_seconds(self, one: &PolicyOutcome) -> u64 {
        let outcome = one.outcome();
        match self.retry_after_seconds(outcome.wait) {
            Some(seconds) if outcome.is_violated() => seconds,
            _ => ceil_seconds(outcome.reset_nanos),
        }
    }

    /// The second since the Unix epoch at which the reset is over.
    pub(crate) fn reset_at_seconds(self, one: &PolicyOutcome) -> u64 {
        let outcome = one.outcome();
        match self.retry_after_seconds(outcome.wait) {
            Some(seconds) if outcome.is_violated() => {
                ceil_seconds(self.at.as_nanos()).saturating_add(seconds)
            }
            _ => ceil_seconds(self.at.plus_nanos(outcome.reset_nanos).as_nanos()),
        }
    }
}

/// Units that a client can still take. Who is banned can take none, whatever is in the bucket.
pub(crate) fn available(one: &PolicyOutcome) -> u64 {
    match one.outcome().verdict {
        PolicyVerdict::Ban => 0,
        PolicyVerdict::Admit | PolicyVerdict::Deny => one.outcome().remaining,
    }
}

/// Whether what a client is told depends on nothing but the units that it has left, as long as the
/// policy stays the same: it passed, has some left, and they do not all come back at once.
#[inline]
pub(crate) fn is_told_by_units(one: &PolicyOutcome) -> bool {
    let comes_back_bit_by_bit = matches!(
        one.policy().algorithm(),
        Algorithm::TokenBucket(_) | Algorithm::SlidingLog(_) | Algorithm::SlidingWindow(_)
    );
    comes_back_bit_by_bit && one.outcome().remaining > 0 && !one.outcome().is_violated()
}

/// Whole seconds until a client that was not turned away can take more.
fn seconds_until_more(one: &PolicyOutcome, quota: impl FnOnce() -> Quota) -> u64 {
    let (available, reset_nanos) = (one.outcome().remaining, one.outcome().reset_nanos);
    if is_told_by_units(one) {
        let quota = quota();
        // A client that spreads what it has over this time runs at the policy's rate. Units and
        // seconds are below 2^32, so the product does not saturate.
        let seconds = available.saturating_mul(quota.seconds).div_ceil(quota.units.max(1));
        return seconds.clamp(1, quota.seconds);
    }
    match one.policy().algorithm() {
        Algorithm::TokenBucket(bucket) => {
            // An empty bucket lacks all its tokens but a part of one; the first is there once only
            // the others are lacking.
            let others_nanos = bucket.time_to_full_nanos().saturating_sub(bucket.interval_nanos());
            ceil_seconds(reset_nanos.saturating_sub(others_nanos)).max(1)
        }
        // For a window this is exact. For a sliding window or log it is when everything fits again,
        // which is later than when the first unit does; how much earlier that is, only the state in
        // the store could tell.
        _ => ceil_seconds(reset_nanos),
    }
}

const fn ceil_seconds(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND_NANOS)
}
